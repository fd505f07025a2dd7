"""Writing back: what is decided about a trigger on the pages and in the API, put into its entry of triggers.yaml.

Only the changed values are touched. The text is read again before it is written, and refused unless exactly what was
meant has changed. Everything here happens in the caller's transaction, which writes the file last.
"""

import json
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from django.conf import settings
from django.db import connection

from pipelines import secrets, yaml_edits
from pipelines.file_writes import refuse_unwritable, replace_text
from pipelines.files import FileFault, MissingFile, Stamp, TextFile, shown
from pipelines.refusal import Refusal
from pipelines.templating import CLOSE, OPEN, protect
from pipelines.yaml_edits import CannotEdit
from schedules.files.triggers_file import BrokenTriggers, Entry, TriggersFile, read_source, triggers_in, triggers_path
from schedules.files.triggers_plan import changes
from schedules.models import PipelineSchedule
from schedules.timetable import read_zone

GONE: Any = object()  # in the place of a value: its key is to be removed
TURN = 7_326_104_459_000_000_000  # of Postgres' advisory locks: one for each pipeline's file from here on
TEMPLATING = ("{{", "{%", OPEN, CLOSE)
PLAIN = ("description", "tags", "schedule_type", "schedule_interval", "timezone", "variables", "settings", "sla")


@dataclass(frozen=True)
class Edit:
    """A change of a triggers.yaml, checked but not written; `entry` is the trigger's own as it will be, if any."""

    root: Path
    before: TextFile | None
    path: str
    text: str
    entry: Entry | None

    def write(self) -> None:
        if self.before is None or self.text != self.before.text:
            replace_text(self.root, self.path, self.text, before=self.before)


@dataclass(frozen=True)
class Opened:
    """A triggers.yaml that can be written; None and no entries where there is none yet."""

    uuid: str
    source: TextFile | None
    found: TriggersFile

    @property
    def path(self) -> str:
        return triggers_path(self.uuid)

    @property
    def text(self) -> str:
        return self.source.text if self.source else ""

    def edit(self, text: str, entry: Entry | None) -> Edit:
        return Edit(Path(settings.PROJECT_DIR), self.source, self.path, text, entry)


def change_entry(
    schedule: PipelineSchedule, changed: Collection[str], *, was: PipelineSchedule, is_active: bool | None
) -> Edit:
    """Return the edit that gives a trigger's entry the `changed` fields of the row, and the status if that is given.

    `was` is the row as it is stored. Raises Refusal with the reason why the file cannot be changed so.
    """
    opened = open_file(schedule)
    index = find_entry(opened, was)
    entry = opened.found.entries[index]
    wanted = wanted_entry(schedule, changed, entry, opened.found.entries, is_active=is_active)
    protected = protect(opened.text)
    text = protected.text
    try:
        for path, value in differences(entry, wanted):
            text = put(text, ("triggers", index, *path), value)
    except CannotEdit as refusal:
        raise refused(opened, entry, str(refusal)) from None
    text = protected.restore(text)
    entries = list(opened.found.entries)
    entries[index] = wanted
    check_result(opened, text, entry, entries)
    return opened.edit(text, wanted)


def remove_entry(schedule: PipelineSchedule) -> Edit:
    """Return the edit that takes a trigger's entry out; comments around it stay."""
    opened = open_file(schedule)
    index = find_entry(opened, schedule)
    entry = opened.found.entries[index]
    protected = protect(opened.text)
    try:
        text = protected.restore(yaml_edits.remove(protected.text, ("triggers", index)))
    except CannotEdit as refusal:
        raise refused(opened, entry, str(refusal)) from None
    check_result(opened, text, entry, [each for each in opened.found.entries if each is not entry])
    return opened.edit(text, None)


