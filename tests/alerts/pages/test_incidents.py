"""The list of incidents and the page of one: what is shown, narrowed and refused."""

from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.utils import timezone

from alerts import incidents
from alerts.models import Incident, Kind, Severity
from runs.states import BlockStatus, RunStatus
from tests.alerts.facts import make_channel, make_delivery, make_incident
from tests.factories import NOON, make_pipeline, make_run, make_user, text_of

pytestmark = pytest.mark.django_db
HOSTILE = "<script>alert(1)</script> \u202egnp.exe\u202c \x00 {{ 7 }}"


def titles(page: Client, **query: Any) -> list[str]:
    answer = page.get("/incidents/", query)
    assert answer.status_code == 200
    return [row["incident"].title for row in answer.context["rows"]]


@pytest.fixture
def four(ada: User) -> dict[str, Incident]:
    """One incident in each state; the one that is acknowledged is ada's."""
    now, pipeline = timezone.now(), make_pipeline()
    made = {name: make_incident(name, pipeline=pipeline) for name in ("open", "acknowledged", "snoozed", "closed")}
    incidents.acknowledge(made["acknowledged"], now, "ada")
    incidents.assign(made["acknowledged"], now, "ada", ada)
    incidents.snooze(made["snoozed"], now, "ada", now + timedelta(hours=1))
    incidents.close(made["closed"], now, "ada", "repaired")
    return made


@pytest.mark.parametrize("state", ["open", "acknowledged", "snoozed", "closed"])
def test_the_list_shows_one_state_at_a_time(page: Client, four: dict[str, Incident], state: str) -> None:
    assert titles(page, state=state) == [state]


def test_without_a_state_the_list_shows_what_nobody_looks_after_and_counts_the_rest(
    page: Client, four: dict[str, Incident]
) -> None:
    answer = page.get("/incidents/")

    assert [row["incident"].title for row in answer.context["rows"]] == ["open"]
    assert answer.context["counts"] == {"open": 1, "acknowledged": 1, "snoozed": 1}
    assert len(titles(page, state="all")) == 4


def test_a_snooze_that_is_over_is_open_again_before_anybody_wakes_it(page: Client) -> None:
    incident = make_incident("slept")
    Incident.objects.filter(pk=incident.pk).update(snoozed_until=timezone.now() - timedelta(seconds=1))

    assert titles(page) == ["slept"]
    assert page.get(f"/incidents/{incident.pk}/").context["state"] == "open"


def test_the_list_is_narrowed_by_severity_pipeline_assignee_and_words(page: Client, four: dict[str, Incident]) -> None:
    make_incident("late", kind=Kind.SLA)
    incidents.assign(four["open"], NOON, "ada", make_user("bob"))

    assert titles(page, severity="warning") == ["late"]
    assert titles(page, pipeline="etl") == ["open"]
    assert titles(page, assignee="bob") == ["open"]
    assert titles(page, assignee="nobody") == ["late"]
    assert titles(page, assignee="me", state="acknowledged") == ["acknowledged"]
    assert titles(page, q="LAT") == ["late"]
    assert titles(page, q=f"#{four['open'].pk}") == ["open"]


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ({"state": "shut"}, "state: Select a valid choice"),
        ({"severity": "loud"}, "severity: Select a valid choice"),
        ({"before": "soon"}, "before: Enter a whole number"),
        ({"before": "9" * 30}, "before: Ensure this value"),
        ({"q": "a\x00b"}, "q: Null characters are not allowed"),
    ],
)
def test_a_filter_that_is_not_known_is_told_and_left_out(page: Client, query: dict[str, str], said: str) -> None:
    make_incident("seen anyway")

    text = text_of(page.get("/incidents/", query))

    assert said in text
    assert "seen anyway" in text


