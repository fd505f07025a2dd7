"""Taking `triggers.yaml` files over into rows: created, updated, switched off when their entry is gone.

The file says how a coded trigger is; a pause by hand lasts until its entry changes. A broken file changes nothing.
"""

import logging
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from django.conf import settings
from django.db import IntegrityError, transaction

from pipelines import secrets
from pipelines.files import FileFault, Stamp, stamp_of
from pipelines.models import Pipeline
from pipelines.project import pipeline_uuids
from pipelines.refusal import Refusal
from runs import events
from schedules import chains, firing
from schedules.files.triggers_file import BrokenTriggers, Entry, TriggersFile, read_triggers, triggers_path
from schedules.files.triggers_plan import REMOVED, Changes, Plan, changes, plan, values_of
from schedules.models import PipelineSchedule, Source, hash_of
from schedules.trigger_checks import check_may_go, check_rules

logger = logging.getLogger(__name__)
TIMING = ("schedule_type", "schedule_interval", "timezone", "start_time", "end_time", "settings")
ATTEMPTS = 3
# Editors and git write a file in two steps: what is missing just after a change may be about to come back.
SETTLES_IN = timedelta(seconds=1)


@dataclass
class Diff:
    """What a sync did, triggers as "pipeline/name". Problems and warnings: {"file", "line", "reason", "hint"}."""

    created: list[str] = field(default_factory=list)
    updated: list[str] = field(default_factory=list)
    removed: list[str] = field(default_factory=list)  # switched off, or deleted if that was asked for
    problems: list[dict[str, Any]] = field(default_factory=list)
    warnings: list[dict[str, Any]] = field(default_factory=list)
    changes: dict[str, Changes] = field(default_factory=dict)  # of each updated one
    unchanged: int = field(default=0, compare=False)  # of those that were looked at

    def add(self, part: "Diff") -> None:
        """Take in what another says of triggers."""
        self.created += part.created
        self.updated += part.updated
        self.removed += part.removed
        self.changes |= part.changes
        self.unchanged += part.unchanged


@dataclass
class Seen:
    """A file as it was when it was last taken over, or found broken."""

    stamp: Stamp | None
    problems: list[dict[str, Any]]
    warnings: list[dict[str, Any]]


class Unsettled(Exception):
    """The file is changing under our eyes: it is looked at again next time."""


_seen: dict[tuple[str, str], Seen] = {}  # by project folder and pipeline; only saves reading


def sync(root: Path, moment: datetime) -> Diff:
    """Take over the files that changed since this process last looked; otherwise look at file times only.

    A broken file is read each time: what is wrong may be outside of it, such as a secret that is missing. Problems and
    warnings are those of all files, also of the unchanged. An edited interval counts from `moment`.
    """
    diff = Diff()
    told = dict(Pipeline.objects.present().order_by("uuid").values_list("uuid", "trigger_problems"))
    stamps = {uuid: stamp_of(root / triggers_path(uuid)) for uuid in told}
    stale = [uuid for uuid in told if is_stale(_seen.get((str(root), uuid)), stamps[uuid])]
    coded = coded_among(stale)
    for uuid in stale:
        seen = Seen(stamps[uuid], [], [])
        if stamps[uuid] is not None or uuid in coded:
            try:
                seen.warnings = take_over(root, uuid, moment, diff)
            except BrokenTriggers as broken:
                seen.problems = broken.problems
            except Unsettled:
                continue
            except IntegrityError:
                logger.info("the triggers of %s were written by another process at the same time", uuid)
                continue  # looked at again next time
        _seen[str(root), uuid] = seen
    for uuid in told:
        if known := _seen.get((str(root), uuid)):
            diff.problems += known.problems
            diff.warnings += known.warnings
            tell(uuid, told[uuid], known.problems)
    return diff


def is_stale(seen: Seen | None, stamp: Stamp | None) -> bool:
    return seen is None or seen.stamp != stamp or bool(seen.problems)


def apply(
    root: Path, moment: datetime, *, only: Sequence[str] = (), prune: bool = False, dry_run: bool = False
) -> Diff:
    """Take over every file now, or those of the pipelines in `only`; with `prune`, delete what has no entry any more.

    A broken file is told in `problems` and its triggers stay as they are. With `dry_run` nothing is written.
    """
    diff = Diff()
    present = pipeline_uuids(root)
    told = dict(Pipeline.objects.values_list("uuid", "trigger_problems"))
    # With the folder of a pipeline, the entries of its triggers have gone.
    for uuid in only or sorted({*present, *(told if prune else ())}):
        problems: list[dict[str, Any]] = []
        try:
            diff.warnings += take_over_now(root, uuid, moment, diff, prune=prune, dry_run=dry_run)
        except BrokenTriggers as broken:
            problems = broken.problems
        diff.problems += problems
        if not dry_run:
            tell(uuid, told.get(uuid, []), problems)
    return diff


