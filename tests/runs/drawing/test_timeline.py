"""Runs as bars in three parts, as cells where they are many, and moments without a run as marks."""

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runs.drawing import timeline
from runs.drawing.axis import Axis
from runs.drawing.timeline import Bar, Ran, bars, cells, marks, moment
from tests.factories import NOON

MINUTE = timedelta(minutes=1)
AXIS = Axis(NOON, NOON + 100 * MINUTE, timeline.WHOLE)  # a minute is one hundredth
END = AXIS.end


def at(minutes: float | None) -> datetime | None:
    return None if minutes is None else NOON + minutes * MINUTE


def ran(
    due: float, started: float | None = None, began: float | None = None, ended: float | None = None, **fields: Any
) -> Ran:
    shown = {"id": 1, "status": "completed" if ended else "running", **fields}
    return Ran(due=NOON + due * MINUTE, started=at(started), began=at(began), ended=at(ended), **shown)


def parts(bar: Bar) -> list[tuple[str, float, float]]:
    return [(part.kind, part.x, part.width) for part in bar.parts]


def test_a_run_waits_starts_and_runs() -> None:
    (bar,) = bars(AXIS, [ran(10, 15, 17, 40)], END)

    assert parts(bar) == [("waiting", 10, 5), ("starting", 15, 2), ("running", 17, 23)]


def test_a_run_that_goes_on_reaches_to_now() -> None:
    (bar,) = bars(AXIS, [ran(10, 15, 17)], NOON + 60 * MINUTE)

    assert parts(bar)[-1] == ("running", 17, 43)


def test_a_run_without_a_started_block_is_still_starting() -> None:
    (bar,) = bars(AXIS, [ran(10, 15)], NOON + 60 * MINUTE)

    assert parts(bar) == [("waiting", 10, 5), ("starting", 15, 45)]


def test_a_run_that_was_never_started_waited_all_the_time() -> None:
    (bar,) = bars(AXIS, [ran(10, None, None, 30, status="cancelled")], END)

    assert parts(bar) == [("waiting", 10, 20)]


def test_a_short_run_is_seen_all_the_same() -> None:
    (bar,) = bars(AXIS, [ran(10, 10, 10, 10.001)], END)

    assert parts(bar) == [("running", 10, timeline.LEAST)]


def test_a_short_run_at_the_end_does_not_stick_out() -> None:
    (bar,) = bars(AXIS, [ran(100, 100, 100, 100)], END)

    assert bar.parts[0].x + bar.parts[0].width == timeline.WHOLE


def test_what_began_before_the_axis_is_cut_at_its_start() -> None:
    (bar,) = bars(AXIS, [ran(-20, -10, -10, 30)], END)

    assert parts(bar) == [("running", 0, 30)]


@pytest.mark.parametrize(("due", "ended"), [(-20.0, -5.0), (120.0, 130.0)])
def test_what_lies_outside_is_not_drawn(due: float, ended: float) -> None:
    assert bars(AXIS, [ran(due, due, due, ended)], END + 60 * MINUTE) == []


def test_runs_at_the_same_time_lie_beside_each_other_and_others_have_the_lane_alone() -> None:
    found = bars(AXIS, [ran(0, 0, 0, 20, id=1), ran(10, 10, 10, 30, id=2), ran(50, 50, 50, 60, id=3)], END)

    assert [(bar.run.id, bar.track, bar.tracks) for bar in found] == [(1, 0, 2), (2, 1, 2), (3, 0, 1)]


def test_a_lane_has_three_tracks_at_most() -> None:
    found = bars(AXIS, [ran(number, number, number, 50 + number, id=number) for number in range(8)], END)

    assert {bar.tracks for bar in found} == {timeline.TRACKS}
    assert max(bar.track for bar in found) == timeline.TRACKS - 1


MINUTES = st.floats(-50, 150)


