"""RRULEs as typed: what they mean in words, their ends, and every way to get them wrong."""

from datetime import UTC, datetime, timedelta

import pytest

from schedules.rules.clock_changes import DstRule, Missing, Repeated
from schedules.rules.cron_fields import InvalidSchedule
from schedules.rules.recurrence_text import read_recurrence
from schedules.timetable import Instant, Kind, parse
from tests.schedules.reference import utc
from tests.steps import steps

NEW_YEAR = datetime(2025, 1, 1, tzinfo=UTC)
BERLIN = "Europe/Berlin"


@pytest.mark.parametrize(
    ("typed", "words"),
    [
        ("RRULE:FREQ=DAILY", "every day, at 00:00"),
        ("rrule:freq=daily;byhour=6,18;byminute=30;", "every day, at 06:30 and 18:30"),
        ("FREQ=WEEKLY", "every week on Thursday, at 00:00"),
        ("FREQ=WEEKLY;BYDAY=MO,TU,WE,TH,FR;BYHOUR=6", "every week on Monday to Friday, at 06:00"),
        (
            "FREQ=MONTHLY;BYDAY=-1FR;BYHOUR=18;BYMINUTE=0;BYSECOND=0",
            "every month on the last Friday of the month, at 18:00",
        ),
        (
            "FREQ=MONTHLY;BYDAY=2MO,-2TU",
            "every month on the 2nd Monday of the month and the 2nd last Tuesday of the month",
        ),
        ("FREQ=MONTHLY;BYMONTHDAY=1,-1", "every month on the last day and the 1st of the month, at 00:00"),
        ("FREQ=YEARLY;BYMONTH=3,4,5;BYMONTHDAY=1", "every year on the 1st of the month in March to May, at 00:00"),
        ("FREQ=YEARLY;BYDAY=20MO", "every year on the 20th Monday of the year, at 00:00"),
        ("FREQ=YEARLY;BYYEARDAY=100,-1", "every year on the last day and the 100th of the year, at 00:00"),
        ("FREQ=YEARLY;BYWEEKNO=20;BYDAY=MO", "every year on Monday and in the 20th week of the year, at 00:00"),
        (
            "FREQ=MONTHLY;INTERVAL=2;BYDAY=MO,TU,WE,TH,FR;BYSETPOS=-1",
            "every 2 months on Monday to Friday, at 00:00, of these only the last of each month, "
            "counted from 1970-01-01 00:00",
        ),
        ("FREQ=HOURLY;BYMINUTE=5", "every hour, at minute 05"),
        (
            "FREQ=MINUTELY;INTERVAL=7;BYHOUR=9,10,11",
            "every 7 minutes, in the hours 09 to 11, counted from 1970-01-01 00:00",
        ),
        ("FREQ=DAILY;BYHOUR=8,9,10,11;BYMINUTE=0,30", "every day, 8 times from 08:00 to 11:30"),
        ("FREQ=DAILY;UNTIL=20261231", "every day, at 00:00, until 2026-12-31 23:59"),
    ],
)
def test_a_rule_is_said_in_words(typed: str, words: str) -> None:
    timetable = parse(typed, BERLIN)

    assert timetable.kind is Kind.RRULE
    assert timetable.describe().startswith(words)


def test_the_start_gives_what_the_rule_leaves_out() -> None:
    timetable = parse("RRULE:FREQ=MONTHLY", BERLIN, start=utc("2025-01-31T17:45:00Z"))

    found = timetable.upcoming(NEW_YEAR, 3)

    walls = [each.local.isoformat()[:16] for each in found]
    assert walls == ["2025-01-31T18:45", "2025-03-31T18:45", "2025-05-31T18:45"]


def test_count_ends_the_rule_and_counts_from_the_start() -> None:
    timetable = parse("RRULE:FREQ=DAILY;COUNT=3", BERLIN, start=utc("2025-03-29T01:30Z"))

    assert [each.local.isoformat()[:16] for each in timetable.upcoming(NEW_YEAR, 9)] == [
        "2025-03-29T02:30",
        "2025-03-30T03:00",
        "2025-03-31T02:30",
    ]
    assert timetable.describe() == "every day, at 02:30, 3 times counted from 2025-03-29 02:30"
    assert timetable.next_after(utc("2025-04-02T00:00Z")) is None


@pytest.mark.parametrize(
    ("until", "last"),
    [
        ("20250103", "2025-01-03T18:00"),
        ("20250103T180000", "2025-01-03T18:00"),
        ("20250103T175959", "2025-01-02T18:00"),
        ("20250103T170000Z", "2025-01-03T18:00"),
        ("20250103T165959Z", "2025-01-02T18:00"),
    ],
)
def test_until_is_included_in_the_zone_of_the_schedule_or_in_utc(until: str, last: str) -> None:
    timetable = parse(f"RRULE:FREQ=DAILY;BYHOUR=18;UNTIL={until}", BERLIN)

    assert timetable.upcoming(NEW_YEAR, 9)[-1].local.isoformat()[:16] == last


