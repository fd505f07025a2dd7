"""An SLA that passed without a breach must never be: it is shown with the other findings."""

from datetime import timedelta

import pytest

from alerts import unalerted
from alerts.models import AlertRule, Breach, Kind
from runs.models import PipelineRun
from schedules.reasons import invariants
from tests.alerts.rules import begun, happens, make_rule
from tests.factories import NOON, make_run

pytestmark = pytest.mark.django_db
MINUTE = timedelta(minutes=1)
BEFORE = {"created_at": NOON - MINUTE, "updated_at": NOON - MINUTE}


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch) -> PipelineRun:
    AlertRule.objects.all().delete()
    monkeypatch.setattr("alerts.watching.health.storage.problems", lambda host: [])
    return make_run()


def found(minutes: int) -> list[str]:
    return [each.detail for each in unalerted.find(NOON + minutes * MINUTE)]


def test_an_sla_that_no_rule_was_told_of_is_found(run: PipelineRun) -> None:
    make_rule(Kind.SLA, name="slas", **BEFORE)
    happens(run, "sla_passed", NOON)
    assert found(1) == []
    assert found(2) == [f"Run {run.pk} passed an SLA; slas is silent."]
    assert [each.kind for each in invariants.find(NOON + 2 * MINUTE)].count("unalerted") == 1
    assert found(11) == []


def test_what_was_told_is_no_finding(run: PipelineRun) -> None:
    make_rule(Kind.SLA, **BEFORE)
    evaluator = begun()
    happens(run, "sla_passed", NOON)
    evaluator.look(NOON)
    assert Breach.objects.count() == 1
    assert found(2) == []


def test_a_rule_for_others_or_made_since_needs_not_know(run: PipelineRun) -> None:
    make_rule(Kind.SLA, tag="nightly", **BEFORE)
    make_rule(Kind.SLA, created_at=NOON, updated_at=NOON + MINUTE)
    make_rule(Kind.RUN_FAILED, **BEFORE)
    happens(run, "sla_passed", NOON)
    assert found(2) == []
