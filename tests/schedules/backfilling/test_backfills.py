"""Backfills planned and started: what is known of each slot, which are run, and the rows that wait for it."""

from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from pipelines.refusal import Refusal
from runs.models import Origin, PipelineRun
from runs.states import RunStatus
from schedules import scheduler
from schedules.backfilling import backfills
from schedules.backfilling.slot_states import CHUNK
from schedules.models import Backfill, Decision, Occurrence, PipelineSchedule, ScheduleType
from tests.factories import FEBRUARY, NOON, make_backfill, make_pipeline, make_run, make_schedule

pytestmark = pytest.mark.django_db
DAY = timedelta(days=1)


def day(number: int) -> datetime:
    return FEBRUARY.replace(day=number)


def run_of(number: int, status: RunStatus, **fields: Any) -> PipelineRun:
    return make_run(status=status, execution_date=day(number), **fields)


def row(number: int, decision: Decision, schedule: PipelineSchedule | None = None, **fields: Any) -> Occurrence:
    pipeline = schedule.pipeline if schedule else make_run().pipeline
    defaults = {"decided_at": NOON, "decision": decision, "pipeline": pipeline, "schedule": schedule}
    return Occurrence.objects.create(scheduled_for=day(number), **defaults | fields)


def states(backfill: Backfill) -> list[str]:
    """The state of each slot; an asterisk says that it would be run."""
    found = backfills.plan(backfill, NOON).slots
    return [planned.state + "*" * planned.is_chosen for planned in found]


def ledger() -> list[tuple[int, str]]:
    rows = Occurrence.objects.order_by("scheduled_for").values_list("scheduled_for", "decision")
    return [(at.day, decision) for at, decision in rows]


def refusal(backfill: Backfill) -> Refusal:
    """What starting it is refused with; nothing is kept of it."""
    before = list(Occurrence.objects.values())
    with pytest.raises(Refusal) as caught:
        backfills.start(backfill, NOON)
    assert list(Occurrence.objects.values()) == before
    assert not Backfill.objects.filter(started_at=NOON).exists()
    return caught.value


# --- planned --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("which", "chosen"), [("missing", [False, False, True, True]), ("failed", [False, True, False, False])]
)
def test_a_plan_tells_what_each_slot_came_to_and_chooses(which: str, chosen: list[bool]) -> None:
    done, failed = run_of(1, RunStatus.COMPLETED), run_of(2, RunStatus.FAILED)
    cancelled = run_of(3, RunStatus.CANCELLED)

    found = backfills.plan(make_backfill(which=which, end_at=day(4)), NOON)

    assert [planned.state for planned in found.slots] == ["completed", "failed", "cancelled", "missing"]
    assert [planned.run_id for planned in found.slots] == [done.pk, failed.pk, cancelled.pk, None]
    assert [planned.is_chosen for planned in found.slots] == chosen
    assert found.counts == {"missing": 1, "completed": 1, "failed": 1, "cancelled": 1}


def test_what_goes_on_is_never_chosen_even_for_all() -> None:
    run_of(1, RunStatus.RUNNING)
    run_of(2, RunStatus.INITIAL)
    row(3, Decision.WAITING)

    assert states(make_backfill(which="all", end_at=day(4))) == ["running", "waiting", "waiting", "missing*"]


def test_the_newest_run_of_a_slot_decides_but_one_that_goes_on_comes_first() -> None:
    for number, order in ((1, ("failed", "completed")), (2, ("completed", "failed")), (3, ("running", "completed"))):
        for status in order:
            run_of(number, RunStatus(status))

    assert states(make_backfill(which="failed", end_at=day(3))) == ["completed", "failed*", "running"]


def test_runs_of_other_pipelines_and_other_moments_say_nothing() -> None:
    make_pipeline()
    make_run(make_pipeline("other"), status=RunStatus.COMPLETED, execution_date=day(1))
    make_run(status=RunStatus.COMPLETED, execution_date=day(1) + timedelta(seconds=1))

    assert states(make_backfill(end_at=day(1))) == ["missing*"]


@pytest.mark.parametrize("decision", ["missed", "skipped", "expired", "cancelled", "held"])
def test_a_moment_that_the_ledger_has_but_no_run_is_missing(decision: str) -> None:
    schedule = make_schedule()
    row(1, Decision(decision), schedule, reason="the machine was off")

    (planned,) = backfills.plan(make_backfill(schedule=schedule, end_at=day(1)), NOON).slots

    assert (planned.state, planned.decision, planned.is_chosen) == ("missing", decision, True)


def test_a_slot_whose_run_was_deleted_is_run_again_only_when_all_are_asked_for() -> None:
    schedule = make_schedule()
    row(1, Decision.STARTED, schedule)

    assert states(make_backfill(schedule=schedule, end_at=day(1))) == ["removed"]
    assert states(make_backfill(schedule=schedule, end_at=day(1), which="all")) == ["removed*"]


