"""Moments that came to nothing are told of, whenever that was decided and however late it was committed."""

from datetime import timedelta
from typing import Any

import pytest

from alerts.models import Breach, Kind
from alerts.watching import ledger
from runs.models import Origin
from runs.states import RunStatus
from schedules.models import Decision, Occurrence, PipelineSchedule
from tests.alerts.rules import begun, ends, make_rule, open_incidents
from tests.factories import NOON, make_run, make_schedule

pytestmark = pytest.mark.django_db
MINUTE = timedelta(minutes=1)


def pass_over(schedule: PipelineSchedule, minute: int, decision: Decision = Decision.MISSED, **fields: Any) -> None:
    at = NOON + minute * MINUTE
    defaults = {"scheduled_for": at, "decided_at": at, "decision": decision, "reason": "downtime"}
    Occurrence.objects.create(pipeline=schedule.pipeline, schedule=schedule, **defaults | fields)


def test_missed_and_expired_moments_are_told_of_and_skipped_ones_if_asked_for() -> None:
    make_rule(Kind.OCCURRENCE_MISSED, name="lost", settings={"decisions": ["missed", "expired"]})
    make_rule(Kind.OCCURRENCE_MISSED, name="skipped", settings={"decisions": ["skipped"]})
    evaluator, schedule = begun(), make_schedule()
    for minute, decision in enumerate([Decision.MISSED, Decision.EXPIRED, Decision.SKIPPED, Decision.STARTED], 1):
        pass_over(schedule, minute, decision)
    evaluator.look(NOON + 5 * MINUTE)
    found = [(each.rule.name, each.message) for each in Breach.objects.order_by("id")]
    assert found == [
        ("lost", "The moment 2025-03-02 12:01 UTC was missed: downtime"),
        ("lost", "The moment 2025-03-02 12:02 UTC was expired: downtime"),
        ("skipped", "The moment 2025-03-02 12:03 UTC was skipped: downtime"),
    ]


def test_what_was_decided_before_the_first_look_is_no_news() -> None:
    make_rule(Kind.OCCURRENCE_MISSED)
    pass_over(make_schedule(), -1)
    evaluator = begun()
    evaluator.look(NOON + MINUTE)
    assert not Breach.objects.exists()


def test_a_decision_that_is_committed_late_is_found() -> None:
    make_rule(Kind.OCCURRENCE_MISSED)
    evaluator, schedule = begun(), make_schedule()
    pass_over(schedule, 5)
    evaluator.look(NOON + 5 * MINUTE)
    pass_over(schedule, 4)
    evaluator.look(NOON + 6 * MINUTE)
    begun(NOON + 6 * MINUTE)
    assert Breach.objects.count() == 2


def test_a_later_run_of_the_trigger_closes_it() -> None:
    make_rule(Kind.OCCURRENCE_MISSED)
    evaluator, schedule = begun(), make_schedule()
    pass_over(schedule, 1)
    evaluator.look(NOON + MINUTE)
    daily: dict[str, Any] = {"trigger_id": schedule.pk, "trigger_name": "daily", "origin": Origin.SCHEDULE}
    ends(make_run(**daily, created_at=NOON), RunStatus.COMPLETED, NOON + 2 * MINUTE)
    evaluator.look(NOON + 2 * MINUTE)
    assert open_incidents() == ["Moments of etl (daily) are missed"]
    ends(make_run(**daily, created_at=NOON + 3 * MINUTE), RunStatus.COMPLETED, NOON + 4 * MINUTE)
    evaluator.look(NOON + 4 * MINUTE)
    assert open_incidents() == []


def test_many_triggers_at_once_are_one_trouble_until_it_is_quiet(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ledger, "MANY", 2)
    make_rule(Kind.OCCURRENCE_MISSED)
    evaluator = begun()
    for number in range(3):
        pass_over(make_schedule(name=f"trigger {number}"), 1)
    evaluator.look(NOON + MINUTE)
    assert (Breach.objects.count(), open_incidents()) == (3, ["Moments of many triggers are missed"])
    evaluator.look(NOON + 15 * MINUTE)
    assert len(open_incidents()) == 1
    evaluator.look(NOON + 17 * MINUTE)
    assert open_incidents() == []


def test_many_decisions_are_read_in_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ledger, "AT_ONCE", 3)
    make_rule(Kind.OCCURRENCE_MISSED)
    evaluator, schedule = begun(), make_schedule()
    for minute in range(1, 11):
        pass_over(schedule, minute, decided_at=NOON + MINUTE)
    evaluator.look(NOON + MINUTE)
    assert Breach.objects.count() == 10
