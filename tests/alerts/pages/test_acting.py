"""What people do to an incident from its page, and what is refused."""

from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.utils import timezone

from alerts import incidents
from alerts.models import Incident
from alerts.pages.snoozes import next_morning
from runs.states import BlockStatus, RunStatus
from tests.alerts.facts import make_incident
from tests.factories import make_run, make_user, text_of

pytestmark = pytest.mark.django_db


def do(page: Client, incident: Incident, verb: str, **sent: Any) -> str:
    """Press a button of the page, and return what the next page says."""
    answer = page.post(f"/incidents/{incident.pk}/{verb}/", sent, follow=True)
    assert answer.status_code == 200
    incident.refresh_from_db()
    return text_of(answer)


def test_an_incident_is_acknowledged_and_assigned(page: Client, ada: User) -> None:
    incident, bob = make_incident(), make_user("bob")

    assert "is acknowledged" in do(page, incident, "acknowledge")
    assert "is looked after by bob" in do(page, incident, "assign", user="bob")
    assert (incident.acknowledged_by, incident.assignee) == ("ada", bob)
    assert "is looked after by nobody" in do(page, incident, "assign", user="")
    assert incident.assignee is None


@pytest.mark.parametrize("name", ["nobody", "bob", "a\x00b", "x" * 500])
def test_only_somebody_who_can_sign_in_is_given_an_incident(page: Client, name: str) -> None:
    incident = make_incident()
    make_user("bob", is_active=False)

    assert "There is no user" in do(page, incident, "assign", user=name)
    assert not incident.changes.filter(step="assigned").exists()


def test_an_incident_is_snoozed_for_a_span_or_until_a_time_and_woken(page: Client) -> None:
    incident, now = make_incident(), timezone.now()

    do(page, incident, "snooze", **{"for": "4 h"})
    assert incident.snoozed_until
    assert abs(incident.snoozed_until - now - timedelta(hours=4)) < timedelta(minutes=1)
    do(page, incident, "wake")
    assert incident.snoozed_until is None
    until = (now + timedelta(days=1)).replace(hour=9, minute=0, second=0, microsecond=0)
    do(page, incident, "snooze", until=f"{until:%Y-%m-%dT%H:%M}")
    assert incident.snoozed_until == until


def test_a_snooze_is_until_a_time_of_the_zone_that_the_form_shows(page: Client) -> None:
    page.cookies["zone"] = "Asia/Tokyo"
    incident, day = make_incident(), f"{timezone.now() + timedelta(days=2):%Y-%m-%d}"

    form = text_of(page.get(f"/incidents/{incident.pk}/"))
    assert "Until, in Asia/Tokyo" in form
    assert '<input type="hidden" name="zone" value="Asia/Tokyo">' in form
    page.cookies["zone"] = "Europe/Berlin"  # the page is still open on the way there
    do(page, incident, "snooze", until=f"{day}T09:30", zone="Asia/Tokyo")

    assert incident.snoozed_until
    assert incident.snoozed_until.isoformat() == f"{day}T00:30:00+00:00"


@pytest.mark.parametrize(
    ("moment", "zone", "is_monday", "until"),
    [
        ("2025-03-05T01:10", "UTC", False, "2025-03-05T08:00"),  # woken at night
        ("2025-03-05T08:00", "UTC", False, "2025-03-06T08:00"),
        ("2025-03-05T23:30", "Asia/Tokyo", False, "2025-03-06T23:00"),  # it is half past eight there
        ("2025-03-29T22:00", "Europe/Berlin", False, "2025-03-30T06:00"),  # clocks go forward in the night
        ("2025-03-05T01:10", "UTC", True, "2025-03-10T08:00"),
        ("2025-03-10T07:59", "UTC", True, "2025-03-10T08:00"),
        ("2025-03-10T08:00", "UTC", True, "2025-03-17T08:00"),
    ],
)
def test_the_morning_is_that_of_the_zone(moment: str, zone: str, is_monday: bool, until: str) -> None:
    found = next_morning(datetime.fromisoformat(f"{moment}+00:00"), ZoneInfo(zone), is_monday=is_monday)

    assert found.isoformat() == f"{until}:00+00:00"


def test_a_snooze_until_the_morning_is_offered_and_taken(page: Client) -> None:
    incident = make_incident()
    assert "Until the morning, 08:00" in text_of(page.get(f"/incidents/{incident.pk}/"))

    do(page, incident, "snooze", **{"for": "morning", "zone": "Asia/Tokyo"})

    assert incident.snoozed_until is not None
    assert f"{incident.snoozed_until:%H:%M}" == "23:00"


@pytest.mark.parametrize(
    ("sent", "said"),
    [
        ({}, "Say until when."),
        ({"until": "tomorrow"}, "is no time"),
        ({"until": "2020-01-01T00:00"}, "is not within the next"),
        ({"until": "9999-12-31T23:59"}, "is not within the next"),
        ({"for": "a while"}, "is no length of time"),
        ({"for": "-4"}, "is no length of time"),
        ({"for": "9" * 15}, "is no length of time"),
        ({"for": "300 d"}, "is not within the next"),
    ],
)
def test_a_snooze_that_makes_no_sense_is_refused(page: Client, sent: dict[str, str], said: str) -> None:
    incident = make_incident()

    assert said in do(page, incident, "snooze", **sent)
    assert incident.snoozed_until is None


def test_a_note_is_kept_and_an_empty_one_refused(page: Client) -> None:
    incident = make_incident()

    do(page, incident, "note", text="the feed\x00 is short")
    assert "There is nothing to note." in do(page, incident, "note", text="  ")

    assert incident.changes.get(step="noted").message == "the feed\N{REPLACEMENT CHARACTER} is short"


def test_an_incident_is_closed_once(page: Client) -> None:
    incident = make_incident()

    do(page, incident, "close", text="repaired")

    assert (incident.close_reason, incident.closed_by) == ("repaired", "ada")
    for verb in ("close", "acknowledge", "wake", "assign"):
        assert "is closed since" in do(page, incident, verb)


def test_all_of_it_is_retried_after_saying_how_many_runs_that_are(page: Client) -> None:
    run = make_run(status=RunStatus.FAILED, blocks={"load": BlockStatus.FAILED})
    incident = make_incident(run_id=run.pk)
    address = f"/incidents/{incident.pk}/retry/"

    assert "Retry 1 run?" in text_of(page.get(address))
    assert "1 run began again." in text_of(page.post(address, follow=True))
    run.refresh_from_db()
    assert run.status != RunStatus.FAILED
    assert "Nothing to retry" in text_of(page.get(address))
    assert "0 runs began again." in text_of(page.post(address, follow=True))


def test_a_closed_incident_is_not_retried(page: Client) -> None:
    incident = make_incident()
    incidents.close(incident, timezone.now(), "ada", "")

    assert "is closed since" in text_of(page.post(f"/incidents/{incident.pk}/retry/", follow=True))


def test_what_is_no_verb_is_a_404_and_reading_does_nothing(page: Client) -> None:
    incident = make_incident()

    assert page.post(f"/incidents/{incident.pk}/destroy/").status_code == 404
    assert page.post("/incidents/4711/close/").status_code == 404
    assert page.get(f"/incidents/{incident.pk}/close/").status_code == 405


def test_strangers_change_nothing(client: Client) -> None:
    incident = make_incident()

    client.post(f"/incidents/{incident.pk}/close/")
    client.post("/incidents/bulk/", {"verb": "close", "ids": incident.pk, "confirmed": "yes"})

    incident.refresh_from_db()
    assert incident.closed_at is None
