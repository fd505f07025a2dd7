"""Holidays, weekdays and lists of dates: what their days are called, and what is refused."""

from collections.abc import Sequence
from datetime import date
from typing import Any

import pytest

from schedules.days.day_sets import InvalidCalendar, entries_of, lines_of, read_dates, read_holidays, read_weekdays


def test_holidays_are_those_of_the_country_and_the_part_of_it() -> None:
    germany, bavaria = read_holidays("DE", ""), read_holidays("DE", "BY")

    assert germany(date(2025, 12, 25)) == "Christmas Day"
    assert germany(date(2025, 1, 6)) is None
    assert bavaria(date(2025, 1, 6)) == "Epiphany"


def test_weekdays_are_called_by_their_names() -> None:
    named = read_weekdays(["friday", "saturday"])

    assert [named(date(2025, 12, day)) for day in (25, 26, 27)] == [None, "Friday", "Saturday"]


def test_dates_come_once_or_every_year() -> None:
    named = read_dates(entries_of("2025-05-02 Bridge day\n12-24 Christmas Eve\n02-29\n"))

    assert named(date(2025, 5, 2)) == "Bridge day"
    assert named(date(2026, 5, 2)) is None
    assert named(date(2031, 12, 24)) == "Christmas Eve"
    assert named(date(2028, 2, 29)) == "Listed day"


def test_dates_in_lines_stay_what_they_were() -> None:
    text = "2025-05-02 Bridge day\n12-24 Christmas Eve\n02-29"

    assert lines_of(entries_of(f"\n{text}\n\n")) == text


@pytest.mark.parametrize(
    ("country", "part", "field", "said"),
    [
        ("", "", "country", "Which country's holidays? Use a code of ISO 3166 such as DE, US or IN."),
        ("de", "", "country", "There are no holidays of 'de'. Did you mean DE?"),
        ("Germany", "", "country", "There are no holidays of 'Germany'. Use a code"),
        ("x" * 5000, "", "country", "There are no holidays of 'xxx"),
        ("DE", "Bavaria", "subdivision", "DE has no part 'Bavaria' with holidays. Use one of BB, BE"),
        ("FO", "X", "subdivision", "FO has no part 'X' with holidays. Leave it empty."),
    ],
)
def test_unknown_countries_and_parts_are_refused(country: str, part: str, field: str, said: str) -> None:
    with pytest.raises(InvalidCalendar) as caught:
        read_holidays(country, part)

    assert str(caught.value).startswith(said)
    assert caught.value.field == field


@pytest.mark.parametrize(
    ("names", "said"),
    [
        ([], "Choose 1 to 6 weekdays."),
        (["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"], "Choose 1 to 6 weekdays."),
        (["Monday"], "'Monday' is not a weekday. Did you mean monday?"),
        ([3], "'3' is not a weekday. Use monday, tuesday"),
    ],
)
def test_weekdays_that_are_none_are_refused(names: Sequence[Any], said: str) -> None:
    with pytest.raises(InvalidCalendar) as caught:
        read_weekdays(names)

    assert str(caught.value).startswith(said)


@pytest.mark.parametrize(
    ("entries", "said"),
    [
        ([], "List 1 to 2000 dates; these are 0."),
        ([{"date": "01-01"}] * 2001, "List 1 to 2000 dates; these are 2001."),
        (["2025-12-24"], "Date 1 is not made of date and name."),
        ([{"date": "01-01", "nme": "x"}], "Date 1 is not made of date and name."),
        (
            [{"date": "01-01"}, {"date": "2025-02-30"}],
            "Date 2, '2025-02-30', is not a date. Write 2026-12-24, or 12-24",
        ),
        ([{"date": "02-30"}], "Date 1, '02-30', is not a date."),
        ([{"date": "24.12.2025"}], "Date 1, '24.12.2025', is not a date."),
        ([{"date": "1969-01-01"}], "Date 1, '1969-01-01', is not a date."),
        ([{"date": None}], "Date 1, 'None', is not a date."),
        ([{"date": "01-01", "name": "a\x00"}], "The name of date 1 is text of at most 100 characters."),
        ([{"date": "01-01", "name": "a" * 101}], "The name of date 1 is text of at most 100 characters."),
    ],
)
def test_dates_that_are_none_are_refused_by_their_number(entries: list[Any], said: str) -> None:
    with pytest.raises(InvalidCalendar) as caught:
        read_dates(entries)

    assert str(caught.value).startswith(said)
    assert caught.value.field == "dates"
