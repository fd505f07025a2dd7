"""What is still to come: moments of timetables, lateness, maintenance windows."""

from datetime import timedelta
from typing import Any

import pytest
from pytest_django.fixtures import DjangoAssertNumQueries

from orchestrator_site.timeline import expected
from orchestrator_site.timeline.lanes import Row
from schedules.days.calendars import Shelf
from schedules.models import MaintenanceWindow, PipelineSchedule
from tests.factories import NOON, make_pipeline, make_schedule

HOUR, MINUTE = timedelta(hours=1), timedelta(minutes=1)


def schedule(interval: str = "@hourly", due: timedelta = HOUR, **fields: Any) -> PipelineSchedule:
    defaults = {"decided_until": NOON, "next_due_at": NOON + due, "is_active": True, "name": "hourly"}
    return PipelineSchedule(pk=7, pipeline_id=1, schedule_interval=interval, **defaults | fields)


def marks(own: PipelineSchedule, hours: int = 3, most: int = 60) -> list[tuple[str, float, float]]:
    """Kind, begin and length of each, in minutes from noon."""
    found = expected.marks(own, NOON + hours * HOUR, NOON, Shelf(), 5 * MINUTE, most)
    return [(mark.kind, (mark.begin - NOON) / MINUTE, (mark.end - mark.begin) / MINUTE) for mark in found]


def test_moments_are_expected_as_long_as_runs_take() -> None:
    assert marks(schedule()) == [("expected", 60, 5), ("expected", 120, 5), ("expected", 180, 5)]


def test_all_starts_are_shifted_as_the_first_is() -> None:
    assert marks(schedule(due=HOUR - 10 * MINUTE)) == [("expected", 50, 5), ("expected", 110, 5), ("expected", 170, 5)]


def test_no_more_than_a_day_is_looked_ahead() -> None:
    assert len(marks(schedule(), hours=48)) == 24


def test_too_many_moments_are_one_stretch() -> None:
    assert marks(schedule("* * * * *", due=MINUTE), hours=3, most=60) == [("expected", 1, 179)]


def test_what_is_overdue_is_late_until_now_and_goes_on_after_it() -> None:
    overdue = schedule("30 * * * *", due=-30 * MINUTE, decided_until=NOON - 40 * MINUTE)

    assert marks(overdue, hours=1) == [("late", -30, 30), ("expected", 30, 5)]


def test_a_schedule_that_is_set_aside_or_cannot_be_read_expects_nothing() -> None:
    assert marks(schedule(problem="no such calendar")) == []
    assert marks(schedule("every full moon")) == []


def test_an_always_on_schedule_is_expected_once() -> None:
    assert marks(schedule("@always_on", due=MINUTE)) == [("expected", 1, 5)]


@pytest.mark.django_db
def test_only_active_time_schedules_are_asked(django_assert_num_queries: DjangoAssertNumQueries) -> None:
    pipeline = make_pipeline()
    make_schedule(pipeline, name="one")
    make_schedule(pipeline, name="paused", is_active=False)
    make_schedule(pipeline, name="api", schedule_type="api")

    with django_assert_num_queries(1):
        found = expected.schedules_of([pipeline.pk])

    assert [each.name for each in found] == ["one"]


@pytest.mark.django_db
def test_a_window_is_drawn_for_the_pipelines_it_covers() -> None:
    rows = [Row(1, "weather", "Weather", ("daily",), "", "local_python"), Row(2, "audit", "Audit", (), "", "k8s")]
    for name, scope, value in (("a", "all", ""), ("b", "tag", "daily"), ("c", "executor", "k8s"), ("d", "tag", "x")):
        MaintenanceWindow.objects.create(
            name=name, scope=scope, value=value, starts_at=NOON, ends_at=NOON + HOUR, reason="upkeep"
        )
    MaintenanceWindow.objects.create(name="later", starts_at=NOON + 9 * HOUR, ends_at=NOON + 10 * HOUR)

    found = expected.bands(NOON - HOUR, NOON + 6 * HOUR, rows, [])

    assert [(band.name, band.rows) for band in found] == [("a", None), ("b", frozenset({1})), ("c", frozenset({2}))]


@pytest.mark.django_db
def test_the_tags_of_a_schedule_count_for_its_pipeline() -> None:
    own = make_schedule(tags=["nightly"])
    row = Row(own.pipeline_id, "etl", "etl", (), "", "local_python")
    MaintenanceWindow.objects.create(name="w", scope="tag", value="nightly", starts_at=NOON, ends_at=NOON + HOUR)

    (band,) = expected.bands(NOON, NOON + HOUR, [row], [own])

    assert band.rows == frozenset({own.pipeline_id})


@pytest.mark.django_db
def test_a_window_that_comes_again_is_drawn_each_time() -> None:
    MaintenanceWindow.objects.create(name="w", recurrence="0 2 * * *", duration=HOUR)

    found = expected.bands(NOON, NOON + 72 * HOUR, [Row(1, "a", "a", (), "", "x")], [])

    assert [(band.begin - NOON) / HOUR for band in found] == [14, 38, 62]
