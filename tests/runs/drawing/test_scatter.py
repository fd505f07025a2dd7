"""How long runs took, as marks over time."""

from datetime import UTC, datetime, timedelta

from runs.drawing.scatter import BOTTOM, LEFT, TOP, WIDE, Dot, scatter

NOON = datetime(2025, 3, 3, 12, tzinfo=UTC)


def dot(minutes: float, seconds: float, status: str = "completed") -> Dot:
    return Dot(1, NOON + timedelta(minutes=minutes), seconds, status, "etl")


def test_one_run_is_nothing_to_draw() -> None:
    assert scatter([dot(0, 1)]) is None


def test_marks_stand_by_start_and_duration() -> None:
    drawn = scatter([dot(0, 1), dot(30, 10), dot(60, 100)])

    assert drawn is not None
    assert [(each.x, each.y) for each in drawn.dots] == [
        (LEFT, BOTTOM),
        (LEFT + WIDE / 2, (TOP + BOTTOM) / 2),
        (LEFT + WIDE, TOP),
    ]
    assert [level.label for level in drawn.levels] == ["1 s", "10 s", "1 min"]


def test_runs_that_took_much_the_same_stand_in_the_middle() -> None:
    drawn = scatter([dot(0, 10), dot(60, 10)])

    assert drawn is not None
    assert {each.y for each in drawn.dots} == {(TOP + BOTTOM) / 2}


def test_a_run_that_took_no_time_stands_at_the_bottom() -> None:
    drawn = scatter([dot(0, 0), dot(60, 5)])

    assert drawn is not None
    assert drawn.dots[0].y == BOTTOM


def test_runs_of_one_moment_are_drawn_too() -> None:
    drawn = scatter([dot(0, 1), dot(0, 2)])

    assert drawn is not None
    assert {each.x for each in drawn.dots} == {LEFT}


def test_marks_of_time_leave_the_ends_free() -> None:
    drawn = scatter([dot(0, 1), dot(600, 2)])

    assert drawn is not None
    assert drawn.ticks
    assert all(LEFT + 3 <= tick.x <= LEFT + WIDE - 4 for tick in drawn.ticks)