def test_weekdays_with_and_without_a_number_add_up() -> None:
    timetable = parse("RRULE:FREQ=MONTHLY;BYDAY=MO,-1FR", "UTC")

    found = [each.utc.day for each in timetable.between(NEW_YEAR, datetime(2025, 1, 31, 12, tzinfo=UTC), 50)]

    assert found == [6, 13, 20, 27, 31]


@pytest.mark.parametrize(
    ("typed", "problem"),
    [
        ("RRULE", "RRULE: 'RRULE' is not NAME=VALUE."),
        ("RRULE:", "RRULE: '' is not NAME=VALUE."),
        ("RRULE:INTERVAL=2", "RRULE: FREQ is missing."),
        ("RRULE:FREQ=", "RRULE: 'FREQ=' is not NAME=VALUE."),
        ("RRULE:FREQ=FORTNIGHTLY", "RRULE: FREQ: 'FORTNIGHTLY' is not known. Use YEARLY, MONTHLY,"),
        ("RRULE:FREQ=SECONDLY", "RRULE: FREQ=SECONDLY is not supported: schedules have whole minutes."),
        ("RRULE:FREQ=DAILY;BYSECOND=30", "RRULE: BYSECOND is not supported: schedules have whole minutes."),
        ("RRULE:FREQ=DAILY;BYEASTER=1", "RRULE: 'BYEASTER' is not known. Known are FREQ, INTERVAL,"),
        ("RRULE:FREQ=DAILY;FREQ=WEEKLY", "RRULE: FREQ is there twice."),
        ("RRULE:FREQ=DAILY;;BYHOUR=1", "RRULE: '' is not NAME=VALUE."),
        ("RRULE:FREQ=DAILY;INTERVAL=0", "RRULE: INTERVAL: '0' is not a whole number from 1 to 1000."),
        ("RRULE:FREQ=DAILY;INTERVAL=-1", "RRULE: INTERVAL: '-1' is not a whole number from 1 to 1000."),
        ("RRULE:FREQ=DAILY;INTERVAL=99999999", "RRULE: INTERVAL: '99999999' is not a whole number from 1 to 1000."),
        ("RRULE:FREQ=DAILY;COUNT=0", "RRULE: COUNT counts from the start time, and there is none."),
        ("RRULE:FREQ=DAILY;COUNT=2;UNTIL=20260101", "RRULE: COUNT and UNTIL exclude each other."),
        ("RRULE:FREQ=DAILY;UNTIL=tomorrow", "RRULE: UNTIL: 'TOMORROW' is not a date."),
        ("RRULE:FREQ=DAILY;UNTIL=20260230", "RRULE: UNTIL: '20260230' is not a date."),
        ("RRULE:FREQ=DAILY;UNTIL=00010101T000000Z", "This schedule never fires"),
        (
            "RRULE:FREQ=DAILY;UNTIL=19690101",
            "This schedule never fires (no date until its UNTIL",
        ),
        ("RRULE:FREQ=DAILY;BYHOUR=24", "RRULE: BYHOUR: 24 is outside 0–23."),
        ("RRULE:FREQ=DAILY;BYHOUR=-1", "RRULE: BYHOUR: -1 is outside 0–23."),
        ("RRULE:FREQ=DAILY;BYHOUR=six", "RRULE: BYHOUR: 'SIX' is not a number."),
        ("RRULE:FREQ=DAILY;BYMINUTE=60", "RRULE: BYMINUTE: 60 is outside 0–59."),
        ("RRULE:FREQ=DAILY;BYMONTH=0", "RRULE: BYMONTH: 0 is outside 1–12."),
        ("RRULE:FREQ=MONTHLY;BYMONTHDAY=0", "RRULE: BYMONTHDAY: 0 is outside 1–31 and -31–-1."),
        ("RRULE:FREQ=MONTHLY;BYMONTHDAY=32", "RRULE: BYMONTHDAY: 32 is outside 1–31 and -31–-1."),
        ("RRULE:FREQ=MONTHLY;BYDAY=-6FR", "RRULE: BYDAY: the number of '-6FR' is outside 1–5."),
        ("RRULE:FREQ=MONTHLY;BYDAY=FRI", "RRULE: BYDAY: 'FRI' is not a weekday."),
        ("RRULE:FREQ=WEEKLY;BYDAY=2MO", "RRULE: BYDAY: '2MO' needs FREQ=MONTHLY or YEARLY. Use MO."),
        ("RRULE:FREQ=MONTHLY;BYWEEKNO=3", "RRULE: BYWEEKNO needs FREQ=YEARLY."),
        ("RRULE:FREQ=YEARLY;BYWEEKNO=3;BYDAY=1MO", "RRULE: BYDAY: '1MO' has a number beside BYWEEKNO. Use MO: a week"),
        (
            "DTSTART:20260101T000000 RRULE:FREQ=DAILY",
            "RRULE: Only the one RRULE line is read. DTSTART is the trigger's",
        ),
        ("RRULE:FREQ=HOURLY;BYSETPOS=1", "RRULE: BYSETPOS needs FREQ=DAILY, WEEKLY, MONTHLY or YEARLY."),
        ("RRULE:FREQ=WEEKLY;WKST=XX", "RRULE: WKST: 'XX' is not a weekday."),
        ("RRULE:FREQ=DAILY;DTSTART=20260101", "RRULE: Only the one RRULE line is read."),
        ("RRULE:FREQ=DAILY EXDATE:20260101", "RRULE: Only the one RRULE line is read."),
        ("RRULE:FREQ=DAILY\nEXDATE:20260101", "A schedule interval is written on one line in plain ASCII;"),
        (
            "DTSTART:20260101T000000\nRRULE:FREQ=DAILY",
            "A schedule interval is written on one line in plain ASCII; '\\n' is not. Write the RRULE alone: DTSTART",
        ),
        ("RRULE:FREQ=DAILY;BYHOUR=" + "1," * 200, "A schedule interval has at most 256 characters;"),
        ("RRULE:FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=30", "This schedule never fires (no date in the 50 years from"),
        ("RRULE:FREQ=DAILY;INTERVAL=7;BYDAY=MO", "This schedule never fires (no date in the 50 years from"),
        ("RRULE:FREQ=MINUTELY;INTERVAL=7;BYMONTH=2;BYMONTHDAY=30", "This schedule never fires"),
        ("RRULE:FREQ=DAILY;BYSETPOS=2", "This schedule never fires (no date in the 50 years from"),
    ],
)
def test_what_is_wrong_with_a_rule_is_said_at_once(typed: str, problem: str) -> None:
    def refused() -> None:
        with pytest.raises(InvalidSchedule) as caught:
            parse(typed, BERLIN)
        assert str(caught.value).startswith(problem)
        assert caught.value.field == "schedule_interval"
        assert len(str(caught.value)) < 300

    assert steps(refused) < 400_000