def add_entry(schedule: PipelineSchedule) -> Edit:
    """Return the edit that writes a trigger down as a new entry, without its token."""
    opened = open_file(schedule)
    entry = entry_of(schedule)
    for key, value in entry.items():
        refuse_templating(value, key)
    protected = protect(opened.text)
    text = protected.restore(yaml_edits.append(protected.text, "triggers", entry))
    try:
        after = read(opened, text).entries
    except BrokenTriggers as broken:
        raise Refusal(f"It cannot be written into triggers.yaml: {broken}", code="conflict") from None
    differs = set(changes(schedule, after[-1])) - {"source"} if after else {"name"}
    if differs or [each.digest() for each in after[:-1]] != [each.digest() for each in opened.found.entries]:
        raise Refusal(
            f"It cannot be written into {opened.path} as it is.", hint="Write it there by hand.", code="conflict"
        )
    return opened.edit(text, after[-1])


def has_token(schedule: PipelineSchedule) -> bool:
    """Say whether the trigger's entry names its token."""
    opened = open_file(schedule)
    return bool(opened.found.entries[find_entry(opened, schedule)].token)


# --- the file as it is ----------------------------------------------------------------------------------------------


def open_file(schedule: PipelineSchedule) -> Opened:
    """Read the file of a trigger's pipeline; only one at a time may change it. Raises Refusal if it cannot be."""
    take_turn(schedule.pipeline_id)
    root, uuid = Path(settings.PROJECT_DIR), schedule.pipeline.uuid
    try:
        refuse_unwritable(root, triggers_path(uuid))
        source = read_source(root, uuid)
        return Opened(uuid, source, triggers_in(source, uuid, secret=secrets.get))
    except BrokenTriggers as broken:
        if isinstance(broken.__cause__, MissingFile):
            return Opened(uuid, None, TriggersFile([], []))
        raise Refusal(str(broken), field="triggers", hint="Correct the file first.", code="conflict") from None
    except FileFault as fault:  # a link out of the project
        raise Refusal(str(fault), field="triggers", code="conflict") from None


def take_turn(pipeline_id: int) -> None:
    """Wait for others that change the file (SQLite has one writer anyway); the turn ends with the transaction."""
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_xact_lock(%s)", [TURN + pipeline_id])


def find_entry(opened: Opened, row: PipelineSchedule) -> int:
    """Return the place of a row's entry, which must be as it was taken over."""
    for index, entry in enumerate(opened.found.entries):
        is_his = entry.id == row.code_id if row.code_id else entry.name == row.name
        if is_his and entry.digest() == row.source_hash:
            return index
    raise Refusal(
        f"The entry of {row.name!r} in {opened.path} was changed meanwhile.",
        hint="It is taken over within seconds; look at it again, then repeat your change.",
        code="conflict",
    )


def read(opened: Opened, text: str) -> TriggersFile:
    """Check a text as if it were the file's."""
    before = opened.source or TextFile(opened.path, "", "", Stamp(0, 0))
    return triggers_in(replace(before, text=text), opened.uuid, secret=secrets.get)


# --- what is to change ----------------------------------------------------------------------------------------------


def wanted_entry(
    schedule: PipelineSchedule,
    changed: Collection[str],
    entry: Entry,
    entries: Collection[Entry],
    *,
    is_active: bool | None,
) -> Entry:
    """Return the entry as it is to be. A rename leaves the former name as its id, so that its history is found."""
    values = values_in_file(schedule)
    new = {name: values[name] for name in (*PLAIN, "name") if name in changed}
    for name in ("start_time", "end_time"):
        if name in changed or ("timezone" in changed and values[name]):
            new[name] = values[name]
    if is_active is not None:
        new["is_active"] = is_active
    is_free = entry.name == entry.name.strip() and entry.name not in {each.id for each in entries}
    if "name" in changed and not entry.id and is_free:
        new["id"] = entry.name
    return replace(entry, **new)


def values_in_file(schedule: PipelineSchedule) -> dict[str, Any]:
    """Return the row's fields as the file has them: seconds, and moments in the trigger's own zone."""
    zone = read_zone(schedule.timezone)
    values = {name: getattr(schedule, name) for name in (*PLAIN, "name")}
    values["sla"] = round(schedule.sla.total_seconds()) if schedule.sla else None
    for name in ("start_time", "end_time"):
        moment = getattr(schedule, name)
        values[name] = moment.astimezone(zone) if moment else None
    return values


