"""An axis of time and a scale of numbers: where things stand, and marks that people can count by."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from runs.drawing.axis import Axis, Scale, round_step

NOON = datetime(2025, 3, 3, 12, tzinfo=UTC)
HOUR = Axis(NOON, NOON + timedelta(hours=1), width=600)


def test_a_moment_stands_where_its_share_of_the_time_is() -> None:
    assert HOUR.x(NOON) == 0
    assert HOUR.x(NOON + timedelta(minutes=15)) == 150
    assert HOUR.x(NOON + timedelta(hours=1)) == 600


def test_what_is_outside_stands_at_the_nearer_end() -> None:
    assert HOUR.x(NOON - timedelta(days=1)) == 0
    assert HOUR.x(NOON + timedelta(days=1)) == 600


def test_a_short_span_is_seen_all_the_same() -> None:
    assert HOUR.span(NOON, NOON + timedelta(milliseconds=1)) == (0, 1)
    assert HOUR.span(NOON, NOON + timedelta(minutes=30)) == (0, 300)


def test_an_axis_without_length_divides_by_nothing() -> None:
    assert Axis(NOON, NOON, width=100).x(NOON) == 0


def test_what_only_touches_the_axis_is_shown() -> None:
    assert HOUR.shows(NOON - timedelta(hours=1), NOON)
    assert not HOUR.shows(NOON - timedelta(hours=2), NOON - timedelta(hours=1))


def test_marks_stand_at_round_times() -> None:
    labels = [tick.label for tick in Axis(NOON + timedelta(minutes=3), NOON + timedelta(hours=1), 600).ticks(6)]

    assert labels == ["12:10", "12:20", "12:30", "12:40", "12:50", "13:00"]


def test_marks_are_round_by_the_clock_of_the_zone() -> None:
    zone = ZoneInfo("Asia/Kathmandu")  # +05:45

    labels = [tick.label for tick in Axis(NOON, NOON + timedelta(hours=2), 600).ticks(3, zone)]

    assert labels == ["18:00", "19:00"]


def test_a_new_day_is_a_major_mark_and_says_which() -> None:
    marks = Axis(NOON, NOON + timedelta(days=1), 600).ticks(8)

    assert [(tick.label, tick.is_major) for tick in marks if tick.is_major] == [("Tue 4 Mar", True)]


def test_a_week_is_marked_by_days() -> None:
    assert [tick.label for tick in Axis(NOON, NOON + timedelta(days=3), 600).ticks(4)] == [
        "Tue 4 Mar",
        "Wed 5 Mar",
        "Thu 6 Mar",
    ]


@pytest.mark.parametrize("hours", [1, 6, 24, 48, 168])
def test_there_are_never_many_more_marks_than_asked_for(hours: int) -> None:
    assert len(Axis(NOON, NOON + timedelta(hours=hours), 600).ticks(10)) <= 11


def test_a_number_stands_above_zero_by_its_share() -> None:
    scale = Scale(top=10, height=50)

    assert (scale.y(0), scale.y(10), scale.y(99), scale.length(5)) == (50, 0, 0, 25)


def test_a_scale_of_nothing_has_its_zero() -> None:
    assert Scale(top=0, height=50).ticks() == [0]
    assert Scale(top=0, height=50).y(3) == 50


def test_a_scale_is_marked_by_round_numbers() -> None:
    assert Scale(top=43, height=1).ticks(4) == [0, 20, 40]
    assert Scale(top=0.9, height=1).ticks(3) == pytest.approx([0, 0.5])


@pytest.mark.parametrize(("size", "step"), [(0.7, 1), (1, 1), (1.1, 2), (3, 5), (6, 10), (0.03, 0.05), (0, 0)])
def test_a_step_is_one_two_or_five_of_a_power_of_ten(size: float, step: float) -> None:
    assert round_step(size) == pytest.approx(step)
