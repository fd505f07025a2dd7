"""Schedules in words."""

from datetime import UTC, datetime

import pytest

from schedules.timetable import parse


@pytest.mark.parametrize(
    ("expression", "words"),
    {
        "* * * * *": "every minute",
        "*/15 * * * *": "every 15 minutes",
        "@hourly": "every hour",
        "5 * * * *": "at minute 5 of every hour",
        "0,20 * * * *": "at minute 0 and 20 of every hour",
        "*/10 9-17 * * 1-5": "every 10 minutes from 09:00 to 17:59 on Monday to Friday",
        "0 */2 * * *": "at minute 0 of every 2nd hour",
        "* 2 * * *": "every minute in the hour 02",
        "7 1,5,6,9,11,13,15 * * *": "at minute 7 in the hours 01, 05, 06, 09, 11, 13 and 15",
        "@daily": "at 00:00 every day",
        "0 6 * * 1-5": "at 06:00 on Monday to Friday",
        "0 6,18 * * sat,sun": "at 06:00 and 18:00 on Saturday and Sunday",
        "0 8 * * 1#1": "at 08:00 on the first Monday of the month",
        "0 8 * * 5L": "at 08:00 on the last Friday of the month",
        "0 0 1,15 * *": "at 00:00 on the 1st and the 15th of the month",
        "0 0 L * *": "at 00:00 on the last day of the month",
        "0 0 13 * 5": "at 00:00 on the 13th of the month and also on Friday",
        "0 0 */10 * 1": "at 00:00 on the 1st, the 11th, the 21st and the 31st of the month, only if on Monday",
        "0 0 1-31 * 1": "at 00:00 every day",
        "0 0 29 2 *": "at 00:00 on the 29th of the month in February",
        "0 0 * 6-8 *": "at 00:00 every day in June to August",
        "@once": "once, as soon as it is switched on",
        "@always_on": "always on: a new run whenever none is unfinished",
    }.items(),
)
def test_a_schedule_is_described_in_words(expression: str, words: str) -> None:
    assert parse(expression, "UTC").describe() == words


def test_once_names_its_start_in_its_own_zone() -> None:
    timetable = parse("@once", "Europe/Berlin", start=datetime(2025, 7, 1, 10, tzinfo=UTC))

    assert timetable.describe() == "once, at 2025-07-01 12:00"
