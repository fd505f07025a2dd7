"""Pages speak in the zone that the browser tells, the API in UTC."""

import re
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from django.conf import settings
from django.test import Client

from runs.states import RunStatus
from runs.viewer_zone import COOKIE
from tests.factories import make_run, make_schedule

pytestmark = pytest.mark.django_db
NOON = datetime(2025, 7, 1, 12, tzinfo=UTC)


@pytest.fixture
def in_berlin(page: Client) -> Client:
    page.cookies[COOKIE] = "Europe/Berlin"
    return page


def text_of(client: Client, address: str) -> str:
    return client.get(address).content.decode()


def test_a_page_is_in_the_zone_of_the_cookie(in_berlin: Client) -> None:
    run = make_run(status=RunStatus.COMPLETED, started_at=NOON, completed_at=NOON)

    text = text_of(in_berlin, f"/runs/{run.pk}/")

    assert 'datetime="2025-07-01T12:00:00.000Z"' in text
    assert "2025-07-01 14:00:00 CEST" in text
    assert "2025-07-01 12:00:00 UTC" not in text


@pytest.mark.parametrize("name", [None, "Mars/Base", "Europe", "../../etc/passwd", '"><script>'])
def test_without_a_zone_that_there_is_a_page_is_in_utc(page: Client, name: str | None) -> None:
    if name is not None:
        page.cookies[COOKIE] = name
    run = make_run(status=RunStatus.COMPLETED, started_at=NOON, completed_at=NOON)

    assert "2025-07-01 12:00:00 UTC" in text_of(page, f"/runs/{run.pk}/")


def test_one_viewers_zone_is_not_the_next_ones(in_berlin: Client, admin_client: Client) -> None:
    run = make_run(status=RunStatus.COMPLETED, started_at=NOON, completed_at=NOON)

    in_berlin.get("/runs/")

    assert "2025-07-01 12:00:00 UTC" in text_of(admin_client, f"/runs/{run.pk}/")


def test_the_api_is_in_utc_for_everybody(in_berlin: Client) -> None:
    run = make_run(status=RunStatus.COMPLETED, started_at=NOON, completed_at=NOON)

    assert in_berlin.get(f"/api/v1/pipeline_runs/{run.pk}").json()["started_at"] == "2025-07-01T12:00:00Z"


def test_no_cache_gives_a_page_to_somebody_of_another_zone(in_berlin: Client) -> None:
    for address in ("/runs/", "/login/", "/nothing/here/"):
        answer = in_berlin.get(address)
        assert "Cookie" in answer.headers["Vary"]
        assert answer.headers["Cache-Control"]


def test_the_administration_is_in_the_viewers_zone(admin_client: Client) -> None:
    admin_client.cookies[COOKIE] = "Europe/Berlin"
    run = make_run(status=RunStatus.COMPLETED, started_at=NOON, completed_at=NOON)

    assert "2025-07-01 14:00:00 CEST" in text_of(admin_client, f"/admin/runs/pipelinerun/{run.pk}/change/")


def test_a_local_time_of_a_trigger_is_taken_that_the_viewers_clocks_skip(in_berlin: Client) -> None:
    schedule = make_schedule(timezone="America/New_York")
    paused = {"how": "time", "until": "2125-03-25T02:30"}  # a moment at which Berlin's clocks go forward

    answer = in_berlin.post(f"/schedules/{schedule.pk}/pause/", paused, follow=True)

    assert "Until when?" not in answer.content.decode()


def drawn(client: Client, address: str) -> list[str]:
    return re.findall(r"<text[^>]*>([^<]*)<title>", text_of(client, address))


@pytest.mark.parametrize("view", ["/pipelines/etl/", "/pipelines/etl/durations/", "/runs/"])
def test_axes_are_in_the_viewers_zone_with_utc_on_hover(in_berlin: Client, view: str) -> None:
    for hour in (9, 10, 11, 12):
        at = NOON.replace(hour=hour)
        make_run(status=RunStatus.COMPLETED, started_at=at, completed_at=at + timedelta(seconds=hour))

    assert "13:00" in drawn(in_berlin, view)
    assert "<title>2025-07-01 13:00:00 CEST (11:00:00 UTC)</title>" in text_of(in_berlin, view)
    assert "2025-07-01 11:00:00 CEST (09:00:00 UTC)</title>" in text_of(in_berlin, view)  # of a run


def test_the_timeline_is_in_the_viewers_zone_unless_another_is_asked_for(in_berlin: Client) -> None:
    make_run(status=RunStatus.COMPLETED, created_at=NOON, started_at=NOON, completed_at=NOON + timedelta(hours=1))
    address = "/timeline/?until=2025-07-01T18:00:00Z"

    own, other = text_of(in_berlin, address), text_of(in_berlin, f"{address}&zone=UTC")

    assert '<span class="tl-name quiet">Europe/Berlin</span>' in own
    assert "due Tue 1 Jul 14:00:00 (12:00:00 UTC)," in own
    assert '<span class="tl-name quiet">UTC</span>' in other
    assert "due Tue 1 Jul 12:00:00," in other


def test_the_table_beside_a_chart_says_its_zone(in_berlin: Client) -> None:
    make_run(status=RunStatus.COMPLETED, started_at=NOON, completed_at=NOON)

    text = text_of(in_berlin, "/pipelines/etl/durations/")

    assert "Began (Europe/Berlin)" in text
    assert 'title="2025-07-01 12:00:00 UTC">2025-07-01 14:00:00</td>' in text


def test_the_load_is_told_by_the_viewers_clocks(in_berlin: Client) -> None:
    text = text_of(in_berlin, "/load/?from=2025-07-01T00:00Z&until=2025-07-02T00:00Z")

    assert 'name="timezone" value="Europe/Berlin"' in text


def test_the_browser_tells_its_zone_in_the_cookie_that_is_read() -> None:
    script = Path(settings.BASE_DIR, "orchestrator_site/static/js/times.js").read_text()

    assert re.search(rf"document\.cookie = `{COOKIE}=\$\{{zone\}};path=/", script)


@pytest.mark.parametrize("form", ["/calendars/windows/new/", "/incidents/rules/new/"])
def test_a_form_with_a_zone_of_its_own_begins_with_the_viewers(in_berlin: Client, form: str) -> None:
    assert re.search(r'name="timezone" value="Europe/Berlin"', text_of(in_berlin, form))
