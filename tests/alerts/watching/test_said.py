"""Logs of finished runs are searched for what rules name, in a thread, once for each run."""

import json
import time
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from alerts.evaluating import Evaluator
from alerts.models import Bookmark, Breach, Kind
from alerts.watching import said
from runs import logs
from runs.models import BlockRun, Event, PipelineRun
from runs.states import BlockStatus, RunStatus
from tests.alerts.rules import begun, ends, make_rule, open_incidents
from tests.factories import NOON, make_run

pytestmark = pytest.mark.django_db
MINUTE = timedelta(minutes=1)


@pytest.fixture(autouse=True)
def own_logs(tmp_path: Path, settings: Any) -> None:
    settings.LOGS_URL = str(tmp_path)


def make_logged(*lines: str, block: str = "load") -> PipelineRun:
    run = make_run(blocks={block: BlockStatus.COMPLETED})
    row = run.block_runs.get(block_uuid=block)
    BlockRun.objects.filter(pk=row.pk).update(started_at=NOON)
    write_log(row, lines)
    return run


def write_log(row: BlockRun, lines: Any) -> None:
    path = logs.path(row.pipeline_run_id, row.pk, row.attempt)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps({"t": "", "s": "stdout", "l": "INFO", "m": text}) + "\n" for text in lines))


def look_until_read(evaluator: Evaluator, minute: int) -> None:
    """Look, let the thread read, and look at what it found."""
    evaluator.look(NOON + minute * MINUTE)
    until = time.monotonic() + 10
    while evaluator.logs.results.qsize() < evaluator.logs.outstanding and time.monotonic() < until:
        time.sleep(0.001)
    evaluator.look(NOON + minute * MINUTE)


def test_a_line_that_says_it_opens_an_incident_and_a_quiet_run_closes_it() -> None:
    make_rule(Kind.LOG_PATTERN, settings={"pattern": "connection*refused"})
    evaluator = begun()
    run = make_logged("all is well", "Connection to db was REFUSED", "connection refused")
    ends(run, RunStatus.COMPLETED, NOON + MINUTE)
    look_until_read(evaluator, 2)
    assert Breach.objects.get().message == f"Run {run.pk}: Connection to db was REFUSED"
    assert open_incidents() == ["The log of load of etl says “connection*refused”"]
    ends(make_logged("refused connection"), RunStatus.COMPLETED, NOON + 3 * MINUTE)
    look_until_read(evaluator, 4)
    assert open_incidents() == []


def test_a_run_that_ends_before_the_first_look_with_a_rule_is_searched_too() -> None:
    evaluator = begun()
    ends(make_logged("late"), RunStatus.COMPLETED, NOON + MINUTE)
    evaluator.look(NOON + 2 * MINUTE)
    evaluator.look(NOON + 3 * MINUTE)
    make_rule(Kind.LOG_PATTERN, settings={"pattern": "late"}, created_at=NOON + 3 * MINUTE)
    run = make_logged("late")
    ends(run, RunStatus.COMPLETED, NOON + 4 * MINUTE)
    look_until_read(evaluator, 5)
    assert Breach.objects.get().run_id == run.pk


def test_what_came_while_there_was_no_rule_is_passed_over() -> None:
    rule, evaluator = make_rule(Kind.LOG_PATTERN, settings={"pattern": "late"}), begun()
    rule.delete()
    for minute in (1, 2, 3):
        ends(make_logged("late"), RunStatus.COMPLETED, NOON + minute * MINUTE)
        evaluator.look(NOON + minute * MINUTE)
    make_rule(Kind.LOG_PATTERN, settings={"pattern": "late"}, created_at=NOON + 3 * MINUTE)
    evaluator.look(NOON + 4 * MINUTE)
    assert Bookmark.objects.get(name="logs").position >= Event.objects.order_by("pk")[1].pk


def test_only_the_block_of_the_rule_is_searched() -> None:
    make_rule(Kind.LOG_PATTERN, settings={"pattern": "late"}, block_uuid="save")
    evaluator = begun()
    ends(make_logged("late", block="load"), RunStatus.FAILED, NOON + MINUTE)
    look_until_read(evaluator, 2)
    assert open_incidents() == []
    ends(make_logged("late", block="save"), RunStatus.FAILED, NOON + 3 * MINUTE)
    look_until_read(evaluator, 4)
    assert open_incidents() == ["The log of save of etl says “late”"]


def test_who_dies_while_it_reads_leaves_it_to_the_next() -> None:
    make_rule(Kind.LOG_PATTERN, settings={"pattern": "late"})
    evaluator = begun()
    ends(make_logged("late"), RunStatus.FAILED, NOON + MINUTE)
    evaluator.look(NOON + 2 * MINUTE)
    before = Bookmark.objects.get(name="logs").position
    successor = Evaluator()
    look_until_read(successor, 3)
    successor.look(NOON + 3 * MINUTE)
    assert Breach.objects.count() == 1
    assert Bookmark.objects.get(name="logs").position > before


def test_logs_that_cannot_be_read_do_not_stop_the_others(monkeypatch: pytest.MonkeyPatch) -> None:
    make_rule(Kind.LOG_PATTERN, settings={"pattern": "late"})
    evaluator, poison, fine = begun(), make_logged("late"), make_logged("late")
    read = logs.read

    def fail(row: BlockRun, *args: Any, **kwargs: Any) -> Any:
        if row.pipeline_run_id == poison.pk:
            raise OSError("the disk is gone")
        return read(row, *args, **kwargs)

    monkeypatch.setattr(logs, "read", fail)
    for run in (poison, fine):
        ends(run, RunStatus.FAILED, NOON + MINUTE)
    look_until_read(evaluator, 2)
    assert Breach.objects.get().run_id == fine.pk


def test_of_a_long_log_the_beginning_and_the_end_are_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(said, "MOST_BYTES", 2000)
    monkeypatch.setattr(said, "PIECE", 500)
    row = make_logged().block_runs.get(block_uuid="load")
    write_log(row, [f"line {number}" for number in range(1000)])
    lines = list(said.lines_of(row))
    assert (lines[0], lines[-1]) == ("line 0", "line 999")
    assert "line 500" not in lines
    assert len(lines) < 110
    write_log(row, ["only", "two"])
    assert list(said.lines_of(row)) == ["only", "two"]


@pytest.mark.parametrize(
    ("text", "line", "says"),
    [
        ("refused", "Connection REFUSED", True),
        ("a*b*c", "xx a yy b zz c", True),
        ("a*b*c", "c b a", False),
        ("*end*", "the end", True),
        ("aa*aa", "aaa", False),
    ],
)
def test_a_text_may_have_anything_at_its_stars(text: str, line: str, says: bool) -> None:
    assert said.says(line.lower(), said.parts_of(text)) is says


def test_a_hostile_text_and_line_take_no_longer_than_others() -> None:
    begin = time.monotonic()
    said.says("a" * said.LONGEST_LINE, said.parts_of("a*" * 99 + "b"))
    assert time.monotonic() - begin < 0.5
