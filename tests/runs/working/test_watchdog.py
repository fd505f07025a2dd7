"""When a cluster of workers counts as hanging: ready work, somebody free, and no claim for a whole minute."""

import os
from datetime import datetime, timedelta

import pytest

from runs.lifecycle import create_run
from runs.models import BlockRun, Origin, PipelineRun, Worker, WorkerKind
from runs.working import workers
from runs.working.watchdog import Watchdog
from tests.factories import make_pipeline
from tests.runs.outcomes import claim

pytestmark = pytest.mark.django_db
SECOND, MINUTE = timedelta(seconds=1), timedelta(minutes=1)
HERE = [os.getpid()]


@pytest.fixture
def run(now: datetime) -> PipelineRun:
    """A run whose two blocks are ready from now on."""
    return create_run(make_pipeline("pair", [("a",), ("b",)]), moment=now, origin=Origin.MANUAL)


@pytest.fixture
def worker(now: datetime) -> Worker:
    return workers.register(WorkerKind.WORKER, now)


def looks(watchdog: Watchdog, since: datetime, minutes: int) -> list[bool]:
    return [watchdog.is_stalled(HERE, since + step * 20 * SECOND) for step in range(3 * minutes + 1)]


def test_ready_work_that_a_free_worker_leaves_for_a_minute_is_a_stall(
    run: PipelineRun, worker: Worker, now: datetime
) -> None:
    assert looks(Watchdog(), now + MINUTE + SECOND, 1) == [False, False, False, True]


def test_work_waits_while_all_are_busy(run: PipelineRun, worker: Worker, now: datetime) -> None:
    claim(run, "a", worker, now)

    assert not any(looks(Watchdog(), now + 10 * MINUTE, 5))


def test_a_claim_now_and_then_is_no_stall(run: PipelineRun, worker: Worker, now: datetime) -> None:
    watchdog, later = Watchdog(), now + 2 * MINUTE
    looks(watchdog, now + MINUTE + SECOND, 1)
    held = claim(run, "a", worker, later)
    BlockRun.objects.filter(pk=held.pk).update(status="completed")

    assert looks(watchdog, later + SECOND, 1) == [False, False, False, True], "it counts from the claim"


def test_workers_elsewhere_are_not_looked_at(run: PipelineRun, worker: Worker, now: datetime) -> None:
    Worker.objects.update(pid=1)

    assert not any(looks(Watchdog(), now + MINUTE + SECOND, 5))


def test_without_work_nothing_hangs(worker: Worker, now: datetime) -> None:
    assert not any(looks(Watchdog(), now + MINUTE, 5))
