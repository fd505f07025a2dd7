"""One look of the evaluator: the rules as they are now, what is open, what is muted, and how a breach is written."""

import hashlib
import logging
import time
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import cached_property
from itertools import chain
from typing import Any

from django.db import InterfaceError, OperationalError
from django.db.models import Q

from alerts import gathering, incidents, kinds
from alerts.models import AlertRule, Incident
from pipelines.models import Pipeline
from pipelines.refusal import Refusal
from runs.models import PipelineRun
from schedules.days import windows
from schedules.days.maintenance import Effect, MaintenanceWindow
from schedules.models import PipelineSchedule

logger = logging.getLogger(__name__)
TURN = 0.2  # seconds of a part of a look
MOST_OPEN = 5000
MOST_SAID = 200_000
LONGEST_NAME = 80


@dataclass(frozen=True)
class Watched:
    """A rule and what it is told."""

    rule: AlertRule
    told: kinds.Settings


@dataclass(frozen=True)
class Subject:
    """What a breach is about: a pipeline, mostly with a run, perhaps a block of it."""

    pipeline: Pipeline
    trigger_id: int | None = None
    trigger_name: str = ""
    block_uuid: str = ""
    run_id: int | None = None
    executor: str = ""

    @classmethod
    def of(cls, run: PipelineRun, block_uuid: str = "") -> "Subject":
        return cls(run.pipeline, run.trigger_id, run.trigger_name, block_uuid, run.pk, run.executor)

    def at(self, block_uuid: str) -> "Subject":
        return replace(self, block_uuid=block_uuid)

    @property
    def name(self) -> str:
        whole = f"{self.pipeline.uuid} ({self.trigger_name})" if self.trigger_name else self.pipeline.uuid
        return f"{self.block_uuid} of {whole}" if self.block_uuid else whole


@dataclass
class Memory:
    """What one process has said before, so that it needs not ask the database. Losing it loses nothing."""

    said: set[str] = field(default_factory=set)
    logged: set[str] = field(default_factory=set)

    def knows(self, what: str) -> bool:
        """Tell whether this was asked before; it is from now on."""
        if len(self.said) > MOST_SAID:
            self.said.clear()
        known = what in self.said
        self.said.add(what)
        return known