def test_a_run_of_the_row_that_stands_for_another_moment_still_counts_while_it_goes_on() -> None:
    schedule = make_schedule()
    row(1, Decision.STARTED, schedule, pipeline_run=make_run(status=RunStatus.RUNNING, execution_date=NOON))

    assert states(make_backfill(schedule=schedule, end_at=day(1), which="all")) == ["running"]


def test_a_slot_that_waits_under_another_trigger_is_not_planned_twice() -> None:
    row(1, Decision.WAITING, make_schedule())
    row(2, Decision.MISSED, make_schedule(name="other"))

    assert states(make_backfill(end_at=day(2))) == ["waiting", "missing*"]


def test_slots_of_another_open_backfill_are_left_to_it() -> None:
    first = make_backfill(end_at=day(1))
    backfills.start(first, NOON)
    Occurrence.objects.update(decision=Decision.STARTED, pipeline_run=run_of(1, RunStatus.FAILED))
    assert states(make_backfill(which="failed", end_at=day(1))) == ["failed"]

    Backfill.objects.update(completed_at=NOON)

    assert states(make_backfill(which="failed", end_at=day(1))) == ["failed*"]


def test_a_plan_of_ten_thousand_slots_takes_few_queries_and_writes_nothing() -> None:
    make_run(status=RunStatus.COMPLETED, execution_date=day(1))
    backfill = make_backfill(interval_type="minute", end_at=day(1) + timedelta(minutes=9_999))

    with CaptureQueriesContext(
        connection,
    ) as queries:
        found = backfills.plan(backfill, NOON)

    assert len(queries) == 1 + 2 * 10_000 // CHUNK
    assert found.counts == {"missing": 9_999, "completed": 1}
    assert not Occurrence.objects.exists()


# --- started --------------------------------------------------------------------------------------------------------


def test_the_chosen_slots_become_rows_that_wait() -> None:
    run_of(2, RunStatus.COMPLETED)
    backfill = make_backfill(end_at=day(3), priority=70)

    backfills.start(backfill, NOON)

    assert ledger() == [(1, "waiting"), (3, "waiting")]
    found = Occurrence.objects.get(scheduled_for=day(1))
    assert (found.backfill, found.schedule, found.pipeline) == (backfill, None, backfill.pipeline)
    assert (found.origin, found.priority, found.interval_end) == (Origin.BACKFILL, 70, day(2))
    assert (found.local_time, found.decided_at) == ("2025-02-01T00:00:00+00:00", NOON)
    assert (backfill.started_at, backfill.state) == (NOON, "running")
    assert backfill.name == "etl 2025-02-01 – 2025-02-03"


def test_the_moments_of_a_trigger_are_its_own_rows() -> None:
    schedule = make_schedule(schedule_interval="0 6 * * *", timezone="Europe/Berlin")
    backfill = make_backfill(schedule=schedule, interval_type="schedule", timezone="Europe/Berlin", end_at=day(2))

    backfills.start(backfill, NOON)

    found = Occurrence.objects.get()
    assert (found.schedule, found.local_time) == (schedule, "2025-02-01T06:00:00+01:00")
    assert found.interval_end == day(2).replace(hour=5)


@pytest.mark.parametrize("decision", ["missed", "skipped", "expired", "cancelled", "held"])
def test_a_row_that_no_run_came_of_is_taken_over(decision: str) -> None:
    schedule = make_schedule()
    old = row(1, Decision(decision), schedule, reason="because", blocker_run_id=3, expires_at=NOON, start_after=NOON)
    backfill = make_backfill(schedule=schedule, end_at=day(1))

    backfills.start(backfill, NOON)

    old.refresh_from_db()
    assert Occurrence.objects.count() == 1
    assert (old.decision, old.backfill, old.origin, old.priority) == ("waiting", backfill, Origin.BACKFILL, 50)
    assert old.reason == f"Was {decision}; run by a backfill."
    assert (old.blocker_run_id, old.expires_at, old.start_after, old.interval_end) == (None, None, None, day(2))


@pytest.mark.parametrize(("status", "which"), [("failed", "failed"), ("completed", "all"), ("cancelled", "missing")])
def test_a_row_whose_run_is_to_be_repeated_lets_go_of_it_and_says_so(status: str, which: str) -> None:
    schedule = make_schedule()
    run = run_of(1, RunStatus(status))
    old = row(1, Decision.STARTED, schedule, pipeline_run=run)

    backfills.start(make_backfill(schedule=schedule, which=which, end_at=day(1)), NOON)

    old.refresh_from_db()
    assert (old.decision, old.pipeline_run) == ("waiting", None)
    assert old.reason == f"Run {run.pk} was its run before; run again by a backfill."
    assert PipelineRun.objects.filter(pk=run.pk).exists()


def test_a_row_whose_run_was_deleted_is_taken_over_when_all_are_asked_for() -> None:
    schedule = make_schedule()
    old = row(1, Decision.STARTED, schedule)

    backfills.start(make_backfill(schedule=schedule, which="all", end_at=day(1)), NOON)

    old.refresh_from_db()
    assert (old.decision, old.reason) == ("waiting", "Its run was deleted; run again by a backfill.")


