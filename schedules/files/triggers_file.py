"""Reading `pipelines/<uuid>/triggers.yaml`, in Mage's format with our additions; every mistake with its line.

triggers:
- name: daily            # 1 to 100 characters, once per pipeline
  id: daily              # stays the same when the name changes, so that the history does too
  schedule_type: time    # time | api | event
  schedule_interval: '0 6 * * 1-5'
  timezone: Europe/Berlin
  start_time: 2025-03-01 00:00:00    # in the trigger's own zone unless it says otherwise; end_time likewise
  status: active         # active | inactive
  variables: {day: monday}
  sla: 3600              # seconds
  settings: {skip_if_previous_running: true}
  envs: [prod]           # only where ENV is one of these
  description, tags, token
"""

import hashlib
import json
import os
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from pipelines.fields import Fields
from pipelines.files import FileFault, TextFile, read_text, shown
from pipelines.graph import nearest
from pipelines.project import mapping_in
from pipelines.refusal import Refusal
from pipelines.templating import reveal_text
from schedules.policies import Settings, misspelt
from schedules.rules.clock_changes import instant_of
from schedules.setting_readers import InvalidSettings
from schedules.timetable import parse, read_zone

TIMING_KEYS = ("schedule_type", "schedule_interval", "timezone", "start_time", "end_time", "status")
KEYS = (
    "name",
    "id",
    *TIMING_KEYS,
    "variables",
    "sla",
    "settings",
    "envs",
    "description",
    "tags",
    "token",
    "pipeline_uuid",
)
# Mage writes these too; they say nothing about when to run.
IGNORED = frozenset({"last_enabled_at", "repo_path", "created_at", "updated_at", "global_data_product_uuid"})
ENVS = ("dev", "test", "staging", "prod")
YEAR = 31_536_000  # seconds


@dataclass(frozen=True, kw_only=True)
class Entry:
    """One trigger as the file has it, checked."""

    name: str
    description: str
    tags: list[str]
    schedule_type: str
    schedule_interval: str
    timezone: str
    start_time: datetime | None
    end_time: datetime | None
    is_active: bool
    variables: dict[str, Any]
    sla: int | None  # seconds
    settings: dict[str, Any]
    token: str
    envs: list[str]
    id: str = ""
    line: int | None = field(default=None, compare=False)  # where it begins
    setting_lines: Mapping[str, int | None] = field(default_factory=dict, compare=False)

    def digest(self) -> str:
        """Return what tells a changed entry from the one that was taken over last."""
        said = asdict(self)
        del said["line"], said["setting_lines"]
        if not self.id:
            del said["id"]
        text = json.dumps(said, sort_keys=True, default=str)
        return hashlib.sha256(text.encode(errors="surrogateescape")).hexdigest()


class BrokenTriggers(Refusal):
    """A triggers.yaml that cannot be taken over; `problems` is the list of {"file", "line", "reason", "hint"}."""

    def __init__(self, faults: list[FileFault]) -> None:
        super().__init__(str(faults[0]), field="triggers", code="invalid_triggers")
        self.problems = [fault.as_problem() for fault in faults]


@dataclass(frozen=True)
class TriggersFile:
    """The entries of one file, and what is not wrong but should be looked at (same shape as problems)."""

    entries: list[Entry]
    warnings: list[dict[str, Any]]


def triggers_path(pipeline_uuid: str) -> str:
    return f"pipelines/{pipeline_uuid}/triggers.yaml"


def read_triggers(
    root: Path, pipeline_uuid: str, *, secret: Callable[[str], str | None], env: Mapping[str, str] = os.environ
) -> TriggersFile:
    """Read and check a pipeline's file, whole; raise `BrokenTriggers` with every mistake found."""
    return triggers_in(read_source(root, pipeline_uuid), pipeline_uuid, secret=secret, env=env)


def read_source(root: Path, pipeline_uuid: str) -> TextFile:
    try:
        return read_text(root, triggers_path(pipeline_uuid))
    except FileFault as fault:
        raise BrokenTriggers([fault]) from fault


