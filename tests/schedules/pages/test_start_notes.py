"""What a trigger's page says about its starts: after a pause, with jitter, and to be finished by a time."""

from datetime import timedelta
from typing import Any

import pytest

from runs.states import RunStatus
from schedules.models import Occurrence, PipelineSchedule
from schedules.pages.start_notes import shift_in_words, what_resuming_does
from tests.factories import NOON, make_run, make_schedule

pytestmark = pytest.mark.django_db


def paused(**fields: Any) -> PipelineSchedule:
    """Paused since three hours ago."""
    since = NOON - timedelta(hours=3, minutes=30)
    plain = {"schedule_interval": "@hourly", "is_active": False, "last_enabled_at": since, "decided_until": since}
    return make_schedule(**plain | fields)


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({}, "1 would run at once, 3 would not be made up (catch-up: latest)."),
        ({"catchup": "all"}, "4 would run at once (catch-up: all)."),
        ({"catchup": "none"}, "1 would run at once, 3 would not be made up (catch-up: none)."),
        ({"catchup": "hold", "catchup_max": 2}, "1 would run at once, 2 would be held, 1 would not be made up"),
    ],
)
def test_resuming_is_told_by_the_catch_up_policy(settings: dict[str, Any], words: str) -> None:
    assert words in what_resuming_does(paused(settings=settings), NOON)


def test_asking_stores_nothing() -> None:
    schedule = paused()
    before = PipelineSchedule.objects.values().get()

    what_resuming_does(schedule, NOON)

    assert PipelineSchedule.objects.values().get() == before
    assert (schedule.is_active, schedule.decided_until) == (False, NOON - timedelta(hours=3, minutes=30))
    assert not Occurrence.objects.exists()


@pytest.mark.parametrize(
    "fields",
    [
        {"is_active": True},
        {"last_enabled_at": None},
        {"decided_until": NOON},
        {"schedule_interval": "61 * * * *"},
        {"schedule_interval": "@always_on"},
        {"schedule_type": "api", "schedule_interval": ""},
        {"settings": {"catchup": 5}},
    ],
)
def test_where_nothing_passed_nothing_is_said(fields: dict[str, Any]) -> None:
    assert what_resuming_does(paused(**fields), NOON) == ""


def test_jitter_is_told_as_the_time_after_each_moment() -> None:
    words = shift_in_words(make_schedule(settings={"jitter": 3600}))

    assert words == "at its moments" or words.endswith(" after each moment")


def test_landing_time_is_told_as_the_time_before_each_moment() -> None:
    schedule = make_schedule(settings={"landing_time_enabled": True})
    assert "no run has shown yet" in shift_in_words(schedule)

    make_run(
        trigger_id=schedule.pk,
        status=RunStatus.COMPLETED,
        started_at=NOON,
        completed_at=NOON + timedelta(minutes=14),
    )
    assert shift_in_words(schedule) == "14 min before each moment"


def test_a_trigger_that_starts_at_its_moments_says_nothing() -> None:
    assert shift_in_words(make_schedule()) == ""
    assert shift_in_words(make_schedule(name="odd", settings={"jitter": "x"})) == ""
