"""Messages are forgotten after a season, incidents more than a year after they were closed; never what is open."""

from datetime import datetime, timedelta
from typing import Any

import pytest
from django.test import Client, override_settings

from alerts import forgetting, incidents
from alerts.models import Breach, Change, Channel, Delivery, Incident
from schedules.scheduler import FURTHER_DUTIES
from tests.alerts import facts
from tests.alerts.telling import make_channel, make_delivery
from tests.factories import NOON, text_of

DAY = timedelta(days=1)
LATER = NOON + 90 * DAY + timedelta(seconds=1)
MUCH_LATER = NOON + 400 * DAY + timedelta(seconds=1)


@pytest.fixture
def channel(db: None) -> Channel:
    return make_channel()


def closed(title: str, at: datetime = NOON) -> Incident:
    """An incident with two breaches, told, and closed at a moment."""
    facts.rule_of().channels.set([Channel.objects.first() or make_channel()])
    incident = facts.make_incident(title, at=NOON)
    facts.make_incident(title, at=NOON)
    return incidents.close(incident, at, "ada", "")


def forget_all(moment: datetime) -> int:
    """Come again as long as there is more; return how often."""
    turns = 1
    while forgetting.forget(moment) is not None:
        turns += 1
    return turns


# --- messages -------------------------------------------------------------------------------------------------------


def test_what_has_ended_is_forgotten_after_ninety_days(channel: Channel) -> None:
    make_delivery(channel, sent_at=NOON)
    make_delivery(channel, given_up_at=NOON)
    waits = make_delivery(channel)
    young = make_delivery(channel, sent_at=NOON, created_at=NOON + DAY)

    assert forgetting.forget(NOON + 90 * DAY) is None
    assert Delivery.objects.count() == 4
    forgetting.forget(LATER)

    assert set(Delivery.objects.all()) == {waits, young}


def test_many_are_forgotten_in_turns(channel: Channel, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(forgetting, "AT_ONCE", 2)
    for _ in range(3):
        make_delivery(channel, sent_at=NOON)

    assert forgetting.forget(LATER) == LATER + forgetting.SOON
    assert forgetting.forget(LATER) is None
    assert Delivery.objects.count() == 0


def test_there_is_nothing_to_it_when_nothing_is_old(channel: Channel, django_assert_num_queries: Any) -> None:
    make_delivery(channel, sent_at=NOON)

    with django_assert_num_queries(2):
        forgetting.forget(NOON)


# --- incidents ------------------------------------------------------------------------------------------------------


@pytest.mark.django_db
def test_an_incident_goes_with_all_that_is_its_own_long_after_it_was_closed() -> None:
    closed("etl failed")
    young = closed("other failed", NOON + DAY)

    forget_all(NOON + 400 * DAY)
    assert Incident.objects.count() == 2
    forget_all(MUCH_LATER)

    assert [*Incident.objects.all()] == [young]
    for rows in (Breach.objects.values_list("incident"), Change.objects.values_list("incident")):
        assert set(rows) == {(young.pk,)}


@pytest.mark.django_db
def test_an_open_incident_stays_however_old() -> None:
    incident = facts.make_incident("etl failed")

    forget_all(NOON + 9999 * DAY)

    assert [*Incident.objects.all()] == [incident]
    assert (Breach.objects.count(), Change.objects.count()) == (1, 1)


@pytest.mark.django_db
def test_one_that_was_seen_very_often_goes_in_turns(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(forgetting, "AT_ONCE", 3)
    incident = facts.make_incident("etl failed")
    for _ in range(6):
        facts.make_incident("etl failed")
    incidents.close(incident, NOON, "ada", "")

    assert forget_all(MUCH_LATER) > 5
    assert [rows.objects.count() for rows in (Incident, Breach, Change)] == [0, 0, 0]


@pytest.mark.django_db
def test_those_that_one_stands_for_go_with_it_and_not_before() -> None:
    many = facts.make_many()
    for member in many.members.all()[:7]:
        incidents.close(member, NOON, "ada", "")

    forget_all(MUCH_LATER)
    assert Incident.objects.count() == 9
    incidents.close(many, NOON + DAY, "ada", "")
    forget_all(MUCH_LATER + DAY)

    assert [rows.objects.count() for rows in (Incident, Breach)] == [0, 0]


@pytest.mark.django_db
@override_settings(ALERTS_KEEP_INCIDENTS_DAYS=0)
def test_incidents_are_kept_for_ever_if_that_is_asked_for(page: Client) -> None:
    closed("etl failed")

    forget_all(NOON + 9999 * DAY)

    assert Incident.objects.count() == 1
    assert would_go(page)["incidents"] == ("kept for ever", 0)


def test_the_page_of_retention_says_what_would_go(page: Client) -> None:
    closed("etl failed")
    closed("other failed")
    facts.make_incident("load failed")

    assert would_go(page) == {"incidents": ("closed 400 days ago", 2), "messages": ("90 days old", 5)}
    assert Incident.objects.count() == 3


def would_go(page: Client) -> dict[str, tuple[str, int]]:
    answer = page.get("/system/retention/")
    assert "What goes by settings" in text_of(answer)
    return {each.name: (each.rule, each.count) for each in answer.context["beside"]}


def test_the_scheduler_does_it_every_hour() -> None:
    assert (forgetting.forget, timedelta(hours=1)) in FURTHER_DUTIES