class Look:
    """What one pass knows. Everything is asked for when it is first needed, and once."""

    def __init__(self, moment: datetime, memory: Memory | None = None) -> None:
        self.moment = moment
        self.memory = memory or Memory()
        self.by_kind: dict[str, list[Watched]] = defaultdict(list)
        self.begin_part()
        self.opened: dict[str, Incident] | None = None
        self.pending: dict[tuple[int, str], tuple[AlertRule, list[incidents.Found]]] = {}
        self.triggers: dict[int, list[str]] = {}
        for rule in AlertRule.objects.active().select_related("pipeline").order_by("id"):
            self.take(rule)

    def take(self, rule: AlertRule) -> None:
        """Count a rule in; one that cannot be read is left out, which is said once."""
        try:
            self.by_kind[rule.kind].append(Watched(rule, kinds.read(rule.kind, rule.settings)))
        except Refusal as refusal:
            problem = f"the alert rule {rule.name} is not evaluated: {refusal}"
            if problem not in self.memory.logged:
                self.memory.logged.add(problem)
                logger.warning("%s", problem)

    def begin_part(self) -> None:
        """Give the next part of the look its time, whatever those before took."""
        self.until = time.monotonic() + TURN

    @property
    def is_over(self) -> bool:
        """Tell whether the rest of a part is to be left for the next look: the loop has other duties."""
        return time.monotonic() > self.until

    # --- rules

    def has(self, *wanted: str) -> bool:
        return any(self.by_kind.get(kind) for kind in wanted)

    def rules(self, kind: str, subject: Subject | None = None) -> Iterator[Watched]:
        """Return the rules of a kind that are about the subject, or all of them."""
        for watched in self.by_kind.get(kind, ()):
            if subject is None or covers(watched.rule, subject):
                yield watched

    @cached_property
    def rules_key(self) -> str:
        """Return what changes when a rule does."""
        changed = max((each.rule.updated_at for found in self.by_kind.values() for each in found), default=self.moment)
        return changed.isoformat()

    # --- breaches and recoveries

    def breaks(
        self,
        rule: AlertRule,
        key: str,
        subject: Subject | None,
        *,
        title: str,
        message: str,
        at: datetime | None = None,
        fingerprint: str = "",
        severity: str = "",
    ) -> None:
        """Have a breach written down with the next `flush`, if it is a new one."""
        if f"{rule.pk} {key}" in self.memory.said:
            return
        about: dict[str, Any] = {}
        if subject is not None:
            fingerprint = fingerprint or fingerprint_of(rule, subject)
            about = {"pipeline": subject.pipeline, "trigger_id": subject.trigger_id, "run_id": subject.run_id}
            about["block_uuid"] = subject.block_uuid
        at = at or self.moment
        found = incidents.Found(
            key=key,
            title=title,
            message=message,
            severity=severity,
            happened_at=at,
            muted_by=self.muted_by(at, subject),
            **about,
        )
        self.pending.setdefault((rule.pk, fingerprint), (rule, []))[1].append(found)

    def flush(self, pipeline_id: int | None = None) -> None:
        """Write down what was found, of one pipeline or all of it; what cannot be does not stop the rest."""
        by_rule: dict[int, tuple[AlertRule, dict[str, list[incidents.Found]]]] = {}
        for (rule_id, fingerprint), (rule, found) in list(self.pending.items()):
            pipeline = found[0].pipeline
            if pipeline_id is not None and (pipeline is None or pipeline.pk != pipeline_id):
                continue
            del self.pending[rule_id, fingerprint]
            by_rule.setdefault(rule_id, (rule, {}))[1][fingerprint] = found
        for rule, troubles in by_rule.values():
            self.write(rule, troubles)
            for each in chain.from_iterable(troubles.values()):
                self.memory.knows(f"{rule.pk} {each.key}")

    def write(self, rule: AlertRule, troubles: dict[str, list[incidents.Found]]) -> None:
        try:
            for fingerprint, incident in gathering.record_all(rule, troubles, self.moment).items():
                self.keep(fingerprint, incident)
        except (OperationalError, InterfaceError):
            raise
        except Exception:  # one of many: it is named, and left out
            if len(troubles) == 1:
                logger.exception("a breach of the rule %s could not be written: %s", rule, next(iter(troubles)))
                return
            for fingerprint, found in troubles.items():
                self.write(rule, {fingerprint: found})

    def keep(self, fingerprint: str, found: Incident | None) -> None:
        """Know of what was opened; what another evaluator wrote, or what was gathered, is read again."""
        if found is None or found.gathered_in_id is not None:
            self.opened = None
        elif self.opened is not None:
            self.opened[fingerprint] = found

    def open(self) -> dict[str, Incident]:
        """Return the open incidents by their fingerprints, with those that were just found."""
        self.flush()
        return self.known_open()

    def open_of(self, pipeline_id: int) -> list[Incident]:
        """Return the open incidents of a pipeline."""
        self.flush(pipeline_id)
        return [each for each in self.known_open().values() if each.pipeline_id == pipeline_id]

    def known_open(self) -> dict[str, Incident]:
        if self.opened is None:
            rows = Incident.objects.open().select_related("rule").order_by("-last_seen_at")[:MOST_OPEN]
            self.opened = {row.fingerprint: row for row in rows}
        return self.opened

    def heal(self, fingerprint: str, reason: str, moment: datetime | None = None) -> None:
        """Close an incident, because what was wrong is well again."""
        incidents.recover(fingerprint, moment or self.moment, reason)
        if self.opened is not None:
            self.opened.pop(fingerprint, None)

    # --- maintenance windows

    @cached_property
    def windows(self) -> list[MaintenanceWindow]:
        return list(MaintenanceWindow.objects.filter(~Q(effect=Effect.HOLD_STARTS), is_active=True).order_by("id"))

    def muted_by(self, at: datetime, subject: Subject | None = None) -> str:
        """Return the name of the maintenance window that keeps what happened then from being told, or ""."""
        spans = [(window, windows.read(window, lambda each: each.opening_at(at))) for window in self.windows]
        open_then = [
            windows.OpenWindow(each.pk, each.name, each.reason, span[1], each.scope, each.value, each.effect)
            for each, span in spans
            if span
        ]
        if not open_then:
            return ""
        pipeline, executor = (subject.pipeline.uuid, subject.executor) if subject else ("", "")
        tags = self.tags(subject) if subject else []
        found = windows.muting(open_then, pipeline=pipeline, tags=tags, executor=executor)
        return found.name if found else ""

    def tags(self, subject: Subject) -> list[str]:
        """Return the tags of the pipeline and of the trigger, as the windows that hold starts count them."""
        trigger_id = subject.trigger_id
        if trigger_id is not None and trigger_id not in self.triggers:
            found = PipelineSchedule.objects.filter(pk=trigger_id).values_list("tags", flat=True).first()
            self.triggers[trigger_id] = found or []
        return [*subject.pipeline.tags, *self.triggers.get(trigger_id or 0, [])]


def covers(rule: AlertRule, subject: Subject) -> bool:
    """Tell whether the subject is in the scope of the rule."""
    if rule.pipeline_id is not None and rule.pipeline_id != subject.pipeline.pk:
        return False
    if rule.tag and rule.tag not in subject.pipeline.tags:
        return False
    if rule.trigger_id is not None and rule.trigger_id != subject.trigger_id:
        return False
    return not rule.block_uuid or rule.block_uuid == subject.block_uuid


def fingerprint_of(rule: AlertRule, subject: Subject) -> str:
    """Return what is the same for breaches of the same trouble: rule, pipeline, trigger and block."""
    block = subject.block_uuid
    if len(block) > LONGEST_NAME:
        block = hashlib.sha256(block.encode()).hexdigest()
    return f"rule {rule.pk} pipeline {subject.pipeline.pk} trigger {subject.trigger_id or 0} block {block}".strip()


def about_all(rule: AlertRule, name: str) -> str:
    """Return the fingerprint of a trouble of the whole installation."""
    return f"rule {rule.pk} {name}"[:200]
