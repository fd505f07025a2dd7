"""Ticks on a virtual clock: what is started, skipped and missed, and what is due next."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from pipelines.models import Pipeline
from pipelines.refusal import Refusal
from runs.models import Origin, PipelineRun
from runs.states import RunStatus
from schedules import scheduler
from schedules.models import PIPELINE_GONE, Decision, Occurrence, PipelineSchedule, ScheduleType
from tests.factories import NOON, make_pipeline, make_run, make_schedule

pytestmark = pytest.mark.django_db
MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)


def planned(interval: str = "@hourly", since: datetime = NOON, **fields: Any) -> PipelineSchedule:
    """A schedule that was switched on at `since`."""
    schedule = make_schedule(schedule_interval=interval, is_active=False, **fields)
    schedule.resume(since)
    return schedule


def ledger(schedule: PipelineSchedule) -> list[tuple[datetime, str]]:
    rows = Occurrence.objects.filter(schedule=schedule).order_by("scheduled_for")
    return list(rows.values_list("scheduled_for", "decision"))


# --- on time --------------------------------------------------------------------------------------------------------


def test_nothing_is_fired_before_its_time() -> None:
    schedule = planned()

    report = scheduler.tick(NOON + HOUR - timedelta(microseconds=1))

    assert report == scheduler.TickReport(0, NOON + HOUR)
    assert ledger(schedule) == []


def test_a_due_moment_becomes_a_run_with_its_interval_and_the_next_moment_is_known() -> None:
    schedule = planned(variables={"day": "monday"}, sla=HOUR, settings={"timeout": 60, "allow_blocks_to_fail": True})

    report = scheduler.tick(NOON + HOUR + timedelta(seconds=2))

    run = PipelineRun.objects.get()
    assert (report.fired, report.next_due, report.lag) == (1, NOON + 2 * HOUR, timedelta(seconds=2))
    assert (run.execution_date, run.interval_end) == (NOON + HOUR, NOON + 2 * HOUR)
    assert (run.origin, run.trigger_id, run.trigger_name) == (Origin.SCHEDULE, schedule.pk, "daily")
    assert (run.variables, run.sla, run.timeout, run.allow_blocks_to_fail) == ({"day": "monday"}, HOUR, MINUTE, True)
    occurrence = Occurrence.objects.get()
    assert (occurrence.pipeline_run, occurrence.decision, occurrence.reason) == (run, Decision.STARTED, "")
    assert occurrence.local_time == "2025-03-02T13:00:00+00:00"


@pytest.mark.parametrize(
    ("interval", "settings", "moments"),
    [
        ("30 2 * * *", {"dst_repeated": "both"}, ["00:30", "01:30"]),
        ("RRULE:FREQ=DAILY;BYHOUR=2;BYMINUTE=30", {"dst_repeated": "second"}, ["01:30"]),
        ("every 90 minutes from 2025-10-26T02:00", {}, ["00:00", "01:30"]),
        ("on 2025-10-26T02:30, 2025-10-26T03:00", {}, ["00:30", "02:00"]),
    ],
)
def test_every_kind_of_interval_fires_each_of_its_moments_once_when_clocks_go_back(
    interval: str, settings: dict[str, str], moments: list[str]
) -> None:
    began = datetime(2025, 10, 25, 22, tzinfo=UTC)
    schedule = planned(interval, began, timezone="Europe/Berlin", settings=settings)

    for step in range(5 * 12):
        scheduler.tick(began + step * timedelta(minutes=5))

    assert [(f"{moment:%H:%M}", decision) for moment, decision in ledger(schedule)] == [
        (moment, "started") for moment in moments
    ]


def test_a_second_look_at_the_same_moment_starts_nothing() -> None:
    schedule = planned()
    scheduler.tick(NOON + HOUR)

    report = scheduler.tick(NOON + HOUR)

    assert report.fired == 0
    assert ledger(schedule) == [(NOON + HOUR, "started")]


def test_a_moment_in_the_ledger_is_never_fired_again_even_if_it_is_planned_again() -> None:
    schedule = planned()
    scheduler.tick(NOON + HOUR)
    PipelineSchedule.objects.update(next_due_at=NOON + HOUR)  # as after a clock that was set back

    report = scheduler.tick(NOON + HOUR + MINUTE)

    assert report.fired == 0
    assert PipelineRun.objects.count() == 1
    schedule.refresh_from_db()
    assert schedule.next_due_at == NOON + 2 * HOUR


def test_a_plan_that_is_no_moment_any_more_fires_nothing_and_is_made_anew() -> None:
    schedule = planned("@daily")
    PipelineSchedule.objects.update(next_due_at=NOON + HOUR)  # as after new rules for its zone

    report = scheduler.tick(NOON + HOUR)

    assert report.fired == 0
    schedule.refresh_from_db()
    assert schedule.next_due_at == NOON + DAY / 2


def test_paused_schedules_are_not_due() -> None:
    schedule = planned()
    schedule.pause(NOON)

    assert scheduler.tick(NOON + DAY) == scheduler.TickReport(0, None)


def test_end_time_ends_it() -> None:
    schedule = planned(end_time=NOON + HOUR)

    first, second = scheduler.tick(NOON + HOUR), scheduler.tick(NOON + 2 * HOUR)

    assert (first.fired, second.fired, second.next_due) == (1, 0, None)
    schedule.refresh_from_db()
    assert (schedule.is_active, schedule.problem) == (True, "")


def test_start_time_begins_it() -> None:
    schedule = planned(start_time=NOON + 90 * MINUTE)

    scheduler.tick(NOON + HOUR)
    scheduler.tick(NOON + 2 * HOUR)

    assert ledger(schedule) == [(NOON + 2 * HOUR, "started")]


# --- after downtime -------------------------------------------------------------------------------------------------


def test_three_hours_of_downtime_leave_the_latest_started_and_the_rest_missed() -> None:
    schedule = planned("*/30 * * * *")

    report = scheduler.tick(NOON + 3 * HOUR + 7 * MINUTE)

    assert report.fired == 1
    assert [decision for _, decision in ledger(schedule)] == ["missed"] * 5 + ["started"]
    assert PipelineRun.objects.get().execution_date == NOON + 3 * HOUR
    missed = Occurrence.objects.filter(decision=Decision.MISSED).first()
    assert missed is not None
    assert "only the latest, 2025-03-02 15:00 UTC, is run" in missed.reason


def test_a_very_long_downtime_is_summed_up_in_a_hundred_rows() -> None:
    schedule = planned("* * * * *")

    scheduler.tick(NOON + 3 * DAY)

    rows = ledger(schedule)
    assert (len(rows), rows[-1]) == (101, (NOON + 3 * DAY, "started"))
    first = Occurrence.objects.order_by("scheduled_for")[0]
    assert first.reason.endswith("This stands for every moment since 2025-03-02 12:01 UTC.")
    schedule.refresh_from_db()
    assert schedule.next_due_at == NOON + 3 * DAY + MINUTE


def test_what_passed_during_a_pause_is_for_the_catch_up_policy() -> None:
    schedule = planned()
    schedule.pause(NOON)

    schedule.resume(NOON + 5 * HOUR + MINUTE)

    assert scheduler.tick(NOON + 5 * HOUR + 2 * MINUTE).fired == 1
    assert [decision for _, decision in ledger(schedule)] == ["missed"] * 4 + ["started"]
    reasons = Occurrence.objects.order_by("scheduled_for").values_list("reason", flat=True)
    assert reasons[0].startswith("Paused until 2025-03-02 17:01 UTC. Of the overdue moments only the latest")
    schedule.refresh_from_db()
    assert schedule.next_due_at == NOON + 6 * HOUR


def test_an_edit_never_fires_by_itself() -> None:
    schedule = planned("@daily")
    schedule.schedule_interval = "* * * * *"

    schedule.save()
    scheduler.plan_next(schedule, NOON + HOUR)

    assert scheduler.tick(NOON + HOUR).fired == 0
    schedule.refresh_from_db()
    assert schedule.next_due_at == NOON + HOUR + MINUTE


# --- clocks that change ---------------------------------------------------------------------------------------------


def walk(start: datetime, hours: int, step: timedelta = 15 * MINUTE) -> None:
    moment = start
    while moment < start + hours * HOUR:
        moment += step
        scheduler.tick(moment)


def test_a_night_in_spring_runs_the_missing_time_after_the_gap_and_says_so() -> None:
    before = datetime(2025, 3, 29, 22, tzinfo=UTC)
    nightly = planned("30 2 * * *", before, timezone="Europe/Berlin")
    steady = planned("*/30 * * * *", before, timezone="Europe/Berlin", name="steady")

    walk(before, 6)

    assert ledger(nightly) == [(datetime(2025, 3, 30, 1, tzinfo=UTC), "started")]
    occurrence = Occurrence.objects.get(schedule=nightly)
    assert occurrence.reason == "02:30 does not exist on 2025-03-30: clocks go forward; runs at 03:00."
    assert occurrence.local_time == "2025-03-30T03:00:00+02:00"
    assert [moment for moment, _ in ledger(steady)] == [before + 30 * MINUTE * step for step in range(1, 13)]


def test_a_night_in_autumn_runs_a_repeated_time_once_and_a_steady_one_throughout() -> None:
    before = datetime(2025, 10, 25, 22, tzinfo=UTC)
    nightly = planned("30 2 * * *", before, timezone="Europe/Berlin")
    steady = planned("0 * * * *", before, timezone="Europe/Berlin", name="steady")

    walk(before, 6)

    assert ledger(nightly) == [(datetime(2025, 10, 26, 0, 30, tzinfo=UTC), "started")]
    assert [moment for moment, _ in ledger(steady)] == [before + HOUR * step for step in range(1, 7)]


@pytest.mark.parametrize("slices", [7 * MINUTE, 61 * MINUTE])
def test_the_ledger_has_the_same_moments_however_time_is_sliced(slices: timedelta) -> None:
    before = datetime(2025, 4, 5, 12, tzinfo=UTC)
    schedule = planned("*/20 * * * *", before, timezone="Australia/Lord_Howe")

    walk(before, 12, slices)

    moments = [moment for moment, _ in ledger(schedule)]
    expected = schedule.timetable().between(before, moments[-1], limit=1000)
    assert moments == [instant.utc for instant in expected]
    assert len(moments) >= 35


# --- in the way -----------------------------------------------------------------------------------------------------


def test_a_moment_is_skipped_while_the_previous_run_goes_on_and_names_it() -> None:
    planned(settings={"skip_if_previous_running": True})
    scheduler.tick(NOON + HOUR)
    run = PipelineRun.objects.get()

    scheduler.tick(NOON + 2 * HOUR)

    skipped = Occurrence.objects.get(decision=Decision.SKIPPED)
    assert (skipped.blocker_run_id, skipped.pipeline_run) == (run.pk, None)
    assert skipped.reason == f"The previous run, {run.pk}, was still running."
    assert PipelineRun.objects.count() == 1


def test_once_the_previous_run_is_finished_the_next_is_started() -> None:
    schedule = planned(settings={"skip_if_previous_running": True})
    scheduler.tick(NOON + HOUR)
    PipelineRun.objects.update(status=RunStatus.COMPLETED)

    scheduler.tick(NOON + 2 * HOUR)

    assert [decision for _, decision in ledger(schedule)] == ["started", "started"]


def test_a_limit_counts_only_the_triggers_own_runs() -> None:
    schedule = planned(settings={"pipeline_run_limit": 1})
    make_run(trigger_id=schedule.pk + 1)

    scheduler.tick(NOON + HOUR)
    scheduler.tick(NOON + 2 * HOUR)

    assert [decision for _, decision in ledger(schedule)] == ["started", "skipped"]


# --- once, always, initially ----------------------------------------------------------------------------------------


def test_once_fires_once_when_it_is_switched_on_and_is_then_done() -> None:
    schedule = planned("@once")

    fired = [scheduler.tick(NOON + MINUTE * step).fired for step in range(3)]

    assert fired == [1, 0, 0]
    schedule.refresh_from_db()
    assert (schedule.is_active, schedule.next_due_at) == (False, None)


def test_once_waits_for_its_start() -> None:
    schedule = planned("@once", start_time=NOON + HOUR)

    early, on_time = scheduler.tick(NOON + MINUTE), scheduler.tick(NOON + HOUR)

    assert (early.fired, early.next_due, on_time.fired) == (0, NOON + HOUR, 1)
    assert ledger(schedule) == [(NOON + HOUR, "started")]


def test_always_on_has_one_run_at_a_time_and_a_pause_between_two() -> None:
    planned("@always_on")

    scheduler.tick(NOON)
    scheduler.tick(NOON + timedelta(seconds=30))
    assert PipelineRun.objects.count() == 1

    PipelineRun.objects.update(status=RunStatus.FAILED)
    assert scheduler.tick(NOON + timedelta(seconds=35)).fired == 0
    assert scheduler.tick(NOON + timedelta(seconds=41)).fired == 1
    assert Occurrence.objects.count() == 2


def test_always_on_ends_with_its_end_time() -> None:
    schedule = planned("@always_on", end_time=NOON + MINUTE)
    scheduler.tick(NOON)
    PipelineRun.objects.update(status=RunStatus.COMPLETED)

    report = scheduler.tick(NOON + 2 * MINUTE)

    assert (report.fired, report.next_due) == (0, None)
    schedule.resume(NOON + HOUR)
    assert schedule.next_due_at is None


def test_an_initial_run_is_made_only_where_it_was_asked_for() -> None:
    plain = planned("@daily")
    eager = planned("@daily", name="eager", settings={"create_initial_pipeline_run": True})

    scheduler.tick(NOON)

    assert ledger(plain) == []
    assert ledger(eager) == [(NOON.replace(hour=0), "started")]
    eager.refresh_from_db()
    assert eager.next_due_at == NOON + DAY / 2


def test_api_triggers_are_never_due() -> None:
    schedule = make_schedule(schedule_type=ScheduleType.API, schedule_interval="", is_active=False)

    schedule.resume(NOON)

    assert (schedule.next_due_at, schedule.problem) == (None, "")


# --- what is broken -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fields", "problem"),
    [
        ({"schedule_interval": "61 * * * *"}, "Minute: 61 is outside 0–59."),
        ({"schedule_interval": "0 0 31 2 *"}, "This schedule never fires (no date in the next 50 years)."),
        ({"schedule_interval": ""}, "A schedule interval is required."),
        ({"timezone": "Mars/Olympus"}, "Unknown time zone."),
        ({"settings": {"timeout": "soon"}}, "timeout must be a number of seconds"),
        ({"settings": [1]}, "settings must be an object"),
        ({"end_time": NOON - DAY, "start_time": NOON}, "Start must be before end."),
    ],
)
def test_a_bad_schedule_is_set_aside_and_harms_no_other(fields: dict[str, Any], problem: str) -> None:
    bad, good = planned(name="bad"), planned(name="good")
    PipelineSchedule.objects.filter(pk=bad.pk).update(**fields)  # past every check, as by SQL

    report = scheduler.tick(NOON + HOUR)

    assert report.fired == 1
    assert ledger(good) == [(NOON + HOUR, "started")]
    bad.refresh_from_db()
    assert bad.problem.startswith(problem)
    assert (bad.is_active, bad.next_due_at, ledger(bad)) == (True, None, [])


@pytest.mark.parametrize("variables", [["a"], "text", 7])
def test_variables_that_are_no_object_are_told_in_the_ledger(variables: Any) -> None:
    bad, good = planned(name="bad"), planned(name="good")
    PipelineSchedule.objects.filter(pk=bad.pk).update(variables=variables)

    scheduler.tick(NOON + HOUR)

    assert ledger(bad) == [(NOON + HOUR, "skipped")]
    assert ledger(good) == [(NOON + HOUR, "started")]
    assert Occurrence.objects.get(schedule=bad).reason.startswith("Variables must be a JSON object.")
    bad.refresh_from_db()
    assert (bad.problem[:9], bad.next_due_at) == ("Variables", NOON + 2 * HOUR)


def test_a_broken_pipeline_skips_its_moments_and_goes_on_once_it_is_repaired() -> None:
    schedule = planned()
    broken = [{"file": "pipelines/etl/metadata.yaml", "line": 3, "reason": "cycle: a → b → a", "hint": ""}]
    Pipeline.objects.update(is_valid=False, problems=broken)

    scheduler.tick(NOON + HOUR)
    Pipeline.objects.update(is_valid=True, problems=[])
    scheduler.tick(NOON + 2 * HOUR)

    assert [decision for _, decision in ledger(schedule)] == ["skipped", "started"]
    assert "metadata.yaml line 3: cycle" in Occurrence.objects.get(decision=Decision.SKIPPED).reason
    schedule.refresh_from_db()
    assert schedule.problem == ""


def test_once_a_broken_pipeline_is_mended_its_schedule_no_longer_says_so() -> None:
    schedule = planned("@daily")
    Pipeline.objects.update(is_valid=False)
    scheduler.tick(NOON + DAY / 2)
    scheduler.revive(NOON + DAY / 2)
    schedule.refresh_from_db()
    assert schedule.problem.startswith("Pipeline etl is invalid")

    Pipeline.objects.update(is_valid=True)
    scheduler.revive(NOON + DAY / 2 + MINUTE)

    schedule.refresh_from_db()
    assert (schedule.problem, schedule.next_due_at) == ("", NOON + 3 * DAY / 2)


def test_a_schedule_whose_pipeline_is_gone_is_set_aside_until_the_pipeline_is_back() -> None:
    schedule = planned()
    Pipeline.objects.update(is_present=False)

    scheduler.tick(NOON + HOUR)
    assert scheduler.revive(NOON + HOUR) == 0
    schedule.refresh_from_db()
    assert (schedule.problem, schedule.next_due_at) == (PIPELINE_GONE, None)

    Pipeline.objects.update(is_present=True)
    assert scheduler.revive(NOON + 3 * HOUR + MINUTE) == 1
    schedule.refresh_from_db()
    assert (schedule.problem, schedule.next_due_at) == ("", NOON + HOUR)
    scheduler.tick(NOON + 3 * HOUR + MINUTE)
    assert [decision for _, decision in ledger(schedule)] == ["missed", "missed", "started"]


def test_a_schedule_written_by_hand_is_adopted_and_counts_from_then() -> None:
    schedule = make_schedule(schedule_interval="@hourly", is_active=True)
    broken = make_schedule(name="broken", schedule_interval="never", is_active=True)

    assert scheduler.adopt(NOON) == 2
    assert scheduler.adopt(NOON + MINUTE) == 0

    schedule.refresh_from_db()
    broken.refresh_from_db()
    assert schedule.next_due_at == NOON + HOUR
    assert broken.problem.startswith("A cron expression has exactly 5 fields")


# --- at once --------------------------------------------------------------------------------------------------------


def test_run_now_takes_the_triggers_settings_and_writes_no_occurrence() -> None:
    schedule = planned(variables={"day": "monday", "deep": True}, settings={"timeout_status": "cancelled"})

    run = scheduler.start_now(
        schedule, moment=NOON, origin=Origin.MANUAL, variables={"day": "friday"}, started_by="ada"
    )

    assert run.variables == {"day": "friday", "deep": True}
    assert (run.trigger_id, run.timeout_status, run.started_by) == (schedule.pk, "cancelled", "ada")
    assert (run.execution_date, Occurrence.objects.count()) == (NOON, 0)


def test_run_now_refuses_what_cannot_run() -> None:
    schedule = planned()
    PipelineSchedule.objects.update(settings={"timeout": -1})
    schedule.refresh_from_db()

    with pytest.raises(Refusal, match="timeout must be"):
        scheduler.start_now(schedule, moment=NOON, origin=Origin.MANUAL)

    assert PipelineRun.objects.count() == 0


# --- cost -----------------------------------------------------------------------------------------------------------


def test_an_idle_tick_costs_six_small_queries() -> None:
    planned()

    with CaptureQueriesContext(
        connection,
    ) as queries:
        scheduler.tick(NOON)

    assert len(queries) == 6


def test_deciding_costs_the_same_queries_for_many_as_for_few() -> None:
    def queries_without_starting(count: int) -> int:
        PipelineSchedule.objects.all().delete()
        for number in range(count):
            planned(name=f"number {number}", settings={"skip_if_previous_running": True})
            make_run(trigger_id=PipelineSchedule.objects.latest("id").pk)
        with CaptureQueriesContext(connection) as queries:
            scheduler.tick(NOON + HOUR)
        assert Occurrence.objects.filter(decision=Decision.SKIPPED).count() == count
        return len(queries)

    assert queries_without_starting(2) == queries_without_starting(40)


def test_more_than_a_batch_is_fired_in_one_tick() -> None:
    pipeline = make_pipeline(blocks=[("only",)])
    for number in range(205):
        planned(name=f"number {number}", pipeline=pipeline)

    report = scheduler.tick(NOON + HOUR)

    assert (report.fired, PipelineRun.objects.count()) == (205, 205)


@pytest.fixture
def _scanless() -> None:
    """Postgres scans small tables; here it must say whether it could use the index."""
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            cursor.execute("SET LOCAL enable_seqscan = off")


@pytest.mark.usefixtures("_scanless")
def test_what_is_due_is_found_by_index() -> None:
    plan = PipelineSchedule.objects.due(NOON)[:200].explain()

    assert "schedule_due" in plan
