"""iCalendar files: which days their events touch, and what is refused."""

import time as clock
from datetime import date, timedelta

import pytest

from schedules.days.day_sets import InvalidCalendar
from schedules.days.ics_days import days_of, read_ics

HEAD = "BEGIN:VCALENDAR\r\nVERSION:2.0\r\nPRODID:-//test//EN\r\n"


def file(*events: str) -> str:
    bodies = [event.strip().replace("\n", "\r\n") for event in events]
    return HEAD + "".join(f"BEGIN:VEVENT\r\n{body}\r\nEND:VEVENT\r\n" for body in bodies) + "END:VCALENDAR\r\n"


def days(text: str) -> dict[str, str]:
    """The days of 2025 by name."""
    named = days_of(read_ics(text))
    year = (date(2025, 1, 1) + timedelta(days=number) for number in range(365))
    return {f"{day:%m-%d}": name for day in year if (name := named(day))}


@pytest.mark.parametrize(
    ("event", "expected"),
    [
        ("DTSTART;VALUE=DATE:20250501\nSUMMARY:Labour Day", {"05-01": "Labour Day"}),
        ("DTSTART;VALUE=DATE:20250501\nDTEND;VALUE=DATE:20250503\nSUMMARY:Fair", {"05-01": "Fair", "05-02": "Fair"}),
        ("DTSTART;VALUE=DATE:20250501\nDURATION:P2D\nSUMMARY:Fair", {"05-01": "Fair", "05-02": "Fair"}),
        ("DTSTART;TZID=Europe/Berlin:20250501T220000\nDTEND;TZID=Europe/Berlin:20250502T000000", {"05-01": "Event"}),
        ("DTSTART:20250501T220000Z\nDTEND:20250502T010000Z\nSUMMARY:Night", {"05-01": "Night", "05-02": "Night"}),
        ("DTSTART;VALUE=DATE:20241225\nRRULE:FREQ=YEARLY\nSUMMARY:Christmas", {"12-25": "Christmas"}),
        (
            "DTSTART;VALUE=DATE:20250103\nRRULE:FREQ=MONTHLY;BYDAY=1FR;COUNT=4\nEXDATE;VALUE=DATE:20250307\nSUMMARY:Audit",
            {"01-03": "Audit", "02-07": "Audit", "04-04": "Audit"},
        ),
        (
            "DTSTART;VALUE=DATE:20250101\nRDATE;VALUE=DATE:20250210,20250310\nSUMMARY:Stock",
            {"01-01": "Stock", "02-10": "Stock", "03-10": "Stock"},
        ),
        (
            "DTSTART;TZID=America/New_York:20250101T200000\nRRULE:FREQ=DAILY;UNTIL=20250103T010000Z\nSUMMARY:Show",
            {"01-01": "Show", "01-02": "Show"},
        ),
        ("DTSTART;VALUE=DATE:20241231\nDURATION:P3D\nSUMMARY:Turn", {"01-01": "Turn", "01-02": "Turn"}),
        ("DTSTART;VALUE=DATE:20250501\nSTATUS:CANCELLED\nSUMMARY:Off", {}),
    ],
)
def test_the_days_of_an_event_are_those_it_touches_where_it_takes_place(event: str, expected: dict[str, str]) -> None:
    other = "DTSTART;VALUE=DATE:20300101\nSUMMARY:Other"

    assert days(file(event, other)) == expected


def test_one_time_of_a_repeating_event_may_be_put_elsewhere() -> None:
    text = file(
        "UID:1\nDTSTART;VALUE=DATE:20250106\nRRULE:FREQ=WEEKLY;COUNT=3\nSUMMARY:Close",
        "UID:1\nRECURRENCE-ID;VALUE=DATE:20250113\nDTSTART;VALUE=DATE:20250114\nSUMMARY:Close, a day later",
    )

    assert days(text) == {"01-06": "Close", "01-14": "Close, a day later", "01-20": "Close"}


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "This is not an iCalendar file. Give the text of an iCalendar file"),
        ("<html>Not found</html>", "This is not an iCalendar file."),
        ("BEGIN:VCALENDAR\r\nBEGIN:VEVENT\r\n", "The file"),
        (f"{HEAD}END:VCALENDAR\r\n", "The file has 0 events; 1 to 5000 are wanted."),
        (file("SUMMARY:When"), "Event 1 (When) has no DTSTART"),
        (file("DTSTART:soon\nSUMMARY:When"), "Event 1 (When), DTSTART: "),
        (file("DTSTART;VALUE=DATE:99990101\nSUMMARY:Far"), "Event 1 (Far) has no DTSTART, or one outside the years"),
        (file("DTSTART;VALUE=DATE:20250101\nRRULE:FREQ=SECONDLY\nSUMMARY:Tick"), "Event Tick: "),
        (file("DTSTART;VALUE=DATE:20250101\nRRULE:FREQ=YEARLY;INTERVAL=0\nSUMMARY:Zero"), "Event Zero: "),
        (file("DTSTART;VALUE=DATE:20250101\nRRULE:FREQ=DAILY\nRRULE:FREQ=WEEKLY"), "Event 1 (Event) has several rules"),
        (file(*["DTSTART;VALUE=DATE:20250101\nRRULE:FREQ=DAILY"] * 301), "More than 300 events repeat."),
        (file("DTSTART;VALUE=DATE:20250101\nSUMMARY:a\x00b"), "The file contains a character that cannot be stored."),
        ("BEGIN:VCALENDAR\r\n" + "X-PAD:" + "x" * 1_000_000, "The file has 1,000,023 bytes; the limit is 1,000,000."),
        ("BEGIN:VCALENDAR\r\n" + "BEGIN:VEVENT\r\n" * 60_000, "The file"),
    ],
)
def test_what_is_no_calendar_is_refused_soon_and_clearly(text: str, problem: str) -> None:
    started = clock.perf_counter()

    with pytest.raises(InvalidCalendar) as caught:
        read_ics(text)

    assert str(caught.value).startswith(problem)
    assert caught.value.field == "ics"
    assert clock.perf_counter() - started < 5


def test_a_year_of_many_repeating_events_is_worked_out_in_a_moment() -> None:
    events = [f"DTSTART;VALUE=DATE:20200101\nRRULE:FREQ=WEEKLY;INTERVAL={number % 9 + 1}" for number in range(300)]
    named = days_of(read_ics(file(*events)))

    started = clock.perf_counter()
    assert named(date(2026, 1, 7)) == "Event"
    assert clock.perf_counter() - started < 3  # usually 0.2
