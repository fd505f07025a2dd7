"""Calls of API triggers meet the rules that moments of other triggers meet."""

from datetime import timedelta
from typing import Any

import pytest

from runs import lifecycle
from runs.admission import NotAdmitted
from runs.models import Origin, PipelineRun
from runs.states import RunStatus
from schedules import calls, scheduler
from schedules.models import Decision, Occurrence, PipelineSchedule, ScheduleType
from tests.factories import NOON, make_run, make_schedule

pytestmark = pytest.mark.django_db
SECOND, MINUTE = timedelta(seconds=1), timedelta(minutes=1)


def callable_trigger(**fields: Any) -> PipelineSchedule:
    schedule = make_schedule(schedule_type=ScheduleType.API, schedule_interval="", is_active=False, **fields)
    schedule.resume(NOON)
    return schedule


def call(schedule: PipelineSchedule, seconds: int = 0) -> PipelineRun:
    return scheduler.start_now(schedule, moment=NOON + seconds * SECOND, origin=Origin.API)


def test_a_second_call_may_wait_and_a_third_is_refused_where_one_may_wait() -> None:
    schedule = callable_trigger(settings={"overlap": "wait_one"})
    call(schedule)
    waiting = call(schedule, 1)

    with pytest.raises(NotAdmitted, match="Another run waits for its turn already"):
        call(schedule, 2)

    last = Occurrence.objects.latest("scheduled_for")
    assert (last.decision, last.blocker_run_id, waiting.status) == (Decision.SKIPPED, waiting.pk, RunStatus.INITIAL)


def test_a_call_that_waits_past_its_start_deadline_expires() -> None:
    schedule = callable_trigger(settings={"overlap": "wait_all", "start_deadline": 30, "priority": 4})
    first, second = call(schedule), call(schedule, 1)

    assert calls.expire(NOON + 30 * SECOND) == 0
    assert calls.expire(NOON + 31 * SECOND) == 1
    lifecycle.cancel(first, moment=NOON + MINUTE, reason="makes room")
    lifecycle.start_held(schedule.pipeline_id, NOON + MINUTE)

    second.refresh_from_db()
    row = Occurrence.objects.get(pipeline_run=second)
    assert (second.status, second.started_at) == (RunStatus.CANCELLED, None)
    assert (row.decision, row.priority) == (Decision.EXPIRED, 4)
    assert row.reason == f"Its start deadline passed. It waited: The previous run, {first.pk}, is still running."


def test_after_too_many_failures_calls_are_refused_until_someone_resumes_it() -> None:
    schedule = callable_trigger(settings={"stop_after_failures": 2})
    for minute in (1, 2):
        make_run(schedule.pipeline, trigger_id=schedule.pk, status=RunStatus.FAILED, created_at=NOON + minute * MINUTE)

    with pytest.raises(NotAdmitted, match="Stopped: its last 2 runs failed"):
        call(schedule, 200)

    schedule.refresh_from_db()
    assert not schedule.is_active
    assert Occurrence.objects.get().decision == Decision.SKIPPED
    schedule.resume(NOON + 5 * MINUTE)
    assert call(schedule, 301).status == RunStatus.RUNNING


@pytest.mark.parametrize(
    ("fields", "why"),
    [
        ({"start_time": NOON + MINUTE}, "The trigger does not begin before 2025-03-02 12:01:00 UTC."),
        ({"end_time": NOON - MINUTE}, "The trigger ended at 2025-03-02 11:59:00 UTC."),
    ],
)
def test_outside_its_start_and_end_a_call_is_refused(fields: dict[str, Any], why: str) -> None:
    schedule = callable_trigger(**fields)

    with pytest.raises(NotAdmitted, match=why):
        call(schedule)

    assert Occurrence.objects.get().reason == why
    assert scheduler.start_now(schedule, moment=NOON, origin=Origin.MANUAL).pk  # somebody's wish