def differences(entry: Entry, wanted: Entry) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Yield the keys of the file, from the entry down, whose values differ, with the new values."""
    for key in ("name", *PLAIN, "id"):
        yield from deep((key,), getattr(entry, key), getattr(wanted, key))
    for key in ("start_time", "end_time"):
        old, new = getattr(entry, key), getattr(wanted, key)
        if str(old) != str(new):
            yield (key,), wall_clock(new) if new else None
    if entry.is_active != wanted.is_active:
        yield ("status",), "active" if wanted.is_active else "inactive"


def deep(path: tuple[str, ...], old: Any, new: Any) -> Iterator[tuple[tuple[str, ...], Any]]:
    if isinstance(old, Mapping) and old and isinstance(new, Mapping):
        for key in old:
            if key not in new:
                yield (*path, key), GONE
        for key, value in new.items():
            if key not in old:
                yield (*path, key), value
            else:
                yield from deep((*path, key), old[key], value)
    elif json.dumps(old, sort_keys=True) != json.dumps(new, sort_keys=True):  # 1, 1.0 and true are not the same
        yield path, new


def wall_clock(moment: datetime) -> datetime:
    """Return the time as the file has it: on the zone's clock, with an offset only where that comes twice."""
    naive = moment.replace(tzinfo=None, fold=0)
    return naive if naive.replace(tzinfo=moment.tzinfo).astimezone(UTC) == moment.astimezone(UTC) else moment


def put(text: str, path: tuple[str | int, ...], value: Any) -> str:
    key = str(path[-1])
    if OPEN in yaml_edits.text_at(text, path):
        raise CannotEdit(f"{shown(key)} comes from a {{{{ … }}}}.")
    if value is GONE:
        return yaml_edits.remove(text, path)
    refuse_templating(key, key)
    refuse_templating(value, key)
    return yaml_edits.set_value(text, path, value)


def refuse_templating(value: Any, key: str) -> None:
    """What is typed on a page must not be filled in from the environment when the file is read."""
    if any(mark in text for text in texts_in(value) for mark in TEMPLATING):
        raise Refusal(
            f"{shown(key)}: {{{{ … }}}} is only read in the file itself.",
            field=key if key in (*PLAIN, "name") else "variables",
            hint="Write it there by hand, or leave it out.",
            code="conflict",
        )


def texts_in(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for name, each in value.items():
            yield str(name)
            yield from texts_in(each)
    elif isinstance(value, list | tuple):
        for each in value:
            yield from texts_in(each)


def entry_of(schedule: PipelineSchedule) -> dict[str, Any]:
    """Return a new entry for a row: what is as it would be without saying so is left out."""
    values = values_in_file(schedule)
    is_timed = bool(schedule.schedule_interval)
    moments = {name: values[name] and wall_clock(values[name]) for name in ("start_time", "end_time")}
    entry = {
        "name": schedule.name,
        "schedule_type": str(schedule.schedule_type),
        "schedule_interval": schedule.schedule_interval if is_timed else None,
        "timezone": schedule.timezone,
        **moments,
        "status": schedule.status,
        **{name: values[name] for name in ("description", "tags", "variables", "sla", "settings")},
    }
    return {key: value for key, value in entry.items() if value not in (None, "", [], {})}


# --- the file as it would be ----------------------------------------------------------------------------------------


def check_result(opened: Opened, text: str, entry: Entry, wanted: list[Entry]) -> None:
    """Refuse a text that cannot be read, or that says anything else than what is wanted."""
    try:
        after = read(opened, text).entries
    except BrokenTriggers as broken:
        raise refused(opened, entry, str(broken)) from None
    if [each.digest() for each in after] != [each.digest() for each in wanted]:
        raise refused(opened, entry, "Other values there would change with it.")


def refused(opened: Opened, entry: Entry, reason: str) -> Refusal:
    return Refusal(
        f"This cannot be written into {opened.path} line {entry.line}: {reason}",
        field="triggers",
        hint="Change it in the file.",
        code="conflict",
    )
