"""The dashboard: what is wrong, since when and why; what goes on; what comes next."""

from datetime import timedelta

import pytest
from django.test import Client
from django.utils import timezone
from pytest_django.fixtures import DjangoAssertNumQueries

from alerts.models import Incident
from pipelines.models import Pipeline
from runs.models import WorkerKind
from runs.states import BlockStatus, RunStatus
from schedules.models import Decision, Occurrence
from tests.factories import make_pipeline, make_run, make_schedule, make_worker, text_of

pytestmark = pytest.mark.django_db


def make_well() -> None:
    now = timezone.now()
    make_worker(WorkerKind.SCHEDULER, seen_at=now, last_loop_at=now)
    make_worker(seen_at=now)


def test_an_empty_dashboard_says_what_to_do(page: Client) -> None:
    text = text_of(page.get("/"))

    assert "No scheduler is at work" in text
    assert "No worker is at work" in text
    assert "No run has finished yet." in text
    assert "No trigger is active." in text


def test_a_dashboard_without_trouble_says_so(page: Client) -> None:
    make_well()

    text = text_of(page.get("/"))

    assert "All is well" in text
    assert "What is wrong</h2>" not in text
    assert "is at work" not in text


def test_without_a_worker_all_is_not_said_to_be_well(page: Client) -> None:
    assert "All is well" not in text_of(page.get("/"))


def test_each_number_counts_what_goes_on_or_failed(page: Client) -> None:
    now = timezone.now()
    make_run(status=RunStatus.RUNNING, blocks={"load": BlockStatus.RUNNING}, started_at=now)
    make_run(status=RunStatus.INITIAL, started_at=None)
    make_run(status=RunStatus.FAILED, completed_at=now)
    make_run(status=RunStatus.FAILED, completed_at=now - timedelta(days=2))

    context = page.get("/").context

    assert (context["tiles"].running, context["tiles"].queued, context["failed_count"]) == (1, 1, 1)
    assert context["tiles"].blocks["running"] == 1
    assert context["tiles"].executors == {"local_python": 1}


def test_what_is_ready_longest_and_waits_for_a_worker_alone_is_known(page: Client) -> None:
    now = timezone.now()
    for minutes, pool in ((3, ""), (9, ""), (20, "warehouse")):
        run = make_run(blocks={"load": BlockStatus.QUEUED})
        run.block_runs.filter(block_uuid="load").update(queued_at=now - timedelta(minutes=minutes), pool=pool)

    assert page.get("/").context["tiles"].ready_since == now - timedelta(minutes=9)


def test_the_tile_of_failed_runs_leads_to_exactly_those_it_counts(page: Client) -> None:
    now = timezone.now()
    long_ago, hour = now - timedelta(days=3), timedelta(hours=1)
    failed = make_run(status=RunStatus.FAILED, created_at=long_ago, completed_at=now - hour)
    make_run(status=RunStatus.FAILED, created_at=long_ago, completed_at=now - 30 * hour)
    make_run(status=RunStatus.COMPLETED, created_at=now, completed_at=now)

    answer = page.get("/")

    assert answer.context["failed_count"] == 1
    address = "/runs/?status=failed&ended=24h"
    assert f'href="{address.replace("&", "&amp;")}"' in text_of(answer)
    assert [row["run"].pk for row in page.get(address).context["runs"]] == [failed.pk]


def test_a_trigger_past_its_moment_is_late_and_the_tile_leads_to_it(page: Client) -> None:
    now = timezone.now()
    make_schedule(name="behind", next_due_at=now - timedelta(minutes=2))
    make_schedule(name="just due", next_due_at=now - timedelta(seconds=5))

    answer = page.get("/")

    assert answer.context["tiles"].late == 1
    assert 'href="/schedules/?state=late"' in text_of(answer)
    listed = page.get("/schedules/?state=late").context["rows"]
    assert [row["schedule"].name for row in listed] == ["behind"]


def test_moments_lost_within_the_day_are_counted_and_listed(page: Client) -> None:
    now, schedule = timezone.now(), make_schedule()
    for hours, decision in ((1, Decision.MISSED), (2, Decision.EXPIRED), (3, Decision.SKIPPED), (30, Decision.MISSED)):
        Occurrence.objects.create(
            pipeline=schedule.pipeline,
            schedule=schedule,
            scheduled_for=now - timedelta(hours=hours),
            decision=decision,
            decided_at=now - timedelta(hours=hours),
        )

    assert page.get("/").context["tiles"].lost == 2
    assert len(page.get("/schedules/missed/").context["rows"]) == 2


