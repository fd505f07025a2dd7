"""Which pipelines the list shows, and in which order."""

from datetime import timedelta

import pytest
from django.http import QueryDict

from alerts.models import Incident
from orchestrator_site.pipeline_list import finding
from orchestrator_site.pipeline_list.asked import ListForm
from orchestrator_site.timeline import lanes
from pipelines.models import Pipeline
from runs.states import RunStatus
from tests.factories import NOON, make_pipeline, make_run, make_schedule

pytestmark = pytest.mark.django_db
HOUR = timedelta(hours=1)


def found(query: str) -> list[str]:
    return [row.uuid for row in finding.found(lanes.all_rows(), ListForm(QueryDict(query)), NOON)]


def test_each_state_finds_the_pipelines_that_are_so() -> None:
    for uuid, *statuses in (
        ("bad", RunStatus.COMPLETED, RunStatus.FAILED, RunStatus.CANCELLED),
        ("good", RunStatus.FAILED, RunStatus.COMPLETED),
        ("busy", RunStatus.FAILED, RunStatus.RUNNING),
        ("queued", RunStatus.INITIAL),
    ):
        for status in statuses:
            make_run(Pipeline.objects.filter(uuid=uuid).first() or make_pipeline(uuid), status=status)
    Pipeline.objects.filter(pk=make_pipeline("wrong").pk).update(is_valid=False)
    make_schedule(Pipeline.objects.get(uuid="good"), name="a", is_active=False)
    make_schedule(Pipeline.objects.get(uuid="bad"), name="b", is_active=False)
    make_schedule(Pipeline.objects.get(uuid="bad"), name="c", is_active=True)
    Incident.objects.create(
        title="t", fingerprint="f", pipeline=Pipeline.objects.get(uuid="good"), opened_at=NOON, last_seen_at=NOON
    )

    states = ("failing", "well", "running", "incident", "broken", "paused", "untriggered")
    assert {state: found(f"state={state}") for state in states} == {
        "failing": ["bad", "busy"],
        "well": ["good"],
        "running": ["busy", "queued"],
        "incident": ["good"],
        "broken": ["wrong"],
        "paused": ["good"],
        "untriggered": ["busy", "queued", "wrong"],
    }


def test_what_is_due_next_comes_first_and_what_is_never_due_last() -> None:
    for uuid, hours in (("a", None), ("b", 3), ("c", 1)):
        due = None if hours is None else NOON + hours * HOUR
        make_schedule(make_pipeline(uuid), name=uuid, next_due_at=due)
    make_schedule(make_pipeline("d"), name="paused", is_active=False, next_due_at=NOON)

    assert found("sort=next") == ["c", "b", "a", "d"]


def test_what_fails_comes_first_and_what_never_ran_last() -> None:
    for uuid, status in (("a", None), ("b", RunStatus.COMPLETED), ("c", RunStatus.FAILED)):
        pipeline = make_pipeline(uuid)
        if status:
            make_run(pipeline, status=status)

    assert found("sort=last") == ["c", "b", "a"]


def test_what_takes_longest_comes_first() -> None:
    for uuid, hours in (("a", 1), ("b", 5), ("c", None), ("d", 3)):
        pipeline = make_pipeline(uuid)
        if hours:
            make_run(pipeline, status=RunStatus.COMPLETED, started_at=NOON, completed_at=NOON + hours * HOUR)

    assert found("sort=p95") == ["b", "d", "a", "c"]


def test_the_95th_percentile_leaves_the_longest_of_twenty_out() -> None:
    pipeline = make_pipeline()
    for hours in [1.5, *[1] * 18, 9]:
        make_run(pipeline, status=RunStatus.COMPLETED, started_at=NOON, completed_at=NOON + hours * HOUR)

    assert finding.longest([pipeline.pk]) == {pipeline.pk: 1.5 * 3600 * 1_000_000}
