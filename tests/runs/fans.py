"""Pipelines with dynamic blocks, and outcomes of those, without any process."""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any

from executors.base import Outcome, Verdict
from pipelines.graph import Block
from runs.lifecycle import RunSettings, create_run
from runs.models import Origin, PipelineRun
from tests.factories import make_pipeline
from tests.runs.outcomes import COMPLETED, statuses

OutcomeOf = Callable[[str], Outcome]


def fan(count: int, names: Sequence[str] | None = None) -> Outcome:
    """The outcome of a dynamic block that returned so many items."""
    chunk = {"url": "items_0", "type": "json", "start": 0, "count": count}
    fanout = {"count": count, "names": names, "chunks": [chunk] if count else []}
    return Outcome(verdict=Verdict.COMPLETED, result={"outputs": [{"name": "output_0"}], "fanout": fanout})


def a_block(uuid: str, *upstream: str, **fields: Any) -> Block:
    return Block(uuid=uuid, name=uuid, type="custom", upstream=upstream, **fields)


def a_dynamic(uuid: str, *upstream: str, **fields: Any) -> Block:
    return a_block(uuid, *upstream, dynamic=True, **fields)


def outcomes(special: Mapping[str, Outcome], otherwise: Outcome = COMPLETED) -> OutcomeOf:
    return lambda uuid: special.get(uuid, otherwise)


def start(moment: datetime, *blocks: Block, may_fail: bool = False, **settings: Any) -> PipelineRun:
    pipeline = make_pipeline("fanned", blocks, **settings)
    return create_run(
        pipeline, moment=moment, origin=Origin.MANUAL, settings=RunSettings(allow_blocks_to_fail=may_fail)
    )


def ended_as(run: PipelineRun, status: str) -> set[str]:
    return {uuid for uuid, found in statuses(run).items() if found == status}
