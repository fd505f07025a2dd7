"""Why is this trigger, or this moment of it, not running? A table of situations and their answers."""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from runs import admission
from runs.limits import Answer, Gate
from runs.models import BlockRun, PipelineRun, Worker, WorkerKind
from runs.reasons.explanations import Check
from runs.states import BlockStatus, RunStatus
from schedules import scheduler
from schedules.models import Decision, Occurrence, PipelineSchedule, ScheduleType
from schedules.reasons.why import why_schedule
from tests.factories import (
    NOON,
    make_client,
    make_pipeline,
    make_run,
    make_schedule,
    make_worker,
    text_of,
)

pytestmark = pytest.mark.django_db
SECOND, MINUTE, HOUR = timedelta(seconds=1), timedelta(minutes=1), timedelta(hours=1)


@pytest.fixture(autouse=True)
def crew() -> None:
    """A scheduler and a worker who is free."""
    make_worker(WorkerKind.SCHEDULER, last_loop_at=NOON - SECOND)
    make_worker(lease_until=NOON + 20 * SECOND, pid=7)


def planned(interval: str = "@hourly", **fields: Any) -> PipelineSchedule:
    schedule = make_schedule(schedule_interval=interval, is_active=False, **fields)
    schedule.resume(NOON)
    return schedule


def row_of(schedule: PipelineSchedule, moment: datetime = NOON, **fields: Any) -> Occurrence:
    defaults = {"scheduled_for": moment, "decision": Decision.WAITING, "decided_at": moment}
    row = Occurrence.objects.create(pipeline=schedule.pipeline, schedule=schedule, **defaults | fields)
    return Occurrence.objects.with_all().get(pk=row.pk)


def checks(schedule: PipelineSchedule, moment: datetime = NOON) -> dict[str, Check]:
    return {check.name: check for check in why_schedule(schedule, moment).checks}


# --- triggers ---------------------------------------------------------------------------------------------------------


def healthy() -> PipelineSchedule:
    return planned()


def never_on() -> PipelineSchedule:
    return make_schedule(is_active=False)


def paused() -> PipelineSchedule:
    schedule = planned()
    schedule.pause(NOON)
    return schedule


def paused_until() -> PipelineSchedule:
    schedule = planned()
    schedule.pause(NOON, until=NOON + HOUR)
    return schedule


def stopped() -> PipelineSchedule:
    return make_schedule(is_active=False, problem="Stopped: its last run failed, the newest is run 7.")


def set_aside() -> PipelineSchedule:
    return make_schedule(schedule_interval="61 * * * *", problem="Minute: 61 is outside 0–59.")


def wrong_settings() -> PipelineSchedule:
    return make_schedule(settings={"overlap": "maybe"})


def fired_once() -> PipelineSchedule:
    schedule = planned("@once")
    scheduler.tick(NOON)
    PipelineRun.objects.update(status=RunStatus.COMPLETED)
    return schedule


def not_begun() -> PipelineSchedule:
    return planned(start_time=NOON + HOUR)


def ended() -> PipelineSchedule:
    return planned(end_time=NOON - HOUR)


def without_further_moment() -> PipelineSchedule:
    return planned("on 2025-03-01T12:00")


def without_pipeline() -> PipelineSchedule:
    schedule = planned()
    schedule.pipeline.is_present = False
    schedule.pipeline.save()
    return schedule


def broken_pipeline() -> PipelineSchedule:
    schedule = planned()
    schedule.pipeline.is_valid = False
    schedule.pipeline.problems = [{"file": "metadata.yaml", "line": 3, "reason": "cycle: a → a"}]
    schedule.pipeline.save()
    return schedule


def unknown_executor() -> PipelineSchedule:
    return planned(pipeline=make_pipeline(executor_type="moon"))


def by_api() -> PipelineSchedule:
    return make_schedule(schedule_type=ScheduleType.API, schedule_interval="", last_enabled_at=NOON)


def chained() -> PipelineSchedule:
    settings = {"after": {"pipelines": ["extract", "load"], "match": "all"}}
    return make_schedule(schedule_type=ScheduleType.EVENT, settings=settings, last_enabled_at=NOON)


def overlapping() -> PipelineSchedule:
    schedule = planned(settings={"overlap": "wait_all"})
    run = make_run(trigger_id=schedule.pk)
    BlockRun.objects.filter(pipeline_run=run, block_uuid="load").update(status=BlockStatus.RUNNING, worker=None)
    return schedule


def over_limit() -> PipelineSchedule:
    schedule = planned(pipeline=make_pipeline(concurrency_config={"pipeline_run_limit_all_triggers": 1}))
    make_run(schedule.pipeline)
    return schedule


def waiting_ahead() -> PipelineSchedule:
    schedule = planned(settings={"overlap": "wait_all"})
    row_of(schedule, reason="The previous run, 3, is still running.")
    return schedule


