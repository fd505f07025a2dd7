"""The real cadence beside the declared one, and the one line for what is late or held up."""

from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from runs.models import BlockRun, Origin, PipelineRun, WorkerKind
from runs.states import BlockStatus, RunStatus
from schedules.models import Decision, Occurrence, PipelineSchedule
from schedules.reasons.drift import LEAST, Drift, about, cadence, drift_of
from schedules.reasons.why_lines import lines
from tests.factories import NOON, make_client, make_pipeline, make_run, make_schedule, make_worker, text_of

pytestmark = pytest.mark.django_db
SECOND, MINUTE, HOUR = timedelta(seconds=1), timedelta(minutes=1), timedelta(hours=1)
TEN = 10 * MINUTE


def every_ten(**fields: Any) -> PipelineSchedule:
    return make_schedule(schedule_interval="*/10 * * * *", **fields)


def ran(
    schedule: PipelineSchedule, at: timedelta, *, started: timedelta, took: timedelta, **fields: Any
) -> PipelineRun:
    """A completed run of the moment `at` after noon, started so much after noon."""
    begin = NOON + started
    defaults: dict[str, Any] = {
        "trigger_id": schedule.pk,
        "origin": Origin.SCHEDULE,
        "execution_date": NOON + at,
        "interval_end": NOON + at + TEN,
        "started_at": begin,
        "completed_at": begin + took,
        "status": RunStatus.COMPLETED,
    }
    return make_run(schedule.pipeline, **defaults | fields)


def drift(schedule: PipelineSchedule) -> Drift | None:
    return cadence(schedule).drift


# --- cadence ----------------------------------------------------------------------------------------------------------


def test_runs_that_keep_to_their_moments_do_not_drift() -> None:
    schedule = every_ten()
    for number in range(8):
        ran(schedule, number * TEN, started=number * TEN + SECOND, took=MINUTE)

    found = drift(schedule)

    assert found is not None
    assert (found.declared, found.real, found.waiting, found.running) == (TEN, TEN, SECOND, MINUTE)
    assert (found.is_drifting, found.summary) == (False, "Every 10 min, as declared.")


def test_long_runs_one_at_a_time_are_the_cause_and_the_policy_is_named() -> None:
    schedule = every_ten(settings={"overlap": "wait_all"})
    for number in range(8):
        ran(schedule, number * TEN, started=number * 3 * TEN, took=28 * MINUTE)

    found = drift(schedule)

    assert found is not None
    assert (found.cause, found.share) == ("running", 2.0)
    assert (
        found.summary
        == "Every 10 min really runs every 30 min: runs take 28 min and wait_all lets one run go on at a time."
    )


def test_skipped_moments_show_in_the_spacing_of_those_that_ran() -> None:
    schedule = every_ten(settings={"skip_if_previous_running": True})
    for number in range(6):
        ran(schedule, number * 2 * TEN, started=number * 2 * TEN, took=12 * MINUTE)

    found = drift(schedule)

    assert found is not None
    assert found.summary.startswith("Every 10 min really runs every 20 min: runs take 12 min and skip lets one run")


def test_the_pipelines_limit_is_named_where_it_is_the_cause() -> None:
    schedule = every_ten(pipeline=make_pipeline(concurrency_config={"pipeline_run_limit_all_triggers": 2}))
    for number in range(6):
        ran(schedule, number * TEN, started=number * 15 * MINUTE, took=HOUR)

    found = drift(schedule)

    assert found is not None
    assert found.reason == "runs take 1 h and the pipeline's limit lets 2 runs go on at a time"


def test_starts_long_after_their_moments_are_a_wait() -> None:
    schedule = every_ten()
    for number in range(6):
        ran(schedule, number * TEN, started=number * 2 * TEN + HOUR, took=MINUTE)

    found = drift(schedule)

    assert found is not None
    assert found.cause == "waiting"
    assert "they start 1 h 25 min after their moments" in found.summary


