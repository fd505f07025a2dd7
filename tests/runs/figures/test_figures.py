"""What the pages of runs and pipelines say in figures, and of what retention removed."""

import re
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.test import Client

from orchestrator_site.templatetags.history import bars, failures
from runs.figures.figures import log_is_gone
from runs.figures.history_of_blocks import Ended, history_of
from runs.models import BlockRun, PipelineRun
from runs.states import BlockStatus
from tests.factories import NOON, make_pipeline, make_run, text_of
from tests.runs.kept import old_run, write_log

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def folders(tmp_path: Path, settings: Any) -> None:
    settings.LOGS_URL = str(tmp_path / "logs")


def measured_run(**fields: Any) -> PipelineRun:
    """A run whose blocks waited 2 s, started in a quarter and ended after 6 s."""
    run = old_run(make_pipeline(), **fields)
    run.block_runs.update(
        queued_at=NOON - timedelta(seconds=8),
        started_at=NOON - timedelta(seconds=6),
        first_started_at=NOON - timedelta(seconds=6),
        metrics={"starting_seconds": 0.25, "cpu_seconds": 1.5, "peak_memory_bytes": 5_000_000},
        output=[{"name": "output_0", "type": "json", "rows": 3, "bytes": 100}],
    )
    PipelineRun.objects.filter(pk=run.pk).update(started_at=NOON - timedelta(seconds=9))
    return run


def loaded(run: PipelineRun) -> BlockRun:
    return run.block_runs.get(block_uuid="load")


def test_the_page_of_a_run_splits_its_time_and_sums_its_blocks_up(page: Client) -> None:
    run = measured_run()

    text = text_of(page.get(f"/runs/{run.pk}/?block=load"))

    for words in ("<dt>Waited</dt><dd>2.00 s", "<dt>Starting</dt><dd>0.25 s", "<dt>Ran</dt><dd>5.75 s"):
        assert words in text
    assert "<dt>CPU</dt><dd>4.50 s" in text
    assert "9 rows, 300 B" in text


def test_the_page_of_a_run_says_what_is_usual(page: Client) -> None:
    run = measured_run()

    text = text_of(page.get(f"/runs/{run.pk}/?block=load"))

    assert 'usually 6.00 s</span> <span class="nowrap">(p95 6.00 s)' in text
    assert 'usually 9.00 s</span> <span class="nowrap">(p95 9.00 s)' in text


def test_the_page_of_a_first_run_says_nothing_of_what_is_usual(page: Client) -> None:
    assert "usually" not in text_of(page.get(f"/runs/{make_run().pk}/"))


def test_the_page_says_that_a_log_was_removed(page: Client) -> None:
    run = measured_run(logs_removed_at=NOON)

    text = text_of(page.get(f"/runs/{run.pk}/?block=load"))

    assert "Removed by retention <time" in text
    assert "Waiting for the first line" not in text


def test_the_page_says_that_outputs_were_removed(page: Client) -> None:
    run = measured_run(outputs_removed_at=NOON)

    assert "removed by retention <time" in text_of(page.get(f"/runs/{run.pk}/?block=load"))


def test_a_log_is_gone_only_where_there_must_have_been_one() -> None:
    block_run = loaded(measured_run())

    assert log_is_gone(block_run, 1)
    write_log(block_run, 1)
    assert not log_is_gone(block_run, 1)


@pytest.mark.parametrize("fields", [{"started_at": None}, {"status": BlockStatus.RUNNING}])
def test_a_block_that_never_began_or_is_at_it_has_no_log_that_is_gone(fields: dict[str, Any]) -> None:
    run = measured_run()
    run.block_runs.update(**fields)

    assert not log_is_gone(loaded(run), 1)


def test_the_page_of_a_pipeline_tells_how_long_its_blocks_take(page: Client) -> None:
    measured_run()

    text = text_of(page.get("/pipelines/etl/durations/"))

    assert "How long it takes" in text
    assert text.count("6.00 s</td>") == 9  # p50, p95 and last of three blocks


def test_the_page_of_a_pipeline_that_never_ran_tells_nothing_of_it(page: Client) -> None:
    make_pipeline()

    assert "How long it takes" not in text_of(page.get("/pipelines/etl/durations/"))


def test_bars_are_as_tall_as_the_runs_were_long() -> None:
    ended = [Ended(1, BlockStatus.COMPLETED, 5.0), Ended(2, BlockStatus.FAILED, 10.0), Ended(3, "cancelled", None)]

    drawn = str(bars(history_of("load", ended)))

    assert re.findall(r' height="([\d.]+)"><title>', drawn) == ["9.5", "16.0", "3.0"]
    assert re.findall("<title>(.*?)</title>", drawn) == [
        "run 1: completed, 5.00 s",
        "run 2: failed, 10.0 s",
        "run 3: cancelled",
    ]
    assert bars(history_of("load", [])) == '<span class="quiet">–</span>'


def test_failures_are_told_with_their_share() -> None:
    ended = [Ended(number, BlockStatus.FAILED if number < 1 else BlockStatus.COMPLETED, 1.0) for number in range(4)]

    assert failures(history_of("load", ended)) == '1 of 4 <span class="quiet">(25 %)</span>'
    assert failures(history_of("load", ended[1:])) == "0"
    assert failures(history_of("load", [])) == "–"


def test_the_page_of_a_pipeline_tells_in_words_how_long_things_are_kept(page: Client) -> None:
    make_pipeline(retention={"logs": {"age": 720}})

    assert "older than 30 d" in text_of(page.get("/pipelines/etl/settings/"))
