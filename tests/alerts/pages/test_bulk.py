"""Many incidents at once: counted first, then done to exactly those that were shown."""

from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from alerts import incidents
from alerts.models import Incident
from tests.alerts.facts import make_incident
from tests.factories import text_of

pytestmark = pytest.mark.django_db
ADDRESS = "/incidents/bulk/"


@pytest.fixture
def three(db: None) -> list[Incident]:
    return [make_incident(f"trouble-{number}") for number in range(3)]


def confirmed(page: Client, **sent: Any) -> str:
    """Ask, then confirm what the page shows; return what the list says after it."""
    told = page.post(ADDRESS, sent)
    fields: dict[str, Any] = {"confirmed": "yes", "for": "1 h"}
    for name, value in told.context["kept"]:
        fields.setdefault(name, []).append(value)
    return text_of(page.post(ADDRESS, fields, follow=True))


def test_ticked_incidents_are_counted_and_then_acknowledged(page: Client, three: list[Incident]) -> None:
    ids = [three[0].pk, three[2].pk]

    asked = text_of(page.post(ADDRESS, {"verb": "acknowledge", "ids": ids}))
    assert "Acknowledge 2 incidents?" in asked
    assert not Incident.objects.exclude(acknowledged_at=None).exists()

    assert "2 incidents acknowledged." in confirmed(page, verb="acknowledge", ids=ids)
    assert [each.acknowledged_by for each in Incident.objects.order_by("pk")] == ["ada", "", "ada"]


def test_all_that_match_are_snoozed(page: Client, three: list[Incident]) -> None:
    assert "1 incident snoozed." in confirmed(page, verb="snooze", which="all", q="trouble-1")

    assert Incident.objects.get(snoozed_until__gt=timezone.now()) == three[1]


def test_what_opened_after_the_preview_is_left_alone(page: Client, three: list[Incident]) -> None:
    told = page.post(ADDRESS, {"verb": "close", "which": "all"})
    make_incident("trouble-4")
    ids = [value for name, value in told.context["kept"] if name == "ids"]

    page.post(ADDRESS, {"verb": "close", "ids": ids, "confirmed": "yes", "text": "storm is over"})

    assert [each.title for each in Incident.objects.open()] == ["trouble-4"]
    assert set(Incident.objects.exclude(closed_at=None).values_list("close_reason", flat=True)) == {"storm is over"}


@pytest.mark.parametrize(
    ("sent", "said"),
    [
        ({"verb": "delete", "which": "all"}, "Choose whether to acknowledge"),
        ({"verb": "close"}, "No incident is ticked."),
        ({"verb": "close", "ids": ["x", "-1", "9" * 30]}, "No incident is ticked."),
        ({"verb": "close", "ids": ["4711"]}, "None of these incidents can be closed."),
        ({"verb": "close", "which": "all", "state": "shut"}, "The filter is not understood."),
        ({"verb": "snooze", "which": "all", "confirmed": "yes", "for": "long"}, "is no length of time"),
        ({"verb": "snooze", "which": "all", "confirmed": "yes", "for": "1000 d"}, "is no length of time"),
    ],
)
def test_an_order_that_makes_no_sense_changes_nothing(
    page: Client, three: list[Incident], sent: dict[str, Any], said: str
) -> None:
    assert said in text_of(page.post(ADDRESS, sent, follow=True))
    assert Incident.objects.loud(timezone.now()).count() == 3


def test_too_many_at_once_are_refused(page: Client, three: list[Incident], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("alerts.pages.bulk.MOST", 2)

    assert "More than 2 incidents match." in text_of(page.post(ADDRESS, {"verb": "close", "which": "all"}, follow=True))


def test_one_that_closed_meanwhile_is_told_beside_those_that_were_done(
    page: Client, three: list[Incident], monkeypatch: pytest.MonkeyPatch
) -> None:
    def read_then_closed(*args: Any) -> Any:
        incidents.close(three[0], timezone.now(), "bob", "")
        return timezone.now() + timezone.timedelta(hours=1)

    monkeypatch.setattr("alerts.pages.bulk.read_until", read_then_closed)

    text = text_of(page.post(ADDRESS, {"verb": "snooze", "which": "all", "confirmed": "yes"}, follow=True))

    assert "2 incidents snoozed." in text
    assert f"Incident {three[0].pk} is closed since" in text


def test_the_filters_of_the_list_are_kept_on_the_way_back(page: Client, three: list[Incident]) -> None:
    answer = page.post(ADDRESS, {"verb": "close", "ids": [three[0].pk], "q": "trouble", "confirmed": "yes"})

    assert answer["Location"] == "/incidents/?q=trouble"