@pytest.mark.parametrize(
    ("situation", "answer", "shut"),
    [
        (healthy, "It is not due before 2025-03-02 13:00:00 UTC.", "due"),
        (never_on, "It has never been switched on.", "enabled"),
        (paused, "It is paused until someone resumes it.", "enabled"),
        (paused_until, "It is paused until 2025-03-02 13:00:00 UTC.", "enabled"),
        (stopped, "Stopped: its last run failed, the newest is run 7.", "enabled"),
        (set_aside, "It is set aside: Minute: 61 is outside 0–59.", "problem"),
        (wrong_settings, "overlap must be ", "settings"),
        (fired_once, "It was to fire once, and has: the ledger says what came of it.", "enabled"),
        (not_begun, "It does not begin before 2025-03-02 13:00:00 UTC.", "started"),
        (ended, "It ended at 2025-03-02 11:00:00 UTC.", "started"),
        (without_further_moment, "There is no further moment.", "due"),
        (without_pipeline, "The pipeline etl is no longer in the project.", "pipeline"),
        (broken_pipeline, "Pipeline etl is invalid: metadata.yaml line 3: cycle: a → a", "pipeline"),
        (unknown_executor, "There is no executor 'moon'", "pipeline"),
        (by_api, "Nothing stands in its way. It is started by an API call, not by the time.", None),
        (chained, "Nothing stands in its way. It is started when runs of all of extract, load have completed", None),
        (overlapping, "Run {run} is under way. Block load: Its worker was lost", "due"),
        (over_limit, "The limit was reached: 1 run of the pipeline at a time.", "due"),
        (
            waiting_ahead,
            "Already waiting: 1 moment. The first, of 2025-03-02 12:00:00 UTC: The previous run, 3,",
            "due",
        ),
    ],
)
def test_a_trigger_says_why_it_is_not_running(
    situation: Callable[[], PipelineSchedule], answer: str, shut: str | None
) -> None:
    schedule = situation()

    found = why_schedule(schedule, NOON)

    run = PipelineRun.objects.order_by("-id").values_list("pk", flat=True).first()
    assert found.summary.startswith(answer.format(run=run)), found.summary
    assert (found.shut.name if found.shut else None) == shut


def test_the_conditions_come_in_their_order() -> None:
    schedule = planned(settings={"overlap": "skip", "pipeline_run_limit": 2})

    assert [check.name for check in why_schedule(schedule, NOON).checks] == [
        *("enabled", "problem", "started", "pipeline", "window", "active hours", "calendar", "scheduler", "due"),
        *("catch-up", "queue", "overlap", "limit of the trigger", "priority", "executor", "worker"),
    ]


def test_the_blocker_of_each_condition_is_a_link_with_the_time_at_which_it_should_clear() -> None:
    schedule = overlapping()
    run = PipelineRun.objects.get()
    make_run(status=RunStatus.COMPLETED, completed_at=NOON + 10 * MINUTE)
    held = row_of(schedule, start_after=NOON + MINUTE)

    found = checks(schedule)

    assert [link.url for link in found["overlap"].blockers] == [f"/runs/{run.pk}/"]
    assert found["overlap"].clears_at == NOON + 10 * MINUTE
    assert [link.url for link in found["queue"].blockers] == [f"/schedules/{schedule.pk}/occurrences/{held.pk}/"]
    assert found["queue"].clears_at == NOON + MINUTE
    assert found["due"].clears_at == NOON + HOUR


def test_a_stopped_trigger_names_the_run_that_failed_last() -> None:
    schedule = stopped()
    make_run(trigger_id=schedule.pk, status=RunStatus.FAILED)
    newest = make_run(trigger_id=schedule.pk, status=RunStatus.FAILED)

    assert [link.id for link in checks(schedule)["enabled"].blockers] == [newest.pk]


def test_without_a_scheduler_a_due_moment_says_so_first() -> None:
    schedule = planned()

    found = why_schedule(schedule, NOON + 3 * HOUR)

    assert found.summary.startswith("No scheduler is alive: the last loop was completed 3 h ago, by here:100.")
    told = checks(schedule, NOON + 3 * HOUR)
    assert told["due"].detail == "It has been due since 2025-03-02 13:00:00 UTC, 2 h ago."


@pytest.mark.parametrize(
    ("policy", "detail", "passed"),
    [
        ("latest", "3 moments due and undecided; what will become of them: 2 missed, 1 started.", True),
        ("none", "3 moments due and undecided; what will become of them: 2 missed, 1 started.", True),
        ("hold", "3 moments due and undecided; what will become of them: 2 held, 1 started.", True),
    ],
)
def test_moments_that_are_overdue_say_what_will_become_of_them(policy: str, detail: str, passed: bool) -> None:
    schedule = planned(settings={"catchup": policy})
    before = PipelineSchedule.objects.values().get()

    check = checks(schedule, NOON + 3 * HOUR)["catch-up"]

    assert (check.detail, check.passed) == (f"{detail} Its catch-up policy is {policy}.", passed)
    assert PipelineSchedule.objects.values().get() == before
    assert not Occurrence.objects.exists()