def test_count_is_a_whole_number() -> None:
    with pytest.raises(InvalidSchedule, match=r"COUNT: '0' is not a whole number from 1 to 1000\."):
        parse("RRULE:FREQ=DAILY;COUNT=0", BERLIN, start=NEW_YEAR)


def test_a_rule_that_only_has_missing_times_is_refused_where_those_are_skipped() -> None:
    typed = "RRULE:FREQ=YEARLY;BYMONTH=3;BYDAY=-1SU;BYHOUR=2;BYMINUTE=30"

    assert parse(typed, BERLIN).next_after(NEW_YEAR) is not None
    with pytest.raises(InvalidSchedule, match=r"clocks go forward over each of its times"):
        parse(typed, BERLIN, dst=DstRule(Missing.SKIPPED))


@pytest.mark.parametrize(
    "typed",
    [
        "FREQ=YEARLY",
        "FREQ=YEARLY;BYDAY=MO,TU,WE,TH,FR;BYSETPOS=-1",
        "FREQ=YEARLY;BYWEEKNO=53;BYDAY=MO",
        "FREQ=MONTHLY;BYDAY=-1FR;BYHOUR=2;BYMINUTE=30",
        "FREQ=MONTHLY;INTERVAL=5;BYDAY=MO,TU,WE,TH,FR,SA,SU",
        "FREQ=WEEKLY;INTERVAL=2",
        "FREQ=DAILY;INTERVAL=30",
        "FREQ=DAILY;BYHOUR=1,2,3;BYMINUTE=0,10,20,30,40,50;BYSETPOS=1,-1",
        "FREQ=HOURLY;INTERVAL=36",
        "FREQ=MINUTELY",
        "FREQ=MINUTELY;INTERVAL=7;BYHOUR=2",
    ],
)
@pytest.mark.parametrize("dst", [DstRule(), DstRule(Missing.SKIPPED, Repeated.BOTH)], ids=["default", "both"])
def test_a_thousand_instants_are_found_in_few_steps(typed: str, dst: DstRule) -> None:
    read_recurrence.cache_clear()

    found: list[Instant] = []

    assert steps(lambda: found.extend(parse(typed, BERLIN, dst=dst).upcoming(NEW_YEAR, 1000))) < 250_000  # see T3
    assert len(found) == 1000


def test_an_hourly_rule_follows_real_time_through_both_changes() -> None:
    timetable = parse("RRULE:FREQ=HOURLY", BERLIN)

    for change in ("2025-03-29T20:00Z", "2025-10-25T20:00Z"):
        found = [each.utc for each in timetable.upcoming(utc(change), 12)]
        assert found == [utc(change) + timedelta(hours=step) for step in range(1, 13)]
