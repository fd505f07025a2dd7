"""What must never be is found, told once, kept beside the scheduler, and looked for by index."""

import logging
import re
import threading
from collections import Counter
from collections.abc import Callable
from datetime import timedelta
from functools import partial
from typing import Any

import pytest
from django.db import connection
from django.db.models import QuerySet
from django.test import Client
from django.test.utils import CaptureQueriesContext

from runs import admission, lifecycle
from runs.limits import Answer, Gate, Limits
from runs.models import PipelineRun, Worker, WorkerKind
from runs.states import BlockStatus, RunStatus
from schedules import scheduler
from schedules.models import Decision, Occurrence, PipelineSchedule
from schedules.reasons import invariants
from schedules.reasons.invariants import Finding, Watch, find
from tests.factories import NOON, make_client, make_pipeline, make_run, make_schedule, make_worker, text_of

pytestmark = pytest.mark.django_db
SECOND, MINUTE, HOUR = timedelta(seconds=1), timedelta(minutes=1), timedelta(hours=1)
BEFORE = NOON - 5 * MINUTE


@pytest.fixture
def keeper() -> Worker:
    return make_worker(WorkerKind.SCHEDULER, seen_at=NOON, last_loop_at=NOON - SECOND)


def planned(interval: str = "@hourly", **fields: Any) -> PipelineSchedule:
    schedule = make_schedule(schedule_interval=interval, is_active=False, **fields)
    schedule.resume(BEFORE)
    return schedule


def row_of(schedule: PipelineSchedule, **fields: Any) -> Occurrence:
    defaults: dict[str, Any] = {"scheduled_for": BEFORE, "decision": Decision.WAITING, "decided_at": BEFORE}
    return Occurrence.objects.create(pipeline=schedule.pipeline, schedule=schedule, **defaults | fields)


# --- what is wrong ----------------------------------------------------------------------------------------------------


def without_plan() -> None:
    planned()
    PipelineSchedule.objects.update(next_due_at=None)


def unreadable() -> None:
    planned()
    PipelineSchedule.objects.update(next_due_at=None, timezone="Nowhere/Land")


def long_overdue() -> None:
    planned()
    PipelineSchedule.objects.update(next_due_at=NOON - 61 * SECOND)


def stuck_run() -> None:
    make_run(started_at=BEFORE, blocks={"load": BlockStatus.COMPLETED})


def forgotten_run() -> None:
    make_run(status=RunStatus.INITIAL, created_at=BEFORE)


def forgotten_deadline() -> None:
    row_of(planned(), expires_at=NOON - 61 * SECOND)


def over_with_queued_block() -> None:
    make_run(status=RunStatus.FAILED, completed_at=NOON - HOUR, blocks={"load": BlockStatus.QUEUED})


def over_with_initial_block() -> None:
    done = {"load": BlockStatus.COMPLETED, "clean": BlockStatus.COMPLETED}
    make_run(status=RunStatus.COMPLETED, completed_at=BEFORE, blocks=done)


def start_without_run() -> None:
    row_of(planned(), decision=Decision.STARTED)


def two_at_a_time() -> None:
    limits = Limits(overlap="skip").as_json()
    for _ in range(2):
        make_run(trigger_id=7, limits=limits, blocks={"load": BlockStatus.QUEUED})


WRONG = {
    without_plan: ("unplanned", "The trigger daily has a coming moment, 2025-03-02 12:00 UTC, but is due at no time."),
    unreadable: ("unplanned", "The trigger daily is due at no time, and is not set aside: Unknown time zone"),
    long_overdue: ("overdue", "The trigger daily has been due since 2025-03-02 11:58:59 UTC."),
    stuck_run: ("stuck", "Run {run} is running, but none of its blocks is queued, at work or waiting."),
    forgotten_run: ("not_started", "Run {run} waits to be started, though nothing has stood in its way for a minute."),
    forgotten_deadline: ("past_deadline", "A moment still waits, though its deadline was 11:58:59 UTC."),
    over_with_queued_block: ("open_blocks", "Run {run} is over, but some of its blocks are not."),
    over_with_initial_block: ("open_blocks", "Run {run} is over, but some of its blocks are not."),
    start_without_run: ("no_run", "The moment 2025-03-02 11:55:00 UTC was started, but has no run."),
    two_at_a_time: ("over_limit", "Run {run} was started while 1 of its trigger went on; allowed are 1 at a time."),
}


