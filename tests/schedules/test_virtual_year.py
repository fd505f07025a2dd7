"""A year of ticks across both changes of summer time, and every vector of the oracle by every way it can be asked."""

import json
import random
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.core.management import call_command

from runs.models import PipelineRun
from runs.states import RunStatus
from schedules import scheduler
from schedules.backfilling import backfills
from schedules.models import IntervalType, Occurrence, PipelineSchedule
from schedules.policies import Settings
from schedules.reckoning import reckon
from schedules.timetable import parse
from schedules.timing import Timing
from tests.factories import make_backfill, make_client, make_pipeline, make_schedule
from tests.schedules.reference import instants, utc

MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
COUNTS = {"daily": 365, "hourly": 8760, "quarterly": 35040, "weekly": 52, "monthly": 12}  # in a year of real time
GRID = 15 * MINUTE  # every time below is on it, in every zone
# 2018: the last year in which all but Kolkata changed their clocks twice. (zone, a time that is missing or doubled)
ZONES = {
    "Europe/Berlin": "30 2",
    "America/New_York": "30 2",
    "Australia/Lord_Howe": "15 2",
    "Asia/Kolkata": "30 2",
    "America/Sao_Paulo": "30 0",
}
BEGIN, END = datetime(2018, 1, 1, tzinfo=UTC), datetime(2019, 1, 1, tzinfo=UTC)
# The first and the second: when clocks go forward and back, or back and forward, in UTC.
CHANGES = {
    "Europe/Berlin": ("2018-03-25T01:00Z", "2018-10-28T01:00Z"),
    "America/New_York": ("2018-03-11T07:00Z", "2018-11-04T06:00Z"),
    "Australia/Lord_Howe": ("2018-03-31T15:00Z", "2018-10-06T15:30Z"),
    "America/Sao_Paulo": ("2018-02-18T02:00Z", "2018-11-04T03:00Z"),
}


def jobs(zone: str) -> dict[str, str]:
    at = ZONES[zone]
    return {
        "daily": f"{at} * * *",
        "hourly": "0 * * * *",
        "quarterly": "*/15 * * * *",
        "weekly": f"{at} * * sun",
        "monthly": "0 6 L * *",
    }


def ticks(zone: str, seed: int) -> Iterator[datetime]:
    """A year of ticks: in the days around a change now every minute, now every hour; elsewhere after long outages."""
    dice, moment, changes = random.Random(seed), BEGIN, [utc(text) for text in CHANGES.get(zone, ())]
    while moment < END:
        is_near = any(abs(moment - change) < 4 * DAY for change in changes)
        moment += MINUTE * (dice.choice((1, 30, 60, 60)) if is_near else dice.choice((60, 1200)))
        yield min(moment, END)


@pytest.mark.parametrize("zone", ZONES)
def test_a_year_of_ticks_has_the_instants_of_a_walk_through_it(zone: str) -> None:
    for name, expression in jobs(zone).items():
        timing, found, decided = Timing(parse(expression, zone)), list[datetime](), BEGIN
        planned = timing.next_due(BEGIN)
        for moment in ticks(zone, len(name)):
            if planned and planned <= moment:
                step = reckon(timing, Settings(), decided, moment, planned=planned)
                found += [entry.instant.utc for entry in step.entries]
                decided, planned = step.decided_until, step.next_due
        assert found == instants(expression, zone, BEGIN, END, grid=GRID), name
        assert len(found) == COUNTS[name] or (name == "hourly" and zone == "Australia/Lord_Howe"), name


