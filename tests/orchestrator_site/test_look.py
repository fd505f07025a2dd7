"""States, times, durations and sizes as people read them."""

from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from django.template import Context, Template

from orchestrator_site.templatetags import look
from runs.models import PipelineRun
from runs.states import BlockStatus, RunStatus
from schedules.models import Decision


def rendered(text: str, **context: Any) -> str:
    return Template("{% load look %}" + text).render(Context(context))


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (None, "–"),
        ("", "–"),
        (-1, "0 s"),
        (0, "0.00 s"),
        (0.4249, "0.42 s"),
        (12.34, "12.3 s"),
        (60, "1 min 00 s"),
        (245, "4 min 05 s"),
        (7620, "2 h 07 min"),
        (274_000, "3 d 4 h"),
        (timedelta(minutes=2), "2 min 00 s"),
    ],
)
def test_a_duration_is_short(seconds: Any, words: str) -> None:
    assert look.duration(seconds) == words


@pytest.mark.parametrize(
    ("size", "words"),
    [(None, "–"), ("", "–"), (0, "0 B"), (999, "999 B"), (1400, "1.4 kB"), (70_100_000, "70.1 MB"), (5e12, "5000 GB")],
)
def test_a_size_is_short(size: Any, words: str) -> None:
    assert look.size(size) == words


@pytest.mark.parametrize("name", [*RunStatus, *BlockStatus, *Decision.values])
def test_every_state_has_a_look_of_its_own(name: str) -> None:
    assert name in look.STATES


@pytest.mark.parametrize("states", [list(RunStatus), list(BlockStatus), list(Decision)])
def test_states_differ_in_shape_and_not_only_in_color(states: list[str]) -> None:
    shapes = [look.look_of(state).icon for state in states]

    assert len(set(shapes)) == len(shapes)


def test_a_state_says_its_name_to_everyone() -> None:
    assert "failed</span>" in look.state("failed")
    assert "<title>failed</title>" in look.state("failed", bare=True)


def test_an_unknown_state_is_shown_as_text() -> None:
    assert "&lt;b&gt;" in look.state("<b>")


def test_a_time_is_exact_without_javascript() -> None:
    berlin = timezone(timedelta(hours=1))

    html = look.moment(datetime(2025, 3, 2, 7, 5, 6, 789_000, tzinfo=berlin))

    assert 'datetime="2025-03-02T06:05:06.789Z"' in html
    assert ">2025-03-02 06:05:06 UTC<" in html


def test_no_time_is_a_dash_or_what_is_asked_for() -> None:
    assert look.moment(None) == "–"
    assert look.moment(None, "ago", "not yet") == "not yet"


def test_what_goes_on_ticks_and_what_is_over_does_not() -> None:
    begin = datetime(2025, 3, 2, tzinfo=UTC)

    assert "data-since" in look.ticking(begin, None, begin)
    assert look.ticking(begin, begin + timedelta(seconds=61)) == "1 min 01 s"
    assert look.ticking(None) == "–"


def test_rows_of_several_outputs_are_told_apart() -> None:
    assert look.rows([{"rows": 1200}, {"rows": None}, {"rows": 3}]) == "1,200 + 3"
    assert look.rows([{"rows": None}]) == "–"


def test_progress_draws_each_state_and_says_it_in_words() -> None:
    html = rendered("{% progress tally %}", tally={"completed": 3, "failed": 1})

    assert "4/4" in html
    assert 'title="3 completed, 1 failed"' in html
    assert 'class="t-bad" x="75.0" width="25.0"' in html


def test_progress_without_blocks_is_empty() -> None:
    assert "0/0" in rendered("{% progress tally %}", tally={})


def run(number: int, status: RunStatus, seconds: float | None) -> PipelineRun:
    begin = datetime(2025, 3, 2, tzinfo=UTC)
    end = begin + timedelta(seconds=seconds) if seconds is not None else None
    return PipelineRun(pk=number, status=status, execution_date=begin, started_at=begin, completed_at=end)


def test_a_strip_shows_how_long_each_run_took() -> None:
    html = rendered("{% strip runs %}", runs=[run(1, RunStatus.COMPLETED, 10), run(2, RunStatus.FAILED, 5)])

    assert 'class="t-good" x="0" y="0.0" width="5" height="24.0"' in html
    assert 'class="t-bad" x="7" y="9.5" width="5" height="14.5"' in html
    assert "run 2: failed, 5.00 s, for 2025-03-02 00:00 UTC" in html


def test_a_run_that_goes_on_is_a_full_bar() -> None:
    html = rendered("{% strip runs %}", runs=[run(1, RunStatus.RUNNING, None)])

    assert 'height="24"' in html


def test_a_short_value_stays_on_one_line() -> None:
    assert look.pretty({"a": "ü"}) == '{"a": "ü"}'
    assert "\n" in look.pretty({str(number): number for number in range(30)})


def test_one_failure_of_a_thousand_can_be_seen_in_the_bar() -> None:
    drawn = look.progress({"completed": 999, "failed": 1})

    good, bad = drawn["parts"]
    assert bad["width"] >= 3.5
    assert good["width"] + bad["width"] == pytest.approx(100, abs=0.1)
    assert (drawn["done"], drawn["total"]) == (1000, 1000)


def test_what_has_not_begun_leaves_its_part_of_the_bar_empty() -> None:
    (part,) = look.progress({"completed": 1, "initial": 3})["parts"]

    assert (part["x"], part["width"]) == (0, 25)


def test_an_event_does_not_repeat_the_name_before_it() -> None:
    assert look.after_name("load: ValueError: no", "load") == "ValueError: no"
    assert look.after_name("block load is not finished", "load") == "is not finished"
    assert look.after_name("loader: ValueError", "load") == "loader: ValueError"


def test_slots_in_use_are_drawn_as_their_share() -> None:
    assert (look.slots(1, 4)["share"], look.slots(1, 4)["full"]) == (25, False)
    assert (look.slots(3, 2)["share"], look.slots(3, 2)["full"]) == (100, True)
