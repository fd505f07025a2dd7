"""What a run's version pins: the text of its blocks' files, and the blocks attached to others. Kept by process."""

from collections.abc import Mapping
from functools import lru_cache
from typing import Any, NamedTuple

from pipelines.models import PipelineVersion

ATTACHED = ("callback", "conditional")


class Content(NamedTuple):
    """Texts by path in the project, and the entries of callbacks and conditions by uuid. Not to be changed."""

    texts: Mapping[str, str]
    attached: Mapping[str, Mapping[str, Any]]


def content(version: PipelineVersion) -> Content:
    """Return it, read once by each process: a version never changes. Needs no more of `version` than its hash."""
    return _content(version.pk, version.content_hash)


@lru_cache(maxsize=16)  # the texts of one may have megabytes
def _content(pk: int, content_hash: str) -> Content:
    graph, files = PipelineVersion.objects.values_list("graph", "files").get(pk=pk)
    texts = {path: file["text"] for path, file in files.items() if file.get("text") is not None}
    return Content(texts, {entry["uuid"]: entry for entry in graph["blocks"] if entry["type"] in ATTACHED})