@pytest.mark.django_db
@pytest.mark.parametrize("zone", CHANGES)
@pytest.mark.parametrize("number", [0, 1])
def test_the_scheduler_starts_each_instant_of_a_day_whose_clock_changes_once(zone: str, number: int) -> None:
    pipeline = make_pipeline(blocks=[("only",)])
    since = utc(CHANGES[zone][number]) - 9 * HOUR
    for name, expression in jobs(zone).items():
        schedule = make_schedule(pipeline, name=name, schedule_interval=expression, timezone=zone, is_active=False)
        schedule.settings = {"catchup": "all"}
        schedule.resume(since)
        schedule.save()

    moment = since
    while moment < since + 20 * HOUR:
        moment += 40 * MINUTE
        scheduler.tick(moment)

    for name, expression in jobs(zone).items():
        rows = Occurrence.objects.filter(schedule__name=name).order_by("scheduled_for")
        assert list(rows.values_list("scheduled_for", flat=True)) == instants(
            expression, zone, since, moment, grid=GRID
        )
    assert (
        PipelineRun.objects.count()
        == Occurrence.objects.filter(decision="started").count()
        == Occurrence.objects.count()
    )


# --- the oracle -------------------------------------------------------------------------------------------------------

ORACLE = json.loads((Path(__file__).parent / "cron_vectors.json").read_text())
VECTORS = [pytest.param(vector, id=vector["id"]) for vector in ORACLE["vectors"]]


def expected(vector: dict[str, Any]) -> list[datetime]:
    return [utc(text) for text in vector["expected"]]


@pytest.mark.parametrize("vector", VECTORS)
def test_the_preview_command_says_what_the_oracle_says(vector: dict[str, Any]) -> None:
    out = StringIO()

    options = (
        "--timezone",
        vector["zone"],
        "--from",
        vector["from"],
        "--count",
        str(len(vector["expected"])),
        "--json",
    )
    call_command("preview_schedule", vector["expression"], *options, stdout=out)

    said = json.loads(out.getvalue())["next"]
    assert [each["utc"] for each in said] == vector["expected"]
    assert [utc(each["local"]) for each in said] == [utc(text) for text in vector["expected_local"]]


@pytest.mark.django_db
@pytest.mark.parametrize("vector", VECTORS)
def test_scheduler_backfill_and_api_find_what_the_oracle_says(vector: dict[str, Any]) -> None:
    pipeline, begin, moments = make_pipeline(blocks=[("only",)]), utc(vector["from"]), expected(vector)
    schedule = make_schedule(pipeline, schedule_interval=vector["expression"], timezone=vector["zone"], is_active=False)
    answer = make_client().get(
        f"/api/v1/pipeline_schedules/{schedule.pk}/preview?from={vector['from']}&count={len(moments)}"
    )
    asked = make_backfill(
        pipeline,
        schedule=schedule,
        interval_type=IntervalType.SCHEDULE,
        timezone=vector["zone"],
        start_at=begin + timedelta(microseconds=1),
        end_at=moments[-1],
    )

    assert [utc(each["utc"]) for each in answer.json()["next"]] == moments
    assert [planned.slot.at for planned in backfills.plan(asked, moments[-1]).slots] == moments

    schedule.resume(begin)
    for moment in moments:
        assert PipelineSchedule.objects.get().next_due_at == moment
        assert scheduler.tick(moment).fired == 1
    assert list(PipelineRun.objects.order_by("id").values_list("execution_date", flat=True)) == moments


@pytest.mark.django_db
@pytest.mark.parametrize("case", [pytest.param(case, id=case["id"]) for case in ORACLE["catchup"]])
def test_the_scheduler_catches_up_as_the_oracle_says(case: dict[str, Any]) -> None:
    settings: dict[str, Any] = {"catchup": {"skip": "none"}.get(case["policy"], case["policy"])}
    settings |= {"catchup_window": case["catchup_window_s"]} if case["catchup_window_s"] else {}
    settings |= {"catchup_max": case["cap"]} if case["cap"] else {}
    schedule = make_schedule(
        schedule_interval=case["expression"], timezone=case["zone"], is_active=False, settings=settings
    )
    schedule.resume(utc(case["last_slot"]))

    scheduler.tick(utc(case["now"]))

    rows = Occurrence.objects.order_by("scheduled_for")
    created = list(rows.filter(decision="started").values_list("scheduled_for", flat=True))
    assert created == [utc(text) for text in case["create"]]
    assert PipelineSchedule.objects.get().next_due_at == utc(case["next_slot"])
    assert rows.count() == min(case["missed"], 101)
    assert PipelineRun.objects.filter(status=RunStatus.RUNNING).count() == len(created)
