"""Several schedulers at work on the same retention, and people who retry what is about to go."""

from collections.abc import Iterator

import pytest

from tests.runs.crowd import Crowd, gather

pytestmark = pytest.mark.processes
KEPT = "__import__('tests.runs.kept', fromlist=['kept'])"


@pytest.fixture(scope="module", params=["sqlite", "postgres"])
def crowd(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Crowd]:
    with gather(request.param, tmp_path_factory.mktemp("crowd"), 3) as made:
        yield made


@pytest.fixture(autouse=True)
def clean(crowd: Crowd) -> None:
    """Each test begins with an empty table."""
    crowd.ask("[PipelineRun.objects.all().delete(), Pipeline.objects.all().delete()] and None")


def test_each_run_is_removed_by_one_of_them(crowd: Crowd) -> None:
    crowd.ask(f"{KEPT}.make_old(120)")

    went = crowd.ask_all(*[f"{KEPT}.remove_old()"] * 3)

    assert sum(went) == 120
    assert len(crowd.ask(f"{KEPT}.still_there()")) == 1


def test_a_run_is_either_retried_or_removed(crowd: Crowd) -> None:
    ids = crowd.ask(f"{KEPT}.make_old(60)")
    crowd.ask(f"PipelineRun.objects.filter(pk__in={ids}).update(status='failed')")

    _, retried, _ = crowd.ask_all(f"{KEPT}.remove_old(5)", f"{KEPT}.retry_each({ids[::-1]})", f"{KEPT}.remove_old(5)")

    assert set(retried) <= set(crowd.ask(f"{KEPT}.still_there()"))
    assert set(crowd.ask(f"{KEPT}.still_there()")) & set(ids) == set(retried)
