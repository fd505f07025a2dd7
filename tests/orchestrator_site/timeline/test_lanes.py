"""Which pipelines have a lane, in which group."""

from datetime import timedelta

import pytest
from pytest_django.fixtures import DjangoAssertNumQueries

from orchestrator_site.timeline import lanes
from orchestrator_site.timeline.lanes import Row
from pipelines.models import Pipeline
from runs.states import RunStatus
from schedules.models import Decision, Occurrence
from tests.factories import NOON, make_pipeline, make_run

HOUR = timedelta(hours=1)


def row(uuid: str, *tags: str, owner: str = "", executor: str = "local_python") -> Row:
    return Row(len(uuid), uuid, uuid.title(), tags, owner, executor)


ROWS = [row("weather", "daily", "api", owner="ada"), row("billing", "api"), row("audit", owner="Grace"), row("zoo")]


@pytest.mark.parametrize(
    ("by", "groups"),
    [
        ("", {"api": ["billing"], "daily": ["weather"], "without a tag": ["audit", "zoo"]}),
        ("owner", {"ada": ["weather"], "Grace": ["audit"], "without an owner": ["billing", "zoo"]}),
        ("executor", {"local_python": ["audit", "billing", "weather", "zoo"]}),
        ("none", {"": ["audit", "billing", "weather", "zoo"]}),
    ],
)
def test_lanes_are_grouped_and_those_without_a_group_come_last(by: str, groups: dict[str, list[str]]) -> None:
    found = lanes.grouped(lanes.in_order(ROWS, by), by)

    assert {group.name: [each.uuid for each in group.rows] for group in found} == groups
    assert [group.name for group in found] == list(groups)


def test_lanes_are_narrowed_by_text_tag_and_owner() -> None:
    assert [each.uuid for each in lanes.narrowed(ROWS, text="AUD")] == ["audit"]
    assert [each.uuid for each in lanes.narrowed(ROWS, tag="api")] == ["weather", "billing"]
    assert [each.uuid for each in lanes.narrowed(ROWS, tag="api", owner="ada")] == ["weather"]


@pytest.mark.django_db
def test_the_executor_is_that_of_the_current_version(django_assert_num_queries: DjangoAssertNumQueries) -> None:
    make_pipeline("far", executor_type="k8s")
    make_pipeline("near")
    Pipeline.objects.create(uuid="empty")
    Pipeline.objects.create(uuid="gone", is_present=False)

    with django_assert_num_queries(1):
        found = {each.uuid: each.executor for each in lanes.all_rows()}

    assert found == {"empty": "local_python", "far": "k8s", "near": "local_python"}


@pytest.mark.django_db
def test_only_pipelines_with_such_a_run_or_moment_are_kept() -> None:
    for uuid, status in (("bad", RunStatus.FAILED), ("good", RunStatus.COMPLETED), ("busy", RunStatus.RUNNING)):
        make_run(make_pipeline(uuid), status=status)
    make_run(make_pipeline("bad_before"), status=RunStatus.FAILED, completed_at=NOON - 9 * HOUR)
    Occurrence.objects.create(
        pipeline=make_pipeline("lost"), scheduled_for=NOON, decision=Decision.MISSED, decided_at=NOON
    )

    def kept(state: str) -> list[str]:
        return [each.uuid for each in lanes.in_state(lanes.all_rows(), state, NOON - HOUR, NOON + HOUR)]

    assert {state: kept(state) for state in ("failed", "completed", "running", "missed", "initial")} == {
        "failed": ["bad"],
        "completed": ["good"],
        "running": ["busy"],
        "missed": ["lost"],
        "initial": [],
    }
    assert len(kept("")) == 5
