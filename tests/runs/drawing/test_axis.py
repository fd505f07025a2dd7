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


def labels(start: str, hours: int, most: int, zone: str) -> list[str]:
    begin = datetime.fromisoformat(start).replace(tzinfo=UTC)
    return [tick.label for tick in Axis(begin, begin + timedelta(hours=hours), 600).ticks(most, ZoneInfo(zone))]


def test_an_hour_that_clocks_skip_has_no_mark() -> None:
    assert labels("2025-03-29T23:30", 4, 4, "Europe/Berlin") == ["01:00", "03:00", "04:00", "05:00"]


def test_an_hour_that_comes_twice_is_marked_twice() -> None:
    assert labels("2025-10-25T23:30", 4, 4, "Europe/Berlin") == ["02:00", "02:00", "03:00", "04:00"]
    assert labels("2025-10-26T00:40", 1, 4, "Europe/Berlin") == ["02:45", "02:00", "02:15", "02:30"]


def test_marks_that_are_hours_apart_name_a_time_once() -> None:
    assert labels("2025-10-25T20:00", 24, 8, "Europe/Berlin")[:4] == ["Sun 26 Oct", "03:00", "06:00", "09:00"]


def test_days_begin_at_the_midnights_of_the_zone() -> None:
    axis = Axis(NOON, NOON + timedelta(days=30), 600)

    days = [tick.moment for tick in axis.ticks(30, ZoneInfo("Europe/Berlin")) if tick.moment]

    assert {day.astimezone(UTC).hour for day in days[:27]} == {23}
    assert {day.astimezone(UTC).hour for day in days[27:]} == {22}


@pytest.mark.parametrize(
    ("start", "zone", "day"),
    [
        ("2025-04-24T12:00", "Africa/Cairo", "Fri 25 Apr"),  # 00:00 is skipped: it begins at 01:00
        ("2011-12-30T00:00", "Pacific/Apia", "Sat 31 Dec"),  # the whole 30th is skipped
        ("2025-11-01T20:00", "America/Havana", "Sun 2 Nov"),  # 00:00 comes twice: it begins at the first
    ],
)
def test_a_day_is_marked_once_whatever_clocks_do_at_midnight(start: str, zone: str, day: str) -> None:
    found = labels(start, 24, 24, zone)

    assert [label for label in found if " " in label] == [day]


@pytest.mark.parametrize(
    "zone", ["UTC", "Europe/Berlin", "Australia/Lord_Howe", "America/St_Johns", "Africa/Casablanca"]
)
@pytest.mark.parametrize("hours", [1, 30, 24 * 9, 24 * 200])
def test_marks_come_in_order_and_stand_where_the_clocks_say(zone: str, hours: int) -> None:
    for begin in (datetime(2025, 1, 1, tzinfo=UTC) + timedelta(hours=37 * number) for number in range(230)):
        marks = Axis(begin, begin + timedelta(hours=hours), 600).ticks(8, ZoneInfo(zone))
        moments = [mark.moment.astimezone(UTC) for mark in marks if mark.moment]
        assert moments == sorted(set(moments))
        assert all(
            mark.moment and mark.moment.astimezone(UTC).astimezone(ZoneInfo(zone)) == mark.moment for mark in marks
        )


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
