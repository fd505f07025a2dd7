"""What the database knows of a stretch of time."""

from datetime import timedelta

import pytest
from pytest_django.fixtures import DjangoAssertNumQueries

from orchestrator_site.timeline import recorded
from runs.models import Origin
from runs.states import BlockStatus, RunStatus
from schedules.models import Decision, Occurrence
from tests.factories import NOON, make_pipeline, make_run, make_schedule

pytestmark = pytest.mark.django_db
HOUR, MINUTE = timedelta(hours=1), timedelta(minutes=1)


def read(*pks: int, most: int = 10) -> recorded.Recorded:
    return recorded.read(pks, NOON - 6 * HOUR, NOON + 6 * HOUR, most=most, cell=HOUR)


def test_a_run_has_its_moment_its_start_and_the_start_of_its_first_block() -> None:
    run = make_run(
        status=RunStatus.COMPLETED,
        origin=Origin.SCHEDULE,
        execution_date=NOON,
        created_at=NOON + MINUTE,
        started_at=NOON + 2 * MINUTE,
        completed_at=NOON + 9 * MINUTE,
        blocks=dict.fromkeys(("load", "clean"), BlockStatus.COMPLETED),
    )
    for minutes, uuid in ((5, "load"), (3, "clean")):
        run.block_runs.filter(block_uuid=uuid).update(first_started_at=NOON + minutes * MINUTE)

    (ran,) = read(run.pipeline_id).runs[run.pipeline_id]

    assert (ran.due, ran.started, ran.began, ran.ended) == tuple(NOON + minutes * MINUTE for minutes in (0, 2, 3, 9))


def test_a_run_by_hand_is_due_when_it_was_asked_for() -> None:
    run = make_run(status=RunStatus.COMPLETED, execution_date=NOON - 30 * HOUR, created_at=NOON)

    (ran,) = read(run.pipeline_id).runs[run.pipeline_id]

    assert ran.due == NOON


def test_runs_outside_the_window_are_left_out_and_those_that_go_on_are_there() -> None:
    pipeline = make_pipeline()
    make_run(pipeline, status=RunStatus.COMPLETED, completed_at=NOON - 7 * HOUR)
    make_run(pipeline, status=RunStatus.COMPLETED, created_at=NOON + 7 * HOUR, completed_at=NOON + 8 * HOUR)
    long = make_run(pipeline, status=RunStatus.COMPLETED, created_at=NOON - 9 * HOUR, completed_at=NOON + 9 * HOUR)
    running = make_run(pipeline, status=RunStatus.RUNNING, created_at=NOON - 40 * HOUR)
    make_run(make_pipeline("other"))

    assert {ran.id for ran in read(pipeline.pk).runs[pipeline.pk]} == {long.pk, running.pk}


def test_too_many_runs_are_counted_by_cell_and_state() -> None:
    pipeline, few = make_pipeline(), make_run(make_pipeline("few"), status=RunStatus.COMPLETED)
    for minutes, status in ((1, RunStatus.COMPLETED), (59, RunStatus.FAILED), (61, RunStatus.COMPLETED)):
        make_run(pipeline, status=status, completed_at=NOON + minutes * MINUTE)

    found = read(pipeline.pk, few.pipeline_id, most=2)

    assert found.dense == {pipeline.pk: {6: {"completed": 1, "failed": 1}, 7: {"completed": 1}}}
    assert [ran.id for ran in found.runs[few.pipeline_id]] == [few.pk]
    assert pipeline.pk not in found.runs


def test_moments_without_a_run_say_why() -> None:
    schedule = make_schedule()
    for hours, decision in ((0, Decision.MISSED), (1, Decision.SKIPPED), (2, Decision.STARTED), (9, Decision.MISSED)):
        Occurrence.objects.create(
            pipeline=schedule.pipeline,
            schedule=schedule,
            scheduled_for=NOON + hours * HOUR,
            decision=decision,
            reason=f"because of {hours}",
            decided_at=NOON,
        )

    found = read(schedule.pipeline_id).moments[schedule.pipeline_id]

    assert [(mark.kind, mark.note, mark.link) for mark in found] == [
        ("missed", "because of 0", schedule.pk),
        ("skipped", "because of 1", schedule.pk),
    ]


def test_what_waits_for_its_turn_waits_until_now(django_assert_num_queries: DjangoAssertNumQueries) -> None:
    schedule = make_schedule()
    Occurrence.objects.create(
        pipeline=schedule.pipeline,
        schedule=schedule,
        scheduled_for=NOON,
        decision=Decision.WAITING,
        decided_at=NOON,
    )

    with django_assert_num_queries(1):
        ((pipeline_id, mark),) = recorded.waiting([schedule.pk], NOON + HOUR, NOON + MINUTE)

    assert (pipeline_id, mark.kind, mark.begin, mark.end) == (schedule.pipeline_id, "waiting", NOON, NOON + MINUTE)


def test_any_number_of_pipelines_costs_the_same(django_assert_max_num_queries: DjangoAssertNumQueries) -> None:
    pks = [make_run(make_pipeline(f"p{number}"), status=RunStatus.COMPLETED).pipeline_id for number in range(12)]

    with django_assert_max_num_queries(5):
        read(*pks, most=0)
