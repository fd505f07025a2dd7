"""What a schedule does by itself: pause, resume, tokens."""

from datetime import UTC, datetime, timedelta

import pytest

from schedules import scheduler
from schedules.models import Decision, Occurrence, PipelineSchedule, ScheduleType
from schedules.rules.cron_fields import InvalidSchedule
from tests.factories import NOON, make_schedule

pytestmark = pytest.mark.django_db
HOUR = timedelta(hours=1)


def test_resume_and_pause_are_saved() -> None:
    schedule = make_schedule(schedule_interval="@hourly", is_active=False)

    schedule.resume(NOON)
    resumed = PipelineSchedule.objects.get()
    schedule.pause(NOON + HOUR)
    paused = PipelineSchedule.objects.get()

    assert (resumed.is_active, resumed.last_enabled_at, resumed.next_due_at) == (True, NOON, NOON + HOUR)
    assert (paused.is_active, paused.last_enabled_at, paused.next_due_at) == (False, NOON, None)


def test_resuming_a_bad_schedule_says_what_is_wrong_with_it() -> None:
    schedule = make_schedule(timezone="Europe/Berln", is_active=False)

    schedule.resume(NOON)

    assert (schedule.problem, schedule.next_due_at) == ("Unknown time zone. Did you mean Europe/Berlin?", None)


def test_repairing_it_clears_the_problem() -> None:
    schedule = make_schedule(timezone="Europe/Berln", is_active=False)
    schedule.resume(NOON)
    schedule.timezone = "Europe/Berlin"

    schedule.plan_next(NOON)

    assert (schedule.problem, schedule.next_due_at) == ("", NOON + 11 * HOUR)


def test_an_overdue_once_stays_due_when_it_is_planned_again() -> None:
    schedule = make_schedule(schedule_interval="@once", is_active=False)
    schedule.resume(NOON)

    schedule.plan_next(NOON + timedelta(seconds=1))

    assert schedule.next_due_at == NOON


def test_once_is_not_due_after_its_end() -> None:
    schedule = make_schedule(schedule_interval="@once", end_time=NOON - HOUR, is_active=False)

    schedule.resume(NOON)

    assert schedule.next_due_at is None


def test_an_edit_to_once_does_not_start_a_run() -> None:
    schedule = make_schedule(schedule_interval="@daily", is_active=False)
    schedule.resume(NOON)
    schedule.schedule_interval = "@once"

    scheduler.plan_next(schedule, NOON + timedelta(seconds=1))

    assert schedule.next_due_at is None


@pytest.mark.parametrize(("start", "due"), [(None, NOON), (NOON - HOUR, NOON), (NOON + HOUR, NOON + HOUR)])
def test_always_on_begins_at_once_or_at_its_start(start: datetime | None, due: datetime) -> None:
    schedule = make_schedule(schedule_interval="@always_on", start_time=start, is_active=False)

    schedule.resume(NOON)

    assert schedule.next_due_at == due


def test_an_initial_run_is_for_the_first_switching_on_only() -> None:
    schedule = make_schedule(settings={"create_initial_pipeline_run": True}, is_active=False)

    schedule.resume(NOON)
    schedule.pause(NOON)
    Occurrence.objects.all().delete()
    schedule.resume(NOON)

    assert not Occurrence.objects.exists()
    assert schedule.next_due_at == NOON + 12 * HOUR


def test_a_token_is_shown_once_and_kept_as_a_hash() -> None:
    schedule = make_schedule(schedule_type=ScheduleType.API)

    token = schedule.rotate_token()

    kept = PipelineSchedule.objects.get()
    assert len(token) >= 40
    assert token not in str(vars(kept))
    assert kept.token_matches(token)


def test_an_old_wrong_or_missing_token_does_not_match() -> None:
    schedule = make_schedule(schedule_type=ScheduleType.API)
    old = schedule.rotate_token()
    schedule.rotate_token()

    assert not any(schedule.token_matches(text) for text in (old, "", "\udcff", "x" * 10_000))
    assert not make_schedule(name="without").token_matches("")


def test_the_timetable_of_nonsense_raises() -> None:
    with pytest.raises(InvalidSchedule, match="exactly 5 fields"):
        make_schedule(schedule_interval="often").timetable()


def test_the_choices_about_dst_move_what_is_due_next() -> None:
    spring = datetime(2025, 3, 29, 12, tzinfo=UTC)
    plain = make_schedule(name="plain", timezone="Europe/Berlin", schedule_interval="30 2 * * *", is_active=False)
    skipping = make_schedule(
        name="skipping",
        timezone="Europe/Berlin",
        schedule_interval="30 2 * * *",
        settings={"dst_missing": "skipped"},
        is_active=False,
    )

    plain.resume(spring)
    skipping.resume(spring)

    assert plain.next_due_at == datetime(2025, 3, 30, 1, tzinfo=UTC)
    assert skipping.next_due_at == datetime(2025, 3, 31, 0, 30, tzinfo=UTC)


def test_a_wrong_choice_about_dst_sets_the_schedule_aside() -> None:
    schedule = make_schedule(schedule_interval="@daily", settings={"dst_repeated": "thrice"}, is_active=False)

    schedule.resume(NOON)

    assert schedule.next_due_at is None
    assert schedule.problem.startswith('dst_repeated must be "first", "second" or "both"')


@pytest.mark.parametrize(
    ("interval", "first"),
    [
        ("every 90 minutes from 2025-03-02T11:00", NOON - timedelta(hours=1)),
        ("RRULE:FREQ=DAILY;BYHOUR=9", NOON - timedelta(hours=3)),
        ("on 2025-03-01T09:00, 2026-01-01", NOON - timedelta(hours=27)),
    ],
)
def test_every_kind_of_interval_has_a_current_one_for_an_initial_run(interval: str, first: datetime) -> None:
    schedule = make_schedule(
        schedule_interval=interval,
        settings={"create_initial_pipeline_run": True},
        is_active=False,
        last_enabled_at=None,
    )

    schedule.resume(NOON)

    occurrence = Occurrence.objects.get()
    assert (occurrence.scheduled_for, occurrence.decision) == (first, Decision.WAITING)
