"""Why is this moment not running? What became of it and, while it waits, what stands in its way now."""

from datetime import datetime, timedelta
from typing import Any

import pytest
from django.test import Client

from runs.models import PipelineRun, WorkerKind
from runs.states import BlockStatus
from schedules.models import Decision, Occurrence, PipelineSchedule
from schedules.reasons.why import why_occurrence
from tests.factories import NOON, make_backfill, make_run, make_schedule, make_worker, text_of

pytestmark = pytest.mark.django_db
SECOND, HOUR = timedelta(seconds=1), timedelta(hours=1)


@pytest.fixture(autouse=True)
def crew() -> None:
    """A scheduler and a worker who is free."""
    make_worker(WorkerKind.SCHEDULER, last_loop_at=NOON - SECOND)
    make_worker(lease_until=NOON + 20 * SECOND, pid=7)


def planned(**fields: Any) -> PipelineSchedule:
    schedule = make_schedule(schedule_interval="@hourly", is_active=False, **fields)
    schedule.resume(NOON)
    return schedule


def row_of(schedule: PipelineSchedule, moment: datetime = NOON, **fields: Any) -> Occurrence:
    defaults = {"scheduled_for": moment, "decision": Decision.WAITING, "decided_at": moment}
    row = Occurrence.objects.create(pipeline=schedule.pipeline, schedule=schedule, **defaults | fields)
    return Occurrence.objects.with_all().get(pk=row.pk)


def overlapping() -> PipelineSchedule:
    schedule = planned(settings={"overlap": "wait_all"})
    make_run(trigger_id=schedule.pk)
    return schedule


@pytest.mark.parametrize(
    ("fields", "answer"),
    [
        (
            {"decision": Decision.SKIPPED, "reason": "Calendar: Christmas."},
            "It was skipped at 2025-03-02 12:00:00 UTC. Cal",
        ),
        ({"decision": Decision.EXPIRED, "reason": "Too late."}, "It was expired at 2025-03-02 12:00:00 UTC. Too late."),
        ({"decision": Decision.MISSED, "reason": "Paused."}, "It was missed at 2025-03-02 12:00:00 UTC. Paused."),
        ({"decision": Decision.CANCELLED}, "It was cancelled at 2025-03-02 12:00:00 UTC."),
        (
            {"decision": Decision.HELD, "reason": "Catch-up: hold."},
            "It is held until someone releases or drops it. Catch",
        ),
        ({"decision": Decision.STARTED}, "It was started at 2025-03-02 12:00:00 UTC; its run has been removed since."),
        (
            {"start_after": NOON + HOUR, "reason": "Night."},
            "It waits. It is not looked at before 2025-03-02 13:00:00 UTC",
        ),
        ({"expires_at": NOON - SECOND}, "It waits. Its start deadline passed at 2025-03-02 11:59:59 UTC"),
        ({}, "It waits. Nothing stands in its way: the scheduler starts it within seconds."),
    ],
)
def test_a_moment_says_what_became_of_it(fields: dict[str, Any], answer: str) -> None:
    found = why_occurrence(row_of(planned(), **fields), NOON)

    assert found.summary.startswith(answer), found.summary
    assert not found.is_running


def test_a_moment_that_was_started_tells_how_its_run_comes_along() -> None:
    schedule = planned()
    run = make_run(trigger_id=schedule.pk, blocks={"load": BlockStatus.QUEUED})

    found = why_occurrence(row_of(schedule, decision=Decision.STARTED, pipeline_run=run), NOON)

    assert found.summary.startswith(f"It was started as run {run.pk}. Block load: It waits for a worker")
    assert found.checks[0].blockers[0].url == f"/runs/{run.pk}/"


def test_a_moment_that_waits_behind_a_run_names_it() -> None:
    schedule = overlapping()
    run = PipelineRun.objects.get()

    found = why_occurrence(row_of(schedule), NOON)

    assert found.summary == f"It waits. The previous run, {run.pk}, is still running."
    told = {check.name: check for check in found.checks}
    assert [link.id for link in told["overlap"].blockers] == [run.pk]


def test_a_moment_names_those_of_its_trigger_that_wait_before_it() -> None:
    schedule = overlapping()
    first, second = row_of(schedule), row_of(schedule, NOON + HOUR)

    told = {check.name: check for check in why_occurrence(second, NOON).checks}

    assert [link.id for link in told["priority"].blockers] == [first.pk]


def test_a_moment_of_a_paused_trigger_is_kept_until_it_is_resumed() -> None:
    schedule = planned()
    schedule.pause(NOON, until=NOON + HOUR)

    check = why_occurrence(row_of(schedule), NOON).checks[0]

    assert not check.passed
    assert check.detail.startswith("What waits is kept while its trigger is off. It is paused until 2025-03-02 13:00")
    assert check.clears_at == NOON + HOUR


def test_a_slot_of_a_paused_backfill_says_so() -> None:
    schedule = planned()
    backfill = make_backfill(schedule.pipeline, created_at=NOON, paused_at=NOON)
    backfill.save()
    row = Occurrence.objects.create(
        pipeline=schedule.pipeline, backfill=backfill, scheduled_for=NOON, decision=Decision.WAITING, decided_at=NOON
    )

    found = why_occurrence(row, NOON)

    assert found.summary == f"It waits. Its backfill, {backfill.pk}, is paused."
    assert [link.url for link in found.checks[0].blockers] == [f"/backfills/{backfill.pk}/"]


def test_the_page_of_a_slot_leads_to_its_backfill(page: Client) -> None:
    schedule = planned()
    backfill = make_backfill(schedule.pipeline, schedule=schedule, created_at=NOON)
    backfill.save()
    row = row_of(schedule, backfill=backfill)

    assert f'href="/backfills/{backfill.pk}/"' in text_of(page.get(f"/schedules/{schedule.pk}/occurrences/{row.pk}/"))


def test_a_moment_whose_run_cannot_be_made_says_why_and_changes_nothing() -> None:
    schedule = planned()
    schedule.pipeline.is_valid = False
    schedule.pipeline.save()
    row = row_of(schedule)

    found = why_occurrence(row, NOON)

    assert found.summary.startswith("It waits. Pipeline etl is invalid")
    row.refresh_from_db()
    assert (row.decision, PipelineSchedule.objects.get().problem) == (Decision.WAITING, "")


# --- its page ---------------------------------------------------------------------------------------------------------


def test_the_page_of_a_moment_says_what_became_of_it(page: Client) -> None:
    schedule = planned()
    row = row_of(schedule, decision=Decision.SKIPPED, reason="<b>Busy</b>.", blocker_run_id=7)
    address = f"/schedules/{schedule.pk}/occurrences/{row.pk}/"

    text, fragment = text_of(page.get(address)), text_of(page.get(address, headers={"HX-Target": "live"}))

    assert "It was skipped at 2025-03-02 12:00:00 UTC. &lt;b&gt;Busy&lt;/b&gt;." in text
    assert 'href="/runs/7/"' in text
    assert fragment.startswith('<div id="live"')


@pytest.mark.parametrize(
    "address", ["{other}/occurrences/{row}", "{schedule}/occurrences/4711", f"1/occurrences/{2**63}"]
)
def test_a_moment_that_is_not_of_this_trigger_is_not_found(page: Client, address: str) -> None:
    schedule, other = planned(), planned(name="other")
    row = row_of(schedule)

    path = address.format(schedule=schedule.pk, other=other.pk, row=row.pk)

    assert page.get(f"/schedules/{path}/").status_code == 404
