"""How many runs stand for each day, and for each hour."""

from datetime import UTC, date, datetime
from zoneinfo import ZoneInfo

import pytest
from pytest_django.fixtures import DjangoAssertNumQueries

from runs.figures.counts_by_day import first_year, of_day, of_year
from runs.states import RunStatus
from tests.factories import make_pipeline, make_run

pytestmark = pytest.mark.django_db
BERLIN, ZULU = ZoneInfo("Europe/Berlin"), ZoneInfo("UTC")


def run_at(*moment: int, status: RunStatus = RunStatus.COMPLETED) -> int:
    return make_run(status=status, execution_date=datetime(*moment, tzinfo=UTC)).pipeline_id  # type: ignore[arg-type]


def test_a_day_begins_at_midnight_of_the_zone(django_assert_num_queries: DjangoAssertNumQueries) -> None:
    pipeline = run_at(2026, 3, 1, 22, 59)
    run_at(2026, 3, 1, 23, 30)
    run_at(2026, 3, 2, 10, status=RunStatus.FAILED)

    with django_assert_num_queries(1):
        found = of_year(pipeline, 2026, BERLIN)

    assert found == {date(2026, 3, 1): {"completed": 1}, date(2026, 3, 2): {"completed": 1, "failed": 1}}


def test_a_year_has_what_the_zone_counts_to_it() -> None:
    pipeline = run_at(2025, 12, 31, 23, 30)

    assert of_year(pipeline, 2026, BERLIN) == {date(2026, 1, 1): {"completed": 1}}
    assert of_year(pipeline, 2026, ZULU) == {}


def test_runs_of_other_pipelines_do_not_count() -> None:
    pipeline = run_at(2026, 3, 1)
    make_run(make_pipeline("other"), execution_date=datetime(2026, 3, 1, tzinfo=UTC))

    assert of_year(pipeline, 2026, ZULU) == {date(2026, 3, 1): {"completed": 1}}


def test_hours_are_counted_from_the_midnight_of_the_zone() -> None:
    pipeline = run_at(2026, 3, 29, 0, 30)
    run_at(2026, 3, 29, 1, 30)

    assert of_day(pipeline, date(2026, 3, 29), BERLIN) == {1: {"completed": 1}, 2: {"completed": 1}}


def test_the_first_year_is_that_of_the_earliest_run() -> None:
    pipeline = run_at(2026, 3, 1)
    run_at(2023, 12, 31, 23, 30)

    assert (first_year(pipeline, ZULU), first_year(pipeline, BERLIN)) == (2023, 2024)
    assert first_year(make_pipeline("other").pk, ZULU) is None


def test_an_hour_that_comes_twice_is_two() -> None:
    pipeline = run_at(2026, 10, 25, 0, 30)  # 02:30 in summer
    run_at(2026, 10, 25, 1, 30, status=RunStatus.FAILED)  # 02:30 in winter

    assert of_day(pipeline, date(2026, 10, 25), BERLIN) == {2: {"completed": 1}, 3: {"failed": 1}}
