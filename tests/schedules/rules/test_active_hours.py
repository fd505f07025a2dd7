"""Active hours: there are no moments outside them, for any way to say when."""

from datetime import UTC, datetime, time, timedelta

import pytest

from schedules.rules.cron_fields import InvalidSchedule
from schedules.timetable import parse
from tests.steps import steps

NEW_YEAR = datetime(2025, 1, 1, tzinfo=UTC)  # a Wednesday
DAYTIME, NIGHT = (time(7), time(22)), (time(22), time(6))


def local_times(expression: str, hours: tuple[time, time], *, zone: str = "UTC", count: int = 4) -> list[str]:
    found = parse(expression, zone, hours=hours).upcoming(NEW_YEAR, count)
    return [f"{instant.local:%m-%d %H:%M}" for instant in found]


@pytest.mark.parametrize(
    ("expression", "hours", "expected"),
    [
        ("0 */6 * * *", DAYTIME, ["01-01 12:00", "01-01 18:00", "01-02 12:00", "01-02 18:00"]),
        ("0 7,22 * * *", DAYTIME, ["01-01 07:00", "01-02 07:00", "01-03 07:00", "01-04 07:00"]),
        ("0 */4 * * *", NIGHT, ["01-01 04:00", "01-02 00:00", "01-02 04:00", "01-03 00:00"]),
        ("every 5 hours from 2025-01-01T01:00", DAYTIME, ["01-01 11:00", "01-01 16:00", "01-01 21:00", "01-02 07:00"]),
        ("RRULE:FREQ=HOURLY;INTERVAL=5", DAYTIME, ["01-01 09:00", "01-01 14:00", "01-01 19:00", "01-02 10:00"]),
        ("on 2025-02-01T06:59, 2025-02-01T07:00, 2025-02-01T22:00", DAYTIME, ["02-01 07:00"]),
    ],
)
def test_there_are_no_moments_outside_the_hours(expression: str, hours: tuple[time, time], expected: list[str]) -> None:
    assert local_times(expression, hours) == expected


def test_a_change_of_the_clock_takes_no_moment_away() -> None:
    timetable = parse("30 2 * * *", "Europe/Berlin", hours=(time(2), time(3)))

    instant = timetable.next_after(datetime(2025, 3, 29, 12, tzinfo=UTC))

    assert instant is not None
    assert f"{instant.local:%m-%d %H:%M}" == "03-30 03:00"  # it stands for 02:30, which is within the hours


def test_an_interval_keeps_to_its_hours_through_a_night_with_25_hours() -> None:
    timetable = parse("every 30 minutes", "Europe/Berlin", hours=(time(1), time(3)))

    found = timetable.between(datetime(2025, 10, 25, 12, tzinfo=UTC), datetime(2025, 10, 26, 12, tzinfo=UTC), 20)

    assert [f"{each.local:%H:%M}" for each in found] == ["01:00", "01:30", "02:00", "02:30", "02:00", "02:30"]


@pytest.mark.parametrize(
    "expression",
    [
        "0 6 * * *",
        "@daily",
        "every 24 hours from 2025-01-01T06:00",
        "RRULE:FREQ=MINUTELY;INTERVAL=360;BYHOUR=0,6",
        "on 2025-02-01T06:00",
    ],
)
def test_what_never_falls_within_its_hours_is_refused(expression: str) -> None:
    def refused() -> None:
        with pytest.raises(InvalidSchedule, match="has no moment between 07:00 and 22:00") as caught:
            parse(expression, "UTC", hours=DAYTIME)
        assert caught.value.field == "settings.active_hours"

    assert steps(refused) < 1_000_000


def test_once_must_be_within_its_hours() -> None:
    with pytest.raises(InvalidSchedule, match="has no moment"):
        parse("@once", "Asia/Tokyo", start=NEW_YEAR + timedelta(hours=16), hours=DAYTIME)

    assert parse("@once", "Asia/Tokyo", start=NEW_YEAR, hours=DAYTIME).upcoming(NEW_YEAR - timedelta(1), 2)


def test_always_on_says_when_it_is_open_and_when_it_opens_next() -> None:
    timetable = parse("@always_on", "Europe/Berlin", hours=DAYTIME)
    five, seven, ten = (datetime(2025, 1, 1, hour, tzinfo=UTC) for hour in (5, 6, 21))  # 06:00, 07:00, 22:00 there

    assert [timetable.is_open(moment) for moment in (five, seven, ten)] == [False, True, False]
    assert timetable.opens_at(five) == seven
    assert timetable.opens_at(seven) == seven
    assert timetable.opens_at(ten) == seven + timedelta(days=1)


def test_always_on_opens_again_when_the_clocks_bring_its_hours_back() -> None:
    timetable = parse("@always_on", "Europe/Berlin", hours=(time(1), time(2, 30)))
    closed = datetime(2025, 10, 26, 0, 45, tzinfo=UTC)  # 02:45 summer time

    assert timetable.opens_at(closed) == datetime(2025, 10, 26, 1, tzinfo=UTC)  # 02:00 once more


def test_a_thousand_moments_within_hours_are_found_at_once() -> None:
    for expression in ("* * * * *", "every 1 minute", "*/7 * * * *"):
        timetable = parse(expression, "Europe/Berlin", hours=(time(7), time(7, 30)))
        assert len(timetable.upcoming(NEW_YEAR, 1000)) == 1000
        assert steps(lambda timetable=timetable: timetable.upcoming(NEW_YEAR, 1000)) < 200_000


def test_the_hours_are_told_in_words() -> None:
    words = parse("*/15 * * * *", "UTC", hours=DAYTIME).describe()

    assert words == "every 15 minutes, only between 07:00 and 22:00"