@given(st.lists(st.tuples(MINUTES, MINUTES, MINUTES, MINUTES).map(sorted), max_size=30), MINUTES)
def test_every_bar_lies_within_the_axis_and_its_parts_follow_each_other(
    times: Iterable[tuple[float, float, float, float]], now: float
) -> None:
    runs = [ran(*each, id=number, status="completed") for number, each in enumerate(times)]

    for bar in bars(AXIS, runs, NOON + now * MINUTE):
        assert 0 <= bar.track < bar.tracks <= timeline.TRACKS
        for part in bar.parts:
            assert part.width > 0
            assert part.x >= -0.01
            assert part.x + part.width <= timeline.WHOLE + 0.02
        for before, after in zip(bar.parts, bar.parts[1:], strict=False):
            assert before.x + before.width <= after.x + 0.02


# --- cells ------------------------------------------------------------------------------------------------------------


def test_a_cell_says_how_many_ended_and_how_many_of_them_failed() -> None:
    few, many = cells(AXIS, {0: {"completed": 1}, 2: {"completed": 6, "failed": 2}}, 10 * MINUTE)

    assert (few.x, few.depth, few.failed, few.bad_height) == (0, 1, 0, 0)
    assert (many.x, many.depth, many.total, many.bad_height) == (20, 4, 8, 4.0)


def test_one_failure_among_a_thousand_is_seen() -> None:
    (cell,) = cells(AXIS, {0: {"completed": 999, "failed": 1}}, 10 * MINUTE)

    assert cell.bad_height == 4.0


def test_the_last_cell_ends_now() -> None:
    (cell,) = cells(AXIS, {1: {"completed": 1}}, 10 * MINUTE, NOON + 15 * MINUTE)

    assert cell.end == NOON + 15 * MINUTE
    assert cell.x + cell.width < 15


@pytest.mark.parametrize(
    ("hours", "most", "minutes"), [(24, 48, 30), (168, 48, 360), (1, 48, 2), (1, 100, 1), (24, 33, 60)]
)
def test_a_cell_is_of_a_round_length(hours: int, most: int, minutes: int) -> None:
    axis = Axis(NOON, NOON + timedelta(hours=hours), timeline.WHOLE)

    assert timeline.cell_length(axis, most) == minutes * MINUTE


# --- marks ------------------------------------------------------------------------------------------------------------


def test_moments_of_one_kind_that_touch_are_one_mark() -> None:
    found = marks(AXIS, [moment("missed", NOON + number * 0.2 * MINUTE, note=f"{number}") for number in range(10)])

    assert [(mark.count, mark.note, mark.x) for mark in found] == [(10, "0", 0)]
    assert found[0].end == NOON + 1.8 * MINUTE


def test_moments_of_different_kinds_or_apart_are_marks_of_their_own() -> None:
    moments = [moment("missed", NOON), moment("skipped", NOON), moment("missed", NOON + 5 * MINUTE)]

    assert [(mark.kind, mark.count) for mark in marks(AXIS, moments)] == [("missed", 1), ("missed", 1), ("skipped", 1)]


def test_where_marks_are_too_many_those_farther_apart_are_one() -> None:
    moments = [moment("missed", NOON + 2 * number * MINUTE) for number in range(50)]

    assert len(marks(AXIS, moments, most=50)) == 50
    assert [mark.count for mark in marks(AXIS, moments, most=49)] == [50]


def test_a_moment_outside_is_not_marked() -> None:
    assert marks(AXIS, [moment("expected", END + MINUTE), moment("missed", NOON - MINUTE)]) == []


@pytest.mark.parametrize("lanes", [1, 5, 30, 200])
def test_a_drawing_stays_bounded_however_many_lanes_it_has(lanes: int) -> None:
    as_bars = lanes * timeline.bars_of_a_lane(lanes) * timeline.PER_BAR
    as_cells = lanes * timeline.cells_of_a_lane(lanes) * timeline.PER_CELL

    as_marks = lanes * timeline.marks_of_a_lane(lanes) * timeline.PER_MARK

    assert max(as_bars, as_cells) + as_marks <= 3000 or lanes > 30
