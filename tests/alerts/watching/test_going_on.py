"""What time alone breaks is found while it lasts, once, and also when it was over between two looks."""

from datetime import timedelta
from typing import Any

import pytest

from alerts.models import Breach, Incident, Kind
from runs.models import BlockRun, Origin, PipelineRun
from runs.states import BlockStatus, RunStatus
from schedules.models import Decision, Occurrence
from tests.alerts.rules import begun, ends, make_rule, open_incidents
from tests.factories import NOON, make_backfill, make_pipeline, make_run, make_schedule

pytestmark = pytest.mark.django_db
MINUTE, HOUR = timedelta(minutes=1), timedelta(hours=1)
DAILY: dict[str, Any] = {"trigger_id": 5, "trigger_name": "daily", "origin": Origin.SCHEDULE}


def make_moment(decision: Decision, **fields: Any) -> Occurrence:
    schedule = make_schedule()
    defaults = {"scheduled_for": NOON, "decided_at": NOON, "reason": "the limit is reached"}
    return Occurrence.objects.create(
        pipeline=schedule.pipeline, schedule=schedule, decision=decision, **defaults | fields
    )


# --- deadlines ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("since", ["due", "start"])
def test_a_run_past_its_deadline_is_told_of_once_while_it_goes_on(since: str) -> None:
    make_rule(Kind.DEADLINE, settings={"seconds": 3600, "since": since})
    run, evaluator = make_run(**DAILY), begun()
    evaluator.look(NOON + HOUR)
    assert not Breach.objects.exists()
    for looks in (evaluator, evaluator, begun(NOON + HOUR + 2 * MINUTE)):
        looks.look(NOON + HOUR + MINUTE)
    breach = Breach.objects.get()
    assert (breach.run_id, breach.happened_at) == (run.pk, NOON + HOUR)
    assert open_incidents() == [
        f"etl (daily) was not finished 1 h after {'it was due' if since == 'due' else 'its start'}"
    ]


def test_a_run_that_ended_late_between_two_looks_is_told_of_too() -> None:
    make_rule(Kind.DEADLINE, settings={"seconds": 60})
    run, evaluator = make_run(**DAILY), begun()
    ends(run, RunStatus.COMPLETED, NOON + MINUTE + timedelta(seconds=1))
    evaluator.look(NOON + 2 * MINUTE)
    assert Breach.objects.get().run_id == run.pk
    ends(make_run(**DAILY, execution_date=NOON + 5 * MINUTE), RunStatus.COMPLETED, NOON + 6 * MINUTE)
    evaluator.look(NOON + 7 * MINUTE)
    assert open_incidents() == []


@pytest.mark.parametrize("decision", [Decision.WAITING, Decision.HELD])
def test_a_moment_that_never_started_breaks_its_deadline(decision: Decision) -> None:
    make_rule(Kind.DEADLINE, settings={"seconds": 3600})
    evaluator, moment = begun(), make_moment(decision)
    evaluator.look(NOON + HOUR + MINUTE)
    breach = Breach.objects.get()
    assert (breach.key, breach.run_id) == (f"occurrence {moment.pk}", None)
    assert breach.message.endswith(f"it is {decision}: the limit is reached.")


def test_a_moment_that_waited_and_then_ran_late_is_one_breach() -> None:
    make_rule(Kind.DEADLINE, settings={"seconds": 60})
    evaluator, moment = begun(), make_moment(Decision.WAITING)
    evaluator.look(NOON + 2 * MINUTE)
    run = make_run(trigger_id=moment.schedule_id, trigger_name="daily", origin=Origin.SCHEDULE)
    Occurrence.objects.filter(pk=moment.pk).update(decision=Decision.STARTED, pipeline_run=run)
    for minute in (3, 4):
        begun(NOON + minute * MINUTE).look(NOON + minute * MINUTE)
    assert Breach.objects.count() == 1


def test_a_moment_that_waits_breaks_the_shorter_deadline_and_then_the_longer_one() -> None:
    short, long = (make_rule(Kind.DEADLINE, settings={"seconds": seconds}) for seconds in (60, 180))
    evaluator = begun()
    make_moment(Decision.WAITING, reason="Window A until 12:30.")
    for minute in (2, 4):
        evaluator.look(NOON + minute * MINUTE)
        assert Breach.objects.filter(rule__in=[short, long]).count() == minute // 2
    assert Breach.objects.filter(rule=long).get().message.endswith("it is waiting: Window A until 12:30.")


def test_a_missed_moment_breaks_a_deadline_as_soon_as_it_is_known() -> None:
    make_rule(Kind.DEADLINE, settings={"seconds": 3600})
    evaluator = begun()
    moment = make_moment(Decision.MISSED, decided_at=NOON + MINUTE, reason="")
    Occurrence.objects.create(
        pipeline=moment.pipeline,
        schedule=moment.schedule,
        decision=Decision.SKIPPED,
        scheduled_for=NOON + MINUTE,
        decided_at=NOON + MINUTE,
    )
    evaluator.look(NOON + 2 * MINUTE)
    assert [each.key for each in Breach.objects.all()] == [f"occurrence {moment.pk}"]


def test_what_is_not_due_by_a_schedule_is_due_when_it_was_asked_for() -> None:
    make_rule(Kind.DEADLINE, settings={"seconds": 3600})
    evaluator = begun()
    old = NOON - timedelta(days=3)
    make_run(origin=Origin.MANUAL, execution_date=old)
    make_run(**DAILY, execution_date=old, attempt=2)
    evaluator.look(NOON + MINUTE)
    assert not Breach.objects.exists()


# --- waiting --------------------------------------------------------------------------------------------------------


