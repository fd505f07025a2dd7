"""A streaming pipeline as a run has it: one block run, that of its source, in whose process all its blocks live."""

from collections.abc import Mapping, Sequence
from typing import Any

from pipelines.refusal import Refusal

STREAMING = "streaming"


def as_one(entries: Sequence[Mapping[str, Any]], *, only_block: str | None = None) -> list[dict[str, Any]]:
    """Return the one entry that is run: the source's, with those of all blocks in order as "stream".

    Raises Refusal where one block is asked for: a stream only runs as a whole.
    """
    if only_block is not None:
        raise Refusal("A streaming pipeline runs only as a whole.", field="block", code="streaming_pipeline")
    source = next((entry for entry in entries if entry["type"] == "data_loader" and not entry["upstream"]), None)
    if source is None and entries:
        source = entries[0]  # it cannot run, and says why when it should
    return [{**source, "upstream": [], "downstream": [], "stream": list(entries)}] if source else []
