"""Rules and breaches for tests: the least that is valid."""

from datetime import datetime
from typing import Any

from alerts import incidents
from alerts.evaluating import Evaluator
from alerts.models import AlertRule, Incident, Kind, Severity
from runs import events
from runs.models import PipelineRun
from runs.states import RunStatus
from tests.factories import NOON


def make_rule(kind: str = Kind.RUN_FAILED, **fields: Any) -> AlertRule:
    name = fields.pop("name", f"rule {AlertRule.objects.count() + 1}")
    defaults = {"severity": Severity.WARNING, "created_at": NOON, "updated_at": NOON}
    return AlertRule.objects.create(name=name, kind=kind, **defaults | fields)


def make_incident(rule: AlertRule | None = None, *, key: str = "run 1", **fields: Any) -> Incident:
    """An incident opened by a breach, at noon unless said otherwise."""
    defaults = {"fingerprint": "run_failed of etl", "title": "Runs of etl fail", "message": "Run 1 failed."}
    moment = fields.pop("moment", NOON)
    found = incidents.record(rule or make_rule(), key, moment, **defaults | fields)
    assert found is not None
    return found


def begun(moment: datetime = NOON) -> Evaluator:
    """An evaluator that has looked once: what is there already is no news to it."""
    evaluator = Evaluator()
    evaluator.look(moment)
    return evaluator


def happens(run: PipelineRun, kind: str, moment: datetime, message: str = "", block: str = "") -> None:
    """Write down an event of a run, or of a block of it."""
    block_run = run.block_runs.get(block_uuid=block) if block else None
    events.note(run, kind, moment, message, block_run=block_run)


def ends(run: PipelineRun, status: RunStatus, moment: datetime, message: str = "") -> None:
    """End a run that goes on, with the event that says so."""
    assert run.move_to(status, completed_at=moment, reason=message)
    happens(run, status, moment, message)


def open_incidents() -> list[str]:
    return [each.title for each in Incident.objects.open().order_by("id")]