def test_moments_that_came_to_nothing_are_what_is_left() -> None:
    schedule = every_ten()
    for number in range(6):
        ran(schedule, number * 2 * TEN, started=number * 2 * TEN, took=MINUTE)
        Occurrence.objects.create(
            pipeline=schedule.pipeline,
            schedule=schedule,
            scheduled_for=NOON + number * 2 * TEN + TEN,
            decision=Decision.MISSED,
            decided_at=NOON,
        )

    found = cadence(schedule)

    assert found.drift is not None
    assert (found.drift.cause, found.decisions) == ("not_started", {"missed": 6})


def test_an_uneven_timetable_is_no_drift() -> None:
    schedule = make_schedule(schedule_interval="0 9,17 * * *")
    at = timedelta(0)
    for number in range(8):
        step = (8 if number % 2 else 16) * HOUR
        ran(schedule, at, started=at, took=MINUTE, interval_end=NOON + at + step)
        at += step

    found = drift(schedule)

    assert found is not None
    assert not found.is_drifting


def test_what_was_started_by_hand_or_by_a_backfill_does_not_count() -> None:
    schedule = every_ten()
    for number in range(LEAST - 1):
        ran(schedule, number * TEN, started=number * TEN, took=MINUTE)
    ran(schedule, HOUR, started=HOUR, took=MINUTE, origin=Origin.MANUAL)
    ran(schedule, HOUR, started=HOUR, took=MINUTE, backfill_id=3)

    found = cadence(schedule)

    assert found.drift is None
    assert found.summary == "Too few runs to tell: it takes 5 that were due by time."


def test_jitter_is_no_wait_and_broken_settings_are_no_obstacle() -> None:
    schedule = every_ten(settings={"jitter": 300, "overlap": "maybe"})
    for number in range(6):
        ran(schedule, number * TEN, started=number * TEN + SECOND, took=MINUTE)

    assert drift(schedule) is not None


def test_runs_that_never_end_have_a_cadence_too() -> None:
    schedule = every_ten()
    for number in range(6):
        run = ran(schedule, number * TEN, started=number * TEN, took=MINUTE)
        PipelineRun.objects.filter(pk=run.pk).update(status=RunStatus.RUNNING, completed_at=None)

    found = drift(schedule)

    assert found is not None
    assert found.running == timedelta(0)


@pytest.mark.parametrize(
    ("span", "words"),
    [
        (45 * SECOND, "45 s"),
        (119 * SECOND, "119 s"),
        (28 * MINUTE, "28 min"),
        (90 * MINUTE, "1 h 30 min"),
        (24 * HOUR, "24 h"),
        (49 * HOUR, "2 d 1 h"),
        (168 * HOUR, "7 d"),
    ],
)
def test_spans_are_said_shortly(span: timedelta, words: str) -> None:
    assert about(span) == words


# --- one line ---------------------------------------------------------------------------------------------------------


def waiting(schedule: PipelineSchedule, **fields: Any) -> Occurrence:
    defaults = {"scheduled_for": NOON, "decision": Decision.WAITING, "decided_at": NOON}
    return Occurrence.objects.create(pipeline=schedule.pipeline, schedule=schedule, **defaults | fields)


def test_each_trigger_that_is_late_or_held_up_has_its_line() -> None:
    late, queue, initial, idle, trying, held, well = (
        make_schedule(name=name, next_due_at=NOON + HOUR)
        for name in ("late", "queue", "initial", "idle", "trying", "held", "well")
    )
    late.next_due_at = NOON - HOUR
    waiting(queue, reason="The previous run, 3, is still running.")
    waiting(queue, scheduled_for=NOON + TEN)
    for number in range(2):
        waiting(held, scheduled_for=NOON + number * TEN, decision=Decision.HELD)
    first = make_run(trigger_id=initial.pk, status=RunStatus.INITIAL, reason="waits: The limit was reached.")
    make_run(trigger_id=initial.pk, status=RunStatus.INITIAL, reason="waits: later")
    alone = make_run(trigger_id=idle.pk, blocks={"load": BlockStatus.QUEUED})
    again = make_run(trigger_id=trying.pk, blocks={"load": BlockStatus.WAITING})
    BlockRun.objects.filter(pipeline_run=alone).update(queued_at=NOON)
    BlockRun.objects.filter(pipeline_run=again).update(next_attempt_at=NOON)
    make_run(trigger_id=well.pk, blocks={"load": BlockStatus.RUNNING, "clean": BlockStatus.QUEUED})

    found = lines([late, queue, initial, idle, trying, held, well], NOON)

    assert found == {
        late.pk: "Due since 2025-03-02 11:00:00 UTC, but no scheduler is alive.",
        queue.pk: "2 moments waiting. The previous run, 3, is still running.",
        initial.pk: f"Run {first.pk} waits: The limit was reached.",
        idle.pk: f"load of run {alone.pk} waits for a worker since 2025-03-02 12:00:00 UTC.",
        trying.pk: f"load of run {again.pk} is tried again at 2025-03-02 12:00:00 UTC.",
        held.pk: "2 moments held until someone decides.",
    }