def test_overdue_moments_that_will_not_be_made_up_for_say_why() -> None:
    check = checks(planned(settings={"catchup": "none"}), NOON + 3.5 * HOUR)["catch-up"]

    assert not check.passed
    assert check.detail.endswith("Not started in time. Catch-up: none.")


def test_what_holds_starts_from_above_is_told_with_its_end(monkeypatch: pytest.MonkeyPatch) -> None:
    gate = Gate("window", Answer.WAIT, "Held by the maintenance window night.", until=NOON + HOUR)
    monkeypatch.setattr(admission, "HOLDS", [lambda moment: lambda run: gate])

    found = why_schedule(planned(), NOON)

    assert found.summary == "Held by the maintenance window night."
    assert [check.name for check in found.checks][4:6] == ["window", "active hours"]


def test_all_workers_busy_is_no_reason_before_it_is_due() -> None:
    schedule = planned()
    other = make_run(make_pipeline("other"))
    busy_with = BlockRun.objects.filter(pipeline_run=other, block_uuid="load")
    busy_with.update(status=BlockStatus.RUNNING, worker=Worker.objects.get(pid=7), started_at=NOON)

    found = why_schedule(schedule, NOON)

    assert found.summary.startswith("It is not due before")
    busy = next(check for check in found.checks if check.name == "worker")
    assert [link.label for link in busy.blockers] == [f"load of run {other.pk}"]


def test_what_goes_first_in_the_pipeline_is_named() -> None:
    urgent = planned(name="urgent")
    first = row_of(urgent, priority=-5)
    run = make_run(status=RunStatus.INITIAL)

    check = checks(planned(name="late"))["priority"]

    assert check.detail == "Before it, by priority and time: 1 run and 1 moment of this pipeline."
    assert [link.id for link in check.blockers] == [run.pk, first.pk]


def test_several_runs_under_way_are_counted() -> None:
    schedule = planned()
    runs = [make_run(trigger_id=schedule.pk) for _ in range(7)]

    found = why_schedule(schedule, NOON)

    assert found.summary == f"More than 5 runs are under way: {', '.join(str(run.pk) for run in runs[:5])}."


def test_asking_stores_nothing_and_costs_the_same_for_long_ledgers() -> None:
    schedule = planned(settings={"overlap": "wait_all"})
    with CaptureQueriesContext(connection) as few:
        why_schedule(schedule, NOON)
    for number in range(20):
        row_of(schedule, NOON - number * HOUR)
        make_run(trigger_id=schedule.pk, status=RunStatus.COMPLETED)

    with CaptureQueriesContext(connection) as many:
        why_schedule(schedule, NOON)

    assert all(query["sql"].startswith("SELECT") for query in [*few, *many])
    assert len(many) <= len(few) + 1


# --- where it is shown ------------------------------------------------------------------------------------------------


def test_the_api_explains_triggers_and_moments() -> None:
    schedule, client = paused_until(), make_client()
    row = row_of(schedule, decision=Decision.SKIPPED, reason="Busy.", blocker_run_id=7)

    of_schedule = client.get(f"/api/v1/pipeline_schedules/{schedule.pk}/why").json()
    of_row = client.get(f"/api/v1/occurrences/{row.pk}/why").json()

    assert of_schedule["checks"][0] == {
        "name": "enabled",
        "passed": False,
        "detail": "It is paused until 2025-03-02 13:00:00 UTC.",
        "blockers": [],
        "clears_at": "2025-03-02T13:00:00Z",
    }
    assert of_row["summary"] == "It was skipped at 2025-03-02 12:00:00 UTC. Busy."
    assert of_row["checks"][0]["blockers"] == [{"kind": "run", "id": "7", "label": "run 7", "url": "/runs/7/"}]
    assert client.get("/api/v1/occurrences/4711/why").status_code == 404
    assert client.get("/api/v1/pipeline_schedules/4711/why").status_code == 404


def test_the_page_of_a_trigger_answers_and_its_ledger_leads_to_each_moment(page: Client) -> None:
    schedule = paused()
    row = row_of(schedule, decision=Decision.SKIPPED, reason="<b>Busy</b>.", blocker_run_id=7)

    text = text_of(page.get(f"/schedules/{schedule.pk}/"))

    assert "It is paused until someone resumes it." in text
    assert f'href="/schedules/{schedule.pk}/occurrences/{row.pk}/"' in text
