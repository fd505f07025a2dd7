"""What broke a run: the first block that failed and its line of code."""

from datetime import timedelta
from typing import Any

import pytest
from django.conf import settings as ours
from django.test import Client

from runs.faults import Frame, fault_of, frame_of
from runs.models import BlockRun, PipelineRun, Role
from runs.states import BlockStatus, RunStatus
from tests.factories import NOON, make_run, text_of

TRACEBACK = f'''Traceback (most recent call last):
  File "{ours.PROJECT_DIR}/transformers/clean.py", line 12, in clean
    return tidy(rows)
           ^^^^^^^^^^
  File "{ours.PROJECT_DIR}/utils/tidy.py", line 3, in tidy
    raise ValueError("no rows")
ValueError: no rows'''
ERROR = {"type": "ValueError", "message": "no rows", "traceback": TRACEBACK}


def failed(**fields: Any) -> PipelineRun:
    run = make_run(status=RunStatus.FAILED, blocks={"load": BlockStatus.COMPLETED, "clean": BlockStatus.FAILED})
    run.block_runs.filter(block_uuid="clean").update(error=ERROR, completed_at=NOON, started_at=NOON, **fields)
    return run


def rows(run: PipelineRun) -> list[BlockRun]:
    return list(run.block_runs.exclude(role=Role.MEMBER).order_by("position"))


def test_the_innermost_line_of_the_users_code_is_named() -> None:
    assert frame_of(ERROR) == Frame("utils/tidy.py", 3, "tidy", 'raise ValueError("no rows")')


@pytest.mark.parametrize("traceback", ["", "nonsense", None, 'File "x.py", line three'])
def test_without_a_traceback_no_line_is_named(traceback: str | None) -> None:
    assert frame_of({"traceback": traceback}) is None


@pytest.mark.django_db
def test_what_failed_first_broke_the_run() -> None:
    run = failed()
    run.block_runs.filter(block_uuid="load").update(
        status=BlockStatus.FAILED, completed_at=NOON + timedelta(seconds=1), error={"type": "KeyError"}
    )

    fault = fault_of(run, rows(run))

    assert fault is not None
    assert (fault.block_run.block_uuid, fault.type, fault.others) == ("clean", "ValueError", 1)


@pytest.mark.django_db
def test_of_a_block_that_is_run_many_times_the_member_is_named() -> None:
    run = failed(members_total=2)
    parent = run.block_runs.get(block_uuid="clean")
    member = BlockRun.objects.create(
        pipeline_run=run,
        block_uuid="clean:1",
        type="transformer",
        role=Role.MEMBER,
        parent=parent,
        status=BlockStatus.FAILED,
        error={"type": "OSError", "message": "gone"},
        completed_at=NOON,
    )

    fault = fault_of(run, rows(run))

    assert fault is not None
    assert fault.block_run == member


@pytest.mark.django_db
def test_nothing_failed_is_no_fault() -> None:
    run = make_run(status=RunStatus.CANCELLED)

    assert fault_of(run, rows(run)) is None


@pytest.mark.django_db
def test_the_page_begins_with_it_and_leads_to_the_line_of_the_log(page: Client) -> None:
    run = failed()
    row = run.block_runs.get(block_uuid="clean")

    text = text_of(page.get(f"/runs/{run.pk}/"))

    assert "What broke this run" in text
    assert "utils/tidy.py, line" in text
    assert f'href="/runs/{run.pk}/blocks/{row.pk}/log/1/?at=error"' in text


@pytest.mark.django_db
def test_a_line_of_a_blocks_code_leads_to_that_code(page: Client) -> None:
    run = failed()
    version = run.version
    version.graph["blocks"][0]["file"] = "utils/tidy.py"
    version.save()

    text = text_of(page.get(f"/runs/{run.pk}/"))

    assert f'href="/pipelines/etl/code/?version={version.pk}&amp;file=utils%2Ftidy.py#L3"' in text
