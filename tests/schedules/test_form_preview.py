"""What the form of a trigger tells while someone types: the next times, clock changes, and what saving would change."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.test import Client

from schedules.days.calendars import Calendar
from schedules.models import PipelineSchedule
from tests.factories import make_pipeline, make_run, make_schedule, text_of

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("pipeline")]

TYPED = {"pipeline": "etl", "name": "new", "schedule_type": "time", "timezone": "UTC", "is_active": "on"}


@pytest.fixture
def pipeline() -> None:
    make_pipeline()


def preview(page: Client, schedule: PipelineSchedule | None = None, **typed: Any) -> str:
    path = f"/schedules/{schedule.pk}/preview/" if schedule else "/schedules/preview/"
    answer = page.post(path, TYPED | typed)
    assert answer.status_code == 200
    return text_of(answer)


# --- the next times ---------------------------------------------------------------------------------------------------


def test_the_preview_says_the_rule_in_words_and_the_next_ten_times(page: Client) -> None:
    text = preview(page, schedule_interval="0 6 * * *", timezone="Europe/Berlin")

    assert "at 06:00 every day" in text
    assert text.count("<tr>") == 11


def test_each_time_is_told_in_the_zone_of_the_trigger_of_the_viewer_and_in_utc(page: Client) -> None:
    page.cookies["zone"] = "America/New_York"
    text = preview(page, schedule_interval="0 0 1 1 *", timezone="Asia/Tokyo", start_time="2090-01-01T00:00")

    assert "Sun 2090-01-01 00:00 +09:00" in text
    assert 'datetime="2089-12-31T15:00:00Z" data-style="beside" data-day="2090-01-01"' in text
    assert "12-31 15:00</td>" in text


@pytest.mark.parametrize(
    ("zone", "viewer", "columns"),
    [
        ("Asia/Tokyo", "Europe/Berlin", 3),
        ("Asia/Tokyo", "UTC", 2),
        ("Asia/Tokyo", "Asia/Tokyo", 2),
        ("UTC", "Asia/Tokyo", 2),
        ("UTC", "UTC", 1),
    ],
)
def test_no_zone_has_two_columns(page: Client, zone: str, viewer: str, columns: int) -> None:
    page.cookies["zone"] = viewer

    text = preview(page, schedule_interval="@daily", timezone=zone)

    assert text.count("<th>") + text.count("<th data-zone>") == columns
    assert text.count('<td class="num">') == 10


def test_the_preview_begins_at_the_start_and_ends_at_the_end_that_are_typed(page: Client) -> None:
    dates = {"start_time": "2090-05-05T00:00", "end_time": "2090-05-06T00:00"}

    text = preview(page, schedule_interval="@daily", timezone="Asia/Tokyo", **dates)

    assert "2090-05-05 00:00 +09:00" in text
    assert text.count("<tr>") == 3


@pytest.mark.parametrize(
    "half_typed",
    [
        {"start_time": "20"},
        {"variables": "{"},
        {"name": ""},
        {"timeout": "1 ho"},
        {"catchup": "moon"},
        {"pipeline": "nope"},
        {"active_hours": "07"},
        {"sla": "-"},
    ],
)
def test_what_is_half_typed_elsewhere_does_not_disturb_the_preview(page: Client, half_typed: dict[str, str]) -> None:
    assert preview(page, schedule_interval="@daily", **half_typed).count("<tr>") == 11


@pytest.mark.parametrize(
    ("typed", "words"),
    [
        ({"schedule_interval": "61 * * * *"}, "61 is outside"),
        ({"schedule_interval": "@daily", "timezone": "Europe/Berln"}, "Did you mean Europe/Berlin?"),
        ({"schedule_interval": ""}, "Type when it should run"),
        ({}, "Type when it should run"),
        ({"schedule_interval": "\x00", "timezone": "\x00"}, "note-error"),
        ({"schedule_interval": "9" * 5000}, "note-error"),
        ({"schedule_interval": "30 2 * * *", "end_time": "2020-01-01T00:00"}, "no further moment"),
    ],
)
def test_the_preview_of_what_is_wrong_says_so(page: Client, typed: dict[str, str], words: str) -> None:
    assert words in preview(page, **typed)


def test_hours_and_calendar_that_are_typed_are_taken_into_account(page: Client) -> None:
    Calendar.objects.create(name="eve", kind="dates", dates=[{"date": "12-24", "name": "Christmas Eve"}])
    rule = {"schedule_interval": "0 6,23 24 12 *", "active_hours": "07:00-06:30", "start_time": "2090-01-01T00:00"}

    assert "Will be skipped: Christmas Eve" in preview(page, **rule, calendar="eve")
    assert "2090-12-23" in preview(page, **rule, calendar="eve", on_calendar_hit="previous_business_day")
    assert " 06:00 +" not in preview(page, **rule | {"active_hours": "07:00-23:30"})


# --- clock changes ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("chosen", "words"),
    [
        ({}, ["does not exist", "runs at 03:00", "the first time only"]),
        ({"dst_missing": "skipped"}, ["skipped."]),
        ({"dst_repeated": "second"}, ["the second time only"]),
        ({"dst_repeated": "both"}, ["both times"]),
    ],
)
def test_the_clock_changes_of_two_years_are_told_with_what_was_chosen(
    page: Client, chosen: dict[str, str], words: list[str]
) -> None:
    text = preview(page, schedule_interval="30 2 * * *", timezone="Europe/Berlin", **chosen)

    told = text.partition("Clock changes of the coming two years")[2]
    assert told.count("<li>") == 4
    assert all(word in told for word in words)


def test_a_rule_that_no_clock_change_meets_is_told_none(page: Client) -> None:
    assert "Clock changes" not in preview(page, schedule_interval="*/15 * * * *", timezone="Europe/Berlin")


# --- the plan ---------------------------------------------------------------------------------------------------------


def test_a_new_trigger_is_told_what_saving_starts(page: Client) -> None:
    text = preview(page, schedule_interval="0 6 * * *")

    assert "That starts nothing: the first run is at its next moment." in text
    assert "14 moments in the next 14 days." in text


def test_a_change_is_told_by_what_it_adds_and_removes(page: Client) -> None:
    schedule = make_schedule(schedule_interval="0 6 * * *")

    text = preview(page, schedule, schedule_interval="0 6,7 * * *")

    assert "Saving starts nothing; it takes effect from now on." in text
    assert "14 moments before, 28 after in the next 14 days: 14 added, 0 removed, 14 kept." in text
    assert text.count('class="plus') == 8
    assert "and 6 more" in text


def test_moments_closer_together_than_a_run_takes_are_told(page: Client) -> None:
    begun = datetime(2025, 3, 2, tzinfo=UTC)
    make_run(status="completed", started_at=begun, completed_at=begun + timedelta(minutes=20))

    later = (datetime.now(UTC) + timedelta(hours=6)).hour  # between the two of a day there would be one pair less
    text = preview(page, schedule_interval=f"0,10 {later} * * *")

    assert "14 moments come while the run before usually still goes on: it takes up to 20 min" in text


def test_another_trigger_of_the_pipeline_at_the_same_time_is_told(page: Client) -> None:
    other = make_schedule(name="other", schedule_interval="0 6 * * *")

    text = preview(page, schedule_interval="0 6,18 * * *")

    assert "14 moments meet another trigger of this pipeline" in text
    assert f'href="/schedules/{other.pk}/"' in text


def test_nothing_is_saved_by_looking(page: Client) -> None:
    schedule = make_schedule(schedule_interval="0 6 * * *")
    before = PipelineSchedule.objects.values().get()

    preview(page, schedule, schedule_interval="0 7 * * *", name="other")
    preview(page, schedule_interval="0 8 * * *")

    assert PipelineSchedule.objects.values().get() == before


@pytest.mark.parametrize(
    ("kind", "words"),
    [("api", "waits for a call"), ("event", "waits for the next run that it follows to end")],
)
def test_what_has_no_times_is_told_what_starts_it(page: Client, kind: str, words: str) -> None:
    text = preview(page, schedule_type=kind, after_pipelines="etl")

    assert words in text
    assert "note-error" not in text


@pytest.mark.parametrize(
    ("typed", "words"),
    [
        ({"after_pipelines": "etl"}, "when etl has completed"),
        ({"after_pipelines": ["etl", "load"], "after_on": "failed"}, "when any of etl and load has failed"),
        ({"after_pipelines": ["etl", "load"], "after_match": "all"}, "when all of etl and load have completed"),
        ({}, "started by events"),
    ],
)
def test_what_a_trigger_follows_is_told_in_words(page: Client, typed: dict[str, Any], words: str) -> None:
    make_pipeline("load")

    assert words in preview(page, schedule_type="event", **typed)
