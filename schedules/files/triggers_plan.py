"""Which rows belong to which entries of a triggers.yaml, and what differs: the diff, before anything is written."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from pipelines.files import FileFault, shown
from schedules.files.triggers_file import Entry, triggers_path
from schedules.models import PipelineSchedule, Source, hash_of
from schedules.timetable import read_zone

REMOVED = "Its entry was removed from triggers.yaml."
COPIED = ("name", "description", "tags", "schedule_type", "schedule_interval", "timezone", "variables", "settings")
Fits = Callable[[Entry, PipelineSchedule], bool]
Changes = dict[str, tuple[Any, Any]]  # field → (old, new), as JSON


@dataclass(frozen=True)
class Match:
    """An entry, and the row that has been its (None: there is none yet)."""

    entry: Entry
    row: PipelineSchedule | None

    @property
    def is_new(self) -> bool:
        return self.row is None

    @property
    def is_changed(self) -> bool:
        return self.row is not None and not (is_in_code(self.row) and self.row.source_hash == self.entry.digest())


@dataclass
class Plan:
    """What a file asks for: its entries with their rows, and the rows in code that have no entry (any more)."""

    matches: list[Match] = field(default_factory=list)
    gone: list[PipelineSchedule] = field(default_factory=list)  # in code until now
    left_over: list[PipelineSchedule] = field(default_factory=list)  # switched off before, for the same reason
    faults: list[FileFault] = field(default_factory=list)


def is_in_code(row: PipelineSchedule) -> bool:
    """Say whether an entry of triggers.yaml stands behind the row."""
    return row.source == Source.CODE and bool(row.source_hash)


def plan(pipeline_uuid: str, entries: Sequence[Entry], rows: Sequence[PipelineSchedule]) -> Plan:
    """Find each entry's row: by its id; by its name; else the row in code whose name is the id, as it was renamed."""
    found: dict[int, PipelineSchedule] = {}
    free = {row.pk: row for row in rows}
    names = {row.name for row in rows}
    take(found, free, entries, lambda entry, row: bool(entry.id) and row.code_id == entry.id)
    renamed = [entry for entry in entries if entry.id and entry.name not in names]
    take(found, free, renamed, lambda entry, row: is_in_code(row) and not row.code_id and row.name == entry.id)
    take(found, free, entries, lambda entry, row: row.name == entry.name)
    matches = [Match(entry, found.get(id(entry))) for entry in entries]
    of_code = [row for row in free.values() if row.source == Source.CODE]
    held = {row.name for row in free.values() if row.source != Source.CODE}
    return Plan(
        matches=matches,
        gone=[row for row in of_code if row.source_hash],
        left_over=[row for row in of_code if not row.source_hash],
        faults=[name_is_held(pipeline_uuid, entry) for entry in entries if entry.name in held],
    )


def take(
    found: dict[int, PipelineSchedule], free: dict[int, PipelineSchedule], entries: Iterable[Entry], fits: Fits
) -> None:
    for entry in entries:
        if id(entry) in found:
            continue
        row = next((row for row in free.values() if fits(entry, row)), None)
        if row is not None:
            found[id(entry)] = free.pop(row.pk)


def name_is_held(pipeline_uuid: str, entry: Entry) -> FileFault:
    message = f"A trigger named {shown(entry.name)!r} was made by hand."
    return FileFault(
        message, file=triggers_path(pipeline_uuid), line=entry.line, hint="Choose another name, or delete that trigger."
    )


def values_of(entry: Entry) -> dict[str, Any]:
    """Return what the columns of an entry's row are to be, but for its token and whether it is active."""
    return {
        **{name: getattr(entry, name) for name in COPIED},
        "start_time": entry.start_time,
        "end_time": entry.end_time,
        "sla": timedelta(seconds=entry.sla) if entry.sla else None,
        "code_id": entry.id,
    }


def changes(row: PipelineSchedule, entry: Entry) -> Changes:
    """Return what will differ when the row is given its entry's values; a token is never shown."""
    found: Changes = {}
    for name, new in values_of(entry).items():
        if (old := getattr(row, name)) != new:
            key = "id" if name == "code_id" else name
            found[key] = (as_json(old, row.timezone), as_json(new, entry.timezone))
    if row.is_active != entry.is_active:
        found["status"] = (row.status, "active" if entry.is_active else "inactive")
    if entry.token and row.token_hash != hash_of(entry.token):
        found["token"] = ("…" if row.token_hash else "none", "another")
    if not is_in_code(row):
        found["source"] = (str(row.source), str(Source.CODE))
    return found


def as_json(value: Any, zone: str) -> Any:
    """Return a value of a column as JSON: seconds, and moments on the wall clock of the trigger's zone."""
    if isinstance(value, timedelta):
        return round(value.total_seconds())
    if hasattr(value, "astimezone"):
        return f"{value.astimezone(read_zone(zone)).isoformat(' ')} {zone}"
    return value
