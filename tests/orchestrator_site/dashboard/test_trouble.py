"""What is wrong: streaks of failed runs, and the line that says why a run failed."""

from datetime import timedelta

import pytest
from pytest_django.fixtures import DjangoAssertNumQueries

from orchestrator_site.dashboard import trouble
from orchestrator_site.dashboard.trouble import Failing, Fault, by_pipeline, in_a_line, tell_streaks
from runs.models import PipelineRun, Role
from runs.states import BlockStatus, RunStatus
from tests.factories import NOON, make_run


def ended(*statuses: str) -> list[PipelineRun]:
    """Runs of one pipeline, the oldest first, a minute apart."""
    return [
        PipelineRun(pk=number, pipeline_id=1, status=status, completed_at=NOON + timedelta(minutes=number))
        for number, status in enumerate(statuses)
    ]


def streak_of(*statuses: str) -> Failing:
    runs = ended(*statuses)
    failing = Failing(next(run for run in reversed(runs) if run.status == RunStatus.FAILED))
    tell_streaks([failing], {1: runs})
    return failing


def test_a_streak_begins_with_the_first_failure_after_a_success() -> None:
    assert streak_of("failed", "completed", "failed", "failed").since == NOON + timedelta(minutes=2)


def test_runs_that_go_on_or_were_cancelled_neither_end_nor_begin_a_streak() -> None:
    assert streak_of("completed", "failed", "cancelled", "running").since == NOON + timedelta(minutes=1)


def test_a_success_ends_a_streak() -> None:
    assert streak_of("failed", "failed", "completed").since is None


def test_a_streak_as_long_as_the_strip_began_before_it() -> None:
    assert streak_of(*["failed"] * 20).is_beyond
    assert not streak_of(*["failed"] * 5).is_beyond


def test_failed_runs_are_gathered_by_pipeline_the_latest_first() -> None:
    runs = [PipelineRun(pk=pk, pipeline_id=pipeline) for pk, pipeline in ((9, 2), (8, 1), (7, 2))]

    assert [(each.newest.pk, each.count) for each in by_pipeline(runs)] == [(9, 2), (8, 1)]


@pytest.mark.parametrize(
    ("kind", "message", "reason", "line"),
    [
        ("KeyError", "'a'\nand more", "", "KeyError: 'a'"),
        ("ValueError", "", "", "ValueError"),
        (None, None, "its worker was lost", "its worker was lost"),
        (None, None, "", "no reason is known"),
        ("E", "x" * 500, "", "E: " + "x" * 237 + "…"),
    ],
)
def test_an_error_is_told_in_one_line(kind: str | None, message: str | None, reason: str, line: str) -> None:
    assert in_a_line(kind, message, reason) == line


@pytest.mark.django_db
def test_the_fault_of_a_run_is_its_first_block_that_failed(django_assert_num_queries: DjangoAssertNumQueries) -> None:
    run = make_run(status=RunStatus.FAILED, blocks=dict.fromkeys(("load", "clean", "save"), BlockStatus.FAILED))
    for minutes, uuid in ((3, "load"), (1, "clean"), (2, "save")):
        run.block_runs.filter(block_uuid=uuid).update(
            completed_at=NOON + timedelta(minutes=minutes), error={"type": "E", "message": uuid}
        )
    timed_out = make_run(status=RunStatus.FAILED, reason="It took longer than 5 min.")

    with django_assert_num_queries(1):
        found = trouble.faults([run, timed_out])

    assert (found[run.pk].text, found[run.pk].block_uuid) == ("E: clean", "clean")
    assert found[timed_out.pk] == Fault("It took longer than 5 min.")


@pytest.mark.django_db
def test_a_callback_that_failed_is_not_why_its_run_did() -> None:
    run = make_run(status=RunStatus.FAILED, blocks={"load": BlockStatus.FAILED}, reason="cancelled")
    run.block_runs.filter(block_uuid="load").update(role=Role.CALLBACK, error={"type": "E", "message": "m"})

    assert trouble.faults([run])[run.pk].text == "cancelled"
