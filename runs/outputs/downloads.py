"""Downloads of what blocks returned: only of what is stored, by name, in the formats that can be made of it.

A request names an output, never a place: the place is what the block run says, and must lie in its run's folder.
"""

import os
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from itertools import chain
from typing import Any

from pipelines import fanouts, storage
from pipelines.refusal import Refusal
from pipelines.stored_rows import Table, pieces, table
from runs.models import BlockRun, PipelineRun
from runs.outputs.writing import as_csv, as_json, as_parquet
from runs.working.jobs import output_folder

TYPES = {
    "csv": "text/csv; charset=utf-8",
    "json": "application/json",
    "parquet": "application/vnd.apache.parquet",
    "bin": "application/octet-stream",
}
WRITERS: Mapping[str, Callable[[Table], Iterator[bytes]]] = {"csv": as_csv, "json": as_json, "parquet": as_parquet}
STORED = {".parquet": "parquet", ".json": "json", ".bin": "bin"}  # as it lies
NAME = re.compile(r"[A-Za-z0-9_]{1,64}")
UNSAFE = re.compile(r"[^A-Za-z0-9._-]+")


@dataclass(frozen=True)
class Download:
    """A file to send: its safe name, its type, and what is in it."""

    name: str
    content_type: str
    pieces: Iterator[bytes]


def formats_of(meta: Mapping[str, Any]) -> list[str]:
    """Return in which formats an output can be had, without looking at it."""
    if not NAME.fullmatch(str(meta.get("name"))):
        return []
    match suffix_of(meta):
        case ".parquet":
            return ["csv", "parquet", "json"] if has("pyarrow") else ["parquet"]
        case ".json" if meta.get("type") != fanouts.TYPE:
            rows = meta.get("rows") is not None
            return ["csv", *(["parquet"] if has("pyarrow") else []), "json"] if rows else ["json"]
        case ".npy" if has("numpy"):
            return ["csv", *(["parquet"] if has("pyarrow") else []), "json"]
        case ".bin":
            return ["bin"]
    return []


def why_none(meta: Mapping[str, Any]) -> str:
    """Say why an output cannot be downloaded, or only as it lies; "" if it can."""
    suffix = suffix_of(meta)
    if not meta.get("url"):
        return "The block returned None: nothing is stored."
    if meta.get("type") == fanouts.TYPE:
        return "These are the items of a dynamic block; they are kept for its members, one by one."
    if suffix == ".pickle":
        return "It is stored as a pickle, which only a block may read: loading one runs code."
    if suffix == ".parquet" and not has("pyarrow"):
        return "CSV and JSON need pyarrow, which is not installed here."
    if suffix in (".json", ".npy") and not has("pyarrow") and meta.get("rows") is not None:
        return "Parquet needs pyarrow, which is not installed here."
    return "" if formats_of(meta) else "It is stored in a form that cannot be read here."


def shown_outputs(block_run: BlockRun | None) -> list[dict[str, Any]]:
    """Return each output of a block as its page shows it: what it is, its downloads, and why there are not more."""
    outputs = block_run.output if block_run else ()
    return [{"of": meta, "formats": formats_of(meta), "why": why_none(meta)} for meta in outputs]


def download(run: PipelineRun, block_run: BlockRun, name: str, form: str) -> Download:
    """Return an output as a file. Raises Refusal that says why it cannot be had.

    Its code is "unknown_output", "output_removed", or "not_in_this_format".
    """
    meta = next((each for each in block_run.output if each.get("name") == name), None)
    if meta is None:
        known = ", ".join(str(each.get("name")) for each in block_run.output)
        hint = f"Its outputs: {known}." if known else "It has none."
        what = f"{block_run.block_uuid} of run {run.pk} has no output {name[:80]!r}."
        raise Refusal(what, field="name", hint=hint, code="unknown_output")
    if run.outputs_removed_at is not None:
        when = f"{run.outputs_removed_at:%Y-%m-%d %H:%M} UTC"
        raise Refusal(f"Retention removed the outputs of run {run.pk} at {when}.", field="name", code="output_removed")
    if form not in formats_of(meta):
        known = ", ".join(formats_of(meta))
        hint = why_none(meta) or f"It can be had as {known}."
        raise Refusal(f"{name} cannot be had as {form[:20]}.", field="as", hint=hint, code="not_in_this_format")
    check_place(run, str(meta["url"]))
    return Download(file_name(run, block_run, name, form), TYPES[form], begun(lambda: read(meta, form), run))


def read(meta: Mapping[str, Any], form: str) -> Iterator[bytes]:
    url = str(meta["url"])
    if STORED.get(suffix_of(meta)) == form:
        return pieces(url)
    return WRITERS[form](table(url, int(meta.get("bytes") or 0)))


def begun(make: Callable[[], Iterator[bytes]], run: PipelineRun) -> Iterator[bytes]:
    """Read the first piece at once: what is gone or cannot be read is said before anything is sent."""
    try:
        found = make()
        return chain([next(found, b"")], found)
    except Refusal:
        raise
    except OSError as error:
        raise Refusal(
            "This output is not there any more.",
            field="name",
            hint=f"Run {run.pk} again to have it anew.",
            code="output_removed",
        ) from error
    except Exception as error:  # a library's, of a file that is not what it should be
        what = f"This output cannot be read ({type(error).__name__})."
        raise Refusal(what, field="name", code="not_in_this_format") from error


def check_place(run: PipelineRun, url: str) -> None:
    """Raise Refusal for a place outside the run's own folder, by symlinks or otherwise."""
    folder, path = output_folder(run.pk), storage.local_path(url)
    if path:
        root = storage.local_path(folder)
        inside = bool(root) and os.path.realpath(path).startswith(os.path.realpath(str(root)) + os.sep)
    else:
        inside = url.startswith(f"{folder}/") and "/../" not in url
    if not inside:
        what = "This output does not lie in the folder of its run."
        raise Refusal(what, field="name", hint="VARIABLES_URL may have been changed since.", code="output_removed")


def file_name(run: PipelineRun, block_run: BlockRun, name: str, form: str) -> str:
    stem = UNSAFE.sub("_", f"{run.pipeline.uuid[:60]}-{run.pk}-{block_run.block_uuid[:60]}-{name[:40]}")
    return f"{stem.strip('._-') or 'output'}.{form}"


def suffix_of(meta: Mapping[str, Any]) -> str:
    url = str(meta.get("url") or "")
    return url[url.rfind(".") :] if "." in url else ""


def has(package: str) -> bool:
    return find_spec(package) is not None