def take_over_now(
    root: Path, uuid: str, moment: datetime, diff: Diff, *, prune: bool, dry_run: bool
) -> list[dict[str, Any]]:
    """Take a file over though others are at it too: again, if they come in between."""
    for _ in range(ATTEMPTS):
        with suppress(Unsettled, IntegrityError):
            return take_over(root, uuid, moment, diff, prune=prune, dry_run=dry_run, is_urgent=True)
    raise BrokenTriggers([FileFault("It is being changed just now.", file=triggers_path(uuid), hint="Try again.")])


def tell(uuid: str, told: list[dict[str, Any]], problems: list[dict[str, Any]]) -> None:
    """Let the pages show what is wrong with a pipeline's file."""
    if told != problems:
        Pipeline.objects.filter(uuid=uuid).update(trigger_problems=problems)


def forget() -> None:
    """Read every file again at the next sync."""
    _seen.clear()


def coded_among(uuids: Sequence[str]) -> set[str]:
    """Return the pipelines that have triggers from a file."""
    if not uuids:
        return set()
    rows = PipelineSchedule.objects.filter(source=Source.CODE).exclude(source_hash="")
    return set(rows.values_list("pipeline__uuid", flat=True).distinct())


def take_over(
    root: Path,
    uuid: str,
    moment: datetime,
    diff: Diff,
    *,
    prune: bool = False,
    dry_run: bool = False,
    is_urgent: bool = False,
) -> list[dict[str, Any]]:
    """Bring the rows of one pipeline in line with its file, if there is one; return the file's warnings.

    Raises `BrokenTriggers`; `Unsettled` if the file changes meanwhile or, unless it `is_urgent`, has just lost entries.
    """
    stamp = stamp_of(root / triggers_path(uuid))
    found = read_triggers(root, uuid, secret=secrets.get) if stamp else TriggersFile([], [])
    here = [entry for entry in found.entries if not entry.envs or settings.ENV in entry.envs]
    with transaction.atomic():
        # Who writes to the file holds a row first: what was read before that is noticed by the second look.
        rows = (
            PipelineSchedule.objects.select_for_update(of=("self",), no_key=True)
            .filter(pipeline__uuid=uuid)
            .order_by("pk")
        )
        planned = plan(uuid, here, list(rows))
        if stamp_of(root / triggers_path(uuid)) != stamp:
            raise Unsettled
        if planned.gone and not is_urgent and is_young(root, uuid, moment):
            raise Unsettled
        if planned.faults:
            raise BrokenTriggers(planned.faults)
        part = Diff()
        note(part, uuid, planned, prune=prune)
        carry_out(uuid, planned, moment, prune=prune)
        transaction.set_rollback(dry_run)
    if not dry_run:
        for name in part.removed:
            logger.info("the trigger %s is %s: it has no entry any more", name, "deleted" if prune else "switched off")
    diff.add(part)
    return found.warnings + nothing_here(uuid, found.entries, here)


def is_young(root: Path, uuid: str, moment: datetime) -> bool:
    """Say whether the file, or where it is gone its folder, was changed a moment ago."""
    path = root / triggers_path(uuid)
    stamp = stamp_of(path) or stamp_of(path.parent)
    age = moment.timestamp() - stamp.mtime_ns / 1e9 if stamp else -1
    return 0 <= age < SETTLES_IN.total_seconds()


def nothing_here(uuid: str, entries: Sequence[Entry], here: Sequence[Entry]) -> list[dict[str, Any]]:
    if not entries or here:
        return []
    message = f"None of its triggers is for ENV {settings.ENV}."
    hint = f"Add {settings.ENV} to the envs of those that are to run here."
    return [FileFault(message, file=triggers_path(uuid), line=entries[0].line, hint=hint).as_problem()]


