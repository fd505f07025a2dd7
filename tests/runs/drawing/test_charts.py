"""Charts of runs over time."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runs.drawing.charts import LEFT, RIGHT, TOP, WIDTH, WINDOW, Chart, Landing, Timed, durations, landings

START = datetime(2026, 3, 1, 5, tzinfo=UTC)
BERLIN = ZoneInfo("Europe/Berlin")


def timed(*seconds: float, status: str = "completed", version: int = 1) -> list[Timed]:
    return [Timed(n, status, START + timedelta(days=n), took, version) for n, took in enumerate(seconds)]


def drawn(runs: list[Timed]) -> Chart:
    chart = durations(runs)
    assert chart is not None
    return chart


def test_the_longest_run_is_at_the_top_and_time_goes_to_the_right() -> None:
    chart = drawn(timed(10, 20, 0))

    assert [dot.y for dot in chart.dots] == [(TOP + chart.bottom) / 2, TOP, chart.bottom]
    assert [dot.x for dot in chart.dots] == sorted(dot.x for dot in chart.dots)


@given(st.lists(st.floats(0, 1e7), min_size=1, max_size=30))
def test_every_dot_and_mark_is_between_the_axes(seconds: list[float]) -> None:
    chart = drawn(timed(*seconds))

    assert all(LEFT <= dot.x <= WIDTH - RIGHT and TOP <= dot.y <= chart.bottom for dot in chart.dots)
    assert all(TOP <= mark.y <= chart.bottom for mark in chart.marks)
    assert len(chart.marks) <= 8


@pytest.mark.parametrize(
    ("longest", "marks"), [(8, [0, 2, 4, 6, 8]), (150, [0, 60, 120]), (5400, [0, 1800, 3600, 5400])]
)
def test_marks_are_numbers_that_people_read(longest: float, marks: list[float]) -> None:
    assert [mark.value for mark in drawn(timed(longest)).marks] == marks


def test_the_usual_is_a_line_that_one_outlier_does_not_move() -> None:
    line = drawn(timed(*[10.0] * WINDOW, 500, *[10.0] * WINDOW)).line

    assert len({point.split(" ")[1] for point in line[1:].split("L")}) == 1


def test_few_runs_have_no_usual() -> None:
    assert drawn(timed(10, 20)).line == ""


def test_another_version_is_marked_at_its_first_run() -> None:
    chart = drawn([*timed(10, 20), Timed(9, "failed", START + timedelta(days=9), 5, 2)])

    assert [(turn.x, turn.before, turn.after) for turn in chart.turns] == [(chart.dots[2].x, 1, 2)]


def test_without_runs_there_is_no_chart() -> None:
    assert durations([]) is None
    assert landings([], "clock", BERLIN) is None


# --- landings ---------------------------------------------------------------------------------------------------------


def landing(day: int, minutes: float, sla: float | None = 60, status: str = "completed") -> Landing:
    due = START + timedelta(days=day)
    target = None if sla is None else due + timedelta(minutes=sla)
    return Landing(day, status, due, due + timedelta(minutes=minutes), target)


def landed(*runs: Landing, by: str = "clock") -> Chart:
    chart = landings(runs, by, BERLIN)
    assert chart is not None
    return chart


@pytest.mark.parametrize(
    ("run", "kind"),
    [
        (landing(0, 30), "on_time"),
        (landing(0, 60), "on_time"),
        (landing(0, 61), "late"),
        (landing(0, 30, status="failed"), "failed"),
        (landing(0, 30, sla=None), "landed"),
    ],
)
def test_a_run_lands_in_time_late_or_not_at_all(run: Landing, kind: str) -> None:
    assert landed(run).dots[0].kind == kind


def test_the_time_of_day_is_that_of_the_zone() -> None:
    assert landed(landing(0, 30)).dots[0].value == 6.5 * 3600


def test_marks_of_times_of_day_are_at_least_a_minute_apart() -> None:
    chart = landed(landing(0, 30), landing(1, 30.5))

    assert len({mark.value // 60 for mark in chart.marks}) == len(chart.marks) > 0


def test_what_ends_after_midnight_belongs_to_the_day_it_was_due() -> None:
    assert landed(landing(0, 19 * 60)).dots[0].value == 25 * 3600


def test_a_delay_is_counted_from_when_it_was_due() -> None:
    assert landed(landing(0, 30), by="delay").dots[0].value == 1800


def test_later_is_higher_and_targets_are_strokes() -> None:
    chart = landed(landing(0, 30), landing(1, 90))

    assert chart.dots[0].y > chart.dots[1].y
    assert chart.line.count("M") == 2


def test_runs_of_which_nothing_is_asked_have_no_targets() -> None:
    assert landed(landing(0, 30, sla=None)).line == ""


@given(st.lists(st.integers(0, 100_000), min_size=1, max_size=20), st.sampled_from(["clock", "delay"]))
def test_every_landing_is_between_the_axes(minutes: list[int], by: str) -> None:
    chart = landed(*[landing(day, after) for day, after in enumerate(minutes)], by=by)

    assert all(TOP <= dot.y <= chart.bottom for dot in chart.dots)
    assert all(TOP <= mark.y <= chart.bottom for mark in chart.marks)
    assert 1 <= len(chart.marks) <= 9 or chart.marks == []
