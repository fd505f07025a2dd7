"""The administration of tables that grow without end: the newest rows are listed, a number finds any."""

import pytest
from django.contrib.auth.models import User
from django.test import Client

from pipelines import large_admin
from runs.models import BlockRun, Event, PipelineRun
from tests.factories import NOON, make_run, text_of

pytestmark = pytest.mark.django_db
RUNS = "/admin/runs/pipelinerun/"


@pytest.fixture
def admin_page() -> Client:
    client = Client()
    client.force_login(User.objects.create_superuser("root", password="correct horse"))
    return client


@pytest.fixture
def runs(monkeypatch: pytest.MonkeyPatch) -> list[PipelineRun]:
    """Five, of which the two newest count as such."""
    monkeypatch.setattr(large_admin, "NEWEST", 2)
    return [make_run() for _ in range(5)]


def listed(client: Client, address: str) -> list[int]:
    return [row.pk for row in client.get(address).context["cl"].result_list]


def test_the_newest_rows_are_listed_and_that_is_said(admin_page: Client, runs: list[PipelineRun]) -> None:
    answer = admin_page.get(RUNS)

    assert listed(admin_page, RUNS) == [runs[4].pk, runs[3].pk]
    assert "The newest 2 are listed" in text_of(answer)


def test_a_search_for_a_number_finds_an_old_row(admin_page: Client, runs: list[PipelineRun]) -> None:
    assert listed(admin_page, f"{RUNS}?q={runs[0].pk}") == [runs[0].pk]


@pytest.mark.parametrize("number", ["999999", "9" * 30])
def test_a_number_that_is_no_ones_finds_nothing(admin_page: Client, runs: list[PipelineRun], number: str) -> None:
    assert listed(admin_page, f"{RUNS}?q={number}") == []


def test_words_are_looked_for_among_the_newest(admin_page: Client, runs: list[PipelineRun]) -> None:
    PipelineRun.objects.filter(pk__in=[runs[0].pk, runs[4].pk]).update(trigger_name="nightly")

    assert listed(admin_page, f"{RUNS}?q=night") == [runs[4].pk]


def test_blocks_are_found_by_the_number_of_their_run(admin_page: Client, runs: list[PipelineRun]) -> None:
    mine = set(BlockRun.objects.filter(pipeline_run=runs[1]).values_list("pk", flat=True))

    assert mine <= set(listed(admin_page, f"/admin/runs/blockrun/?q={runs[1].pk}"))


def test_a_filter_offers_the_values_of_the_newest(admin_page: Client, runs: list[PipelineRun]) -> None:
    for kind in ("created", "failed", "completed"):
        Event.objects.create(pipeline_run=runs[0], kind=kind, happened_at=NOON)

    (filter_,) = admin_page.get("/admin/runs/event/").context["cl"].filter_specs

    assert list(filter_.lookup_choices) == ["completed", "failed"]


def test_an_old_row_can_still_be_looked_at(admin_page: Client, runs: list[PipelineRun]) -> None:
    assert admin_page.get(f"{RUNS}{runs[0].pk}/change/").status_code == 200
