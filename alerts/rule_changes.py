"""Alert rules are made, changed, switched and deleted: checked by one set of rules, wherever they are written."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from django.core.exceptions import ValidationError
from django.core.validators import URLValidator
from django.db import IntegrityError, transaction

from alerts import kinds
from alerts.models import AlertRule, Channel, Severity
from pipelines.models import Pipeline
from pipelines.refusal import Refusal
from schedules.models import PipelineSchedule
from schedules.rules.day_expressions import did_you_mean
from schedules.timetable import read_zone

LONGEST_NAME, LONGEST_TAG, LONGEST_BLOCK, LONGEST_URL = 200, 100, 255, 500
OFTENEST, SELDOMEST = timedelta(minutes=1), timedelta(days=30)
is_address = URLValidator(schemes=["http", "https"])


class InvalidRule(Refusal):
    """Something about an alert rule that does not make sense."""

    def __init__(self, field: str, message: str, hint: str = "") -> None:
        super().__init__(message, field=field, hint=hint, code="invalid_rule")


def create(fields: Mapping[str, Any], by: str, moment: datetime) -> AlertRule:
    """Write down a rule; raise `Refusal` for whatever does not make sense, and keep nothing then."""
    rule = AlertRule(created_by=by, created_at=moment)
    change(rule, fields, moment)
    return rule


def change(rule: AlertRule, fields: Mapping[str, Any], moment: datetime) -> None:
    """Change what is given; `channels` are channels."""
    give(rule, fields)
    for mistake in mistakes(rule):
        raise mistake
    rule.updated_at = moment
    try:
        with transaction.atomic():
            rule.save()
            if "channels" in fields:
                rule.channels.set(fields["channels"])
    except IntegrityError:  # made by another request at the same time
        raise duplicate(rule.name) from None


def give(rule: AlertRule, fields: Mapping[str, Any]) -> None:
    """Put values on a rule that nobody has checked or saved."""
    for name, value in fields.items():
        if name != "channels":
            setattr(rule, name, value)


def switch(rule: AlertRule, is_active: bool, moment: datetime) -> None:
    """Have a rule watched, or not. What it has found stays."""
    rule.is_active, rule.updated_at = is_active, moment
    rule.save(update_fields=["is_active", "updated_at"])


def delete(rule: AlertRule) -> None:
    """Remove a rule with its breaches; its incidents stay."""
    rule.delete()


def mistakes(rule: AlertRule) -> list[Refusal]:
    """Return what is wrong with a rule as it stands, one entry for each field."""
    found: list[Refusal] = []
    for check in (
        check_name,
        check_kind,
        check_severity,
        check_whom,
        check_reminders,
        check_quiet_hours,
        check_runbook,
    ):
        try:
            check(rule)
        except Refusal as mistake:
            found.append(mistake)
    return found


def check_name(rule: AlertRule) -> None:
    rule.name = rule.name.strip()
    if not (rule.name and rule.name.isprintable() and len(rule.name) <= LONGEST_NAME):
        hint = "For example “Report is late”."
        raise InvalidRule("name", f"Name: 1–{LONGEST_NAME} printable characters.", hint)
    if AlertRule.objects.filter(name=rule.name).exclude(pk=rule.pk).exists():
        raise duplicate(rule.name)


def duplicate(name: str) -> Refusal:
    return Refusal(
        f"A rule named {name} exists already.", field="name", hint="Choose another name.", code="duplicate_name"
    )


def check_kind(rule: AlertRule) -> None:
    kinds.read(rule.kind, rule.settings)


def check_severity(rule: AlertRule) -> None:
    if rule.severity not in Severity.values:
        hint = did_you_mean(str(rule.severity), Severity.values) or f"Use {', '.join(Severity.values)}."
        raise InvalidRule("severity", f"{str(rule.severity)[:80]!r} is no severity.", hint)


def check_whom(rule: AlertRule) -> None:
    """Raise Refusal when the scope names what is not there, or what this kind cannot be about."""
    rule.tag, rule.block_uuid = rule.tag.strip(), rule.block_uuid.strip()
    for name, text, longest in (("tag", rule.tag, LONGEST_TAG), ("block_uuid", rule.block_uuid, LONGEST_BLOCK)):
        if text and not (text.isprintable() and len(text) <= longest):
            raise InvalidRule(name, f"At most {longest} printable characters.", "Write it as it is in the pipeline.")
    whom = {name: getattr(rule, name) for name in ("pipeline", "tag", "trigger_id", "block_uuid")}
    kinds.check_scope(rule.kind, **whom)
    if rule.trigger_id is not None:
        trigger = PipelineSchedule.objects.filter(pk=rule.trigger_id).first()
        if trigger is None:
            raise InvalidRule("trigger_id", f"There is no trigger {rule.trigger_id}.", "Choose one of the list.")
        if rule.pipeline and trigger.pipeline_id != rule.pipeline.pk:
            hint = "Choose one of its own, or leave the pipeline empty."
            raise InvalidRule("trigger_id", f"{trigger.name} is no trigger of {rule.pipeline.uuid}.", hint)
    if rule.block_uuid and rule.pipeline:
        check_block(rule.block_uuid, blocks_of(rule.pipeline), rule.pipeline.uuid)


def check_block(uuid: str, known: Sequence[str], pipeline: str) -> None:
    if known and uuid not in known:
        raise InvalidRule("block_uuid", f"There is no block {uuid[:80]!r} in {pipeline}.", did_you_mean(uuid, known))


def blocks_of(pipeline: Pipeline) -> list[str]:
    version = pipeline.current_version
    return [block["uuid"] for block in version.graph["blocks"]] if version else []


def check_reminders(rule: AlertRule) -> None:
    every = rule.renotify_every
    if every is not None and not OFTENEST <= every <= SELDOMEST:
        hint = "Every minute at the most, every 30 days at the least; for example every 4 h. Or leave it empty."
        raise InvalidRule("renotify_every", "Reminders cannot come so often, or so seldom.", hint)


def check_quiet_hours(rule: AlertRule) -> None:
    read_zone(rule.timezone)
    if (rule.quiet_from is None) != (rule.quiet_until is None):
        name = "quiet_from" if rule.quiet_from is None else "quiet_until"
        raise InvalidRule(name, "Quiet hours have a beginning and an end.", "For example from 22:00 to 06:00.")
    if rule.quiet_from is not None and rule.quiet_from == rule.quiet_until:
        raise InvalidRule("quiet_until", "Quiet hours end when they begin.", "For example from 22:00 to 06:00.")


def check_runbook(rule: AlertRule) -> None:
    if not rule.runbook_url:
        return
    try:
        is_address(rule.runbook_url)
    except ValidationError:
        is_wrong = True
    else:
        is_wrong = len(rule.runbook_url) > LONGEST_URL
    if is_wrong:
        hint = f"For example https://wiki.example.com/runbooks/etl, at most {LONGEST_URL} characters."
        raise InvalidRule("runbook_url", "The runbook needs an http:// or https:// address.", hint)


# --- in words -------------------------------------------------------------------------------------------------------


def in_words(rule: AlertRule, channels: Iterable[Channel], trigger: str = "") -> str:
    """Return a rule as a sentence: "Tell ops of no completed run of daily_report for 6 h"."""
    names = [channel.name for channel in channels]
    told = f"Tell {', '.join(names)} of" if names else "Watch for"
    return f"{told} {kinds.sentence(rule, trigger)}"


def trigger_names(rules: Iterable[AlertRule]) -> dict[int, str]:
    """Return the names of the triggers that rules are about."""
    ids = {rule.trigger_id for rule in rules if rule.trigger_id is not None}
    return dict(PipelineSchedule.objects.filter(pk__in=ids).values_list("pk", "name")) if ids else {}
