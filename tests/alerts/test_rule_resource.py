"""Alert rules over the API: written, changed, deleted, and what is refused."""

from typing import Any

import pytest

from alerts.models import AlertRule
from tests.alerts.facts import make_channel
from tests.factories import make_client, make_pipeline

pytestmark = pytest.mark.django_db
RULES = "/api/v1/alert_rules"
SLOW = {"name": "etl is slow", "kind": "slower", "settings": {"factor": 2, "samples": 10}, "pipeline_uuid": "etl"}


@pytest.fixture(autouse=True)
def etl(db: None) -> Any:
    return make_pipeline()


def fields_of(answer: Any) -> list[str]:
    assert answer.status_code == 400, answer.content
    return [error["field"] for error in answer.json()["errors"]]


def test_a_rule_is_written_read_changed_and_deleted() -> None:
    client, ops = make_client(), make_channel("ops")
    body = {**SLOW, "channels": [ops.pk], "renotify_every": 3600, "quiet_from": "22:00", "quiet_until": "06:00"}
    made = client.post(RULES, body)
    address = f"{RULES}/{made.json()['id']}"

    changed = client.patch(address, {"severity": "critical"}, headers={"If-Match": made["ETag"]})
    listed = client.get(RULES, {"kind": "slower"}).json()["results"]
    stale = client.delete(address, headers={"If-Match": made["ETag"]})
    gone = client.delete(address, headers={"If-Match": changed["ETag"]})

    assert (made.status_code, changed.status_code, stale.status_code, gone.status_code) == (201, 200, 412, 204)
    assert listed[0]["sentence"].startswith("Tell ops of a run of etl that takes longer than 2 times")
    assert (listed[0]["channels"], listed[0]["quiet_from"]) == ([ops.pk], "22:00")
    assert (listed[0]["severity"], listed[0]["renotify_every"], listed[0]["created_by"]) == ("critical", 3600, "ada")


def test_channels_and_scope_are_taken_away_again() -> None:
    client, ops = make_client(), make_channel("ops")
    address = f"{RULES}/{client.post(RULES, {**SLOW, 'channels': [ops.pk]}).json()['id']}"

    changed = client.patch(address, {"channels": [], "pipeline_uuid": None}).json()

    assert (changed["channels"], changed["pipeline_uuid"]) == ([], None)
    assert client.get(address).json() == changed


@pytest.mark.parametrize(
    ("changes", "fields"),
    [
        ({"name": ""}, ["name"]),
        ({"name": "a\x00b"}, ["name"]),
        ({"kind": "boredom"}, ["kind"]),
        ({"kind": 7}, ["kind"]),
        ({"settings": {"factr": 2}}, ["settings.factr"]),
        ({"settings": {"factor": "2"}}, ["settings.factor"]),
        ({"settings": [2]}, ["settings"]),
        ({"severity": "loud"}, ["severity"]),
        ({"pipeline_uuid": "elt"}, ["pipeline_uuid"]),
        ({"pipeline_uuid": 7}, ["pipeline_uuid"]),
        ({"kind": "freshness", "settings": {"seconds": 60}, "pipeline_uuid": None}, ["pipeline_uuid"]),
        ({"block_uuid": "laod"}, ["block_uuid"]),
        ({"trigger_id": 4711}, ["trigger_id"]),
        ({"channels": [4711]}, ["channels"]),
        ({"channels": ["ops"]}, ["channels.0"]),
        ({"channels": [10**400]}, ["channels.0"]),
        ({"trigger_id": 10**400}, ["trigger_id"]),
        ({"settings": {"factor": 10**400}}, ["settings.factor"]),
        ({"renotify_every": 5}, ["renotify_every"]),
        ({"quiet_from": "22:00"}, ["quiet_until"]),
        ({"quiet_from": "ten"}, ["quiet_from"]),
        ({"timezone": "Mars/Base"}, ["timezone"]),
        ({"runbook_url": "javascript:alert(1)"}, ["runbook_url"]),
        ({"is_active": "yes"}, ["is_active"]),
        ({"gathers": "yes"}, ["gathers"]),
        ({"colour": "red"}, ["colour"]),
        ({"sentence": "Tell all"}, ["sentence"]),
    ],
)
def test_each_wrong_field_is_named_and_nothing_kept(changes: dict[str, Any], fields: list[str]) -> None:
    count = AlertRule.objects.count()

    assert fields_of(make_client().post(RULES, SLOW | changes)) == fields
    assert AlertRule.objects.count() == count


def test_a_wrong_change_leaves_the_rule_as_it_was() -> None:
    client = make_client()
    address = f"{RULES}/{client.post(RULES, SLOW).json()['id']}"

    assert fields_of(client.patch(address, {"kind": "row_count"})) == ["settings.factor", "block_uuid"]
    assert client.get(address).json()["kind"] == "slower"


def test_a_name_that_is_taken_is_a_conflict() -> None:
    answer = make_client().post(RULES, {**SLOW, "name": "A run failed"})

    assert (answer.status_code, answer.json()["code"]) == (409, "duplicate_name")


def test_an_empty_body_names_what_is_missing() -> None:
    assert fields_of(make_client().post(RULES, {})) == ["name", "kind"]
