"""Who does what just now: blocks by worker and by pool, and how each executor fares."""

from datetime import UTC, datetime, timedelta

import pytest
from pytest_django.fixtures import DjangoAssertNumQueries

from runs import at_work
from runs.models import BlockRun
from runs.states import BlockStatus
from tests.factories import make_run, make_worker

pytestmark = pytest.mark.django_db
NOW = datetime(2025, 3, 3, 12, tzinfo=UTC)


def running(**fields: object) -> BlockRun:
    run = make_run(blocks={"load": BlockStatus.RUNNING})
    run.block_runs.filter(block_uuid="load").update(**{"started_at": NOW} | fields)
    return run.block_runs.get(block_uuid="load")


def use_of(name: str = "local_python") -> at_work.ExecutorUse:
    return next(each for each in at_work.executors(NOW) if each.name == name)


def test_running_blocks_stand_with_their_workers() -> None:
    ada, bob = make_worker(pid=1), make_worker(pid=2)
    first, second = running(worker=ada), running(worker=bob)

    assert at_work.look().by_worker == {ada.pk: [first], bob.pk: [second]}


def test_what_does_not_run_is_not_named() -> None:
    make_run(blocks={"load": BlockStatus.QUEUED, "clean": BlockStatus.COMPLETED})

    assert at_work.look().blocks == []


def test_who_runs_longest_comes_first() -> None:
    late = running(started_at=NOW)
    early = running(started_at=NOW - timedelta(hours=1))

    assert at_work.look().blocks == [early, late]


def test_a_pool_is_held_by_what_runs_in_it_and_does_not_stand_aside() -> None:
    holder = running(pool="warehouse")
    running(pool="warehouse", is_aside=True)

    assert at_work.look().by_pool == {"warehouse": [holder]}


def test_only_so_many_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(at_work, "MOST", 2)
    for _ in range(3):
        running()

    found = at_work.look()

    assert (len(found.blocks), found.is_cut) == (2, True)


def test_one_query_tells_it_all(django_assert_num_queries: DjangoAssertNumQueries) -> None:
    for _ in range(3):
        running(worker=make_worker())

    with django_assert_num_queries(1):
        assert [block.pipeline_run.pipeline.uuid for block in at_work.look().blocks] == ["etl"] * 3


def test_an_executor_that_nothing_uses_is_idle() -> None:
    assert use_of() == at_work.ExecutorUse("local_python", True, 0, 0, 0)
    assert use_of().state == "idle"


def test_an_executor_counts_what_runs_and_what_waits() -> None:
    running(worker=make_worker(lease_until=NOW + timedelta(seconds=20)))
    make_run(blocks={"load": BlockStatus.QUEUED})

    assert use_of() == at_work.ExecutorUse("local_python", True, 1, 1, 0)
    assert use_of().state == "busy"


@pytest.mark.parametrize("lease", [None, NOW - timedelta(seconds=1)])
def test_a_block_whose_worker_is_gone_is_an_orphan(lease: datetime | None) -> None:
    running(worker=make_worker(lease_until=lease))

    assert (use_of().orphans, use_of().state) == (1, "orphans")


def test_a_block_without_any_worker_is_an_orphan() -> None:
    running(worker=None)

    assert use_of().orphans == 1


def test_an_executor_that_there_is_not_is_told_of() -> None:
    running(executor="mainframe")

    assert (use_of("mainframe").is_known, use_of("mainframe").state) == (False, "unknown")