def test_a_late_trigger_of_a_scheduler_that_is_busy_says_so() -> None:
    make_worker(WorkerKind.SCHEDULER, last_loop_at=NOON)
    late = make_schedule(next_due_at=NOON - HOUR)

    assert lines([late], NOON)[late.pk].endswith("but the scheduler has not come to it yet.")


def test_lines_cost_the_same_for_many_triggers_as_for_few() -> None:
    def make(number: int) -> PipelineSchedule:
        schedule = make_schedule(name=f"t{number}", next_due_at=NOON - HOUR)
        waiting(schedule)
        waiting(schedule, scheduled_for=NOON + TEN, decision=Decision.HELD)
        make_run(trigger_id=schedule.pk, status=RunStatus.INITIAL)
        make_run(trigger_id=schedule.pk, blocks={"load": BlockStatus.QUEUED})
        return schedule

    few = [make(0)]
    many = few + [make(number) for number in range(1, 12)]
    with CaptureQueriesContext(connection) as for_few:
        lines(few, NOON)
    with CaptureQueriesContext(connection) as for_many:
        lines(many, NOON)

    assert len(for_few) == len(for_many) == 7
    assert lines([], NOON) == {}


# --- where it is shown ------------------------------------------------------------------------------------------------


def drifting() -> PipelineSchedule:
    schedule = every_ten(settings={"overlap": "wait_all"}, last_enabled_at=NOON)
    for number in range(8):
        run = ran(schedule, number * TEN, started=number * 3 * TEN, took=28 * MINUTE)
        run.block_runs.update(first_started_at=run.started_at + 5 * SECOND if run.started_at else None)
        waiting(schedule, scheduled_for=run.execution_date, decision=Decision.STARTED, pipeline_run=run)
    return schedule


SUMMARY = "Every 10 min really runs every 30 min: runs take 28 min and wait_all lets one run go on at a time."


def test_the_list_and_the_page_warn_of_a_trigger_that_drifts(page: Client) -> None:
    schedule = drifting()
    waiting(schedule, scheduled_for=NOON + 24 * HOUR, reason="<i>Busy</i>.")

    listed, shown = text_of(page.get("/schedules/")), text_of(page.get(f"/schedules/{schedule.pk}/"))

    assert SUMMARY in listed
    assert "1 moment waiting. &lt;i&gt;Busy&lt;/i&gt;." in listed
    assert SUMMARY in shown
    assert "Queues for a worker" in shown


def test_the_api_tells_the_cadence_in_seconds() -> None:
    schedule = drifting()

    told = make_client().get(f"/api/v1/pipeline_schedules/{schedule.pk}/drift").json()

    assert told == {
        "summary": SUMMARY,
        "is_drifting": True,
        "runs": 8,
        "declared": 600.0,
        "real": 1800.0,
        "share": 2.0,
        "waiting": 4200.0,
        "queued": 5.0,
        "running": 1680.0,
        "cause": "running",
        "reason": "runs take 28 min and wait_all lets one run go on at a time",
        "decisions": {"started": 8},
    }


def test_the_api_has_no_figures_for_a_trigger_that_has_hardly_run() -> None:
    told = make_client().get(f"/api/v1/pipeline_schedules/{every_ten().pk}/drift").json()

    assert (told["declared"], told["is_drifting"], told["runs"]) == (None, False, 0)


def test_the_drift_of_a_list_asks_nothing(django_assert_num_queries: Any) -> None:
    schedule = drifting()
    runs = list(PipelineRun.objects.for_strip())

    with django_assert_num_queries(0):
        drift_of(schedule, runs)
