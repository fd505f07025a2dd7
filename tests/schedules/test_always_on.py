"""@always_on as the scheduler keeps it: one run at a time, at once after a success, later and later after failures."""

from datetime import datetime, timedelta
from typing import Any

import pytest

from runs.models import Origin, PipelineRun
from runs.states import RunStatus
from schedules import scheduler
from schedules.models import Occurrence, PipelineSchedule
from schedules.reasons.why import why_schedule
from tests.factories import NOON, make_run, make_schedule

pytestmark = pytest.mark.django_db
SECOND, MINUTE = timedelta(seconds=1), timedelta(minutes=1)


@pytest.fixture
def schedule() -> PipelineSchedule:
    made = make_schedule(schedule_interval="@always_on", is_active=False)
    made.resume(NOON)
    return made


def end(moment: datetime, status: RunStatus = RunStatus.COMPLETED) -> None:
    PipelineRun.objects.unfinished().update(status=status, completed_at=moment)


def fired(moment: datetime) -> int:
    return scheduler.tick(moment).fired


def fail_from(moment: datetime, times: int) -> datetime:
    """Let so many runs fail a second after they began, and return when the last ended."""
    for _ in range(times):
        while not fired(moment):
            moment += SECOND
        end(moment := moment + SECOND, RunStatus.FAILED)
    return moment


def test_the_next_run_starts_when_the_last_has_ended_not_at_the_next_look(schedule: PipelineSchedule) -> None:
    assert fired(NOON) == 1
    assert fired(NOON + 21 * SECOND) == 0  # busy; the next look would be at :31
    end(NOON + 25 * SECOND)

    assert fired(NOON + 25 * SECOND) == 1
    assert Occurrence.objects.filter(decision="started").count() == 2


def test_the_next_run_starts_ten_seconds_after_a_short_one(schedule: PipelineSchedule) -> None:
    assert fired(NOON) == 1
    end(NOON + SECOND)

    assert fired(NOON + 2 * SECOND) == 0
    schedule.refresh_from_db()
    assert schedule.next_due_at == NOON + 10 * SECOND
    assert fired(NOON + 10 * SECOND) == 1


def test_after_failures_in_a_row_the_next_try_comes_later_each_time(schedule: PipelineSchedule) -> None:
    gaps = []
    moment = fail_from(NOON, 1)
    for _ in range(4):
        began = moment
        while not fired(moment):
            moment += SECOND
        gaps.append(moment - began)
        end(moment := moment + SECOND, RunStatus.FAILED)

    assert gaps == [10 * SECOND, 20 * SECOND, 40 * SECOND, 80 * SECOND]
    assert Occurrence.objects.count() == PipelineRun.objects.count() == 5


def test_the_plan_says_when_the_next_try_is(schedule: PipelineSchedule) -> None:
    ended = fail_from(NOON, 3)

    report = scheduler.tick(ended + SECOND)

    schedule.refresh_from_db()
    assert report.next_due == schedule.next_due_at == ended + 40 * SECOND


@pytest.mark.parametrize(
    ("status", "origin"),
    [
        (RunStatus.COMPLETED, Origin.SCHEDULE),
        (RunStatus.CANCELLED, Origin.SCHEDULE),
        (RunStatus.FAILED, Origin.MANUAL),
        (RunStatus.FAILED, Origin.API),
    ],
)
def test_a_success_or_a_start_by_hand_begins_the_count_anew(
    schedule: PipelineSchedule, status: RunStatus, origin: Origin
) -> None:
    moment = fail_from(NOON, 4)
    times: dict[str, Any] = {"created_at": moment, "started_at": moment, "completed_at": moment + MINUTE}
    make_run(trigger_id=schedule.pk, status=status, origin=origin, **times)

    assert fired(moment + MINUTE) == 1


def test_resuming_begins_the_count_anew(schedule: PipelineSchedule) -> None:
    moment = fail_from(NOON, 4)
    schedule.refresh_from_db()
    schedule.pause(moment)
    schedule.resume(moment + SECOND)

    assert fired(moment + 11 * SECOND) == 1


def test_a_run_of_another_trigger_wakes_nothing(schedule: PipelineSchedule) -> None:
    assert fired(NOON) == 1
    make_run(trigger_id=schedule.pk + 1, status=RunStatus.COMPLETED, completed_at=NOON + SECOND)

    assert scheduler.tick(NOON + 2 * SECOND).next_due == NOON + 10 * SECOND + timedelta(microseconds=1)


def test_why_tells_of_the_failures_and_the_next_try(schedule: PipelineSchedule) -> None:
    ended = fail_from(NOON, 3)

    told = why_schedule(schedule, ended + SECOND)

    check = next(check for check in told.checks if check.name == "back-off")
    assert told.summary == check.detail
    assert check.detail.startswith("3 failures in a row: next try at")
    assert check.clears_at == ended + 40 * SECOND
    later = why_schedule(schedule, ended + MINUTE)
    assert next(check.passed for check in later.checks if check.name == "back-off")
