"""The header of every page: how long ago a scheduler looked, and how many incidents are open."""

from datetime import timedelta

import pytest
from django.test import Client
from django.utils import timezone

from alerts.models import Incident
from orchestrator_site import pulse
from runs.models import Worker, WorkerKind
from tests.factories import text_of

pytestmark = pytest.mark.django_db


def scheduler(seconds_ago: float) -> None:
    at = timezone.now() - timedelta(seconds=seconds_ago)
    Worker.objects.create(kind=WorkerKind.SCHEDULER, host="here", pid=1, started_at=at, seen_at=at, last_loop_at=at)


def incident(**fields: object) -> Incident:
    now = timezone.now()
    return Incident.objects.create(
        **{"fingerprint": "a", "title": "Something", "opened_at": now, "last_seen_at": now} | fields
    )


def test_every_page_tells_how_long_ago_a_scheduler_looked(page: Client) -> None:
    scheduler(seconds_ago=2)

    assert 'class="loop loop-good"' in text_of(page.get("/runs/"))


@pytest.mark.parametrize(("seconds", "state"), [(5, "good"), (31, "late")])
def test_a_loop_that_is_long_ago_is_late(seconds: float, state: str) -> None:
    scheduler(seconds)

    assert pulse.take(timezone.now()).state == state


def test_without_any_scheduler_it_says_so(page: Client) -> None:
    assert "no scheduler yet" in text_of(page.get("/runs/"))


def test_open_incidents_are_counted_on_every_page(page: Client) -> None:
    incident()

    assert "1<span" in text_of(page.get("/pipelines/"))
    assert pulse.take(timezone.now()).incidents == 1


@pytest.mark.parametrize("aside", ["acknowledged_at", "snoozed_until", "closed_at"])
def test_what_somebody_has_put_aside_is_not_counted(aside: str) -> None:
    incident(**{aside: timezone.now() + timedelta(hours=1)})

    assert pulse.take(timezone.now()).incidents == 0


def test_a_refresh_of_the_live_part_brings_the_header_along(page: Client) -> None:
    refreshed = text_of(page.get("/runs/", headers={"HX-Request": "true", "HX-Target": "live"}))

    assert 'id="pulse" hx-swap-oob="true"' in refreshed


def test_other_fragments_do_not(page: Client) -> None:
    answer = page.get("/schedules/preview/?interval=@daily", headers={"HX-Request": "true", "HX-Target": "preview"})

    assert 'id="pulse"' not in text_of(answer)


def test_a_stranger_is_told_nothing(client: Client) -> None:
    scheduler(seconds_ago=2)

    assert 'id="pulse"' not in text_of(client.get("/login/"))