def test_the_same_range_started_again_finds_nothing_to_run() -> None:
    backfills.start(make_backfill(which="all"), NOON - DAY)

    found = refusal(make_backfill(which="all"))

    assert (found.field, found.code) == ("which", "nothing_to_run")
    assert "5 waiting" in found.message


def test_two_backfills_that_overlap_share_the_slots_between_them() -> None:
    first, second = make_backfill(end_at=day(3)), make_backfill(start_at=day(2), end_at=day(5))

    backfills.start(first, NOON)
    backfills.start(second, NOON)

    assert [at.day for at in first.occurrences.order_by("id").values_list("scheduled_for", flat=True)] == [1, 2, 3]
    assert [at.day for at in second.occurrences.order_by("id").values_list("scheduled_for", flat=True)] == [4, 5]


def test_thousands_of_slots_are_started_with_few_statements() -> None:
    backfill = make_backfill(interval_type="minute", end_at=day(1) + timedelta(minutes=2_999))

    with CaptureQueriesContext(connection) as queries:
        backfills.start(backfill, NOON)

    assert Occurrence.objects.filter(decision=Decision.WAITING, backfill=backfill).count() == 3_000
    assert len(queries) <= 100


# --- refused --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fields", "field", "words"),
    [
        ({"start_at": NOON - DAY, "end_at": NOON - 2 * DAY}, "start_at", "Start must be before end."),
        ({"end_at": NOON + DAY}, "end_at", "in the future"),
        ({"interval_type": "second"}, "end_at", "345 601 runs; the limit is 10 000"),
        ({"which": "some"}, "which", "missing, failed, all"),
        ({"run_limit": 0}, "run_limit", "at least 1"),
        ({"run_limit": 1001}, "run_limit", "at most 1000"),
        ({"priority": 1001}, "priority", "-1000 to 1000"),
        ({"name": "x" * 201}, "name", "at most 200"),
        ({"name": "a\nb"}, "name", "one line"),
        ({"variables": ["a"]}, "variables", "JSON object"),
        ({"timezone": "Mars/Base"}, "timezone", "Unknown time zone"),
    ],
)
def test_a_backfill_that_makes_no_sense_is_refused_by_its_field(fields: dict[str, Any], field: str, words: str) -> None:
    found = refusal(make_backfill(**fields))

    assert found.field == field
    assert words in str(found)


def test_the_limit_of_slots_is_a_setting(settings: Any) -> None:
    settings.BACKFILL_MOST_SLOTS = 4

    assert refusal(make_backfill()).message == "This backfill has 5 runs; the limit is 4."


def test_a_trigger_of_another_pipeline_is_refused() -> None:
    schedule = make_schedule(make_pipeline("other"))

    assert "of another pipeline, other" in refusal(make_backfill(make_pipeline(), schedule=schedule)).message


def test_a_trigger_without_timetable_has_no_moments() -> None:
    schedule = make_schedule(schedule_type=ScheduleType.API, schedule_interval="")

    assert "type api" in refusal(make_backfill(schedule=schedule, interval_type="schedule")).message


def test_a_trigger_that_is_gone_meanwhile_is_refused() -> None:
    schedule = make_schedule()
    backfill = make_backfill(schedule=schedule)
    PipelineSchedule.objects.all().delete()

    assert refusal(backfill).field == "schedule"


@pytest.mark.parametrize(("fields", "words"), [({"is_present": False}, "no longer"), ({"is_valid": False}, "invalid")])
def test_a_pipeline_that_cannot_run_is_refused(fields: dict[str, bool], words: str) -> None:
    pipeline = make_pipeline()
    type(pipeline).objects.update(**fields)

    assert words in str(refusal(make_backfill(pipeline)))


# --- at once --------------------------------------------------------------------------------------------------------


@pytest.mark.skipif(connection.vendor == "sqlite", reason="threads share one SQLite connection in tests")
@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("has_schedule", [False, True])
def test_started_many_times_at_once_beside_the_scheduler_each_slot_waits_once(has_schedule: bool) -> None:
    schedule = make_schedule(schedule_interval="0 * * * *", is_active=False)
    schedule.resume(FEBRUARY)
    wanted = {"schedule": schedule} if has_schedule else {}
    now = day(1) + timedelta(hours=23)

    def start(number: int) -> int:
        try:
            if number % 2:
                return scheduler.tick(now).fired
            backfill = make_backfill(interval_type="hour", end_at=now, **wanted)
            return len(backfills.start(backfill, now).chosen)
        except Refusal as refusal:
            if refusal.code != "nothing_to_run":
                raise
            return 0
        finally:
            connection.close()

    with ThreadPoolExecutor(6) as pool:
        started = list(pool.map(start, range(6)))

    of_backfills = Occurrence.objects.filter(backfill__isnull=False)
    assert of_backfills.count() == sum(started[::2])
    assert Backfill.objects.count() == sum(1 for count in started[::2] if count) == 1
    runs = PipelineRun.objects.values_list("execution_date", flat=True)
    assert len(runs) == len(set(runs))
