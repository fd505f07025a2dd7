"""An incident is what is wrong: opened once, told of each breach once, changed by people, closed on recovery."""

from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User

from alerts import incidents
from alerts.models import Breach, Change, Incident, Severity, Step
from pipelines.refusal import Refusal
from runs.models import PipelineRun
from runs.states import BlockStatus, RunStatus
from tests.alerts.rules import make_incident, make_rule
from tests.factories import NOON, make_run

pytestmark = pytest.mark.django_db
LATER = NOON + timedelta(minutes=5)
ONE_FAILED = {"load": BlockStatus.FAILED, "clean": BlockStatus.UPSTREAM_FAILED, "save": BlockStatus.UPSTREAM_FAILED}


def steps(incident: Incident) -> list[str]:
    return list(incident.changes.order_by("id").values_list("step", flat=True))


def test_the_first_breach_opens_an_incident() -> None:
    rule = make_rule(severity="critical", runbook_url="https://wiki.example/etl")
    incident = make_incident(rule, run_id=7, block_uuid="load", happened_at=NOON - timedelta(seconds=3))
    assert (incident.severity, incident.runbook_url, incident.run_id) == ("critical", "https://wiki.example/etl", 7)
    assert incident.opened_at == NOON - timedelta(seconds=3)
    assert steps(incident) == [Step.OPENED]
    assert Breach.objects.get().incident == incident


def test_a_breach_is_written_once_whoever_looks_again() -> None:
    rule = make_rule()
    make_incident(rule)
    again: dict[str, Any] = {"fingerprint": "run_failed of etl", "title": "Runs of etl fail"}
    assert incidents.record(rule, "run 1", LATER, **again) is None
    assert (Breach.objects.count(), Change.objects.count()) == (1, 1)


def test_further_breaches_of_the_same_trouble_are_counted() -> None:
    rule = make_rule()
    first = make_incident(rule)
    second = make_incident(rule, key="run 2", moment=LATER, message="Run 2 failed.", run_id=2)
    assert second == first
    second.refresh_from_db()
    assert (second.breaches_count, second.last_seen_at, second.detail, second.run_id) == (2, LATER, "Run 2 failed.", 2)
    assert steps(second) == [Step.OPENED, Step.SEEN_AGAIN]


def test_many_at_once_are_one_line_of_its_history() -> None:
    rule = make_rule()
    found = [
        incidents.Found(key=f"run {number}", title="etl failed", happened_at=NOON, message=f"Run {number} failed.")
        for number in range(1, 6)
    ]
    incidents.record_all(rule, "run_failed of etl", found[:1], NOON)
    incident = incidents.record_all(rule, "run_failed of etl", found, LATER)
    assert incident is not None
    assert (incident.breaches_count, Breach.objects.count()) == (5, 5)
    assert [change.message for change in incident.changes.order_by("id")] == [
        "etl failed",
        "4 times more, the latest: Run 5 failed.",
    ]


def test_another_trouble_is_another_incident() -> None:
    rule = make_rule()
    assert make_incident(rule) != make_incident(rule, key="run 2", fingerprint="run_failed of other")


def test_an_incident_escalates_when_a_breach_is_worse_and_stays_there() -> None:
    rule = make_rule()
    make_incident(rule)
    make_incident(rule, key="run 2", severity=Severity.CRITICAL)
    incident = make_incident(rule, key="run 3")
    incident.refresh_from_db()
    assert incident.severity == Severity.CRITICAL
    assert steps(incident) == [Step.OPENED, Step.ESCALATED, Step.SEEN_AGAIN]


def test_recovery_closes_it_and_says_how_long_it_lasted() -> None:
    incident = make_incident()
    closed = incidents.recover("run_failed of etl", NOON + timedelta(hours=2, minutes=5), "run 9 completed")
    assert closed == incident
    assert closed is not None
    assert (closed.state, closed.closed_by, closed.close_reason) == ("closed", "", "run 9 completed")
    assert closed.changes.latest("id").message == "run 9 completed; it lasted 2 h 5 min"


def test_recovery_of_what_is_well_is_nothing() -> None:
    assert incidents.recover("run_failed of etl", NOON, "run 9 completed") is None


def test_after_its_end_the_same_trouble_is_a_new_incident() -> None:
    rule = make_rule()
    first = make_incident(rule)
    incidents.recover("run_failed of etl", LATER, "run 9 completed")
    assert make_incident(rule, key="run 10") != first


