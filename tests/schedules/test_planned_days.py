"""On which days to come triggers are due."""

from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from schedules.models import PipelineSchedule
from schedules.planned_days import planned_days

BERLIN = ZoneInfo("Europe/Berlin")


def days(now: datetime, *rules: str, ahead: int = 4, **fields: str) -> set[date]:
    schedules = [PipelineSchedule(schedule_interval=rule, timezone="Europe/Berlin", **fields) for rule in rules]
    return planned_days(schedules, now, now + timedelta(days=ahead), BERLIN)


def march(*numbers: int) -> set[date]:
    return {date(2025, 3, number) for number in numbers}


@pytest.mark.parametrize(
    ("rule", "expected"),
    [
        ("0 6 * * *", march(3, 4, 5, 6)),
        ("0 0 * * *", march(3, 4, 5, 6)),
        ("0 14 * * *", march(2, 3, 4, 5)),
        ("* * * * *", march(2, 3, 4, 5, 6)),
        ("0 6 * * 2", march(4)),
        ("0 6 1 1 *", set()),
    ],
)
def test_a_day_is_planned_if_a_moment_of_the_rule_is_in_it(now: datetime, rule: str, expected: set[date]) -> None:
    assert days(now, rule) == expected


def test_several_triggers_are_planned_together(now: datetime) -> None:
    assert days(now, "0 6 3 3 *", "0 6 5 3 *") == march(3, 5)


def test_a_rule_that_makes_no_sense_plans_nothing_and_harms_no_other(now: datetime) -> None:
    assert days(now, "61 * * * *", "0 6 3 3 *") == march(3)


def test_every_minute_is_asked_once_a_day(now: datetime, monkeypatch: pytest.MonkeyPatch) -> None:
    from schedules.timetable import Timetable

    asked, next_after = [], Timetable.next_after
    monkeypatch.setattr(Timetable, "next_after", lambda self, at: asked.append(at) or next_after(self, at))

    assert len(days(now, "* * * * *", ahead=90)) == 91
    assert len(asked) <= 92