@pytest.mark.usefixtures("keeper")
@pytest.mark.parametrize(("situation", "kind", "detail"), [(each, *told) for each, told in WRONG.items()])
def test_what_must_never_be_is_found(situation: Callable[[], None], kind: str, detail: str) -> None:
    situation()

    found = find(NOON)

    run = PipelineRun.objects.order_by("-id").values_list("pk", flat=True).first()
    assert [finding.kind for finding in found] == [kind]
    assert found[0].detail.startswith(detail.format(run=run)), found[0].detail


# --- what is well -----------------------------------------------------------------------------------------------------


def in_grace() -> None:
    planned()
    PipelineSchedule.objects.update(next_due_at=NOON - 59 * SECOND)


def just_switched_on() -> None:
    planned()
    PipelineSchedule.objects.update(next_due_at=None, last_enabled_at=NOON - SECOND)


def over() -> None:
    planned("on 2025-03-01T12:00")
    planned(name="past", end_time=NOON - HOUR)
    planned(name="off").pause(NOON)


def between_blocks() -> None:
    run = make_run(started_at=BEFORE, blocks={"load": BlockStatus.COMPLETED})
    run.block_runs.filter(block_uuid="load").update(completed_at=NOON - SECOND)


def at_work() -> None:
    for status in (BlockStatus.QUEUED, BlockStatus.RUNNING, BlockStatus.WAITING):
        make_run(started_at=BEFORE, blocks={"load": status})


def behind_a_limit() -> None:
    pipeline = make_pipeline(concurrency_config={"pipeline_run_limit_all_triggers": 1})
    make_run(pipeline, blocks={"load": BlockStatus.QUEUED})
    make_run(pipeline, status=RunStatus.INITIAL, created_at=BEFORE)


def room_since_a_second() -> None:
    make_run(status=RunStatus.INITIAL, created_at=BEFORE)
    done = dict.fromkeys(("load", "clean", "save"), BlockStatus.COMPLETED)
    make_run(status=RunStatus.COMPLETED, completed_at=NOON - SECOND, blocks=done)


def removed_run() -> None:
    row_of(planned(), decision=Decision.STARTED, decided_at=NOON - HOUR)


def as_many_as_allowed() -> None:
    for limits in (Limits(), Limits(run_limit=2, on_limit="wait"), Limits(overlap="cancel_other")):
        make_run(trigger_id=7, limits=limits.as_json(), blocks={"load": BlockStatus.QUEUED})
    make_run(trigger_id=7, backfill_id=3, limits=Limits(run_limit=1).as_json(), blocks={"load": BlockStatus.QUEUED})


@pytest.mark.usefixtures("keeper")
@pytest.mark.parametrize(
    "situation",
    [
        in_grace,
        just_switched_on,
        over,
        between_blocks,
        at_work,
        behind_a_limit,
        room_since_a_second,
        removed_run,
        as_many_as_allowed,
    ],
)
def test_what_may_be_is_no_finding(situation: Callable[[], None]) -> None:
    situation()

    assert find(NOON) == []


@pytest.mark.parametrize("situation", [long_overdue, forgotten_deadline])
def test_without_a_scheduler_it_is_no_wonder_that_moments_are_late(situation: Callable[[], None]) -> None:
    situation()

    assert find(NOON) == []


@pytest.mark.usefixtures("keeper")
def test_a_run_that_is_held_from_above_waits_rightly(monkeypatch: pytest.MonkeyPatch) -> None:
    forgotten_run()
    held = Gate("window", Answer.WAIT, "Night.")
    monkeypatch.setattr(admission, "HOLDS", [lambda moment: lambda run: held])

    assert find(NOON) == []


@pytest.mark.usefixtures("keeper")
def test_a_tick_and_a_sweep_leave_nothing_to_be_found() -> None:
    schedule = planned(settings={"overlap": "wait_all"})
    for number in range(3):
        scheduler.tick(NOON + number * HOUR)
    run = PipelineRun.objects.get()
    Worker.objects.update(last_loop_at=NOON + 2 * HOUR)

    assert find(NOON + 2 * HOUR + 2 * MINUTE) == []

    lifecycle.cancel(run, moment=NOON + 2 * HOUR, reason="enough")
    scheduler.tick(NOON + 2 * HOUR)
    Worker.objects.update(last_loop_at=NOON + 2 * HOUR + 2 * MINUTE)
    assert find(NOON + 2 * HOUR + 2 * MINUTE) == []
    assert schedule.occurrences.count() == 3


