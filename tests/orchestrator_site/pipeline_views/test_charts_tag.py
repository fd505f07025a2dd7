"""How the dots of a chart of runs look, and its table."""

from datetime import UTC, datetime, timedelta

from orchestrator_site.templatetags.charts import dots, rows_of_numbers
from runs.drawing.charts import Timed, durations

START = datetime(2026, 3, 1, 5, tzinfo=UTC)
STATES = ("completed", "failed", "cancelled")
RUNS = [Timed(n, state, START + timedelta(days=n), 60.0, 1) for n, state in enumerate(STATES)]


def test_each_state_has_a_shape_of_its_own_and_a_link() -> None:
    chart = durations(RUNS)
    assert chart is not None

    drawn = dots(chart).split("</a>")

    assert ["<circle" in each for each in drawn[:3]] == [True, False, False]
    assert "l7 7m0 -7l-7 7" in drawn[1]
    assert "h8" in drawn[2]
    assert drawn[1].startswith('<a href="/runs/1/" class="t-bad"><title>run #1: failed, 1 min 00 s, 2026-03-02 05:00')


def test_the_table_has_plain_numbers_in_the_column_of_how_a_run_ended() -> None:
    completed, failed, cancelled = rows_of_numbers(RUNS).split("</tr>")[:3]

    assert (
        f'data-n="{START.timestamp():.0f}">2026-03-01 05:00:00</td><td class="right num" data-n="60.000">' in completed
    )
    assert '<td></td><td class="right num" data-n="60.000">1 min 00 s</td>' in failed
    assert '<td></td><td class="right num" data-n="60.000">' in cancelled


def test_without_runs_there_are_no_rows() -> None:
    assert rows_of_numbers([]) == ""
