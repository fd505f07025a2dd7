"""The page of a run with more blocks than it sends: what tells most, and the rest by choice."""

from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from runs import shown_blocks
from runs.models import PipelineRun
from runs.states import BlockStatus, RunStatus
from tests.factories import NOON, make_pipeline, make_run, text_of

pytestmark = pytest.mark.django_db
COUNT = 50


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch) -> PipelineRun:
    """b0 and many after it, of which b48 failed and b49 did not run: of all others the last took longest."""
    monkeypatch.setattr(shown_blocks, "ROOM", 20)
    pipeline = make_pipeline("wide", [("b0",), *((f"b{number}", "b0") for number in range(1, COUNT))])
    states = {f"b{number}": BlockStatus.COMPLETED for number in range(COUNT - 2)}
    states |= {"b48": BlockStatus.FAILED, "b49": BlockStatus.CANCELLED}
    run = make_run(pipeline, status=RunStatus.FAILED, blocks=states)
    rows = list(run.block_runs.exclude(block_uuid="b49"))
    for row in rows:
        number = int(row.block_uuid[1:])
        row.started_at = NOON + timedelta(seconds=min(number, 1))
        row.completed_at = row.started_at + timedelta(milliseconds=500 + 10 * number)
        row.output = [{"name": "output_0", "type": "json", "rows": 1000 + number}]
    type(rows[0]).objects.bulk_update(rows, ["started_at", "completed_at", "output"])
    run.block_runs.filter(block_uuid="b48").update(error={"type": "ValueError", "message": "no such column"})
    return run


def shown(answer: Any) -> list[str]:
    return [row.block_uuid for row in answer.context["shown"].rows]


def look(page: Client, run: PipelineRun, query: str = "") -> Any:
    answer = page.get(f"/runs/{run.pk}/{query}")
    assert answer.status_code == 200
    return answer


def test_what_tells_most_is_shown_in_table_and_drawing_and_what_is_left_out_is_said(
    page: Client, run: PipelineRun
) -> None:
    answer = look(page, run)
    text = text_of(answer)

    assert len(shown(answer)) == 20
    assert "b48" in shown(answer), "what failed"
    assert "b0" in shown(answer), "what is on the way that decided, though it was quick"
    assert "b47" in shown(answer), "what took long"
    assert not {"b1", "b2", "b20"} & set(shown(answer)), "of the others what was done quickly"
    assert [row.work.uuid for row in answer.context["gantt"].rows] == shown(answer)
    assert "20 of 50 blocks, <a" in text
    assert 'href="?blocks=failed"' in text
    assert "1,047" in text, "its rows"


def test_the_others_are_there_by_choice(page: Client, run: PipelineRun) -> None:
    assert shown(look(page, run, "?blocks=all")) == [f"b{number}" for number in range(COUNT)]
    assert shown(look(page, run, "?blocks=failed")) == ["b48"]
    assert len(shown(look(page, run, "?blocks=completed"))) == COUNT - 2


def test_many_come_in_parts(page: Client, run: PipelineRun, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shown_blocks, "PART", 20)

    first, last = look(page, run, "?blocks=all"), look(page, run, "?blocks=all&part=99")

    assert "1–20 of 50" in text_of(first)
    assert 'href="?blocks=all&amp;part=2"' in text_of(first)
    assert "41–50 of 50" in text_of(last)
    assert shown(last) == [f"b{number}" for number in range(40, 50)]


def test_another_block_is_looked_at_beside_the_same_rows(page: Client, run: PipelineRun) -> None:
    answer = look(page, run, "?blocks=failed&block=b3")

    assert answer.context["chosen"].block_uuid == "b3"
    assert "1,003" not in text_of(answer).split('id="blocks"')[1].split("</section>")[0]
    assert 'href="?blocks=failed&amp;block=b48"' in text_of(answer)


def test_the_block_that_is_looked_at_is_among_those_shown_unasked(page: Client, run: PipelineRun) -> None:
    assert "b1" in shown(look(page, run, "?block=b1"))


def test_what_broke_it_is_told_whatever_is_chosen(page: Client, run: PipelineRun) -> None:
    assert "no such column" in text_of(look(page, run, "?blocks=cancelled&block=b3"))


def test_a_state_that_no_block_is_in_says_so(page: Client, run: PipelineRun) -> None:
    answer = look(page, run, "?blocks=running")

    assert "No block is running." in text_of(answer)
    assert 'href="?blocks=all"' in text_of(answer).replace("?blocks=all&amp;part", "")


@pytest.mark.parametrize("query", ["?blocks=nonsense", "?blocks=%00", "?blocks=failed&part=x", "?part=7"])
def test_nonsense_in_the_address_is_passed_over(page: Client, run: PipelineRun, query: str) -> None:
    assert "b48" in shown(look(page, run, query))


def test_few_blocks_are_all_shown_without_a_choice(page: Client) -> None:
    text = text_of(look(page, make_run()))

    assert "Blocks by state" not in text
    assert "as chosen below" not in text


def test_many_blocks_cost_one_query_more_than_few(page: Client, run: PipelineRun) -> None:
    few = make_run(make_pipeline("few"), status=RunStatus.COMPLETED)
    with CaptureQueriesContext(connection) as first:
        look(page, few)
    PipelineRun.objects.filter(pk=run.pk).update(status=RunStatus.COMPLETED)
    with CaptureQueriesContext(connection) as second:
        look(page, run)

    assert len(second) <= len(first) + 1
