"""Pipelines on disk, mirrored into rows: `refresh` looks at names, sizes and times first and reads only what changed.

Any number of processes may refresh at once, each from its own copy of the project: rows are made under unique
constraints, and who reads last has the last word.
"""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

from django.db import transaction

from pipelines.files import Stamp, stamp_of
from pipelines.graph import nearest
from pipelines.models import Pipeline, PipelineVersion
from pipelines.project import (
    PROJECT_FILE,
    BrokenPipeline,
    Definition,
    Project,
    Seen,
    has_metadata,
    metadata_path,
    pipeline_uuids,
    read_pipeline,
    read_project,
)
from pipelines.refusal import Refusal

BATCH = 100  # pipelines written in one transaction


@dataclass
class Changes:
    """Pipelines that are new or differ from what was known, and those whose folder has gone."""

    changed: list[str] = field(default_factory=list)
    removed: list[str] = field(default_factory=list)


class Row(NamedTuple):
    """What the database knows of a pipeline, without reading its version."""

    uuid: str
    fingerprint: str
    is_present: bool
    is_valid: bool
    current_version_id: int | None


class Known(NamedTuple):
    """What this process last saw of a pipeline on disk, and its row as it was then."""

    seen: Seen
    fingerprint: str
    row: Row


_known: dict[tuple[str, str], Known] = {}  # by project folder and pipeline; only saves work


def refresh(root: Path) -> Changes:
    """Mirror the project into the database and say what changed; costs a query and file times when nothing did.

    A pipeline that cannot be read becomes invalid with its problems and keeps its current version. Raises Refusal
    only if `root` is no project.
    """
    root = root.absolute()
    uuids = pipeline_uuids(root)
    rows = {row[0]: Row(*row) for row in Pipeline.objects.values_list(*Row._fields)}
    remember(root, [rows[uuid] for uuid in uuids if uuid in rows and (str(root), uuid) not in _known])
    stale = stale_among(root, uuids, rows)
    changes = Changes(removed=remove(set(rows).difference(uuids), rows))
    changes.changed = read_again(root, stale)
    return changes


def as_saved(root: Path, pipeline: Pipeline) -> Pipeline:
    """Return the pipeline as its files are now: for a start by hand, just after they were saved.

    Costs a look at the times of its files when nothing changed, no query.
    """
    root, uuid = root.absolute(), pipeline.uuid
    if not has_metadata(root, uuid):  # gone, or not on this host's disk: the next refresh has a word on it
        return pipeline
    row = Row(*(getattr(pipeline, name) for name in Row._fields))
    if (str(root), uuid) not in _known:
        remember(root, [row])
    stale = stale_among(root, [uuid], {uuid: row})
    if not stale:
        return pipeline
    read_again(root, stale)
    return find(uuid)


def read_again(root: Path, stale: Sequence[str]) -> list[str]:
    """Read pipelines from disk and mirror them; return those that differ in more than the times of their files."""
    changed: list[str] = []
    if not stale:
        return changed
    project = read_project(root)
    for batch in batches(stale):
        read = [(uuid, read_or_fail(project, uuid)) for uuid in batch]
        with transaction.atomic():
            mirrored = [mirror(uuid, found) for uuid, found in read]
        _known.update({(str(root), known.row.uuid): known for known, _ in mirrored})  # once it is committed
        changed += [known.row.uuid for known, differs in mirrored if differs]
    return changed


def stale_among(root: Path, uuids: Iterable[str], rows: Mapping[str, Row]) -> list[str]:
    """Return the pipelines whose files are not as the database, or this process, last saw them."""
    stamps: dict[str, Stamp | None] = {}  # files that pipelines share are looked at once
    prefix = f"{root}/"
    stale = []
    for uuid in uuids:
        row, known = rows.get(uuid), _known.get((str(root), uuid))
        if row is None or known is None or not row.is_present:
            stale.append(uuid)
            continue
        for path in known.seen:
            if path not in stamps:
                stamps[path] = stamp_of(prefix + path)
        is_same = all(stamps[path] == stamp for path, stamp in known.seen.items())
        # The row has the fingerprint of whoever wrote it last; another host's copy of the same files has other times.
        if not (is_same and (row.fingerprint == known.fingerprint or row[2:] == known.row[2:])):
            stale.append(uuid)
    return stale


