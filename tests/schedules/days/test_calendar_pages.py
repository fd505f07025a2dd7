"""The pages of calendars and maintenance windows: what is right is kept, what is wrong is told beside its field."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from django.utils import timezone

from schedules.days import calendar_changes, window_changes
from schedules.days.calendars import Calendar
from schedules.days.maintenance import MaintenanceWindow
from tests.factories import make_pipeline, make_schedule, text_of

pytestmark = pytest.mark.django_db
HOLIDAYS = {"name": "de_holidays", "kind": "holidays", "country": "de", "subdivision": "", "dates": ""}
ICS = (
    b"BEGIN:VCALENDAR\r\nVERSION:2.0\r\nPRODID:x\r\nBEGIN:VEVENT\r\nDTSTART;VALUE=DATE:20200501\r\nRRULE:FREQ=YEARLY\r\n"
    b"SUMMARY:Labour <b>Day</b>\r\nEND:VEVENT\r\nEND:VCALENDAR\r\n"
)
UPGRADE = {
    "name": "upgrade",
    "effect": "both",
    "scope": "all",
    "timezone": "Europe/Berlin",
    "starts_at": "2030-03-01T22:00",
    "ends_at": "2030-03-02T00:30",
    "is_active": "on",
}
WEEKLY = {**UPGRADE, "name": "weekly", "again": "again", "recurrence": "0 22 * * 6", "duration": "2 h", "starts_at": ""}


def made(**fields: Any) -> Calendar:
    return calendar_changes.create({**HOLIDAYS, "country": "DE", "dates": [], **fields}, timezone.now())


def error_of(answer: Any, field: str) -> str:
    assert answer.status_code == 422
    return " ".join(answer.context["form"].errors[field])


def test_the_list_shows_calendars_with_their_coming_days_and_users(page: Client) -> None:
    made()
    make_schedule(settings={"calendar": "de_holidays or weekend"})

    text = text_of(page.get("/calendars/"))

    assert "public holidays of DE" in text
    assert "Christmas Day" in text or "Year" in text
    assert 'href="/schedules/' in text


def test_the_list_shows_open_windows_first(page: Client) -> None:
    now = timezone.now().replace(microsecond=0)
    for name, begin, end in [("past", -2, -1), ("ahead", 1, 2), ("present", -1, 1)]:
        span = {"starts_at": now + timedelta(hours=begin), "ends_at": now + timedelta(hours=end)}
        window_changes.create({"name": name, **span})
    MaintenanceWindow.objects.create(name="broken", recurrence="61 * * * *", duration=timedelta(hours=1))

    rows = page.get("/calendars/").context["windows"]

    assert [(row["window"].name, row["state"]) for row in rows] == [
        ("present", "open"),
        ("ahead", "coming"),
        ("past", "over"),
        ("broken", "broken"),
    ]


def test_empty_lists_say_what_calendars_and_windows_are_for(page: Client) -> None:
    text = text_of(page.get("/calendars/"))

    assert "There is no calendar yet." in text
    assert "There is no maintenance window." in text
    assert 'href="/calendars/"' in text_of(page.get("/schedules/"))


# --- calendars --------------------------------------------------------------------------------------------------------


def test_a_calendar_of_holidays_is_kept(page: Client) -> None:
    answer = page.post("/calendars/new/", HOLIDAYS | {"dates": "left over from another kind"})

    calendar = Calendar.objects.get()
    assert answer["Location"] == "/calendars/"
    assert (calendar.name, calendar.country, calendar.dates) == ("de_holidays", "DE", [])


def test_dates_are_typed_one_a_line_and_come_back_so(page: Client) -> None:
    page.post("/calendars/new/", HOLIDAYS | {"kind": "dates", "dates": "12-24 Christmas Eve\r\n2026-05-15\r\n"})

    calendar = Calendar.objects.get()
    assert calendar.dates == [{"date": "12-24", "name": "Christmas Eve"}, {"date": "2026-05-15", "name": ""}]
    assert "12-24 Christmas Eve\n2026-05-15" in text_of(page.get(f"/calendars/{calendar.pk}/"))


def test_an_icalendar_file_is_taken_and_stays_when_no_other_is_chosen(page: Client) -> None:
    fields = HOLIDAYS | {"name": "closed", "kind": "ics"}
    page.post("/calendars/new/", fields | {"file": SimpleUploadedFile("a.ics", ICS)})
    calendar = Calendar.objects.get()

    page.post(f"/calendars/{calendar.pk}/", fields | {"description": "Ours"})

    calendar.refresh_from_db()
    assert (calendar.description, len(calendar.events)) == ("Ours", 1)
    assert "Labour &lt;b&gt;Day&lt;/b&gt;" in text_of(page.get("/calendars/"))


@pytest.mark.parametrize(
    ("fields", "field", "said"),
    [
        ({"name": ""}, "name", "Name: 1–64 of the letters a–z"),
        ({"name": "Feiertage!"}, "name", "Name: 1–64"),
        ({"country": "Germany"}, "country", "There are no holidays of"),
        ({"subdivision": "Bavaria"}, "subdivision", "DE has no part"),
        ({"kind": "moon"}, "kind", "moon is none of: holidays, weekdays, dates, ics."),
        ({"kind": "weekdays"}, "weekdays", "Choose 1 to 6 weekdays."),
        ({"kind": "weekdays", "weekdays": "someday"}, "weekdays", "someday is not one of the available choices"),
        ({"kind": "dates", "dates": "12-24\n31-12 Sylvester"}, "dates", "Date 2, '31-12', is not a date."),
        ({"kind": "dates"}, "dates", "List 1 to 2000 dates"),
        ({"kind": "ics"}, "file", "This is not an iCalendar file."),
    ],
)
def test_what_is_wrong_with_a_calendar_is_told_beside_its_field(
    page: Client, fields: dict[str, str], field: str, said: str
) -> None:
    answer = page.post("/calendars/new/", HOLIDAYS | fields)

    assert said in error_of(answer, field)
    assert not Calendar.objects.exists()


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"\xff\xfe", "The file is not UTF-8 at byte 0."),
        (b"x" * 1_000_001, "The file has 1,000,001 bytes; the limit is 1,000,000."),
        (b"<html>", "This is not an iCalendar file."),
    ],
)
def test_a_file_that_is_no_calendar_is_told_beside_the_file(page: Client, content: bytes, said: str) -> None:
    answer = page.post("/calendars/new/", HOLIDAYS | {"kind": "ics", "file": SimpleUploadedFile("a.ics", content)})

    assert said in error_of(answer, "file")


def test_a_form_that_has_become_stale_overwrites_nothing(page: Client) -> None:
    calendar = made()
    tag = page.get(f"/calendars/{calendar.pk}/").context["form"].initial["tag"]
    calendar_changes.change(calendar, {"subdivision": "BY"}, timezone.now())

    first = page.post(f"/calendars/{calendar.pk}/", HOLIDAYS | {"country": "US", "tag": tag})
    second = page.post(
        f"/calendars/{calendar.pk}/", HOLIDAYS | {"country": "US", "tag": first.context["form"].data["tag"]}
    )

    assert first.status_code == 409
    assert "Someone changed this calendar at" in text_of(first)
    assert second.status_code == 302


def test_what_is_typed_is_previewed_and_not_kept(page: Client) -> None:
    day = timezone.now().date() + timedelta(days=3)

    right = text_of(page.post("/calendars/preview/", HOLIDAYS | {"kind": "dates", "dates": f"{day} Stock-taking"}))
    wrong = text_of(page.post("/calendars/preview/", HOLIDAYS | {"country": "Atlantis"}))

    assert "Stock-taking" in right
    assert "There are no holidays of" in wrong
    assert not Calendar.objects.exists()


def test_a_form_in_which_nothing_is_typed_yet_is_not_called_wrong(page: Client) -> None:
    days = text_of(page.post("/calendars/preview/", {"kind": "holidays", "name": ""}))
    spans = text_of(page.post("/calendars/windows/preview/", {"timezone": "UTC", "name": "x"}))

    assert "Choose the days; the coming ones are shown here." in days
    assert "Say when it opens; the coming times are shown here." in spans


def test_a_file_is_previewed_before_the_calendar_has_a_name(page: Client) -> None:
    fields = {"kind": "ics", "name": "", "file": SimpleUploadedFile("a.ics", ICS)}

    assert "Labour &lt;b&gt;Day" in text_of(page.post("/calendars/preview/", fields))


def test_a_calendar_in_use_is_not_deleted_and_the_page_says_by_whom(page: Client) -> None:
    calendar = made()
    schedule = make_schedule(settings={"calendar": "de_holidays"})

    refused = page.post(f"/calendars/{calendar.pk}/delete/", follow=True)
    schedule.delete()
    page.post(f"/calendars/{calendar.pk}/delete/")

    assert "is used by daily of etl, and cannot be deleted" in text_of(refused)
    assert not Calendar.objects.exists()


@pytest.mark.parametrize("path", ["/calendars/7/", "/calendars/windows/7/", f"/calendars/{2**70}/"])
def test_what_is_gone_is_not_found(page: Client, path: str) -> None:
    assert page.get(path).status_code == 404


# --- windows ----------------------------------------------------------------------------------------------------------


def test_the_times_of_a_window_are_local_ones_of_its_zone(page: Client) -> None:
    page.post("/calendars/windows/new/", UPGRADE)

    window = MaintenanceWindow.objects.get()
    assert (window.starts_at, window.ends_at) == (
        datetime(2030, 3, 1, 21, tzinfo=UTC),
        datetime(2030, 3, 1, 23, 30, tzinfo=UTC),
    )
    assert 'value="2030-03-01T22:00:00"' in text_of(page.get(f"/calendars/windows/{window.pk}/"))


def test_a_window_may_come_again_and_be_changed_into_one_that_does_not(page: Client) -> None:
    page.post("/calendars/windows/new/", WEEKLY)
    window = MaintenanceWindow.objects.get()
    assert (window.recurrence, window.duration, window.ends_at) == ("0 22 * * 6", timedelta(hours=2), None)
    assert "at 22:00 on Saturday, for 2 hours" in text_of(page.get("/calendars/"))

    page.post(f"/calendars/windows/{window.pk}/", {**WEEKLY, **UPGRADE, "again": ""})

    window.refresh_from_db()
    assert (window.recurrence, window.duration, window.name) == ("", None, "upgrade")


@pytest.mark.parametrize(
    ("fields", "field", "said"),
    [
        ({"name": ""}, "name", "Name: 1–100 printable characters."),
        ({"timezone": "Europe/Berln"}, "timezone", "Did you mean Europe/Berlin?"),
        (
            {"starts_at": "2030-03-31T02:30"},
            "starts_at",
            "02:30 does not exist in Europe/Berlin on that day",
        ),
        ({"ends_at": ""}, "ends_at", "Give starts_at and ends_at"),
        ({"ends_at": "tomorrow"}, "ends_at", "Use a date and a time"),
        ({"ends_at": "2030-03-01T21:00"}, "ends_at", "A window ends after it starts."),
        ({"scope": "pipeline", "value": "elt"}, "value", "There is no pipeline 'elt'. Did you mean etl?"),
        ({"scope": "tag"}, "value", "Value: a tag of"),
        ({**WEEKLY, "recurrence": ""}, "recurrence", "When does it open?"),
        ({**WEEKLY, "recurrence": "61 * * * *"}, "recurrence", "Minute: 61 is outside 0–59."),
        ({**WEEKLY, "duration": ""}, "duration", "How long is it open each time?"),
        ({**WEEKLY, "duration": "for ever"}, "duration", "A window is open for whole minutes"),
        ({**WEEKLY, "duration": "90 days"}, "duration", "A window is open for whole minutes"),
    ],
)
def test_what_is_wrong_with_a_window_is_told_beside_its_field(
    page: Client, fields: dict[str, str], field: str, said: str
) -> None:
    make_pipeline()

    answer = page.post("/calendars/windows/new/", UPGRADE | fields)

    assert said in error_of(answer, field)
    assert not MaintenanceWindow.objects.exists()


def test_when_a_window_is_open_is_previewed(page: Client) -> None:
    right = text_of(page.post("/calendars/windows/preview/", UPGRADE))
    wrong = text_of(page.post("/calendars/windows/preview/", WEEKLY | {"recurrence": "x", "name": ""}))

    assert "Fri 2030-03-01 22:00 to Sat 2030-03-02 00:30" in right
    assert "A cron expression has exactly 5 fields" in wrong
    assert not MaintenanceWindow.objects.exists()


def test_a_window_is_deleted(page: Client) -> None:
    window = window_changes.create(
        {"name": "x", "starts_at": timezone.now(), "ends_at": timezone.now() + timedelta(hours=1)}
    )

    page.post(f"/calendars/windows/{window.pk}/delete/")

    assert not MaintenanceWindow.objects.exists()


# --- what the pages say -----------------------------------------------------------------------------------------------


def test_a_calendar_without_a_coming_day_says_so(page: Client) -> None:
    made(name="past", kind="dates", country="", dates=[{"date": "2001-01-01", "name": "New Year"}])

    assert "none in the coming year" in text_of(page.get("/calendars/"))


@pytest.mark.parametrize(
    ("users", "words"),
    [
        (1, ". Saving plans it anew from now; nothing that has run runs again."),
        (7, " and 2 more. Saving plans them anew from now;"),
    ],
)
def test_the_form_of_a_calendar_in_use_says_what_saving_does(page: Client, users: int, words: str) -> None:
    calendar = made()
    for number in range(users):
        make_schedule(name=f"t{number}", settings={"calendar": "de_holidays"})

    text = text_of(page.get(f"/calendars/{calendar.pk}/"))

    assert words in text
    assert "It is in use and cannot be deleted: take it out of the triggers first." in text


def test_before_what_nobody_uses_is_deleted_that_is_said(page: Client) -> None:
    calendar, window = made(), window_changes.create({"name": "upgrade", **soon()})

    assert "No trigger uses it." in text_of(page.get(f"/calendars/{calendar.pk}/"))
    assert "What it holds may start at once." in text_of(page.get(f"/calendars/windows/{window.pk}/"))


def soon() -> dict[str, datetime]:
    now = timezone.now().replace(microsecond=0)
    return {"starts_at": now + timedelta(hours=1), "ends_at": now + timedelta(hours=2)}


def row_of(page: Client, name: str) -> str:
    text = " ".join(text_of(page.get("/calendars/")).split())
    return text.partition(f">{name}</a>")[2].partition("</tr>")[0]


def test_a_window_that_is_paused_is_not_said_to_have_ended(page: Client) -> None:
    window_changes.create({"name": "upgrade", "is_active": False, **soon()})

    row = row_of(page, "upgrade")

    assert "if it were active" in row
    assert "ended" not in row


def test_a_window_says_when_it_ended(page: Client) -> None:
    now = timezone.now().replace(microsecond=0)
    window_changes.create({"name": "past", "starts_at": now - timedelta(hours=2), "ends_at": now - timedelta(hours=1)})

    assert "ended <time" in row_of(page, "past")


@pytest.mark.parametrize(
    ("effect", "words"),
    [("both", "holds starts and mutes alerts"), ("hold_starts", "holds starts"), ("mute_alerts", "mutes alerts")],
)
def test_a_window_is_written_down_and_taken_away_again(page: Client, effect: str, words: str) -> None:
    saved = text_of(page.post("/calendars/windows/new/", {**UPGRADE, "effect": effect}, follow=True))
    window = MaintenanceWindow.objects.get()
    assert "The window upgrade is saved." in saved
    assert words in text_of(page.get(f"/calendars/windows/{window.pk}/"))

    gone = text_of(page.post(f"/calendars/windows/{window.pk}/delete/", follow=True))

    assert "The window upgrade is deleted; what it held may start." in gone
    assert not MaintenanceWindow.objects.exists()


def test_a_calendar_is_written_down_and_taken_away_again(page: Client) -> None:
    assert "The calendar de_holidays is saved." in text_of(page.post("/calendars/new/", HOLIDAYS, follow=True))
    calendar = Calendar.objects.get()

    gone = text_of(page.post(f"/calendars/{calendar.pk}/delete/", follow=True))

    assert "The calendar de_holidays is deleted." in gone
    assert not Calendar.objects.exists()


def test_a_window_whose_zone_is_not_known_any_more_can_be_mended_on_its_form(page: Client) -> None:
    window = MaintenanceWindow.objects.create(name="odd", timezone="Mars/Base", **soon())

    answer = page.get(f"/calendars/windows/{window.pk}/")

    assert answer.status_code == 200
    assert 'value="Mars/Base"' in text_of(answer)
