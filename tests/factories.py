"""Rows for tests: the least that is valid; the test says what matters."""

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

from django.contrib.auth.models import User
from rest_framework.test import APIClient

from pipelines.graph import Block, build
from pipelines.models import Pipeline, PipelineVersion
from runs.models import BlockRun, Origin, PipelineRun, Worker, WorkerKind
from runs.states import BlockStatus, RunStatus
from schedules.models import Backfill, IntervalType, PipelineSchedule

NOON = datetime(2025, 3, 2, 12, tzinfo=UTC)
FEBRUARY = datetime(2025, 2, 1, tzinfo=UTC)
CHAIN: tuple[tuple[str, ...], ...] = (("load",), ("clean", "load"), ("save", "clean"))


def make_user(username: str = "ada", **fields: Any) -> User:
    return User.objects.create_user(username, password="correct horse", **fields)


def make_pipeline(uuid: str = "etl", blocks: Iterable[Block | tuple[str, ...]] = CHAIN, **settings: Any) -> Pipeline:
    """A pipeline with one version; a block may be written as (uuid, upstream, …). `settings` are the version's."""
    graph = build([block if isinstance(block, Block) else plain_block(*block) for block in blocks])
    pipeline = Pipeline.objects.create(uuid=uuid, name=uuid)
    pipeline.current_version = PipelineVersion.objects.create(
        pipeline=pipeline, content_hash=f"hash of {uuid}", graph=graph.as_dict(), settings=settings
    )
    pipeline.save(update_fields=["current_version"])
    return pipeline


def plain_block(uuid: str, *upstream: str) -> Block:
    return Block(uuid=uuid, name=uuid, type="transformer" if upstream else "data_loader", upstream=upstream)


def make_run(
    pipeline: Pipeline | None = None,
    *,
    status: RunStatus = RunStatus.RUNNING,
    blocks: Mapping[str, BlockStatus] | None = None,
    **fields: Any,
) -> PipelineRun:
    """A run as if it had come to `status`, with a block run for each block (`blocks`: uuid → its status)."""
    pipeline = pipeline or Pipeline.objects.filter(uuid="etl").first() or make_pipeline()
    version = pipeline.current_version
    assert version is not None
    finished = {"completed_at": NOON} if status in (RunStatus.COMPLETED, RunStatus.FAILED, RunStatus.CANCELLED) else {}
    defaults = {"origin": Origin.MANUAL, "execution_date": NOON, "created_at": NOON, "started_at": NOON, **finished}
    run = PipelineRun.objects.create(pipeline=pipeline, version=version, status=status, **defaults | fields)
    for position, entry in enumerate(entry for entry in version.graph["blocks"] if entry["executable"]):
        make_block_run(run, entry, (blocks or {}).get(entry["uuid"], BlockStatus.INITIAL), position=position)
    return run


def make_block_run(run: PipelineRun, entry: Mapping[str, Any], status: BlockStatus, **fields: Any) -> BlockRun:
    return BlockRun.objects.create(
        pipeline_run=run,
        block_uuid=entry["uuid"],
        name=entry["name"],
        type=entry["type"],
        status=status,
        upstream=entry["upstream"],
        downstream=entry["downstream"],
        pending=len(entry["upstream"]),
        trigger_rule=entry["trigger_rule"],
        config=dict(entry),
        **fields,
    )


def make_schedule(pipeline: Pipeline | None = None, **fields: Any) -> PipelineSchedule:
    pipeline = pipeline or Pipeline.objects.filter(uuid="etl").first() or make_pipeline()
    defaults = {"name": "daily", "schedule_interval": "@daily", "is_active": True}
    return PipelineSchedule.objects.create(pipeline=pipeline, **defaults | fields)


def make_backfill(pipeline: Pipeline | None = None, **fields: Any) -> Backfill:
    """A backfill that is not stored yet: the first five days of February 2025, unless said otherwise."""
    pipeline = pipeline or Pipeline.objects.filter(uuid="etl").first() or make_pipeline()
    defaults = {"interval_type": IntervalType.DAY, "start_at": FEBRUARY, "end_at": FEBRUARY.replace(day=5)}
    return Backfill(pipeline=pipeline, **defaults | fields)


def make_worker(kind: WorkerKind = WorkerKind.WORKER, **fields: Any) -> Worker:
    defaults = {"host": "here", "pid": 100, "started_at": NOON, "seen_at": NOON}
    return Worker.objects.create(kind=kind, **defaults | fields)


class JSONClient(APIClient):
    default_format = "json"


def make_client(user: User | None = None) -> JSONClient:
    """A client of the API, signed in as `user` (ada if not given)."""
    client = JSONClient()
    client.force_authenticate(user or User.objects.filter(username="ada").first() or make_user())
    return client


def text_of(answer: Any) -> str:
    """What a page or a fragment says, as it was sent."""
    return str(answer.content.decode())