def remember(root: Path, rows: list[Row]) -> None:
    """Learn from the versions which files to look at, in one query: a new process need not read the project."""
    valid = {row.current_version_id: row for row in rows if row.is_valid and row.current_version_id}
    versions = PipelineVersion.objects.filter(pk__in=valid) if len(valid) < 500 else PipelineVersion.objects.all()
    for pk, graph in versions.values_list("pk", "graph") if valid else ():
        if row := valid.get(pk):
            files = {block["file"] for block in graph["blocks"] if block["file"]}
            paths = {PROJECT_FILE, metadata_path(row.uuid), *files}
            seen = {path: stamp_of(f"{root}/{path}") for path in paths}
            if fingerprint(seen) == row.fingerprint:
                _known[str(root), row.uuid] = Known(seen, row.fingerprint, row)


def fingerprint(seen: Seen) -> str:
    """Return a digest of the names, sizes and times of files; None stands for one that is not there."""
    text = "\n".join(f"{path} {stamp.size} {stamp.mtime_ns}" if stamp else path for path, stamp in sorted(seen.items()))
    return hashlib.sha256(text.encode(errors="surrogateescape")).hexdigest()


def read_or_fail(project: Project, uuid: str) -> Definition | BrokenPipeline:
    try:
        return read_pipeline(project, uuid)
    except BrokenPipeline as broken:
        return broken


def mirror(uuid: str, found: Definition | BrokenPipeline) -> tuple[Known, bool]:
    """Write what was found into the pipeline's row; say whether it differs in more than the times of its files."""
    pipeline, is_new = Pipeline.objects.get_or_create(uuid=uuid, defaults={"name": uuid, "is_valid": False})
    values: dict[str, Any] = {"is_present": True, "is_valid": isinstance(found, Definition), "problems": []}
    if isinstance(found, Definition):
        version, _ = PipelineVersion.objects.get_or_create(
            pipeline=pipeline,
            content_hash=found.content_hash,
            defaults={"graph": found.graph.as_dict(), "settings": dict(found.settings), "files": dict(found.files)},
        )
        values |= {"name": found.name, "description": found.description, "type": found.type, "tags": list(found.tags)}
        values["owner"] = found.owner
        values["current_version_id"] = version.pk
    else:
        values["problems"] = found.problems
    differs = is_new or any(getattr(pipeline, name) != value for name, value in values.items())
    for name, value in {**values, "fingerprint": fingerprint(found.seen)}.items():
        setattr(pipeline, name, value)
    pipeline.save(update_fields=[*values, "fingerprint", "updated_at"])
    row = Row(uuid, pipeline.fingerprint, True, pipeline.is_valid, pipeline.current_version_id)
    return Known(found.seen, pipeline.fingerprint, row), differs


def remove(uuids: set[str], rows: Mapping[str, Row]) -> list[str]:
    gone = sorted(uuid for uuid in uuids if rows[uuid].is_present)
    for batch in batches(gone):
        Pipeline.objects.filter(uuid__in=batch).update(is_present=False)
    return gone


def batches(uuids: Iterable[str]) -> Iterable[list[str]]:
    remaining = iter(uuids)
    while batch := list(islice(remaining, BATCH)):
        yield batch


def find(uuid: str) -> Pipeline:
    """Return the pipeline of that name if its folder is there; refuse with the nearest names otherwise."""
    present = Pipeline.objects.present()
    # With its version, for a start; without the texts of its files, which may be long.
    with_version = present.select_related("current_version").defer("current_version__files")
    if pipeline := with_version.filter(uuid=uuid).first():
        return pipeline
    names = list(present.order_by("uuid").values_list("uuid", flat=True)[:2000])
    hint = nearest(uuid, names) or (f"Pipelines: {', '.join(names)[:200]}." if names else "The project has none yet.")
    raise Refusal(f"There is no pipeline {uuid[:80]!r}.", field="pipeline", hint=hint, code="unknown_pipeline")


def runnable_version(pipeline: Pipeline) -> PipelineVersion:
    """Return the version that a new run gets; refuse, with file, line and reason, if the pipeline is invalid."""
    version = pipeline.current_version
    if pipeline.is_valid and version is not None:
        return version
    problem = pipeline.problems[0] if pipeline.problems else {}
    where = problem.get("file") or metadata_path(pipeline.uuid)
    line = f" line {problem['line']}" if problem.get("line") else ""
    reason = problem.get("reason", "it has not been read yet.")
    message = f"Pipeline {pipeline.uuid} is invalid: {where}{line}: {reason}"
    raise Refusal(message, field="pipeline", hint=problem.get("hint", ""), code="invalid_pipeline")
