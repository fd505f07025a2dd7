"""The simulation is the scheduler: the same schedules through both give the same ledger and the same starts.

`SIMULATION_EXAMPLES=500 pytest tests/schedules/test_simulation_drift.py` looks harder.
"""

import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.db import transaction
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from runs.models import Origin
from runs.states import RunStatus
from schedules.days.maintenance import MaintenanceWindow
from schedules.models import PipelineSchedule
from schedules.simulating.recorded import holds, recorded
from schedules.simulating.simulation import simulate
from tests.factories import make_pipeline, make_run, make_schedule
from tests.schedules.world import Row, play

pytestmark = pytest.mark.django_db
BEGIN = datetime(2025, 3, 30, 0, 30, tzinfo=UTC)  # half an hour before clocks go forward in Berlin
SPAN = timedelta(hours=2)
MINUTE = timedelta(minutes=1)
Span = tuple[int, int]  # minutes after BEGIN


@dataclass(frozen=True)
class Plan:
    """One schedule: its interval, its pipeline's number, what its runs take in seconds."""

    interval: str = "*/10 * * * *"
    pipeline: int = 0
    taken: int = 300
    settings: dict[str, Any] = field(default_factory=dict)
    customer: str = "a"


@dataclass(frozen=True)
class Scene:
    plans: Sequence[Plan]
    config: dict[str, Any] = field(default_factory=dict)  # of pipeline 0
    outage: Span | None = None
    window: Span | None = None
    span: timedelta = SPAN


def differences(scene: Scene) -> tuple[list[Row], list[Row]]:
    """Return what the scheduler wrote and what the simulation says."""
    with transaction.atomic():
        found = both(scene)
        transaction.set_rollback(True)
    return found


def both(scene: Scene) -> tuple[list[Row], list[Row]]:
    pipelines = [
        make_pipeline("p0", blocks=[("only",)], concurrency_config=scene.config),
        make_pipeline("p1", blocks=[("only",)]),
    ]
    for number, plan in enumerate(scene.plans):
        schedule = make_schedule(
            pipelines[plan.pipeline],
            name=f"number {number}",
            schedule_interval=plan.interval,
            timezone="Europe/Berlin",
            last_enabled_at=BEGIN - timedelta(days=1),
            settings=plan.settings,
            variables={"customer": plan.customer},
        )
        earlier = BEGIN - timedelta(days=1)
        make_run(
            pipelines[plan.pipeline],
            status=RunStatus.COMPLETED,
            trigger_id=schedule.pk,
            origin=Origin.SCHEDULE,
            started_at=earlier,
            completed_at=earlier + timedelta(seconds=plan.taken),
        )
    if scene.window:
        begin, end = (BEGIN + minute * MINUTE for minute in scene.window)
        MaintenanceWindow.objects.create(name="moving house", starts_at=begin, ends_at=end)
    outages = [(BEGIN + scene.outage[0] * MINUTE, BEGIN + scene.outage[1] * MINUTE)] if scene.outage else []
    until, world = BEGIN + scene.span, recorded(BEGIN)
    assert not world.left_out
    result = simulate(world.triggers, BEGIN, until, holds=holds(BEGIN, until, world.triggers), outages=outages)
    said = [(each.trigger.pk, each.scheduled_for, each.decision, each.started_at) for each in result.moments]
    for trigger in world.triggers:
        PipelineSchedule.objects.filter(pk=trigger.pk).update(
            decided_until=trigger.decided_until, next_due_at=trigger.timing.next_due(trigger.decided_until)
        )
    written = play(BEGIN, until, {each.pk: each.duration for each in world.triggers}, outages)
    return written, sorted(said, key=lambda row: (row[0], row[1]))


SETTINGS = st.fixed_dictionaries(
    {},
    optional={
        "overlap": st.sampled_from(["allow", "skip", "wait_one", "wait_all", "cancel_other"]),
        "pipeline_run_limit": st.integers(1, 3),
        "on_pipeline_run_limit_reached": st.sampled_from(["skip", "wait"]),
        "run_limit_by_variable": st.just({"customer": 1}),
        "priority": st.integers(-1, 1),
        "start_deadline": st.sampled_from([60, 420, 1800]),
        "jitter": st.sampled_from([30, 900]),
        "landing_time_enabled": st.just(True),
        "catchup": st.sampled_from(["latest", "all", "none", "hold"]),
        "catchup_max": st.sampled_from([1, 2, 100]),
        "catchup_window": st.sampled_from([1200, 86400]),
        "active_hours": st.just("01:00-04:30"),
    },
)
PLANS = st.builds(
    Plan,
    interval=st.sampled_from(
        ["*/10 * * * *", "*/15 * * * *", "0 * * * *", "30 2 * * *", "every 7 minutes", "5,6,7 * * * *"]
    ),
    pipeline=st.integers(0, 1),
    taken=st.sampled_from([1, 240, 600, 1500, 5400]),
    settings=SETTINGS,
    customer=st.sampled_from(["a", "b"]),
)
CONFIGS = st.fixed_dictionaries(
    {},
    optional={
        "pipeline_run_limit": st.integers(1, 2),
        "pipeline_run_limit_all_triggers": st.integers(1, 3),
        "on_pipeline_run_limit_reached": st.sampled_from(["skip", "wait"]),
        "run_limit_by_variable": st.just({"customer": 1}),
    },
)
SPANS = st.none() | st.tuples(st.integers(0, 50), st.integers(51, 100))
SCENES = st.builds(Scene, plans=st.lists(PLANS, min_size=1, max_size=4), config=CONFIGS, outage=SPANS, window=SPANS)


@settings(
    max_examples=int(os.environ.get("SIMULATION_EXAMPLES", "3")),
    deadline=None,
    derandomize="SIMULATION_EXAMPLES" not in os.environ,
    suppress_health_check=list(HealthCheck),
)
@given(scene=SCENES)
@example(
    scene=Scene(
        [
            Plan("*/15 * * * *", taken=1500, settings={"overlap": "wait_all", "start_deadline": 1800}),
            Plan("every 7 minutes", taken=600, settings={"overlap": "cancel_other", "jitter": 900}),
            Plan("0 * * * *", taken=600, settings={"landing_time_enabled": True, "priority": -1}),
        ],
        config={"pipeline_run_limit_all_triggers": 2},
    )
)
def test_the_ledger_and_the_starts_are_those_of_the_scheduler(scene: Scene) -> None:
    written, said = differences(scene)

    assert said == written


@pytest.mark.parametrize("outage", [None, (2, 3)])
@pytest.mark.parametrize("settings", [{}, {"overlap": "wait_all"}, {"active_hours": "01:32-01:36"}])
def test_an_always_on_schedule_starts_when_it_would(settings: dict[str, Any], outage: Span | None) -> None:
    busy = Plan("*/3 * * * *", taken=75, settings={"priority": -1})
    scene = Scene(
        [Plan("@always_on", taken=47, settings=settings), busy],
        config={"pipeline_run_limit_all_triggers": 1},
        outage=outage,
        span=timedelta(minutes=8),
    )

    written, said = differences(scene)

    assert said == written
    assert sum(row[2] == "started" for row in said) > 4
