"""Incidents over the API: listed, told whole, acted on, and what is refused."""

from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from alerts import incidents
from alerts.models import Kind
from runs.states import BlockStatus, RunStatus
from tests.alerts.facts import make_incident, make_many
from tests.factories import make_client, make_pipeline, make_run, make_user

pytestmark = pytest.mark.django_db
INCIDENTS = "/api/v1/incidents"


def listed(**query: Any) -> list[str]:
    answer = make_client().get(INCIDENTS, query)
    assert answer.status_code == 200, answer.content
    return [row["title"] for row in answer.json()["results"]]


def problem(answer: Any, status: int = 400) -> dict[str, Any]:
    assert answer.status_code == status, answer.content
    assert answer["Content-Type"] == "application/problem+json"
    found: dict[str, Any] = answer.json()
    return found


def test_incidents_are_listed_by_state_severity_pipeline_assignee_and_words() -> None:
    now, bob = timezone.now(), make_user("bob")
    failed = make_incident("etl failed", pipeline=make_pipeline())
    make_incident("late", kind=Kind.SLA)
    slept, closed = make_incident("slept"), make_incident("closed")
    incidents.assign(failed, now, "ada", bob)
    incidents.acknowledge(failed, now, "ada")
    incidents.snooze(slept, now, "ada", now + timedelta(hours=1))
    incidents.close(closed, now, "ada", "")

    assert listed() == ["closed", "slept", "late", "etl failed"]
    states = {state: listed(state=state) for state in ("open", "acknowledged", "snoozed", "closed")}
    assert states == {"open": ["late"], "acknowledged": ["etl failed"], "snoozed": ["slept"], "closed": ["closed"]}
    assert listed(severity="warning") == ["late"]
    assert listed(pipeline_uuid="etl") == listed(assignee="bob") == listed(q="etl") == ["etl failed"]
    assert listed(order="last_seen_at", limit=1) == ["etl failed"]


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ({"state": "all"}, "state"),
        ({"state": "a\x00"}, "state"),
        ({"severity": "loud"}, "severity"),
        ({"stat": "open"}, "stat"),
        ({"rule_id": "one"}, "rule_id"),
        ({"opened_at__gte": "yesterday"}, "opened_at__gte"),
        ({"order": "title"}, "order"),
    ],
)
def test_a_parameter_that_is_not_known_is_refused(query: dict[str, str], field: str) -> None:
    assert problem(make_client().get(INCIDENTS, query))["errors"][0]["field"] == field


def test_one_incident_is_told_with_its_history_and_breaches() -> None:
    incident = make_incident(run_id=7)
    incidents.note(incident, timezone.now(), "ada", "<b>short</b> feed")

    told = make_client().get(f"{INCIDENTS}/{incident.pk}").json()

    assert (told["state"], told["severity"], told["run_id"], told["assignee"]) == ("open", "critical", 7, None)
    assert [change["step"] for change in told["changes"]] == ["noted", "opened"]
    assert told["changes"][0]["message"] == "<b>short</b> feed"
    assert told["breaches"][0]["run_id"] == 7


def test_an_incident_is_acted_on_by_verbs() -> None:
    client, incident = make_client(), make_incident()
    make_user("bob")

    def act(verb: str, body: Any = None) -> dict[str, Any]:
        answer = client.post(f"{INCIDENTS}/{incident.pk}/{verb}", body)
        assert answer.status_code == 200, answer.content
        found: dict[str, Any] = answer.json()
        return found

    assert act("acknowledge")["acknowledged_by"] == "ada"
    assert act("assign", {"user": "bob"})["assignee"] == "bob"
    assert act("assign", {"user": None})["assignee"] is None
    assert act("snooze", {"for": 3600})["state"] == "snoozed"
    assert act("wake")["state"] == "acknowledged"
    assert act("snooze", {"until": (timezone.now() + timedelta(days=1)).isoformat()})["snoozed_until"]
    assert act("note", {"text": "asked the owners"})["id"] == incident.pk
    assert act("close", {"reason": "repaired"})["close_reason"] == "repaired"
    refused = problem(client.post(f"{INCIDENTS}/{incident.pk}/acknowledge"), 409)
    assert "is closed since" in refused["detail"]


@pytest.mark.parametrize(
    ("verb", "body", "field"),
    [
        ("assign", {}, "user"),
        ("assign", {"user": "nobody"}, "user"),
        ("assign", {"user": 7}, "user"),
        ("assign", {"user": "bob", "group": 1}, "group"),
        ("snooze", {}, "until"),
        ("snooze", {"for": "1 h"}, "for"),
        ("snooze", {"for": 60, "until": "2030-01-01T00:00:00Z"}, "until"),
        ("snooze", {"until": "2020-01-01T00:00:00Z"}, "until"),
        ("note", {"text": "  "}, "text"),
        ("note", {"text": "a\x00b"}, "text"),
        ("note", {"text": "x" * 5000}, "text"),
        ("close", {"reason": ["x"]}, "reason"),
    ],
)
def test_a_body_that_makes_no_sense_is_refused_and_names_its_field(verb: str, body: Any, field: str) -> None:
    incident = make_incident()

    found = problem(make_client().post(f"{INCIDENTS}/{incident.pk}/{verb}", body))

    assert [error["pointer"] for error in found["errors"]] == [f"/{field}"]
    assert incident.changes.count() == 1


def test_all_of_it_is_counted_and_then_retried() -> None:
    run = make_run(status=RunStatus.FAILED, blocks={"load": BlockStatus.FAILED})
    client, incident = make_client(), make_incident(run_id=run.pk)
    address = f"{INCIDENTS}/{incident.pk}/retry"

    assert client.post(f"{address}?dry_run=true").json() == {"count": 1, "dry_run": True}
    assert client.post(address).json() == {"count": 1, "dry_run": False}
    assert client.post(address).json()["count"] == 0
    assert problem(client.post(f"{address}?dry_run=perhaps"))["errors"][0]["field"] == "dry_run"


def test_an_incident_that_is_not_there_is_a_404() -> None:
    assert problem(make_client().get(f"{INCIDENTS}/4711"), 404)
    assert problem(make_client().post(f"{INCIDENTS}/4711/close"), 404)


def test_those_that_one_stands_for_are_listed_by_it_or_left_out() -> None:
    incident = make_many(6)
    address, members = f"{INCIDENTS}/{incident.pk}", [f"load_{number} failed" for number in range(6)]

    assert listed(gathered_in_id=incident.pk, order="id") == listed(is_member="true", order="id") == members
    assert listed(is_member="false") == ["6 pipelines failed since 12:00 UTC"]
    told = make_client().get(address).json()
    assert (told["members_count"], told["gathered_in_id"], len(told["breaches"])) == (6, None, 6)
    assert make_client().post(f"{address}/retry?dry_run=true").json() == {"count": 6, "dry_run": True}
    make_client().post(f"{address}/close", {"reason": "the database is back"})
    assert {member.close_reason for member in incident.members.all()} == {"the database is back"}
