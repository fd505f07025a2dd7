"""The view of a pipeline's code, as a version of it has it: what ran is shown, not what is on disk by now."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from django.http import Http404, HttpRequest, HttpResponse
from django.views.decorators.http import require_GET

from orchestrator_site.pipeline_views.frame import find, show
from orchestrator_site.pipeline_views.highlighting import Line, lines_of
from pipelines.models import Pipeline, PipelineVersion

MOST_LINES = 5_000


class File(NamedTuple):
    """A file of a version, with the blocks whose code it is."""

    path: str
    blocks: Sequence[str]


@require_GET
def code(request: HttpRequest, uuid: str) -> HttpResponse:
    pipeline = find(uuid)
    asked = {name: request.GET.get(name, "") for name in ("version", "file", "block")}
    return show(request, pipeline, "code", page_of(pipeline, **asked))


def page_of(pipeline: Pipeline, version: str = "", file: str = "", block: str = "") -> dict[str, Any]:
    shown = version_of(pipeline, version)
    if shown is None:
        return {"files": [], "shown": None}
    files = files_of(shown)
    chosen = chosen_file(shown, files, file, block)
    text = (shown.files.get(chosen.path) or {}).get("text") if chosen else None
    lines: list[Line] = lines_of(chosen.path, text, MOST_LINES) if chosen and text else []
    return {
        "files": files,
        "shown": shown,
        "is_current": shown.pk == pipeline.current_version_id,
        "chosen": chosen,
        "is_kept": text is not None,
        "lines": lines,
        "is_cut": len(lines) == MOST_LINES,
    }


def version_of(pipeline: Pipeline, asked: str) -> PipelineVersion | None:
    """Return the version that was asked for, with its files; the current one if none was."""
    number = asked or str(pipeline.current_version_id or "")
    if not number:
        return None
    found = PipelineVersion.objects.filter(pipeline=pipeline, pk=int(number)).first() if is_id(number) else None
    if found is None:
        raise Http404(f"{pipeline.uuid} has no version {number[:40]!r}; the page of its versions lists them.")
    return found


def is_id(text: str) -> bool:
    return text.isascii() and text.isdecimal() and len(text) < 19


def files_of(version: PipelineVersion) -> list[File]:
    """Return the files with code of blocks in the order of the graph, then the others by name."""
    blocks: dict[str, list[str]] = {}
    for entry in version.graph["blocks"]:
        if entry.get("file"):
            blocks.setdefault(entry["file"], []).append(entry["uuid"])
    others: Mapping[str, list[str]] = {path: [] for path in sorted(version.files) if path not in blocks}
    return [File(path, uuids) for path, uuids in {**blocks, **others}.items()]


def chosen_file(version: PipelineVersion, files: Sequence[File], path: str, block: str) -> File | None:
    """Return the file that was asked for by its path or by a block; the first one if none was."""
    for each in files:
        if (path and each.path == path) or (block and not path and block in each.blocks):
            return each
    if path or block:
        what = f"the file {path[:200]!r}" if path else f"a file of a block {block[:200]!r}"
        raise Http404(f"This version ({version.content_hash[:10]}) does not have {what}.")
    return files[0] if files else None
