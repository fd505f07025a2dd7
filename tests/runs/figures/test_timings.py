"""When the last runs began, ended, and should have ended."""

from datetime import timedelta

import pytest
from pytest_django.fixtures import DjangoAssertNumQueries

from runs.figures import timings
from runs.models import Origin
from runs.states import RunStatus
from tests.factories import NOON, make_pipeline, make_run

pytestmark = pytest.mark.django_db
HOUR = timedelta(hours=1)


def test_finished_runs_come_in_the_order_in_which_they_began(django_assert_num_queries: DjangoAssertNumQueries) -> None:
    pipeline = make_pipeline()
    late = make_run(pipeline, status=RunStatus.FAILED, started_at=NOON + HOUR, completed_at=NOON + 3 * HOUR)
    early = make_run(pipeline, status=RunStatus.COMPLETED, completed_at=NOON + 4 * HOUR)
    make_run(pipeline)
    make_run(pipeline, status=RunStatus.CANCELLED, started_at=None)

    with django_assert_num_queries(1):
        found = timings.of_pipeline(pipeline.pk, 10)

    assert [(run.run, run.seconds) for run in found] == [(early.pk, 4 * 3600), (late.pk, 2 * 3600)]


def test_only_the_newest_are_looked_at() -> None:
    pipeline = make_pipeline()
    for number in range(5):
        make_run(pipeline, status=RunStatus.COMPLETED, completed_at=NOON + number * HOUR)

    assert [run.seconds for run in timings.of_pipeline(pipeline.pk, 2)] == [3 * 3600, 4 * 3600]


def test_a_trigger_has_the_landings_of_its_own_moments() -> None:
    fields = {"status": RunStatus.COMPLETED, "trigger_id": 7, "origin": Origin.SCHEDULE, "sla_at": NOON + HOUR}
    run = make_run(**fields)  # type: ignore[arg-type]
    make_run(**fields | {"origin": Origin.MANUAL})  # type: ignore[arg-type]
    make_run(**fields | {"trigger_id": 8})  # type: ignore[arg-type]
    make_run(trigger_id=7, origin=Origin.SCHEDULE)

    (landing,) = timings.of_trigger(7, 10, lands=False)

    assert (landing.run, landing.due, landing.ended, landing.target) == (run.pk, NOON, NOON, NOON + HOUR)


def test_a_trigger_that_lands_is_to_be_finished_by_its_moments() -> None:
    make_run(status=RunStatus.COMPLETED, trigger_id=7, origin=Origin.SCHEDULE, execution_date=NOON + HOUR)

    assert timings.of_trigger(7, 10, lands=True)[0].target == NOON + HOUR
