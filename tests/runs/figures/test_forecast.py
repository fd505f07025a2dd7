"""When a run will end: its blocks take as long as in the last runs that completed."""

from collections.abc import Mapping
from datetime import datetime, timedelta

import pytest
from django.test import Client
from pytest_django.fixtures import DjangoAssertNumQueries

from runs.figures.forecast import Forecast, forecast, play
from runs.models import BlockRun, PipelineRun
from runs.states import BlockStatus, RunStatus
from tests.factories import NOON, make_run, text_of

SECOND = timedelta(seconds=1)


def block(uuid: str, *upstream: str, since: float | None = None) -> BlockRun:
    """One that is left: at it since so many seconds before noon, or not ready yet."""
    status = BlockStatus.INITIAL if since is None else BlockStatus.RUNNING
    begun = None if since is None else NOON - since * SECOND
    return BlockRun(block_uuid=uuid, upstream=list(upstream), status=status, queued_at=begun, started_at=begun)


def played(left: list[BlockRun], *past: Mapping[str, float]) -> Forecast:
    return play(left, past, since=NOON - timedelta(hours=1), now=NOON)


def seconds(moment: datetime | None) -> float | None:
    return None if moment is None else (moment - NOON).total_seconds()


def test_what_is_left_ends_after_the_longest_way() -> None:
    left = [block("a", since=4), block("b", since=4), block("c", "a", "b")]

    told = played(left, *[{"a": 10.0, "b": 30.0, "c": 5.0}] * 5)

    assert seconds(told.expected) == 26 + 5
    assert told.path == ["b", "c"]


def test_the_latest_is_what_nine_of_ten_runs_kept_to() -> None:
    past = [{"a": float(each)} for each in range(1, 11)]

    told = played([block("a", since=0)], *past)

    assert (seconds(told.expected), seconds(told.latest)) == (5, 9)


def test_what_has_run_longer_than_ever_is_said_to_be_late() -> None:
    told = played([block("a", since=60), block("b", "a")], *[{"a": 10.0, "b": 7.0}] * 5)

    assert told.is_late
    assert seconds(told.expected) == 7


def test_fewer_than_five_runs_are_not_enough() -> None:
    told = played([block("a", since=0)], *[{"a": 1.0}] * 4)

    assert (told.runs, told.expected) == (4, None)


def test_a_block_that_is_new_is_named() -> None:
    told = played([block("a", since=0), block("new", "a")], *[{"a": 3.0}] * 5)

    assert told.unknown == ["new"]
    assert seconds(told.expected) == 3


def test_a_block_that_one_run_skipped_takes_there_what_is_usual() -> None:
    past = [{"a": 10.0, "b": 4.0}] * 5 + [{"a": 10.0}]

    assert seconds(played([block("a", since=0), block("b", "a")], *past).latest) == 14


def completed(seconds: float) -> PipelineRun:
    run = make_run(status=RunStatus.COMPLETED, completed_at=NOON + seconds * SECOND)
    for place, row in enumerate(run.block_runs.order_by("position")):
        begin = NOON + place * seconds / 3 * SECOND
        BlockRun.objects.filter(pk=row.pk).update(
            status=BlockStatus.COMPLETED, queued_at=begin, started_at=begin, completed_at=begin + seconds / 3 * SECOND
        )
    return run


@pytest.mark.django_db
def test_it_is_drawn_from_the_completed_runs_in_two_queries(
    django_assert_num_queries: DjangoAssertNumQueries,
) -> None:
    for each in (30, 30, 30, 30, 60):
        completed(each)
    run = make_run(blocks={"load": BlockStatus.RUNNING})
    run.block_runs.filter(block_uuid="load").update(queued_at=NOON, started_at=NOON)
    rows = list(run.block_runs.order_by("position"))

    with django_assert_num_queries(2):
        told = forecast(run, rows, NOON + 4 * SECOND)

    assert told is not None
    assert (seconds(told.expected), seconds(told.latest)) == (30, 60)


@pytest.mark.django_db
def test_a_run_that_does_not_run_has_none() -> None:
    run = make_run(status=RunStatus.COMPLETED)

    assert forecast(run, [], NOON) is None


@pytest.mark.django_db
def test_the_page_says_so_when_there_were_not_enough(page: Client) -> None:
    completed(30)
    run = make_run(blocks={"load": BlockStatus.RUNNING})

    text = text_of(page.get(f"/runs/{run.pk}/"))

    assert "only 1 run of this pipeline has completed, and a forecast needs 5" in text
