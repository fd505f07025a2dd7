"""Rows that were written past every check: whatever is in them, they harm no other trigger."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from runs.models import PipelineRun
from schedules import scheduler
from schedules.models import Occurrence, PipelineSchedule, ScheduleType
from schedules.timing import Timing
from tests.factories import NOON, make_pipeline, make_schedule

pytestmark = pytest.mark.django_db
HOUR = timedelta(hours=1)

POISON: dict[str, dict[str, Any]] = {
    "no cron": {"schedule_interval": "61 * * * *"},
    "never": {"schedule_interval": "0 0 31 2 *"},
    "no zone": {"timezone": "Nowhere/Else"},
    "a zone that is a path": {"timezone": "../../etc/passwd"},
    "begins at the end of time": {
        "start_time": datetime(9999, 12, 31, 23, 59, tzinfo=UTC),
        "timezone": "Pacific/Kiritimati",
    },
    "began with time": {"start_time": datetime(1, 1, 1, tzinfo=UTC), "timezone": "America/New_York"},
    "an interval from the beginning": {
        "schedule_interval": "every 7 minutes",
        "start_time": datetime(1, 1, 1, tzinfo=UTC),
        "timezone": "America/New_York",
    },
    "a rule at the end": {
        "schedule_interval": "FREQ=DAILY",
        "start_time": datetime(9999, 12, 31, 23, 59, tzinfo=UTC),
        "timezone": "Asia/Tokyo",
    },
    "once at the end of time": {
        "schedule_interval": "@once",
        "start_time": datetime(9999, 12, 31, 23, 59, tzinfo=UTC),
        "timezone": "Asia/Tokyo",
    },
    "always from the end of time": {
        "schedule_interval": "@always_on",
        "start_time": datetime(9999, 12, 31, 23, 59, tzinfo=UTC),
        "timezone": "Asia/Tokyo",
        "settings": {"active_hours": "07-22"},
    },
    "settings that are a list": {"settings": [1]},
    "settings that are a word": {"settings": "x"},
    "settings of a wrong type": {"settings": {"jitter": "x", "timeout": []}},
    "a jitter of a year": {"settings": {"jitter": 1e300}},
    "no calendar": {"settings": {"calendar": "nothing"}},
    "a calendar of everything": {"settings": {"calendar": "(" * 200}},
    "variables that are a list": {"variables": [1]},
    "tags that are a number": {"tags": 5},
    "a chain of nonsense": {"schedule_type": ScheduleType.EVENT, "settings": {"after": {"pipelines": 5}}},
}
STATES: dict[str, dict[str, Any]] = {
    "due": {"is_active": True, "decided_until": NOON, "next_due_at": NOON + HOUR, "last_enabled_at": NOON},
    "paused until now": {
        "is_active": False,
        "decided_until": NOON,
        "paused_until": NOON + HOUR,
        "last_enabled_at": NOON,
    },
    "paused before it ever was on": {"is_active": False, "paused_until": NOON + HOUR},
    "never planned": {"is_active": True},
    "with a run to begin with": {
        "is_active": False,
        "paused_until": NOON,
        "settings": {"create_initial_pipeline_run": True},
    },
}


@pytest.mark.parametrize("poison", POISON)
def test_a_row_full_of_poison_harms_no_other_whatever_state_it_is_in(poison: str) -> None:
    pipeline = make_pipeline("bad")
    for name, state in STATES.items():
        bad = make_schedule(pipeline, name=name, is_active=False)
        PipelineSchedule.objects.filter(pk=bad.pk).update(**{**state, **POISON[poison]})
    good = make_schedule(make_pipeline("good"), name="good", schedule_interval="@hourly", is_active=False)
    good.resume(NOON)

    for number in range(1, 4):
        scheduler.adopt(NOON + number * HOUR)
        scheduler.revive(NOON + number * HOUR)
        scheduler.tick(NOON + number * HOUR)

    assert PipelineRun.objects.filter(trigger_id=good.pk).count() == 3
    assert Occurrence.objects.filter(schedule=good).count() == 3


def test_a_fault_of_ours_in_one_row_harms_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    make_schedule(make_pipeline("bad"), name="bad", timezone="Asia/Tokyo", is_active=False).pause(NOON, NOON + HOUR)
    make_schedule(make_pipeline("good"), name="good", schedule_interval="@hourly", is_active=False).resume(NOON)
    plain = PipelineSchedule.timing

    def faulty(schedule: PipelineSchedule, *args: Any) -> Timing:
        if schedule.name == "bad":
            raise ZeroDivisionError
        return plain(schedule, *args)

    monkeypatch.setattr(PipelineSchedule, "timing", faulty)

    assert scheduler.tick(NOON + HOUR).fired == 1
    assert PipelineSchedule.objects.get(name="bad").problem == "This schedule could not be read (ZeroDivisionError)."
