"""Which deadlines are at risk, from how long runs usually take."""

from datetime import timedelta

import pytest

from orchestrator_site.dashboard.deadlines import Usual, in_order, judge, of_moments, of_runs, usual
from pipelines.models import Pipeline
from runs.models import PipelineRun
from runs.states import RunStatus
from schedules.models import PipelineSchedule
from tests.factories import NOON

MINUTE = timedelta(minutes=1)
USUAL = Usual(half=10 * MINUTE, most=20 * MINUTE, runs=20)
PIPELINE = Pipeline(pk=1, uuid="etl")


def run(**fields: object) -> PipelineRun:
    return PipelineRun(pk=1, pipeline=PIPELINE, status=RunStatus.RUNNING, **fields)


@pytest.mark.parametrize(
    ("minutes", "state"),
    [(-1, "past"), (0, "past"), (9, "late"), (10, "tight"), (19, "tight"), (20, ""), (60, "")],
)
def test_a_deadline_is_judged_by_what_runs_usually_take(minutes: int, state: str) -> None:
    assert judge(NOON + minutes * MINUTE, NOON, NOON, USUAL) == state


def test_without_history_a_deadline_is_told_only_shortly_before_it() -> None:
    assert judge(NOON + 5 * MINUTE, NOON, NOON, None) == "unknown"
    assert judge(NOON + 30 * MINUTE, NOON, NOON, None) == ""


def test_a_run_is_expected_to_end_as_long_after_its_start_as_usual() -> None:
    (risk,) = of_runs([run(started_at=NOON - 5 * MINUTE, sla_at=NOON + 3 * MINUTE)], {1: USUAL}, NOON)

    assert (risk.kind, risk.state) == ("SLA", "late")
    assert (risk.expected, risk.latest) == (NOON + 5 * MINUTE, NOON + 15 * MINUTE)


def test_a_run_that_waits_is_expected_as_if_it_began_now() -> None:
    (risk,) = of_runs([run(sla_at=NOON + 3 * MINUTE)], {1: USUAL}, NOON)

    assert risk.expected == NOON + 10 * MINUTE


def test_a_run_that_takes_longer_than_usual_has_no_expected_end() -> None:
    (risk,) = of_runs([run(started_at=NOON - 30 * MINUTE, sla_at=NOON - MINUTE)], {1: USUAL}, NOON)

    assert (risk.state, risk.expected, risk.latest) == ("past", None, None)


def test_a_timeout_is_a_deadline_too() -> None:
    (risk,) = of_runs([run(started_at=NOON, deadline_at=NOON + 15 * MINUTE)], {1: USUAL}, NOON)

    assert (risk.kind, risk.state) == ("timeout", "tight")


def test_a_moment_of_the_coming_day_is_at_risk_when_its_sla_is_shorter_than_its_runs() -> None:
    schedules = [
        PipelineSchedule(pipeline=PIPELINE, name=name, sla=sla * MINUTE, next_due_at=NOON + due * MINUTE)
        for name, sla, due in (("short", 5, 60), ("long", 60, 60), ("in two days", 5, 2 * 1440), ("late", 5, -1))
    ]

    assert [risk.schedule and risk.schedule.name for risk in of_moments(schedules, {1: USUAL}, NOON)] == ["short"]


def test_what_is_past_comes_before_what_may_be_late() -> None:
    runs = [run(started_at=NOON, sla_at=NOON + minutes * MINUTE) for minutes in (15, 5, -5)]

    assert [risk.state for risk in in_order(of_runs(runs, {1: USUAL}, NOON))] == ["past", "late", "tight"]


def test_only_completed_runs_tell_how_long_a_run_takes() -> None:
    runs = [
        PipelineRun(status=status, started_at=NOON, completed_at=NOON + minutes * MINUTE)
        for status, minutes in (("completed", 4), ("failed", 60), ("completed", 6), ("completed", 8))
    ]

    assert usual(runs) == Usual(6 * MINUTE, 8 * MINUTE, 3)
    assert usual(runs[1:2]) is None
