"""Retention as a duty of the scheduler, with files on disk."""

import logging
import os
import time
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from pytest_django.fixtures import DjangoAssertNumQueries

from runs import logs
from runs.models import PipelineRun, Removal
from runs.retaining import leavings, removing, retention
from runs.retaining.janitor import SOON, TRY_AGAIN, Janitor
from runs.states import BlockStatus, RunStatus
from runs.working import jobs
from tests.factories import make_pipeline
from tests.runs.kept import days_later, files_of, old_run, pipeline_with, with_files, write_log, write_output

pytestmark = pytest.mark.django_db

LATER = days_later(100)


@pytest.fixture(autouse=True)
def folders(tmp_path: Path, settings: Any) -> None:
    settings.LOGS_URL, settings.VARIABLES_URL = str(tmp_path / "logs"), str(tmp_path / "variables")


def until_done(janitor: Janitor, moment: Any = LATER) -> None:
    """Take turns until nothing is left to do."""
    give_up = time.monotonic() + 20
    while janitor.turn(moment) is not None:
        assert time.monotonic() < give_up


def test_rows_and_files_go() -> None:
    pipeline = pipeline_with(runs={"age": 720})
    run, stays = with_files(old_run(pipeline)), with_files(old_run(pipeline, days_later(99)))

    until_done(Janitor())

    assert list(PipelineRun.objects.all()) == [stays]
    assert files_of(run.pk) == (0, 0)
    assert not logs.folder(run.pk).exists()
    assert files_of(stays.pk) == (3, 3)
    assert not Removal.objects.exists()


def test_the_later_parts_of_a_long_log_go_too() -> None:
    pipeline = pipeline_with(logs={"age": 720})
    run = with_files(old_run(pipeline))
    old_run(pipeline, days_later(99))
    rest = Path(logs.places(run.pk, run.block_runs.get(block_uuid="load").pk, 1)[0])
    rest.mkdir()
    (rest / "1000.jsonl").write_text("{}\n")

    until_done(Janitor())

    assert files_of(run.pk) == (0, 3)
    assert not rest.exists()


@pytest.mark.parametrize(("kind", "left"), [("logs", (0, 3)), ("outputs", (3, 0))])
def test_logs_or_outputs_alone_go(kind: str, left: tuple[int, int]) -> None:
    pipeline = pipeline_with(**{kind: {"age": 720}})
    run = with_files(old_run(pipeline))
    old_run(pipeline, days_later(99))

    until_done(Janitor())

    assert files_of(run.pk) == left


def test_a_death_between_rows_and_files_leaves_nothing_lying() -> None:
    pipeline = pipeline_with(runs={"age": 720})
    run = with_files(old_run(pipeline))
    old_run(pipeline, days_later(99))
    list(removing.steps(retention.policies(), LATER))  # and here the process dies
    assert files_of(run.pk) == (3, 3)

    until_done(Janitor())

    assert files_of(run.pk) == (0, 0)


def test_what_a_retry_writes_meanwhile_stays() -> None:
    pipeline = pipeline_with(logs={"age": 720}, outputs={"age": 720})
    run = with_files(old_run(pipeline, status=RunStatus.FAILED))
    old_run(pipeline, days_later(99))
    list(removing.steps(retention.policies(), LATER))
    block_run = run.block_runs.get(block_uuid="load")
    run.block_runs.filter(pk=block_run.pk).update(attempt=2, status=BlockStatus.RUNNING, completed_at=None)
    new = [write_log(block_run, 2), write_output(block_run, 2)]

    until_done(Janitor())

    assert files_of(run.pk) == (1, 1)
    assert all(file.exists() for file in new)


@pytest.fixture
def stuck(tmp_path: Path) -> Iterator[PipelineRun]:
    """A run whose logs cannot be removed: there is a file where their folder should be."""
    pipeline = pipeline_with(runs={"age": 720})
    run = with_files(old_run(pipeline))
    old_run(pipeline, days_later(99))
    outside = tmp_path / "logs" / str(run.pk // 1000)
    os.rename(outside, tmp_path / "aside")
    outside.symlink_to(outside.name)  # a link to itself: no path through it can be read
    return run


def test_what_cannot_be_removed_is_told_once_and_tried_again_in_an_hour(
    stuck: PipelineRun, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    janitor = Janitor()
    with caplog.at_level(logging.WARNING, logger="runs.retaining.janitor"):
        until_done(janitor)
        until_done(janitor, LATER + TRY_AGAIN)

    assert len([record for record in caplog.records if record.name == "runs.retaining.janitor"]) == 1
    assert "Too many levels of symbolic links" in Removal.objects.get().problem
    assert files_of(stuck.pk)[1] == 0  # what could go is gone

    link = tmp_path / "logs" / str(stuck.pk // 1000)
    link.unlink()
    os.rename(tmp_path / "aside", link)
    until_done(janitor, LATER + 2 * TRY_AGAIN)

    assert not Removal.objects.exists()
    assert files_of(stuck.pk) == (0, 0)


def test_a_storage_that_hangs_holds_up_no_turn(monkeypatch: pytest.MonkeyPatch) -> None:
    pipeline = pipeline_with(runs={"age": 720})
    with_files(old_run(pipeline))
    old_run(pipeline, days_later(99))
    released: list[bool] = []

    def hang(leaving: leavings.Leaving) -> leavings.Result:
        while not released:
            time.sleep(0.01)
        return leavings.Result(leaving)

    monkeypatch.setattr(leavings, "remove", hang)
    janitor = Janitor()
    began = time.monotonic()
    assert [janitor.turn(LATER) for _ in range(3)] == [LATER + SOON] * 3
    assert time.monotonic() - began < 3
    released.append(True)
    until_done(janitor)


def test_a_turn_ends_although_there_is_more(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("runs.retaining.janitor.TURN", 0.0)
    old_run(pipeline_with(runs={"age": 720}))
    janitor = Janitor()

    assert janitor.turn(LATER) == LATER + SOON
    assert janitor.pass_ is not None


def test_a_turn_without_rules_costs_two_small_queries(django_assert_num_queries: DjangoAssertNumQueries) -> None:
    pipeline = make_pipeline()
    for _ in range(3):
        old_run(pipeline)
    janitor = Janitor()
    until_done(janitor)

    with django_assert_num_queries(2):
        assert janitor.turn(LATER + timedelta(minutes=1)) is None


def test_outputs_in_an_object_store_go_too(settings: Any) -> None:
    import fsspec

    settings.VARIABLES_URL = "memory://variables"
    pipeline = pipeline_with(outputs={"age": 720})
    run = old_run(pipeline)
    old_run(pipeline, days_later(99))
    store = fsspec.filesystem("memory")
    store.pipe(f"{jobs.output_folder(run.pk)}/load/1/output_0.json", b"[1]")

    until_done(Janitor())

    assert store.find(jobs.output_folder(run.pk)) == []