def test_a_muted_breach_is_marked_and_the_first_that_is_not_is_told_again() -> None:
    rule = make_rule()
    make_incident(rule, muted_by="night shift")
    make_incident(rule, key="run 2", muted_by="night shift")
    incident = make_incident(rule, key="run 3", moment=LATER)
    make_incident(rule, key="run 4", moment=LATER)
    assert steps(incident) == [Step.OPENED, Step.SEEN_AGAIN, Step.RENOTIFIED, Step.SEEN_AGAIN]
    assert [breach.muted_by for breach in Breach.objects.order_by("id")] == ["night shift", "night shift", "", ""]


def test_whoever_acknowledges_first_has_it() -> None:
    incident = incidents.acknowledge(make_incident(), LATER, "ada")
    incident = incidents.acknowledge(incident, LATER + timedelta(hours=1), "bob")
    assert (incident.state, incident.acknowledged_by, incident.acknowledged_at) == ("acknowledged", "ada", LATER)
    assert steps(incident) == [Step.OPENED, Step.ACKNOWLEDGED]


def test_it_is_given_to_somebody_and_to_nobody(ada: User) -> None:
    incident = incidents.assign(make_incident(), LATER, "bob", ada)
    assert incident.assignee == ada
    incident = incidents.assign(incident, LATER, "bob", None)
    assert Incident.objects.get().assignee is None
    assert [change.message for change in incident.changes.filter(step=Step.ASSIGNED)] == ["to ada", "to nobody"]


def test_snoozed_it_is_loud_for_nobody_until_it_is_woken() -> None:
    incident = incidents.snooze(make_incident(), NOON, "ada", NOON + timedelta(hours=4))
    assert incident.state == "snoozed"
    assert not Incident.objects.loud(LATER).exists()
    incident = incidents.wake(incidents.wake(incident, LATER, "ada"), LATER, "ada")
    assert Incident.objects.loud(LATER).exists()
    assert steps(incident) == [Step.OPENED, Step.SNOOZED, Step.WOKEN]


@pytest.mark.parametrize("hours", [-1, 0, 24 * 91])
def test_a_snooze_ends_in_the_next_ninety_days(hours: int) -> None:
    with pytest.raises(Refusal, match="not within the next 90 days") as caught:
        incidents.snooze(make_incident(), NOON, "ada", NOON + timedelta(hours=hours))
    assert caught.value.field == "until"


@pytest.mark.parametrize("text", ["", "  \n", "x" * 10_001])
def test_a_note_says_something(text: str) -> None:
    with pytest.raises(Refusal, match="note"):
        incidents.note(make_incident(), NOON, "ada", text)


def test_what_is_noted_is_kept_without_what_postgres_cannot_keep() -> None:
    incident = incidents.note(make_incident(), NOON, "ada", "the disk\x00 was full")
    assert incident.changes.latest("id").message == "the disk� was full"


def test_nothing_more_is_done_to_a_closed_one() -> None:
    incident = incidents.close(make_incident(), LATER, "ada", "")
    assert (incident.closed_by, incident.close_reason) == ("ada", "closed by ada")
    acts: list[Any] = [
        lambda: incidents.acknowledge(incident, LATER, "ada"),
        lambda: incidents.assign(incident, LATER, "ada", None),
        lambda: incidents.snooze(incident, LATER, "ada", LATER + timedelta(hours=1)),
        lambda: incidents.wake(incident, LATER, "ada"),
        lambda: incidents.note(incident, LATER, "ada", "again"),
        lambda: incidents.close(incident, LATER, "ada", "again"),
        lambda: incidents.retry_all(incident, LATER, "ada"),
    ]
    for act in acts:
        with pytest.raises(Refusal, match="is closed since") as caught:
            act()
        assert caught.value.code == "conflict"


def test_all_failed_runs_of_its_breaches_begin_again() -> None:
    rule = make_rule()
    runs = [make_run(status=RunStatus.FAILED, blocks=ONE_FAILED) for _ in range(3)]
    fine = make_run(status=RunStatus.COMPLETED)
    for run in [*runs, fine]:
        incident = make_incident(rule, key=f"run {run.pk}", run_id=run.pk)
    PipelineRun.objects.filter(pk=runs[0].pk).update(is_kept=True)
    assert incidents.retry_all(incident, LATER, "ada") == 3
    assert PipelineRun.objects.filter(status=RunStatus.RUNNING).count() == 3
    assert incident.changes.latest("id").message == "3 of 3 failed runs began again"
    assert incidents.retry_all(incident, LATER, "ada") == 0
