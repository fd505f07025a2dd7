"""Runs whose blocks have callbacks, for tests."""

from datetime import datetime, timedelta
from typing import Any

from executors.base import Outcome, Verdict
from pipelines.graph import Block
from runs import callbacks
from runs.lifecycle import create_run
from runs.models import BlockRun, Origin, PipelineRun, Role
from runs.planning import RunSettings
from tests.factories import make_pipeline

GONE = Outcome(verdict=Verdict.CANCELLED, exit=-15)
TELL = Block(uuid="tell", name="tell", type="callback", file="callbacks/tell.py")
OF_RUN = {outcome: [{"uuid": f"after_{outcome}", "name": "", "file": "x.py"}] for outcome in callbacks.OUTCOMES}
MINUTE = timedelta(minutes=1)


def called(name: str, *upstream: str, **fields: Any) -> Block:
    return Block(uuid=name, name=name, upstream=upstream, callbacks=("tell",), **fields)


def begin(now: datetime, *blocks: Block, run: RunSettings | None = None, **version: Any) -> PipelineRun:
    pipeline = make_pipeline("called", [*(blocks or (called("load"), called("save", "load"))), TELL], **version)
    return create_run(pipeline, moment=now, origin=Origin.MANUAL, settings=run)


def rows(run: PipelineRun) -> list[BlockRun]:
    return list(run.block_runs.filter(role=Role.CALLBACK).order_by("position", "id"))


def calls(run: PipelineRun) -> dict[str, tuple[str, str]]:
    return {row.block_uuid: (row.config["call"]["outcome"], row.status) for row in rows(run)}
