"""What the dashboard says of each kind of trouble, in one and in many, and where it leads."""

from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from alerts.models import Incident
from pipelines.models import Pipeline
from runs.models import WorkerKind
from runs.states import RunStatus
from schedules.models import Decision, Occurrence, PipelineSchedule
from tests.alerts.facts import make_incident
from tests.factories import make_pipeline, make_run, make_schedule, make_worker, text_of

pytestmark = pytest.mark.django_db


def dashboard(page: Client) -> str:
    return " ".join(text_of(page.get("/")).split())


def lost(count: int, decision: Decision = Decision.MISSED) -> PipelineSchedule:
    """A trigger with moments of the last hour that were not run."""
    schedule = make_schedule(make_pipeline(f"of {decision}"))
    now = timezone.now()
    Occurrence.objects.bulk_create(
        Occurrence(
            schedule=schedule,
            pipeline=schedule.pipeline,
            scheduled_for=now - timedelta(seconds=number),
            decision=decision,
            decided_at=now,
        )
        for number in range(count)
    )
    return schedule


def test_when_a_scheduler_was_last_at_work_is_told_with_what_to_run(page: Client) -> None:
    now = timezone.now()
    make_worker(WorkerKind.SCHEDULER, seen_at=now - timedelta(hours=2), last_loop_at=now - timedelta(hours=2))

    text = dashboard(page)

    assert "<b>No scheduler is at work</b>: its last loop was <time" in text
    assert "Nothing starts on time. Run <code>make start</code> or <code>manage.py run_scheduler</code>." in text


def test_where_only_the_machinery_is_wrong_nothing_else_is_said_to_be(page: Client) -> None:
    text = dashboard(page)

    assert "<h2>Nothing else is wrong</h2>" in text
    assert "No incident is open, no run has failed in 24 h, nothing is late, missed or held." in text


def test_incidents_that_somebody_looks_after_are_counted_apart(page: Client) -> None:
    now = timezone.now()
    make_incident("loud", at=now)
    make_incident("taken", at=now, fingerprint="taken")
    assert "none put aside" in dashboard(page)

    Incident.objects.filter(title="taken").update(acknowledged_at=now, acknowledged_by="ada")

    assert "1 acknowledged or snoozed" in dashboard(page)


@pytest.mark.parametrize(
    ("count", "tile", "sentence"),
    [
        (1, "moment missed or expired", "1 moment missed or expired</a> within 24 h."),
        (2, "moments missed or expired", "2 moments missed or expired</a> within 24 h."),
        (1001, "<b>1,000+</b>", "More than 1,000 moments missed or expired</a> within 24 h."),
    ],
)
def test_moments_that_were_lost_are_counted_in_words(page: Client, count: int, tile: str, sentence: str) -> None:
    lost(count)

    text = dashboard(page)

    assert tile in text
    assert sentence in text


@pytest.mark.parametrize(("count", "words"), [(1, "1 moment held</a>"), (2, "2 moments held</a>")])
def test_moments_that_are_held_wait_for_somebody(page: Client, count: int, words: str) -> None:
    lost(count, Decision.HELD)

    text = dashboard(page)

    assert words in text
    assert "found late, and waiting for someone to release or drop them." in text
    assert 'href="/schedules/held/"' in text


@pytest.mark.parametrize(
    ("count", "words"), [(1, "1 trigger late</a>: due, and the scheduler has not come to it."), (2, "come to them.")]
)
def test_triggers_that_are_late_are_counted_in_words(page: Client, count: int, words: str) -> None:
    long_ago = timezone.now() - timedelta(minutes=30)
    for number in range(count):
        make_schedule(make_pipeline(f"p{number}"), next_due_at=long_ago)

    assert words in dashboard(page)


@pytest.mark.parametrize(
    ("count", "words"),
    [(1, "1 trigger set aside</a>: it cannot fire as written."), (2, "2 triggers set aside</a>: they cannot fire")],
)
def test_triggers_that_cannot_fire_are_counted_in_words(page: Client, count: int, words: str) -> None:
    for number in range(count):
        make_schedule(make_pipeline(f"p{number}"), problem="Unknown time zone.", next_due_at=None)

    assert words in dashboard(page)


def test_broken_files_of_one_pipeline_are_told_with_the_first_mistake(page: Client) -> None:
    problem = {"file": "pipelines/etl/metadata.yaml", "line": 3, "reason": "This text is not closed.", "hint": ""}
    Pipeline.objects.create(uuid="etl", name="etl", is_valid=False, problems=[problem])

    text = dashboard(page)

    assert "its files are wrong, no new run can start: " in text
    assert "pipelines/etl/metadata.yaml:3 This text is not closed." in text


def test_broken_files_of_several_pipelines_are_named_without_their_mistakes(page: Client) -> None:
    for name in ("a", "b"):
        Pipeline.objects.create(
            uuid=name, name=name, is_valid=False, problems=[{"file": "f", "line": 1, "reason": "r"}]
        )

    text = dashboard(page)

    assert "their files are wrong, no new run can start</span>" in text
    assert 'href="/pipelines/a/"' in text


def test_what_goes_on_leads_to_all_that_run(page: Client) -> None:
    make_run(status=RunStatus.RUNNING, started_at=timezone.now())

    assert '<a class="more" href="/runs/?status=running">all that run</a>' in dashboard(page)


def test_without_a_deadline_it_is_said_how_to_set_one(page: Client) -> None:
    assert "Nothing that runs or comes next has an SLA or a timeout. Set <code>sla</code> on a trigger" in dashboard(
        page
    )


def slow_past(pipeline: Pipeline, minutes: int) -> None:
    """Ten completed runs that took so long."""
    now = timezone.now()
    for day in range(1, 11):
        begun = now - timedelta(days=day)
        ended = begun + timedelta(minutes=minutes)
        make_run(pipeline, status=RunStatus.COMPLETED, created_at=begun, started_at=begun, completed_at=ended)


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"sla_at": timedelta(hours=5)}, "Everything with a deadline is expected in time."),
        ({"sla_at": timedelta(minutes=1)}, "should be done"),
        ({"deadline_at": timedelta(minutes=1), "timeout": timedelta(minutes=1)}, "is stopped"),
    ],
)
def test_a_deadline_is_told_by_what_happens_then(page: Client, fields: dict[str, Any], words: str) -> None:
    pipeline, now = make_pipeline(), timezone.now()
    slow_past(pipeline, 10)
    moments = {name: now + span if name.endswith("_at") else span for name, span in fields.items()}
    make_run(pipeline, status=RunStatus.RUNNING, created_at=now, started_at=now, **moments)

    assert words in dashboard(page)


def test_without_a_trigger_it_leads_to_where_one_is_switched_on_or_made(page: Client) -> None:
    text = dashboard(page)

    assert '<a href="/schedules/">Switch one on</a>' in text
    assert '<a href="/schedules/new/">make one</a>' in text
