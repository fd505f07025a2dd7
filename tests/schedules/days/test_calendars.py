"""Calendars and the triggers that use them: named in settings, changed without firing anything twice."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from pipelines.refusal import Refusal
from schedules import scheduler, triggers
from schedules.days import calendar_changes
from schedules.days.calendars import Calendar, Shelf
from schedules.models import Decision, Occurrence, PipelineSchedule, Source
from tests.factories import make_pipeline, make_schedule

pytestmark = pytest.mark.django_db
CHRISTMAS_EVE = datetime(2025, 12, 24, 12, tzinfo=UTC)  # a Wednesday
NIGHT = {"schedule_interval": "0 6 * * *", "timezone": "Europe/Berlin"}
HOLIDAYS = {"name": "de_holidays", "kind": "holidays", "country": "DE"}


def make_calendar(**fields: Any) -> Calendar:
    return calendar_changes.create({**HOLIDAYS, **fields}, CHRISTMAS_EVE)


def days(*dates: str) -> list[dict[str, str]]:
    return [{"date": day, "name": f"Day {day}"} for day in dates]


def scheduled(name: str = "daily", **settings: Any) -> PipelineSchedule:
    return make_schedule(name=name, **NIGHT, settings=settings, last_enabled_at=CHRISTMAS_EVE)


# --- triggers ---------------------------------------------------------------------------------------------------------


def test_a_trigger_keeps_to_its_hours_and_its_calendar() -> None:
    make_calendar()
    schedule = scheduled(calendar="de_holidays or weekend", on_calendar_hit="next_business_day", active_hours="05-07")

    found = schedule.timetable().upcoming(CHRISTMAS_EVE, 2)

    assert [f"{each.local:%m-%d %H:%M}" for each in found] == ["12-29 06:00", "12-30 06:00"]
    assert schedule.timetable().describe() == (
        "at 06:00 every day, only between 05:00 and 07:00; moved to the next day that is not in de_holidays or weekend"
    )


def test_one_shelf_reads_all_calendars_once_for_many_triggers() -> None:
    make_calendar()
    make_calendar(name="open_days", kind="dates", country="", dates=days("2025-12-27"))
    both = [scheduled(name, calendar=text) for name, text in [("a", "de_holidays"), ("b", "weekend and not open_days")]]
    plain = scheduled("c")

    with CaptureQueriesContext(
        connection,
    ) as queries:
        shelf = Shelf()
        plain.timetable(shelf)
        assert len(queries) == 0
        hits = [schedule.timetable(shelf).upcoming(CHRISTMAS_EVE, 3) for schedule in both]

    assert len(queries) == 1
    assert [[each.hit for each in found] for found in hits] == [
        ["Christmas Day (de_holidays)", "Second Day of Christmas (de_holidays)", ""],
        ["", "", ""],
    ]


@pytest.mark.parametrize("schedule_type", ["time", "api"])
def test_an_unknown_calendar_is_refused_with_the_nearest_name(schedule_type: str) -> None:
    make_pipeline()
    make_calendar()
    interval = "@daily" if schedule_type == "time" else ""
    fields = {
        "name": "x",
        "schedule_type": schedule_type,
        "schedule_interval": interval,
        "settings": {"calendar": "de_holiday"},
    }

    with pytest.raises(Refusal) as caught:
        triggers.create("etl", fields, is_active=True, source=Source.UI, moment=CHRISTMAS_EVE)

    assert caught.value.field == "settings.calendar"
    assert str(caught.value) == "There is no calendar named de_holiday. Did you mean de_holidays?"
    assert not PipelineSchedule.objects.exists()


def test_a_moment_on_a_hit_is_in_the_ledger_as_skipped_with_the_reason() -> None:
    make_calendar()
    schedule = scheduled(calendar="de_holidays")
    schedule.decided_until = CHRISTMAS_EVE
    schedule.plan_next(CHRISTMAS_EVE)
    schedule.save()

    scheduler.tick(CHRISTMAS_EVE + timedelta(days=1))

    row = Occurrence.objects.get()
    assert row.decision == Decision.SKIPPED
    assert "Christmas Day (de_holidays)" in row.reason
    assert row.pipeline_run is None


# --- changes ----------------------------------------------------------------------------------------------------------


def test_a_changed_calendar_plans_its_triggers_anew_and_others_not(
    django_capture_on_commit_callbacks: Callable[..., Any],
) -> None:
    calendar = make_calendar(kind="dates", country="", dates=days("2025-12-25"))
    user, other = scheduled("user", calendar="de_holidays", on_calendar_hit="next_business_day"), scheduled("other")
    for schedule in (user, other):
        schedule.resume(CHRISTMAS_EVE)
    before = other.updated_at
    assert user.next_due_at == datetime(2025, 12, 26, 5, tzinfo=UTC)

    with django_capture_on_commit_callbacks() as rings:
        calendar_changes.change(calendar, {"dates": days("2025-12-25", "2025-12-26")}, CHRISTMAS_EVE)

    user.refresh_from_db()
    other.refresh_from_db()
    assert user.next_due_at == datetime(2025, 12, 27, 5, tzinfo=UTC)
    assert other.updated_at == before
    assert rings


def test_a_changed_calendar_fires_nothing_twice_and_loses_nothing_that_was_due() -> None:
    calendar = make_calendar(kind="dates", country="", dates=days("2025-12-30"))
    schedule = scheduled(calendar="de_holidays")
    schedule.resume(CHRISTMAS_EVE)
    scheduler.tick(CHRISTMAS_EVE + timedelta(days=1))
    late = CHRISTMAS_EVE + timedelta(days=2)  # the 26th is due, and no scheduler has seen it yet

    calendar_changes.change(calendar, {"dates": days("2025-12-25", "2025-12-26", "2025-12-27")}, late)
    for hours in (0, 1, 24):
        scheduler.tick(late + timedelta(hours=hours))

    rows = Occurrence.objects.order_by("scheduled_for")
    assert [(f"{row.scheduled_for:%d}", row.decision) for row in rows] == [
        ("25", Decision.STARTED),
        ("26", Decision.STARTED),
        ("27", Decision.SKIPPED),
    ]


def test_a_new_calendar_heals_triggers_that_named_it_in_vain() -> None:
    schedule = scheduled(calendar="de_holidays")
    schedule.resume(CHRISTMAS_EVE)
    assert "There is no calendar named de_holidays" in schedule.problem

    make_calendar()

    schedule.refresh_from_db()
    assert (schedule.problem, schedule.next_due_at) == ("", datetime(2025, 12, 25, 5, tzinfo=UTC))


def test_a_calendar_in_use_is_neither_deleted_nor_renamed() -> None:
    calendar = make_calendar()
    scheduled(calendar="weekend or de_holidays")

    with pytest.raises(Refusal, match=r"is used by daily of etl, and cannot be deleted\. Take it out"):
        calendar_changes.delete(calendar)
    with pytest.raises(Refusal, match=r"cannot be renamed\.") as caught:
        calendar_changes.change(calendar, {"name": "german"}, CHRISTMAS_EVE)

    assert caught.value.code == "conflict"
    assert Calendar.objects.get().name == "de_holidays"


def test_a_calendar_that_only_looks_used_is_deleted() -> None:
    calendar = make_calendar()
    scheduled("a", calendar="de_holidays_of_old")
    scheduled("b", calendar="de_holidays &")
    scheduled("c", calendar=["de_holidays"])

    calendar_changes.delete(calendar)

    assert not Calendar.objects.exists()


def test_a_change_of_kind_empties_what_belonged_to_the_former() -> None:
    calendar = make_calendar()

    calendar_changes.change(calendar, {"kind": "weekdays", "weekdays": ["friday"]}, CHRISTMAS_EVE)

    calendar.refresh_from_db()
    assert (calendar.country, calendar.weekdays, calendar.describe()) == ("", ["friday"], "Friday")


@pytest.mark.parametrize(
    ("fields", "field", "said"),
    [
        ({"name": ""}, "name", "Name: 1–64 of the letters a–z"),
        ({"name": "DE holidays"}, "name", "Name: 1–64"),
        ({"name": "x" * 65}, "name", "Name: 1–64"),
        ({"name": "../../x"}, "name", "Name: 1–64"),
        ({"name": "weekend"}, "name", "weekend has a meaning of its own."),
        ({"name": "not"}, "name", "not has a meaning of its own."),
        ({"name": "taken"}, "name", "A calendar named taken exists already."),
        ({"kind": "holiday"}, "kind", "'holiday' is no kind of calendar. Did you mean holidays?"),
        ({"country": "Germany"}, "country", "There are no holidays of 'Germany'."),
        ({"dates": days("12-24")}, "dates", "A calendar of kind holidays has no dates."),
        ({"kind": "ics", "country": "", "ics": "x"}, "ics", "This is not an iCalendar file."),
        ({"description": "a\x00"}, "description", "Description: at most 10,000 characters"),
    ],
)
def test_what_is_wrong_with_a_calendar_names_the_field_and_keeps_nothing(
    fields: dict[str, Any], field: str, said: str
) -> None:
    make_calendar(name="taken")

    with pytest.raises(Refusal) as caught:
        make_calendar(**fields)

    assert caught.value.field == field
    assert str(caught.value).startswith(said)
    assert Calendar.objects.count() == 1


def test_every_mistake_is_told_at_once() -> None:
    calendar = Calendar(name="A", kind="dates", country="DE", dates=[])

    assert [mistake.field for mistake in calendar_changes.mistakes(calendar)] == ["name", "country", "dates"]
