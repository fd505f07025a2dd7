"""What must never be: an SLA that passed, a rule that wants to know of it, and no breach."""

from datetime import datetime, timedelta

from django.db.models import Max

from alerts.models import AlertRule, Breach, Kind
from alerts.watching import ended
from alerts.watching.look import Subject, covers
from alerts.watching.service_levels import keys_of
from runs.models import Event
from schedules.reasons.invariants import GRACE, LATELY, Finding

LOOKED_AT = 5000  # newest events
MOST = 20


def find(moment: datetime) -> list[Finding]:
    """Return SLAs that passed in the last ten minutes, more than a minute ago, and that no rule was told of."""
    rules = [rule for rule in AlertRule.objects.active() if rule.kind == Kind.SLA]
    if not rules:
        return []
    newest = Event.objects.aggregate(newest=Max("pk"))["newest"] or 0
    lines = Event.objects.filter(pk__gt=newest - LOOKED_AT, kind="sla_passed")
    ids = lines.filter(happened_at__gt=moment - LATELY, happened_at__lt=moment - GRACE).values_list("pk", flat=True)
    passed = ended.read(ids[:LOOKED_AT])
    named = keys_of(passed)
    keys = [*named.values(), *(f"event {event.pk}" for event in passed)]  # as older releases named them
    known = set(Breach.objects.filter(rule__in=rules, key__in=keys).values_list("rule", "key")) if keys else set()
    return [
        Finding(
            "unalerted", "run", event.pipeline_run_id, f"Run {event.pipeline_run_id} passed an SLA; {rule} is silent."
        )
        for event in passed
        for rule in rules
        if should_know(rule, event) and not {(rule.pk, named[event.pk]), (rule.pk, f"event {event.pk}")} & known
    ][:MOST]


def should_know(rule: AlertRule, event: Event) -> bool:
    """Tell whether the rule, as it has been since before it happened, is about the event."""
    block_uuid = event.block_run.block_uuid if event.block_run else ""
    is_older = max(rule.created_at, rule.updated_at) < event.happened_at - timedelta(seconds=1)
    return is_older and covers(rule, Subject.of(event.pipeline_run, block_uuid))
