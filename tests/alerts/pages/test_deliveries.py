"""The log of messages: narrowed, paged, and shown with what went wrong."""

from typing import Any

import pytest
from django.test import Client

from tests.alerts.facts import make_channel, make_delivery, make_incident
from tests.factories import NOON, text_of

pytestmark = pytest.mark.django_db
ADDRESS = "/incidents/deliveries/"


def titles(page: Client, **query: Any) -> list[str]:
    return [each.title for each in page.get(ADDRESS, query).context["deliveries"]]


def test_messages_are_narrowed_by_state_channel_incident_and_words(page: Client) -> None:
    incident, ops, mail = make_incident(), make_channel("ops"), make_channel("mail")
    make_delivery(incident.changes.get(), ops, title="waits")
    make_delivery(channel=mail, title="tried", tries=1, last_error="HTTP 503")
    make_delivery(channel=mail, title="arrived", sent_at=NOON)
    make_delivery(channel=mail, title="given up", given_up_at=NOON, tries=9)

    assert titles(page) == ["given up", "arrived", "tried", "waits"]
    states = {state: titles(page, state=state) for state in ("waiting", "trying", "sent", "failed")}
    assert states == {"waiting": ["waits"], "trying": ["tried"], "sent": ["arrived"], "failed": ["given up"]}
    assert titles(page, channel=ops.pk) == titles(page, incident=incident.pk) == ["waits"]
    assert titles(page, q="503") == ["tried"]


def test_a_message_of_a_notification_config_tells_whose_it_is(page: Client) -> None:
    make_delivery(service="slack_config", pipeline_uuid="etl", run_id=7, title="etl failed")

    text = text_of(page.get(ADDRESS))

    assert "slack_config" in text
    assert 'href="/runs/7/"' in text


def test_older_messages_are_a_page_further(page: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("alerts.pages.deliveries.PAGE", 2)
    for number in range(3):
        make_delivery(title=f"message {number}")

    older = page.get(ADDRESS).context["older"]

    assert titles(page, before=older) == ["message 0"]


@pytest.mark.parametrize("query", [{"state": "lost"}, {"channel": "ops"}, {"incident": "9" * 30}, {"before": "-1"}])
def test_a_filter_that_is_not_known_is_told_and_left_out(page: Client, query: dict[str, str]) -> None:
    make_delivery(title="shown anyway")

    answer = page.get(ADDRESS, query)

    assert f"{next(iter(query))}:" in text_of(answer)
    assert [each.title for each in answer.context["deliveries"]] == ["shown anyway"]


def test_an_empty_log_says_what_it_is_for(page: Client) -> None:
    assert "No message has been written yet." in text_of(page.get(ADDRESS))
    assert "No message fits" in text_of(page.get(ADDRESS, {"state": "failed"}))


def test_hostile_text_of_a_server_is_shown_as_text(page: Client) -> None:
    make_delivery(title="<b>x</b>", last_error="<img src=x onerror=alert(1)> \u202e", given_up_at=NOON)

    text = text_of(page.get(ADDRESS))

    assert "<img src=x" not in text
    assert "<b>x</b>" not in text