def test_a_run_that_waits_for_its_place_too_long_is_told_of_once() -> None:
    make_rule(Kind.QUEUE_TIME, settings={"seconds": 600})
    run, evaluator = make_run(status=RunStatus.INITIAL, started_at=None), begun()
    for minute in (5, 11, 12):
        evaluator.look(NOON + minute * MINUTE)
    breach = Breach.objects.get()
    assert (breach.run_id, breach.happened_at) == (run.pk, NOON + 10 * MINUTE)
    assert breach.message == f"Run {run.pk} has waited 11 min for its place or a worker, since 12:00:00 UTC."


def test_a_block_that_waits_for_a_worker_too_long_is_told_of_once_for_its_run() -> None:
    make_rule(Kind.QUEUE_TIME, settings={"seconds": 600})
    run = make_run(blocks={"load": BlockStatus.QUEUED, "clean": BlockStatus.QUEUED})
    run.block_runs.update(queued_at=NOON)
    begun().look(NOON + 11 * MINUTE)
    assert Breach.objects.count() == 1


def test_a_wait_that_was_over_between_two_looks_is_found_at_the_end() -> None:
    make_rule(Kind.QUEUE_TIME, settings={"seconds": 600})
    evaluator, run = begun(), make_run(blocks={"load": BlockStatus.COMPLETED})
    BlockRun.objects.filter(block_uuid="load").update(queued_at=NOON, started_at=NOON + 11 * MINUTE)
    ends(run, RunStatus.COMPLETED, NOON + 12 * MINUTE)
    evaluator.look(NOON + 13 * MINUTE)
    assert open_incidents() == ["etl waits longer than 10 min to begin"]


def test_backfills_may_wait_as_long_as_they_have_to() -> None:
    make_rule(Kind.QUEUE_TIME, settings={"seconds": 600})
    make_run(status=RunStatus.INITIAL, started_at=None, backfill_id=3)
    make_run(blocks={"load": BlockStatus.QUEUED}, backfill_id=3).block_runs.update(queued_at=NOON)
    begun().look(NOON + HOUR)
    assert not Breach.objects.exists()


# --- slower ---------------------------------------------------------------------------------------------------------


def took(seconds: int, **fields: Any) -> PipelineRun:
    run = make_run(status=RunStatus.COMPLETED, completed_at=NOON + timedelta(seconds=seconds), **fields)
    run.block_runs.update(status=BlockStatus.COMPLETED, started_at=NOON, completed_at=NOON + timedelta(seconds=seconds))
    return run


def test_a_run_is_slower_than_usual_before_it_ends() -> None:
    make_rule(Kind.SLOWER, settings={"factor": 2, "samples": 10})
    for _ in range(10):
        took(60)
    run, evaluator = make_run(), begun()
    evaluator.look(NOON + 2 * MINUTE)
    assert not Breach.objects.exists()
    evaluator.look(NOON + 3 * MINUTE)
    assert Breach.objects.get().message == f"Run {run.pk} has been running for 3 min; usual are up to 60 s."
    ends(run, RunStatus.COMPLETED, NOON + 4 * MINUTE)
    evaluator.look(NOON + 5 * MINUTE)
    assert open_incidents() == ["etl is slower than usual"]
    quick = make_run(started_at=NOON + 5 * MINUTE)
    ends(quick, RunStatus.COMPLETED, NOON + 6 * MINUTE)
    evaluator.look(NOON + 7 * MINUTE)
    assert open_incidents() == []


def test_a_block_is_slower_than_usual() -> None:
    make_rule(Kind.SLOWER, settings={"factor": 2, "samples": 3}, block_uuid="load")
    for _ in range(3):
        took(60)
    run = make_run(blocks={"load": BlockStatus.RUNNING})
    run.block_runs.update(started_at=NOON)
    begun().look(NOON + 3 * MINUTE)
    assert open_incidents() == ["load of etl is slower than usual"]


@pytest.mark.parametrize(("samples", "seconds", "factor"), [(4, 60, 2), (3, 1, 2)])
def test_too_few_samples_or_a_few_seconds_more_are_no_trouble(samples: int, seconds: int, factor: int) -> None:
    make_rule(Kind.SLOWER, settings={"factor": factor, "samples": samples})
    for _ in range(3):
        took(seconds)
    run, evaluator = make_run(), begun()
    ends(run, RunStatus.COMPLETED, NOON + timedelta(seconds=5 * seconds))
    evaluator.look(NOON + HOUR)
    assert not Incident.objects.exists()


def test_the_rows_that_a_block_returned_are_counted() -> None:
    make_rule(Kind.ROW_COUNT, settings={"low": 1, "high": 100}, block_uuid="load")
    evaluator = begun()
    for minute, rows in enumerate([50, 0, 101, None, 7], 1):
        run = make_run(make_pipeline() if minute == 1 else None, blocks={"load": BlockStatus.COMPLETED})
        run.block_runs.filter(block_uuid="load").update(output=[{"rows": rows}])
        ends(run, RunStatus.COMPLETED, NOON + minute * MINUTE)
        evaluator.look(NOON + minute * MINUTE)
        assert bool(open_incidents()) == (minute in (2, 3)), rows
    messages = [each.message.partition(": ")[2] for each in Breach.objects.order_by("id")]
    assert messages == [
        "load returned 0 rows; told are fewer than 1 or more than 100.",
        "load returned 101 rows; told are fewer than 1 or more than 100.",
    ]


def test_slots_of_backfills_have_no_deadline_while_they_wait() -> None:
    make_rule(Kind.DEADLINE, settings={"seconds": 60})
    backfill = make_backfill(created_at=NOON)
    backfill.save()
    make_moment(Decision.WAITING, backfill=backfill)
    begun().look(NOON + HOUR)
    assert not Breach.objects.exists()
