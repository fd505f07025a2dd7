"""Many real processes on one database: every block once, every run to its end, and no error reaches anybody."""

from collections.abc import Iterator

import pytest

from tests.runs.crowd import Crowd, gather

pytestmark = pytest.mark.processes
PROCESSES = 6


@pytest.fixture(scope="module", params=["sqlite", "postgres"])
def crowd(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Crowd]:
    with gather(request.param, tmp_path_factory.mktemp("crowd"), PROCESSES) as made:
        yield made


@pytest.fixture(autouse=True)
def clean(crowd: Crowd) -> None:
    """Each test begins with an empty table."""
    crowd.ask("[PipelineRun.objects.all().delete(), Pipeline.objects.all().delete()] and None")


def test_two_blocks_that_end_at_once_queue_what_joins_them_once(crowd: Crowd) -> None:
    pairs = crowd.ask("make_diamonds(50)")
    crowd.ask_all(*(f"hold({[pair[side] for pair in pairs]})" for side in (0, 1)))

    for _ in pairs:
        crowd.ask_all("finish_next(takes=False)", "finish_next(takes=False)")

    assert crowd.ask("joins()") == [["running", "queued", 1, 0]] * len(pairs)


def test_two_blocks_that_end_at_once_have_one_successor(crowd: Crowd) -> None:
    pairs = crowd.ask("make_diamonds(50)")
    crowd.ask_all(*(f"hold({[pair[side] for pair in pairs]})" for side in (0, 1)))

    taken = [sorted(crowd.ask_all("finish_next(takes=True)", "finish_next(takes=True)"), key=bool) for _ in pairs]

    assert taken == [[None, "join"]] * len(pairs)
    assert crowd.ask("joins()") == [["completed", "completed", 1, 1]] * len(pairs)


def test_each_queued_block_is_claimed_once(crowd: Crowd) -> None:
    pks = crowd.ask("make_wide(200)")

    claimed = crowd.ask_all(*["claim_all()"] * PROCESSES)

    assert sorted(sum(claimed, [])) == sorted(pks)
    assert sum(1 for part in claimed if part) > 1, "one process took all: nothing was tried"


def test_a_hint_that_everybody_has_is_claimed_by_one(crowd: Crowd) -> None:
    pks = crowd.ask("make_wide(60)")

    claimed = crowd.ask_all(*[f"claim_each({pks})"] * PROCESSES)

    assert sorted(sum(claimed, [])) == sorted(pks)


def test_no_lock_or_deadlock_reaches_anybody_and_every_run_ends(crowd: Crowd) -> None:
    crowd.ask("make_mixture()")

    reports = crowd.ask_all(*(f"mix({seed}, 4.0)" for seed in range(6)))

    assert [report["raised"] for report in reports] == [[]] * 6
    assert sum(report["done"].get("work", 0) for report in reports) > 20
    assert crowd.ask("running_at_once('limited')") <= 2
    ends = crowd.ask("bring_to_an_end()")
    assert set(ends) <= {"completed", "failed", "cancelled"}
    assert ends["completed"] > 5, ends
    assert crowd.ask("broken_promises()") == {}


def test_a_timer_that_comes_due_while_a_run_is_cancelled_starts_nothing(crowd: Crowd) -> None:
    crowd.ask("make_mixture()")
    crowd.ask("finish(claim(start('diamond').block_runs.get(block_uuid='root').pk), NOT_YET)")

    assert crowd.ask("cancel_as_a_timer_comes_due(PipelineRun.objects.get())")

    assert crowd.ask("set(BlockRun.objects.values_list('status', flat=True)) == {'cancelled'}")