def test_older_incidents_are_a_page_further(page: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("alerts.pages.incidents.PAGE", 2)
    for number in range(5):
        make_incident(f"trouble {number}")

    first = page.get("/incidents/")
    second = page.get("/incidents/", {"before": first.context["older"]})
    third = page.get("/incidents/", {"before": second.context["older"]})

    pages = [[row["incident"].title[-1] for row in each.context["rows"]] for each in (first, second, third)]
    assert pages == [["4", "3"], ["2", "1"], ["0"]]
    assert third.context["older"] is None
    assert "data-live" not in text_of(second)


def test_an_empty_list_says_what_opens_an_incident(page: Client) -> None:
    assert "Nothing is wrong." in text_of(page.get("/incidents/"))
    assert "No incident is snoozed." in text_of(page.get("/incidents/", {"state": "snoozed"}))
    assert "fits these filters" in text_of(page.get("/incidents/", {"q": "nothing"}))


def test_a_refresh_is_the_live_part_alone(page: Client) -> None:
    incident = make_incident()

    for path in ("/incidents/", f"/incidents/{incident.pk}/"):
        text = text_of(page.get(path, headers={"HX-Target": "live"}))
        assert text.lstrip().startswith('<div id="live" data-live')
        assert "<html" not in text


def test_the_list_takes_few_queries_however_long_it_is(page: Client, django_assert_max_num_queries: Any) -> None:
    pipeline = make_pipeline()
    for number in range(12):
        make_incident(f"trouble {number}", pipeline=pipeline)

    with django_assert_max_num_queries(10):
        page.get("/incidents/")


def test_the_page_shows_runs_with_their_errors_breaches_history_and_messages(page: Client) -> None:
    run = make_run(status=RunStatus.FAILED, blocks={"clean": BlockStatus.FAILED})
    failed = run.block_runs.get(block_uuid="clean")
    failed.error = {"type": "ValueError", "message": "no amount"}
    failed.save()
    incident = make_incident("etl failed", run_id=run.pk, pipeline=run.pipeline)
    make_delivery(incident.changes.get(), make_channel(), last_error="HTTP 503", tries=2)

    answer = page.get(f"/incidents/{incident.pk}/")
    text = text_of(answer)

    assert f'href="/runs/{run.pk}/?block=clean#block"' in text
    assert f"/runs/{run.pk}/blocks/{failed.pk}/log/1/?at=error" in text
    assert "ValueError: no amount" in text
    assert "message of etl failed" in text
    assert [change.step for change in answer.context["changes"]] == ["opened"]
    assert "HTTP 503" in text


def test_the_page_takes_few_queries_with_many_runs(page: Client, django_assert_max_num_queries: Any) -> None:
    pipeline = make_pipeline()
    for _ in range(6):
        run = make_run(pipeline, status=RunStatus.FAILED, blocks={"load": BlockStatus.FAILED})
        incident = make_incident(run_id=run.pk, pipeline=pipeline)

    with django_assert_max_num_queries(14):
        answer = page.get(f"/incidents/{incident.pk}/")

    assert len(answer.context["runs"]) == incident.breaches_count == 6


def test_the_history_is_what_happened_to_it_and_not_how_often_it_was_seen(page: Client) -> None:
    for _ in range(3):
        incident = make_incident()

    answer = page.get(f"/incidents/{incident.pk}/")

    assert [change.step for change in answer.context["changes"]] == ["opened"]
    assert len(answer.context["breaches"]) == 3


def test_a_closed_incident_says_how_long_it_lasted_and_offers_nothing(page: Client) -> None:
    incident = make_incident()
    incidents.close(incident, NOON + timedelta(hours=2, minutes=5), "", "a later run completed")

    text = text_of(page.get(f"/incidents/{incident.pk}/"))

    assert "Lasted 2 h 05 min" in text
    assert "a later run completed" in text
    assert "Acknowledge" not in text
    assert 'id="note-text"' not in text


def test_hostile_text_is_shown_as_text(page: Client) -> None:
    incident = make_incident(HOSTILE, severity=Severity.INFO, block_uuid=HOSTILE.replace("\x00", ""))
    incidents.note(incident, NOON, "ada", HOSTILE)

    for path in ("/incidents/", f"/incidents/{incident.pk}/"):
        text = text_of(page.get(path))
        assert "<script>alert" not in text
        assert "&lt;script&gt;alert(1)" in text
        assert "{{ 7 }}" in text


@pytest.mark.parametrize("number", ["4711", "9" * 40])
def test_an_incident_that_is_not_there_is_a_404(page: Client, number: str) -> None:
    assert page.get(f"/incidents/{number}/").status_code == 404


def test_strangers_see_no_incident(client: Client) -> None:
    incident = make_incident()

    for path in ("/incidents/", f"/incidents/{incident.pk}/", "/incidents/deliveries/"):
        assert client.get(path)["Location"].startswith("/login/")


def test_words_are_looked_for_among_the_newest_and_a_number_everywhere(
    page: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("alerts.forms.NEWEST", 2)
    old = make_incident("trouble-0")
    for number in range(1, 4):
        make_incident(f"trouble-{number}")

    assert titles(page, q="trouble") == ["trouble-3", "trouble-2"]
    assert titles(page, q=f"#{old.pk}") == ["trouble-0"]
