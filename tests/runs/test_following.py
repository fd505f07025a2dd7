"""What the follower of a run decides at each look, with rows and no process."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings

from runs import logs
from runs.following import Follower
from runs.models import BlockRun, PipelineRun
from runs.states import BlockStatus, RunStatus
from tests.factories import make_run, make_worker


class Recorder:
    """A display that remembers."""

    shows_lines = True
    refresh_seconds = 0.5

    def __init__(self) -> None:
        self.shown: list[str] = []
        self.read: list[tuple[str, int, str]] = []
        self.warnings: list[str] = []

    def show(self, run: PipelineRun, block_runs: Sequence[BlockRun], moment: datetime) -> None:
        self.shown.append(run.status)

    def refresh(self, moment: datetime) -> None: ...

    def lines(self, block_run: BlockRun, attempt: int, lines: Sequence[Any]) -> None:
        self.read += [(block_run.block_uuid, attempt, line["m"]) for line in lines]

    def warn(self, text: str) -> None:
        self.warnings.append(text)

    def close(self) -> None: ...


class Hands:
    """A crew that only counts who was called and told to stop."""

    def __init__(self) -> None:
        self.called = self.told_to_stop = 0
        self.is_at_work = False

    def __len__(self) -> int:
        return self.called

    def add(self) -> bool:
        self.called += 1
        self.is_at_work = True
        return True

    def muster(self) -> None: ...

    def ask_to_stop(self) -> None:
        self.told_to_stop += 1

    def close(self, seconds: float) -> None: ...


class Scene:
    def __init__(self, run: PipelineRun, now: datetime) -> None:
        self.run, self.now, self.stops = run, now, 0
        self.display, self.hands = Recorder(), Hands()
        crew: Any = self.hands
        self.follower = Follower(run, self.display, crew, clock=lambda: self.now, stops=lambda: self.stops, user="ada")

    def after(self, seconds: float) -> bool:
        self.now += timedelta(seconds=seconds)
        return self.follower.turn()

    def block(self, uuid: str) -> BlockRun:
        return self.run.block_runs.get(block_uuid=uuid)

    def log(self, uuid: str, attempt: int, *texts: str) -> None:
        block_run = self.block(uuid)
        writer = logs.Writer(logs.path(self.run.pk, block_run.pk, attempt), lambda: self.now)
        for text in texts:
            writer.write("stdout", "INFO", text)
        writer.close()


@pytest.fixture
def scene(db: None, now: datetime, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Scene:
    monkeypatch.setattr(settings, "LOGS_URL", str(tmp_path))
    run = make_run(blocks={"load": BlockStatus.QUEUED})
    run.block_runs.filter(block_uuid="load").update(queued_at=now)
    return Scene(run, now)


def test_workers_of_a_server_get_two_seconds_before_ours_are_called(scene: Scene) -> None:
    scene.after(1.9)
    assert scene.hands.called == 0

    scene.after(0.2)
    assert scene.hands.called == 1


def test_one_more_of_ours_is_called_when_a_block_waits_beside_one_that_runs(scene: Scene) -> None:
    scene.hands.add()
    worker = make_worker(seen_at=scene.now, lease_until=scene.now + timedelta(hours=1))
    scene.run.block_runs.filter(block_uuid="clean").update(status=BlockStatus.RUNNING, worker=worker)

    scene.after(0.1)
    assert scene.hands.called == 1
    scene.after(0.2)
    assert scene.hands.called == 2


def test_one_block_is_left_to_the_one_that_was_called_for_it(scene: Scene) -> None:
    scene.hands.add()

    scene.after(5)

    assert scene.hands.called == 1


def test_nobody_is_called_for_blocks_that_run_or_wait_for_their_time(scene: Scene) -> None:
    worker = make_worker(seen_at=scene.now, lease_until=scene.now + timedelta(hours=1))
    scene.run.block_runs.filter(block_uuid="load").update(status=BlockStatus.RUNNING, worker=worker)

    scene.after(60)

    assert scene.hands.called == 0


def test_the_first_stop_cancels_the_run_once(scene: Scene) -> None:
    scene.stops = 1

    scene.after(0.1)
    scene.after(0.1)

    scene.run.refresh_from_db()
    assert scene.run.status == RunStatus.CANCELLED
    assert scene.run.reason == "cancelled by ada in the terminal"
    assert scene.hands.told_to_stop == 1
    assert scene.display.warnings == ["stopping, 0 blocks running; Ctrl-C again to end everything at once"]


def test_a_finished_run_ends_the_following(scene: Scene) -> None:
    assert not scene.after(0.1)
    PipelineRun.objects.filter(pk=scene.run.pk).update(status=RunStatus.COMPLETED, completed_at=scene.now)

    assert scene.after(0.1)
    assert scene.display.shown == ["running", "completed"]


def test_a_waiting_block_is_queued_when_its_time_has_come(scene: Scene) -> None:
    due = scene.now + timedelta(seconds=30)
    scene.run.block_runs.filter(block_uuid="load").update(status=BlockStatus.WAITING, next_attempt_at=due)

    scene.after(29)
    assert scene.block("load").status == BlockStatus.WAITING

    scene.after(1.1)
    assert scene.block("load").status == BlockStatus.QUEUED


def test_what_a_dead_worker_held_is_taken_up(scene: Scene) -> None:
    dead = make_worker(seen_at=scene.now, lease_until=scene.now + timedelta(seconds=1))
    scene.run.block_runs.filter(block_uuid="load").update(status=BlockStatus.RUNNING, worker=dead)

    scene.after(3)

    assert (scene.block("load").status, scene.block("load").attempt) == (BlockStatus.QUEUED, 2)


def test_lines_are_handed_on_once_and_attempt_by_attempt(scene: Scene) -> None:
    scene.log("load", 1, "first try")
    scene.log("load", 2, "second try")
    worker = make_worker(seen_at=scene.now, lease_until=scene.now + timedelta(hours=1))
    scene.run.block_runs.filter(block_uuid="load").update(
        status=BlockStatus.RUNNING, worker=worker, attempt=2, started_at=scene.now, first_started_at=scene.now
    )

    scene.after(0.1)
    scene.log("load", 2, "goes on")
    scene.after(0.1)

    assert scene.display.read == [("load", 1, "first try"), ("load", 2, "second try"), ("load", 2, "goes on")]


def test_the_last_lines_of_a_cancelled_block_are_not_lost(scene: Scene) -> None:
    scene.run.block_runs.filter(block_uuid="load").update(
        status=BlockStatus.CANCELLED, started_at=scene.now, first_started_at=scene.now, completed_at=scene.now
    )
    scene.log("load", 1, "at work")
    scene.after(0.1)
    scene.log("load", 1, "cleaning up")

    scene.follower.finish()

    assert [text for _, _, text in scene.display.read] == ["at work", "cleaning up"]


def test_nothing_is_read_for_a_display_that_shows_no_lines(scene: Scene) -> None:
    scene.display.shows_lines = False
    scene.run.block_runs.filter(block_uuid="load").update(first_started_at=scene.now)
    scene.log("load", 1, "unheard")

    scene.after(0.1)

    assert scene.display.read == []