def triggers_in(
    source: TextFile, pipeline_uuid: str, *, secret: Callable[[str], str | None], env: Mapping[str, str] = os.environ
) -> TriggersFile:
    """Check the text of a pipeline's file, whole; raise `BrokenTriggers` with every mistake found."""
    faults: list[FileFault] = []
    try:
        document = mapping_in(source, env)
    except FileFault as fault:
        raise BrokenTriggers([fault]) from fault
    reading = Reading(pipeline_uuid, secret, source.text.split("\n"), faults, [])
    entries = [reading.entry(fields) for fields in Fields(document, (), faults).entries("triggers")]
    if not faults:
        reading.refuse_repeats([entry for entry in entries if entry], document.fault)
    if faults:
        raise BrokenTriggers(faults)
    return TriggersFile([entry for entry in entries if entry], reading.warnings)


@dataclass
class Reading:
    """One pass over the entries of a file."""

    pipeline_uuid: str
    secret: Callable[[str], str | None]
    source: list[str]  # lines as written, `{{ … }}` and all
    faults: list[FileFault]
    warnings: list[dict[str, Any]]

    def entry(self, fields: Fields) -> Entry | None:
        """Return the entry, or None after noting what is wrong with it."""
        known = len(self.faults)
        for key in fields.data:
            if key not in KEYS and key not in IGNORED:
                fields.fault(f"unknown key {shown(key)!r}.", key, hint=nearest(key, KEYS) or f"Use: {', '.join(KEYS)}.")
        self.check_owner(fields)
        kind = fields.choice("schedule_type", ("time", "api", "event"), "time")
        zone = self.zone(fields)
        settings = self.settings(fields)
        entry = Entry(
            name=self.name(fields),
            description=fields.text("description", limit=10_000),
            tags=fields.names("tags"),
            schedule_type=kind,
            schedule_interval=fields.text("schedule_interval", limit=10_000),
            timezone=fields.text("timezone", "UTC", limit=64),
            start_time=self.moment(fields, "start_time", zone),
            end_time=self.moment(fields, "end_time", zone),
            is_active=self.is_active(fields),
            variables=fields.mapping("variables"),
            sla=self.sla(fields),
            settings=settings,
            token=self.token(fields),
            envs=self.envs(fields),
            id=self.id(fields),
            line=fields.document.line(*fields.path),
            setting_lines={key: fields.document.line(*fields.path, "settings", key) for key in settings},
        )
        if len(self.faults) == known and kind == "time":
            self.check_timing(fields, entry)
        return entry if len(self.faults) == known else None

    def check_owner(self, fields: Fields) -> None:
        owner = fields.text("pipeline_uuid", self.pipeline_uuid)
        if owner != self.pipeline_uuid:
            message = f"pipeline_uuid is {shown(owner)!r}, but the file is that of {self.pipeline_uuid}."
            self.warn(fields, "pipeline_uuid", message, "The trigger is taken for the pipeline whose folder it is in.")

    def name(self, fields: Fields) -> str:
        name = fields.text("name", limit=10_000)
        if not name.strip() or len(name) > 100 or not name.isprintable():
            key = "name" if "name" in fields.data else ""
            fields.fault("name must have 1–100 characters.", key, hint="For example: name: daily.")
        return name

    def id(self, fields: Fields) -> str:
        """Return the text or whole number that a trigger keeps when it is renamed."""
        value = fields.data.get("id")
        text = fields.text("id", limit=10_000) if not isinstance(value, float) else ""
        if isinstance(value, float) or len(text) > 100 or not text.isprintable() or text != text.strip():
            fields.fault(
                "id must be a text of 1–100 characters or a whole number.", "id", hint="For example: id: daily."
            )
        return text

    def zone(self, fields: Fields) -> ZoneInfo:
        try:
            return read_zone(fields.text("timezone", "UTC", limit=10_000))
        except Refusal as refusal:
            fields.fault(refusal.message, "timezone", hint=refusal.hint)
            return ZoneInfo("UTC")

    def moment(self, fields: Fields, key: str, zone: ZoneInfo) -> datetime | None:
        """Return an aware moment; a time without zone is the wall clock of the trigger's own zone."""
        text = fields.text(key)
        if not text:
            return None
        try:
            found = datetime.fromisoformat(text)
        except ValueError:
            fields.fault(f"{key}: {shown(text)!r} is not a date and time.", key, hint="Write 2025-03-01 06:00:00.")
            return None
        if found.tzinfo is not None:
            return found
        local = found.replace(tzinfo=zone)
        made_up = instant_of(found, zone)
        if made_up and made_up.astimezone(zone).replace(tzinfo=None, fold=0) != found:
            hint = f"Use {made_up.astimezone(zone):%H:%M}."
            fields.fault(f"{key}: {found:%Y-%m-%d %H:%M} does not exist in {zone.key}.", key, hint=hint)
        return local

    def is_active(self, fields: Fields) -> bool:
        value = fields.data.get("status")
        if isinstance(value, bool):
            seen, word = fields.document.raw.get((*fields.path, "status"), ""), "active" if value else "inactive"
            fields.fault(f"status: {shown(seen)} is read as {str(value).lower()}.", "status", hint=f"Write {word}.")
            return False
        return fields.choice("status", ("active", "inactive"), "inactive") == "active"

    def sla(self, fields: Fields) -> int | None:
        """Return whole seconds. Yaml reads 010 as 8 and 12:30:00 as 45000, so the digits themselves are looked at."""
        value = fields.data.get("sla")
        text = fields.text("sla").removesuffix(".0")
        if not text or (text == "0" and not isinstance(value, bool)):
            return None
        if not text.isascii() or not text.isdigit() or text.startswith("0") or not 1 <= int(text[:20]) <= YEAR:
            hint = "Write a whole number of seconds from 1 to 31 536 000."
            fields.fault(f"sla: {shown(text)!r} is not a number of seconds.", "sla", hint=hint)
            return None
        return int(text)

    def settings(self, fields: Fields) -> dict[str, Any]:
        settings = fields.mapping("settings")
        try:
            Settings.from_json(settings)
        except InvalidSettings as refusal:
            key = refusal.field.removeprefix("settings.").partition(".")[0]
            line = fields.document.line(*fields.path, "settings", key)
            self.faults.append(FileFault(refusal.message, file=fields.document.file, line=line, hint=refusal.hint))
        for name, right in misspelt(settings).items():
            self.warn(fields, "settings", f"Unknown setting: {shown(name)}.", f"Did you mean {right}?")
        return settings

    def token(self, fields: Fields) -> str:
        text = fields.text("token", limit=1000)
        try:
            token = reveal_text(text, self.secret)
        except Refusal as refusal:
            fields.fault(f"token: {refusal.message}", "token", hint=refusal.hint)
            return ""
        line = fields.document.line(*fields.path, "token")
        if token and line and "{{" not in self.source[line - 1]:
            hint = f"Put the token in a secret: token: \"{{{{ secret_var('{self.pipeline_uuid}_token') }}}}\"."
            self.warn(fields, "token", "The token is in clear text.", hint)
        return token

    def envs(self, fields: Fields) -> list[str]:
        envs = fields.names("envs")
        for env in envs:
            if env not in ENVS:
                hint = nearest(env, ENVS) or f"Use: {', '.join(ENVS)}."
                fields.fault(f"envs: {shown(env)!r} is not known.", "envs", hint=hint)
        return envs

    def check_timing(self, fields: Fields, entry: Entry) -> None:
        try:
            dst = Settings.from_json(entry.settings).dst
            parse(entry.schedule_interval, entry.timezone, start=entry.start_time, end=entry.end_time, dst=dst)
        except Refusal as refusal:
            key = refusal.field if refusal.field in fields.data else ""
            fields.fault(refusal.message, key, hint=refusal.hint)

    def refuse_repeats(self, entries: list[Entry], fault: Callable[..., FileFault]) -> None:
        for key, what, hint in (
            ("name", "named", "Give each its own name."),
            ("id", "with the id", "An id stays with one trigger."),
        ):
            values = [getattr(entry, key) for entry in entries]
            for index, value in enumerate(values):
                if value and value in values[:index]:
                    message = f"There are two triggers {what} {shown(value)!r}."
                    self.faults.append(fault(message, "triggers", index, key, hint=hint))

    def warn(self, fields: Fields, key: str, message: str, hint: str) -> None:
        self.warnings.append(fields.document.fault(message, *fields.path, key, hint=hint).as_problem())
