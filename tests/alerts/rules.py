"""Rules and breaches for tests: the least that is valid."""

from typing import Any

from alerts import incidents
from alerts.models import AlertRule, Incident, Kind, Severity
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
