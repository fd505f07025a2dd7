"""Expressions over calendars: what they mean, what a day is called, and what is wrong with the others."""

from datetime import date

import pytest

from schedules.policies import OnCalendarHit
from schedules.rules.day_expressions import Days, InvalidDays, read_expression
from schedules.rules.day_rules import read_day_rule

CHRISTMAS, SATURDAY, OPEN_SATURDAY, MONDAY = (date(2025, 12, day) for day in (25, 20, 27, 22))


def listed(**named: tuple[str, ...]) -> dict[str, Days]:
    """Calendars of December days: {"holidays": ("25", "26")}."""
    return {name: {date(2025, 12, int(day)): f"Day {day}" for day in days}.get for name, days in named.items()}


CALENDARS = {
    **listed(open_saturdays=("27",), closed=("22", "25")),
    "de_holidays": {CHRISTMAS: "Christmas Day"}.get,
}


@pytest.mark.parametrize(
    ("text", "hits"),
    [
        ("weekend", [SATURDAY, OPEN_SATURDAY]),
        ("weekday", [CHRISTMAS, MONDAY]),
        ("de_holidays or (weekend and not open_saturdays)", [CHRISTMAS, SATURDAY]),
        ("de_holidays or weekend and not open_saturdays", [CHRISTMAS, SATURDAY]),
        ("(de_holidays or weekend) and not open_saturdays", [CHRISTMAS, SATURDAY]),
        ("not weekend and not closed", []),
        ("not (weekend or closed)", []),
        ("not not closed", [CHRISTMAS, MONDAY]),
        ("closed and de_holidays", [CHRISTMAS]),
        ("((closed))", [CHRISTMAS, MONDAY]),
    ],
)
def test_not_binds_closest_then_and_then_or(text: str, hits: list[date]) -> None:
    rule = read_day_rule(text, CALENDARS)

    assert [day for day in (CHRISTMAS, SATURDAY, OPEN_SATURDAY, MONDAY) if rule.is_hit(day)] == hits


@pytest.mark.parametrize(
    ("text", "day", "reason"),
    [
        ("de_holidays or weekend", CHRISTMAS, "Christmas Day (de_holidays)"),
        ("de_holidays or weekend", SATURDAY, "Saturday (weekend)"),
        ("weekend and not open_saturdays", SATURDAY, "Saturday (weekend)"),
        ("closed and de_holidays", CHRISTMAS, "Day 25 (closed) and Christmas Day (de_holidays)"),
        ("not open_saturdays", MONDAY, "not in open_saturdays"),
        ("not (closed or open_saturdays)", SATURDAY, "not in (closed or open_saturdays)"),
        ("de_holidays", MONDAY, ""),
    ],
)
def test_a_hit_says_what_the_day_is_called_and_by_which_calendar(text: str, day: date, reason: str) -> None:
    assert read_day_rule(text, CALENDARS).reason(day) == reason


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "Position 1, the end: wanted the name of a calendar, not, or an opening parenthesis."),
        ("de_holidays or", "Position 15, the end: wanted the name of a calendar"),
        ("de_holidays weekend", "Position 13, weekend: wanted and, or, or the end."),
        ("(weekend", "Position 9, the end: wanted and, or, or a closing parenthesis."),
        ("weekend)", "Position 8, ): wanted and, or, or the end."),
        ("and weekend", "Position 1, and: wanted the name of a calendar"),
        ("weekend & closed", "Position 9, &: wanted and, or, or the end."),
        ("closed or Weekend", "Names and words are in small letters: weekend."),
        ("closed OR weekend", "Names and words are in small letters: or."),
        ("closed or \x00", r"Position 11, '\\x00': wanted the name"),
        ("feiertage_für_alle", "Position 12, ü: wanted and"),
        ("not " * 30 + "closed", "Position 81, not: wanted at most 20 parentheses and nots within each other."),
        ("(" * 400, "wanted at most 20"),
    ],
)
def test_what_cannot_be_read_names_the_position_and_what_would_be_right(text: str, problem: str) -> None:
    with pytest.raises(InvalidDays, match=problem.replace("(", r"\(").replace(")", r"\)")) as caught:
        read_expression(text)

    assert caught.value.field == "settings.calendar"


def test_an_unknown_calendar_is_refused_with_the_nearest_name() -> None:
    with pytest.raises(InvalidDays) as caught:
        read_day_rule("weekend or de_holiday", CALENDARS)

    assert str(caught.value) == "There is no calendar named de_holiday. Did you mean de_holidays?"


@pytest.mark.parametrize("text", ["weekend or weekday", "closed or not closed", "not (weekend and weekday)"])
def test_an_expression_that_holds_every_day_is_refused(text: str) -> None:
    with pytest.raises(InvalidDays, match="holds every day, so nothing would ever run"):
        read_expression(text)


@pytest.mark.parametrize(
    ("on_hit", "target"), [(OnCalendarHit.PREVIOUS, date(2025, 12, 24)), (OnCalendarHit.NEXT, date(2025, 12, 29))]
)
def test_a_hit_moves_to_the_nearest_day_that_is_none(on_hit: OnCalendarHit, target: date) -> None:
    calendars = listed(holidays=("25", "26"))

    rule = read_day_rule("holidays or weekend", calendars, on_hit)

    assert {rule.target(date(2025, 12, day)) for day in (25, 26, 27, 28)} == {target}
    assert len(rule.sources(target)) == 5
    assert rule.sources(CHRISTMAS) == []


def test_a_hit_with_no_other_day_near_stays_and_says_so() -> None:
    rule = read_day_rule("always", {"always": lambda day: "Closed"}, OnCalendarHit.NEXT)

    assert rule.target(MONDAY) == MONDAY
    assert rule.reason(MONDAY) == "Closed (always), and no other day within 100 days"