def note(diff: Diff, uuid: str, planned: Plan, *, prune: bool) -> None:
    for match in planned.matches:
        name = f"{uuid}/{match.entry.name}"
        if match.row is None:
            diff.created.append(name)
        elif match.is_changed:
            diff.updated.append(name)
            diff.changes[name] = changes(match.row, match.entry)
        else:
            diff.unchanged += 1
    diff.removed += [f"{uuid}/{row.name}" for row in (planned.gone + (planned.left_over if prune else []))]


# --- writing --------------------------------------------------------------------------------------------------------


def carry_out(uuid: str, planned: Plan, moment: datetime, *, prune: bool) -> None:
    """Write what was planned; raise `BrokenTriggers` for what can only be judged beside other rows."""
    for row in planned.gone + planned.left_over if prune else []:
        prune_row(uuid, row)
    for row in [] if prune else planned.gone:
        switch_off(row)
    make_room(planned, [] if prune else planned.gone + planned.left_over)
    written: list[tuple[PipelineSchedule, Entry]] = []
    for match in planned.matches:
        if match.row is None:
            pipeline, _ = Pipeline.objects.get_or_create(uuid=uuid, defaults={"name": uuid})  # new to a dry run
            written.append((create(pipeline, match.entry, moment), match.entry))
        elif match.is_changed:
            update(match.row, match.entry, moment)
            written.append((match.row, match.entry))
    if faults := [fault for row, entry in written if (fault := fault_of(uuid, row, entry))]:
        raise BrokenTriggers(faults)


def prune_row(uuid: str, row: PipelineSchedule) -> None:
    try:
        check_may_go(row)
    except Refusal as refusal:
        message = f"The trigger {row.name!r} cannot be deleted: {refusal.message}"
        raise BrokenTriggers([FileFault(message, file=triggers_path(uuid), hint=refusal.hint)]) from None
    row.delete()


def fault_of(uuid: str, row: PipelineSchedule, entry: Entry) -> FileFault | None:
    """Return what is wrong with an entry that its file alone does not tell: a calendar, a chain."""
    try:
        check_rules(row)
    except Refusal as refusal:
        line = entry.setting_lines.get(refusal.field.removeprefix("settings.").partition(".")[0], entry.line)
        return FileFault(refusal.message, file=triggers_path(uuid), line=line, hint=refusal.hint)
    return None


def make_room(planned: Plan, without_entry: Iterable[PipelineSchedule]) -> None:
    """Take the names away from rows that are about to get others, or have lost them to an entry."""
    names = {match.entry.name for match in planned.matches}
    for match in planned.matches:
        if match.row is not None and match.row.name != match.entry.name:
            PipelineSchedule.objects.filter(pk=match.row.pk).update(name=f"→ {match.row.pk}")
    for row in without_entry:
        if row.name in names:
            row.name = f"{row.name[:70]} (removed, {row.pk})"
            row.save(update_fields=["name", "updated_at"])


def create(pipeline: Pipeline, entry: Entry, moment: datetime) -> PipelineSchedule:
    row = PipelineSchedule(pipeline=pipeline, source=Source.CODE)
    fill(row, entry)
    row.save()
    if entry.is_active:
        row.resume(moment)
    return row


def update(row: PipelineSchedule, entry: Entry, moment: datetime) -> None:
    """Give a row its entry's values; a new interval counts from now, so that an edit never fires by itself."""
    timing = [getattr(row, name) for name in TIMING]
    fill(row, entry)
    is_resumed = entry.is_active and not row.is_active
    is_replanned = timing != [getattr(row, name) for name in TIMING] or bool(row.problem) or is_resumed
    if is_replanned:
        firing.settle(row.pk, moment)
        chains.settle(row.pk, moment)
        row.decided_until = moment
        if entry.is_active and row.is_active:
            row.plan_next(moment)
    row.save()
    if entry.is_active != row.is_active:
        row.resume(moment) if entry.is_active else row.pause(moment)
    events.publish_timer()


def fill(row: PipelineSchedule, entry: Entry) -> None:
    for name, value in values_of(entry).items():
        setattr(row, name, value)
    if entry.token:  # without one in the file, the row's stays
        row.token_hash = hash_of(entry.token)
    row.source, row.source_hash = Source.CODE, entry.digest()


def switch_off(row: PipelineSchedule) -> None:
    """Its entry is gone: its runs go on, nothing new starts, its history stays."""
    row.is_active, row.next_due_at, row.problem, row.source_hash = False, None, REMOVED, ""
    row.save(update_fields=["is_active", "next_due_at", "problem", "source_hash", "updated_at"])
