"""Taking `triggers.yaml` files over into rows: created, updated, switched off when their entry is gone.

The file says how a coded trigger is; a pause by hand lasts until its entry changes. A broken file changes nothing.
"""

import logging
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from django.conf import settings
from django.db import IntegrityError, transaction

from pipelines import secrets
from pipelines.files import Stamp, stamp_of
from pipelines.models import Pipeline
from runs import events
from schedules.models import PipelineSchedule, Source, hash_of
from schedules.triggers_file import BrokenTriggers, Entry, TriggersFile, read_triggers, triggers_path

logger = logging.getLogger(__name__)
REMOVED = "Its entry was removed from triggers.yaml."
COPIED = ("description", "tags", "schedule_type", "schedule_interval", "timezone", "variables", "settings")
TIMING = ("schedule_type", "schedule_interval", "timezone", "start_time", "end_time")


@dataclass
class Diff:
    """What a sync did, triggers as "pipeline/name". Problems and warnings: {"file", "line", "reason", "hint"}."""

    created: list[str] = field(default_factory=list)
    updated: list[str] = field(default_factory=list)
    removed: list[str] = field(default_factory=list)
    problems: list[dict[str, Any]] = field(default_factory=list)
    warnings: list[dict[str, Any]] = field(default_factory=list)


@dataclass
class Seen:
    """A file as it was when it was last taken over, or found broken."""

    stamp: Stamp | None
    problems: list[dict[str, Any]]
    warnings: list[dict[str, Any]]


_seen: dict[tuple[str, str], Seen] = {}  # by project folder and pipeline; only saves reading


def sync(root: Path, moment: datetime) -> Diff:
    """Take over the files that changed since this process last looked; otherwise look at file times only.

    Problems and warnings are those of all files, also of the unchanged. An edited interval counts from `moment`.
    """
    diff = Diff()
    uuids = list(Pipeline.objects.present().order_by("uuid").values_list("uuid", flat=True))
    stamps = {uuid: stamp_of(root / triggers_path(uuid)) for uuid in uuids}
    stale = [uuid for uuid in uuids if (str(root), uuid) not in _seen or _seen[str(root), uuid].stamp != stamps[uuid]]
    coded = coded_among(stale)
    for uuid in stale:
        problems: list[dict[str, Any]] = []
        warnings: list[dict[str, Any]] = []
        if stamps[uuid] is not None or uuid in coded:
            try:
                warnings = take_over(root, uuid, stamps[uuid], moment, diff)
            except BrokenTriggers as broken:
                problems = broken.problems
            except IntegrityError:
                logger.info("the triggers of %s were written by another process at the same time", uuid)
                continue  # looked at again next time
        _seen[str(root), uuid] = Seen(stamps[uuid], problems, warnings)
    for uuid in uuids:
        if seen := _seen.get((str(root), uuid)):
            diff.problems += seen.problems
            diff.warnings += seen.warnings
    return diff


def problems(root: Path, pipeline_uuid: str) -> list[dict[str, Any]]:
    """Return what is wrong with a pipeline's triggers.yaml as it is now: [] if nothing, or if it has none."""
    if stamp_of(root / triggers_path(pipeline_uuid)) is None:
        return []
    try:
        read_triggers(root, pipeline_uuid, secret=secrets.get)
    except BrokenTriggers as broken:
        return broken.problems
    return []


def forget() -> None:
    """Read every file again at the next sync."""
    _seen.clear()


def coded_among(uuids: Sequence[str]) -> set[str]:
    """Return the pipelines that have triggers from a file."""
    if not uuids:
        return set()
    rows = PipelineSchedule.objects.filter(source=Source.CODE).exclude(source_hash="")
    return set(rows.values_list("pipeline__uuid", flat=True).distinct())


def take_over(root: Path, uuid: str, stamp: Stamp | None, moment: datetime, diff: Diff) -> list[dict[str, Any]]:
    """Bring the rows of one pipeline in line with its file (None: there is none); return the file's warnings."""
    found = read_triggers(root, uuid, secret=secrets.get) if stamp else TriggersFile([], [])
    created: list[str] = []
    updated: list[str] = []
    with transaction.atomic():
        pipeline = Pipeline.objects.select_for_update().get(uuid=uuid)
        rows = {row.name: row for row in PipelineSchedule.objects.filter(pipeline=pipeline)}
        here = [entry for entry in found.entries if not entry.envs or settings.ENV in entry.envs]
        for entry in here:
            row = rows.get(entry.name)
            if row is None:
                create(pipeline, entry, moment)
                created.append(f"{uuid}/{entry.name}")
            elif row.source != Source.CODE or row.source_hash != entry.digest():
                update(row, entry, moment)
                updated.append(f"{uuid}/{entry.name}")
        kept = {entry.name for entry in here}
        gone = [row for row in rows.values() if row.name not in kept and row.source == Source.CODE and row.source_hash]
        for row in gone:
            switch_off(row)
    diff.created += created
    diff.updated += updated
    diff.removed += [f"{uuid}/{row.name}" for row in gone]
    return found.warnings


def create(pipeline: Pipeline, entry: Entry, moment: datetime) -> None:
    row = PipelineSchedule(pipeline=pipeline, name=entry.name, source=Source.CODE)
    fill(row, entry)
    row.save()
    if entry.is_active:
        row.resume(moment)


def update(row: PipelineSchedule, entry: Entry, moment: datetime) -> None:
    """Give a row its entry's values; a new interval counts from now, so that an edit never fires by itself."""
    timing = [getattr(row, name) for name in TIMING]
    fill(row, entry)
    is_replanned = timing != [getattr(row, name) for name in TIMING] or bool(row.problem)
    if entry.is_active and row.is_active and is_replanned:
        row.last_enabled_at = moment
        row.plan_next(moment)
    row.save()
    if entry.is_active != row.is_active:
        row.resume(moment) if entry.is_active else row.pause(moment)
    events.publish_timer()


def fill(row: PipelineSchedule, entry: Entry) -> None:
    for name in COPIED:
        setattr(row, name, getattr(entry, name))
    row.start_time, row.end_time = entry.start_time, entry.end_time
    row.sla = timedelta(seconds=entry.sla) if entry.sla else None
    if entry.token:
        row.token_hash = hash_of(entry.token)
    row.source, row.source_hash = Source.CODE, entry.digest()


def switch_off(row: PipelineSchedule) -> None:
    """Its entry is gone: its runs go on, nothing new starts, its history stays."""
    row.is_active, row.next_due_at, row.problem, row.source_hash = False, None, REMOVED, ""
    row.save(update_fields=["is_active", "next_due_at", "problem", "source_hash", "updated_at"])