# --- told once --------------------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("keeper")
def test_a_finding_is_logged_once_and_its_end_too(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "schedules.reasons.invariants")
    watch = Watch()
    long_overdue()

    first, second = watch.look(NOON), watch.look(NOON)
    scheduler.tick(NOON)
    third = watch.look(NOON)

    detail = "The trigger daily has been due since 2025-03-02 11:58:59 UTC."
    assert (len(first), len(second), list(third)) == (1, 1, [])
    assert [record.getMessage() for record in caplog.records] == [
        f"this must never be: {detail}",
        f"no longer so: {detail}",
    ]


def test_the_loop_keeps_what_it_found_beside_its_heartbeat() -> None:
    loop = scheduler.Loop(threading.Event())
    loop.beat(NOON)
    stuck_run()

    loop.check(NOON)
    kept = Worker.objects.get().findings
    lifecycle.cancel(PipelineRun.objects.get(), moment=NOON, reason="enough")
    loop.check(NOON)

    assert [finding["kind"] for finding in kept] == ["stuck"]
    assert Worker.objects.get().findings == []
    assert any(duty.call == loop.check and duty.every == 30 * SECOND for duty in loop.duties)


def test_what_several_schedulers_found_is_told_once() -> None:
    one, two = Finding("stuck", "run", 1, "Run 1."), Finding("stuck", "run", 2, "Run 2.")
    rows = [Worker(findings=[one.as_dict()]), Worker(findings=[two.as_dict(), one.as_dict()])]

    assert invariants.told_by(rows) == [one.as_dict(), two.as_dict()]


def test_the_page_and_the_api_show_what_living_schedulers_found(page: Client) -> None:
    from django.utils import timezone

    found = Finding("stuck", "run", 17, "Run 17 is <stuck>.").as_dict()
    gone = Finding("stuck", "run", 18, "Run 18 is stuck.").as_dict()
    make_worker(WorkerKind.SCHEDULER, seen_at=timezone.now(), findings=[found])
    make_worker(WorkerKind.SCHEDULER, seen_at=timezone.now(), stopped_at=timezone.now(), findings=[gone])

    text = text_of(page.get("/system/"))

    assert "This must never be" in text
    assert "Run 17 is &lt;stuck&gt;." in text
    assert 'href="/runs/17/"' in text
    assert "Run 18" not in text
    assert make_client().get("/api/v1/system").json()["findings"] == [found]


# --- the price --------------------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("keeper")
def test_a_look_asks_as_much_when_much_is_wrong_as_when_little_is() -> None:
    for situation in (without_plan, stuck_run, forgotten_run):
        situation()
    with CaptureQueriesContext(connection) as few:
        find(NOON)
    for number in range(30):
        stuck_run()
        forgotten_run()
        planned(name=f"t{number}", settings={"jitter": 10})
    PipelineSchedule.objects.update(next_due_at=None)

    with CaptureQueriesContext(connection) as many:
        found = find(NOON)

    assert len(many) == len(few) <= 20
    assert Counter(finding.kind for finding in found) == {"unplanned": 20, "stuck": 20, "not_started": 20}


LOOKS: list[tuple[str, Callable[..., QuerySet[Any]]]] = [
    ("schedule_due", invariants.late),
    ("schedule_due", invariants.nothing_due),
    ("run_unfinished|run_finished_lately|run_deadline", invariants.idle_runs),
    ("run_unfinished|run_finished_lately", invariants.waiting_long),
    ("run_unfinished|run_finished_lately|run_deadline", invariants.limited_runs),
    ("run_finished_lately", invariants.ended_lately),
    ("block_queue", partial(invariants.open_blocks, status=BlockStatus.QUEUED)),
    ("block_held", partial(invariants.open_blocks, status=BlockStatus.RUNNING)),
    ("block_timer", partial(invariants.open_blocks, status=BlockStatus.WAITING)),
    ("occurrence_expiring", invariants.expired),
    ("occurrence_runless", invariants.runless),
]


@pytest.mark.parametrize(("index", "look"), LOOKS)
def test_no_look_scans_a_table(index: str, look: Callable[..., QuerySet[Any]]) -> None:
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":  # it scans small tables; here it must say whether it could use the index
            cursor.execute("SET LOCAL enable_seqscan = off")

    plan = look(NOON)[:20].explain()

    assert re.search(index, plan), plan
    big = "pipelinerun|blockrun|occurrence|pipelineschedule"
    assert not re.search(rf"Seq Scan on \w+_({big})", plan), plan
    assert not re.search(rf"SCAN \w+_({big})(?! USING)", plan), plan
