"""Giving a pipeline of a test another version."""

from collections.abc import Iterable
from typing import Any

from pipelines.graph import Block, build
from pipelines.models import Pipeline, PipelineVersion


def coded(uuid: str, *upstream: str, **fields: Any) -> Block:
    """A block whose code is in a file of its own name."""
    type_ = fields.pop("type", "transformer" if upstream else "data_loader")
    return Block(uuid=uuid, name=uuid, type=type_, upstream=upstream, file=f"{uuid}.py", **fields)


def give_version(pipeline: Pipeline, blocks: Iterable[Block], **texts: str) -> PipelineVersion:
    """Make a version of these blocks the current one. `texts`: code by block; "settings" of a version are its own."""
    number = pipeline.versions.count() + 1
    files = {f"{uuid}.py": {"sha256": text, "text": text} for uuid, text in texts.items()}
    pipeline.current_version = PipelineVersion.objects.create(
        pipeline=pipeline, content_hash=f"version {number}", graph=build(list(blocks)).as_dict(), files=files
    )
    pipeline.save(update_fields=["current_version"])
    return pipeline.current_version
