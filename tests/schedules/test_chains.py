"""Chained schedules on a virtual clock: fired by the ends of other pipelines' runs, once each, none lost."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any
from unittest import mock

import pytest

from pipelines.models import Pipeline
from pipelines.refusal import Refusal
from runs.models import Origin, PipelineRun
from runs.states import RunStatus
from schedules import chains, scheduler, triggers
from schedules.models import ChainLink, Occurrence, PipelineSchedule, ScheduleType, Source
from tests.factories import NOON, make_pipeline, make_run

pytestmark = pytest.mark.django_db
SECOND, MINUTE, HOUR = timedelta(seconds=1), timedelta(minutes=1), timedelta(hours=1)


@pytest.fixture(autouse=True)
def pipelines() -> None:
    for uuid in ("extract", "clean", "report"):
        make_pipeline(uuid)


def chained(follows: list[str], pipeline: str = "report", since: datetime = NOON, **settings: Any) -> PipelineSchedule:
    match = {name: settings.pop(name) for name in ("match", "on") if name in settings}
    fields = {
        "name": "after",
        "schedule_type": ScheduleType.EVENT,
        "settings": {"after": {"pipelines": follows, **match}, **settings},
    }
    schedule, _ = triggers.create(pipeline, fields, is_active=True, source=Source.UI, moment=since)
    return schedule


def ended(uuid: str, at: datetime, status: RunStatus = RunStatus.COMPLETED) -> PipelineRun:
    return make_run(Pipeline.objects.get(uuid=uuid), status=status, completed_at=at)


def fired() -> list[tuple[int | None, str]]:
    rows = Occurrence.objects.order_by("scheduled_for")
    return list(rows.values_list("cause_run_id", "decision"))


def test_a_run_that_ends_starts_the_next_pipeline_and_stands_in_the_ledger() -> None:
    schedule = chained(["extract"])
    first = ended("extract", NOON + MINUTE)

    assert scheduler.tick(NOON + MINUTE + SECOND).fired == 1

    run = PipelineRun.objects.get(pipeline__uuid="report")
    occurrence = Occurrence.objects.get()
    assert (run.origin, run.trigger_id, run.execution_date) == (Origin.EVENT, schedule.pk, NOON + MINUTE)
    assert (occurrence.pipeline_run, occurrence.cause_run_id, occurrence.origin) == (run, first.pk, "event")
    assert occurrence.reason == f"After run {first.pk} of extract completed."


def test_an_end_fires_once_however_often_somebody_looks() -> None:
    chained(["extract"])
    ended("extract", NOON + MINUTE)

    fires = [scheduler.tick(NOON + MINUTE + step * 20 * SECOND).fired for step in range(1, 12)]

    assert fires == [1, *[0] * 10]


def test_an_end_that_is_seen_late_is_not_lost() -> None:
    chained(["extract"])
    ended("extract", NOON + MINUTE)
    scheduler.tick(NOON + MINUTE + SECOND)
    late = ended("extract", NOON + MINUTE - SECOND)  # its transaction was committed after the other's

    assert scheduler.tick(NOON + MINUTE + 30 * SECOND).fired == 1

    assert (late.pk, "started") in fired()


def test_two_runs_that_end_in_the_same_instant_both_count() -> None:
    chained(["extract", "clean"])
    runs = [ended(uuid, NOON + MINUTE) for uuid in ("extract", "clean")]

    assert scheduler.tick(NOON + MINUTE).fired == 2
    assert scheduler.tick(NOON + MINUTE + SECOND).fired == 0

    assert fired() == [(run.pk, "started") for run in runs]


def test_what_ended_before_it_was_switched_on_is_none_of_its_business() -> None:
    ended("extract", NOON - SECOND)
    chained(["extract"])

    assert scheduler.tick(NOON + SECOND).fired == 0


def test_all_of_a_set_fire_it_each_time_the_set_is_complete() -> None:
    chained(["extract", "clean"], match="all")
    ended("extract", NOON + MINUTE)
    assert scheduler.tick(NOON + 2 * MINUTE).fired == 0
    ended("extract", NOON + 3 * HOUR)
    second = ended("clean", NOON + 5 * HOUR)

    assert scheduler.tick(NOON + 5 * HOUR + SECOND).fired == 1
    assert scheduler.tick(NOON + 5 * HOUR + MINUTE).fired == 0

    assert fired() == [(second.pk, "started")]


@pytest.mark.parametrize(
    ("on", "wanted"), [("completed", ["completed"]), ("failed", ["failed"]), ("finished", ["completed", "failed"])]
)
def test_only_the_ends_it_asks_for_count(on: str, wanted: list[str]) -> None:
    chained(["extract"], on=on)
    runs = [ended("extract", NOON + MINUTE), ended("extract", NOON + 2 * MINUTE, RunStatus.FAILED)]

    scheduler.tick(NOON + 2 * MINUTE + SECOND)

    causes = [cause for cause, _ in fired()]
    assert [run.status for run in runs if run.pk in causes] == wanted


def test_its_limits_and_the_catch_up_policy_hold() -> None:
    chained(["extract"], overlap="skip")
    for minute in (1, 2, 3):
        ended("extract", NOON + minute * MINUTE)

    scheduler.tick(NOON + 3 * MINUTE + SECOND)
    ended("extract", NOON + 4 * MINUTE)
    scheduler.tick(NOON + 4 * MINUTE)

    assert [decision for _, decision in fired()] == ["missed", "missed", "started", "skipped"]


def test_a_paused_one_catches_up_when_it_is_resumed() -> None:
    schedule = chained(["extract"])
    schedule.pause(NOON + MINUTE)
    run = ended("extract", NOON + 2 * MINUTE)
    assert scheduler.tick(NOON + 3 * MINUTE).fired == 0

    PipelineSchedule.objects.get().resume(NOON + HOUR)

    assert scheduler.tick(NOON + HOUR + SECOND).fired == 1
    assert fired() == [(run.pk, "started")]


def test_a_chain_that_would_go_round_for_ever_is_refused() -> None:
    chained(["extract"], pipeline="clean")

    with pytest.raises(Refusal, match="This chain would go round for ever: extract → clean → extract"):
        chained(["clean"], pipeline="extract")
    with pytest.raises(Refusal, match="report → report"):
        chained(["report"])


def test_a_chain_after_what_is_no_pipeline_is_refused_but_one_that_has_gone_may_stay() -> None:
    with pytest.raises(Refusal, match="There is no pipeline named extrct. Did you mean extract?"):
        chained(["clean", "extrct"])

    schedule = chained(["clean", "extract"])
    Pipeline.objects.filter(uuid="extract").update(is_present=False)
    triggers.change(schedule, {"description": "as before"}, is_active=None, moment=NOON)


def test_a_loop_that_was_written_past_the_check_is_set_aside() -> None:
    schedule = chained(["extract"])
    ChainLink.objects.create(schedule=schedule, pipeline_uuid="report")
    PipelineSchedule.objects.update(settings={"after": {"pipelines": ["extract", "report"]}})
    ended("extract", NOON + MINUTE)

    assert scheduler.tick(NOON + 2 * MINUTE).fired == 0
    schedule.refresh_from_db()
    assert "go round for ever" in schedule.problem


def test_a_time_trigger_follows_nothing() -> None:
    fields = {"name": "x", "schedule_interval": "@daily", "settings": {"after": {"pipelines": ["extract"]}}}

    with pytest.raises(Refusal, match="A trigger of type time follows no other pipelines"):
        triggers.create("report", fields, is_active=True, source=Source.UI, moment=NOON)


@pytest.mark.parametrize(
    ("settings", "reason"),
    [
        ({"calendar": "weekend"}, "Calendar: Sunday (weekend)."),
        ({"calendar": "weekday"}, ""),
        ({"active_hours": "13:00-22:00"}, "Calendar: outside its hours, between 13:00 and 22:00."),
        ({"active_hours": "07:00-22:00"}, ""),
    ],
)
def test_its_calendar_and_hours_hold_too(settings: dict[str, Any], reason: str) -> None:
    chained(["extract"], **settings)
    run = ended("extract", NOON + MINUTE)  # a Sunday

    scheduler.tick(NOON + MINUTE + SECOND)

    assert fired() == [(run.pk, "skipped" if reason else "started")]
    assert Occurrence.objects.get().reason.endswith(reason or "completed.")


def test_ends_before_its_start_and_after_its_end_are_none_of_its_business() -> None:
    schedule = chained(["extract"])
    times = {"start_time": NOON + 2 * MINUTE, "end_time": NOON + 4 * MINUTE}
    triggers.change(schedule, times, is_active=None, moment=NOON)
    runs = [ended("extract", NOON + minute * MINUTE) for minute in (1, 2, 4, 5)]

    scheduler.tick(NOON + 5 * MINUTE + SECOND)

    assert [cause for cause, _ in fired()] == [runs[1].pk, runs[2].pk]


def test_its_links_follow_the_setting() -> None:
    schedule = chained(["extract", "clean"])

    triggers.change(schedule, {"settings": {"after": {"pipelines": ["clean"]}}}, is_active=None, moment=NOON)

    assert list(ChainLink.objects.values_list("pipeline_uuid", flat=True)) == ["clean"]


def test_looking_costs_one_query_without_chains_and_two_while_nothing_ended(
    django_assert_num_queries: Any,
) -> None:
    with django_assert_num_queries(1):
        chains.follow(NOON)
    chained(["extract"])
    with django_assert_num_queries(2):
        chains.follow(NOON + MINUTE)


def test_an_end_that_nobody_had_looked_at_survives_an_edit_of_the_chain() -> None:
    schedule = chained(["extract"])
    run = ended("extract", NOON + SECOND)

    triggers.change(
        schedule, {"settings": {"after": {"pipelines": ["clean"]}}}, is_active=None, moment=NOON + 2 * SECOND
    )

    assert PipelineRun.objects.filter(pipeline__uuid="report").count() == 0, "saving starts nothing"
    assert scheduler.tick(NOON + 3 * SECOND).fired == 1
    assert Occurrence.objects.get().cause_run_id == run.pk


# --- chains with many ends --------------------------------------------------------------------------------------------


@pytest.fixture
def few_at_a_time() -> Iterator[None]:
    with mock.patch.object(chains, "ENDS_AT_MOST", 3):
        yield


def test_more_ends_than_one_tick_looks_at_come_with_the_next(few_at_a_time: None) -> None:
    chained(["extract"])
    runs = [ended("extract", NOON + (number // 2) * SECOND + SECOND).pk for number in range(10)]

    for number in range(5):
        scheduler.tick(NOON + HOUR + number * SECOND)

    assert sorted(Occurrence.objects.values_list("cause_run_id", flat=True)) == runs


def test_a_set_that_waits_for_long_keeps_no_other_chain_from_firing(few_at_a_time: None) -> None:
    chained(["extract", "clean"], match="all")
    make_pipeline("load")
    fields = {"name": "x", "schedule_type": ScheduleType.EVENT, "settings": {"after": {"pipelines": ["extract"]}}}
    other, _ = triggers.create("load", fields, is_active=True, source=Source.UI, moment=NOON)
    for minute in range(1, 9):
        ended("extract", NOON + minute * MINUTE)
        scheduler.tick(NOON + minute * MINUTE + SECOND)
    last = ended("clean", NOON + 10 * MINUTE)

    assert other.occurrences.count() == 8
    assert scheduler.tick(NOON + 10 * MINUTE + SECOND).fired == 1
    assert Occurrence.objects.exclude(schedule=other).get().cause_run_id == last.pk


def test_a_chain_goes_on_once_its_pipeline_is_mended() -> None:
    schedule = chained(["extract"])
    Pipeline.objects.filter(uuid="report").update(
        is_valid=False, problems=[{"reason": "broken", "file": "x", "line": 1}]
    )
    ended("extract", NOON + MINUTE)
    assert scheduler.tick(NOON + MINUTE + SECOND).fired == 0
    schedule.refresh_from_db()
    assert schedule.problem

    Pipeline.objects.filter(uuid="report").update(is_valid=True, problems=[])
    ended("extract", NOON + HOUR)

    assert scheduler.tick(NOON + HOUR + SECOND).fired == 1
    schedule.refresh_from_db()
    assert schedule.problem == ""


def test_a_fault_of_ours_in_one_chain_harms_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    bad = chained(["extract"])
    chained(["extract"], pipeline="clean")
    plain = chains.entries

    def faulty(schedule: PipelineSchedule, *args: Any) -> list[Occurrence]:
        if schedule == bad:
            raise ZeroDivisionError
        return plain(schedule, *args)

    monkeypatch.setattr(chains, "entries", faulty)
    ended("extract", NOON + MINUTE)

    assert scheduler.tick(NOON + MINUTE).fired == 1
    bad.refresh_from_db()
    assert bad.problem == "This schedule could not be read (ZeroDivisionError)."