def test_the_next_moments_come_in_order(page: Client) -> None:
    now = timezone.now()
    make_schedule(name="later", next_due_at=now + timedelta(hours=2))
    make_schedule(name="sooner", next_due_at=now + timedelta(hours=1))
    make_schedule(name="paused", is_active=False, next_due_at=now + timedelta(minutes=1))

    assert [schedule.name for schedule in page.get("/").context["next"]] == ["sooner", "later"]


def test_a_failing_pipeline_shows_the_error_and_leads_to_it(page: Client) -> None:
    now = timezone.now()
    run = make_run(
        status=RunStatus.FAILED,
        blocks={"load": BlockStatus.COMPLETED, "clean": BlockStatus.FAILED},
        started_at=now - timedelta(minutes=2),
        completed_at=now,
    )
    broken = run.block_runs.get(block_uuid="clean")
    error = {"type": "KeyError", "message": "no <b>column</b>\nsecond line"}
    run.block_runs.filter(pk=broken.pk).update(error=error, started_at=now, completed_at=now, attempt=2)

    text = text_of(page.get("/"))

    assert "KeyError: no &lt;b&gt;column&lt;/b&gt;</span>" in text
    assert f'href="/runs/{run.pk}/blocks/{broken.pk}/log/2/?at=error"' in text


def test_a_block_that_failed_without_beginning_leads_to_its_run(page: Client) -> None:
    run = make_run(status=RunStatus.FAILED, blocks={"clean": BlockStatus.FAILED}, completed_at=timezone.now())

    assert f'href="/runs/{run.pk}/?block=clean#block"' in text_of(page.get("/"))


def test_a_pipeline_that_has_completed_since_is_named_apart(page: Client) -> None:
    now = timezone.now()
    make_run(status=RunStatus.FAILED, completed_at=now - timedelta(hours=1))
    make_run(status=RunStatus.COMPLETED, completed_at=now)

    context = page.get("/").context

    assert context["failing"] == []
    assert [each.newest.pipeline.uuid for each in context["recovered"]] == ["etl"]


def test_open_incidents_come_worst_first_and_closed_ones_not_at_all(page: Client) -> None:
    now = timezone.now()
    for title, severity, fields in (
        ("small", "info", {}),
        ("put aside", "critical", {"acknowledged_at": now}),
        ("large", "critical", {}),
        ("past", "critical", {"closed_at": now}),
    ):
        Incident.objects.create(
            title=title, fingerprint=title, severity=severity, opened_at=now, last_seen_at=now, **fields
        )

    incidents = page.get("/").context["incidents"]

    assert [each.title for each in incidents.shown] == ["large", "small", "put aside"]
    assert (incidents.loud, incidents.aside) == (2, 1)


def test_a_pipeline_with_broken_files_is_named_with_its_mistake(page: Client) -> None:
    problem = {"file": "pipelines/bad/metadata.yaml", "line": 7, "reason": "cycle: a → b → a"}
    Pipeline.objects.create(uuid="bad", is_valid=False, problems=[problem])

    assert "pipelines/bad/metadata.yaml:7 cycle: a → b → a" in text_of(page.get("/"))


def test_a_run_that_will_pass_its_sla_is_at_risk(page: Client) -> None:
    now = timezone.now()
    for _ in range(3):
        make_run(
            status=RunStatus.COMPLETED,
            started_at=now - timedelta(hours=2),
            completed_at=now - timedelta(hours=1),
        )
    make_run(status=RunStatus.RUNNING, started_at=now, sla_at=now + timedelta(minutes=30))

    (risk,) = page.get("/").context["risks"]

    assert (risk.state, risk.pipeline) == ("late", "etl")
    assert risk.expected is not None
    assert risk.expected > risk.due


def test_the_dashboard_asks_as_much_for_many_runs_as_for_one(
    page: Client, django_assert_max_num_queries: DjangoAssertNumQueries
) -> None:
    now = timezone.now()
    make_well()
    for number in range(12):
        pipeline = make_pipeline(f"p{number}")
        make_run(pipeline, sla_at=now)
        make_run(pipeline, status=RunStatus.FAILED, completed_at=now)
        make_schedule(pipeline, next_due_at=now, sla=timedelta(minutes=1))
        Incident.objects.create(
            title="t", fingerprint=str(number), pipeline=pipeline, severity="info", opened_at=now, last_seen_at=now
        )

    with django_assert_max_num_queries(20):
        page.get("/")


def test_a_refresh_gets_the_live_region_alone(page: Client) -> None:
    text = text_of(page.get("/", headers={"HX-Request": "true", "HX-Target": "live"}))

    assert text.lstrip().startswith('<div id="live"')
    assert "<html" not in text
