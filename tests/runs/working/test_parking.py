"""What is looked after for parked blocks, look by look: lease, stops, answers. Threads: test_waiting_parents."""

import threading
from datetime import datetime, timedelta
from typing import Any

import pytest
from django.db import OperationalError, connection
from django.utils import timezone

from executors.base import Answer, Later, Stop
from runs import asking, lifecycle, logs, recovery
from runs.models import BlockRun, PipelineRun, Worker, WorkerKind
from runs.reasons import presence
from runs.states import BlockStatus
from runs.working import workers
from runs.working.attending import Attendant
from runs.working.hosting import BlockHost
from runs.working.parking import ParkedHost, Parking, Task
from tests.factories import make_run
from tests.runs.place import said

pytestmark = pytest.mark.django_db


class Scene:
    """A worker process with a parked block, whose attendant looks when it is told to."""

    def __init__(self, folder: Any) -> None:
        self.now: datetime = timezone.now()
        self.is_stopping = self.is_draining = False
        self.parking = Parking(lambda: self.now, lambda: self.is_stopping, lambda: self.is_draining)
        self.attendant.thread = threading.current_thread()  # so that no other begins
        self.worker = workers.register(WorkerKind.WORKER, self.now)
        self.run = make_run()
        self.host = self.park("load")

    @property
    def attendant(self) -> Attendant:
        return self.parking.attendant

    def begin(self, uuid: str) -> BlockRun:
        fields = {"status": BlockStatus.RUNNING, "worker": self.worker, "started_at": self.now}
        self.run.block_runs.filter(block_uuid=uuid).update(**fields)
        return self.run.block_runs.get(block_uuid=uuid)

    def task(self, uuid: str, **options: Any) -> Task:
        block_run = self.begin(uuid)
        return Task(block_run, logs.Writer(logs.path(self.run.pk, block_run.pk, 1), lambda: self.now), (), **options)

    def park(self, uuid: str, **options: Any) -> ParkedHost:
        task = self.task(uuid, **options)
        self.attendant.announce(task.block_run.pk)
        self.parking.adopt(task.block_run)
        host = ParkedHost(self.parking, task)
        self.attendant.attend_to(host, None)
        return host

    def waits_for(self, run: PipelineRun, seconds: float | None = None) -> list[Answer]:
        answers: list[Answer] = []
        self.parking.wait_for(asking.Wait(run.pk, seconds), self.host, answers.append)
        return answers


@pytest.fixture
def scene(settings: Any, tmp_path: Any) -> Scene:
    settings.LOGS_URL = str(tmp_path / "logs")
    return Scene(tmp_path)


def test_a_parked_block_belongs_to_a_row_of_its_own_beside_its_worker(scene: Scene) -> None:
    row = BlockRun.objects.get(block_uuid="load").worker

    assert row is not None
    assert (row.kind, row.pid, row.stopped_at) == (WorkerKind.PARKED, scene.worker.pid, None)
    assert Worker.objects.get(pk=scene.worker.pk).stopped_at is None
    assert "1 of 1 worker is free" in presence.worker_check(scene.now).detail


def test_all_that_is_parked_has_one_row_whose_lease_is_renewed(scene: Scene) -> None:
    second = scene.park("clean")
    scene.now += timedelta(seconds=5)

    assert scene.attendant.turn()

    row = Worker.objects.get(kind=WorkerKind.PARKED)
    assert row.lease_until == scene.now + timedelta(seconds=20)
    assert second.block_run.worker_id == scene.host.block_run.worker_id == row.pk


def test_the_row_goes_with_the_last_parked_block(scene: Scene) -> None:
    scene.attendant.leave(scene.host.block_run.pk)

    assert not scene.attendant.turn()

    assert Worker.objects.get(kind=WorkerKind.PARKED).stopped_at == scene.now
    assert scene.attendant.thread is None


def test_the_row_stays_for_a_block_that_is_on_its_way(scene: Scene) -> None:
    scene.attendant.announce(17)
    scene.attendant.leave(scene.host.block_run.pk)

    assert scene.attendant.turn()
    assert Worker.objects.get(kind=WorkerKind.PARKED).stopped_at is None


def test_what_is_parked_by_a_dead_process_is_taken_up_again(scene: Scene) -> None:
    assert recovery.take_back_lost(scene.now + timedelta(seconds=19)) == 0
    assert recovery.take_back_lost(scene.now + timedelta(seconds=21)) == 1

    scene.attendant.turn()
    assert scene.host.should_stop() is Stop.FENCED


def test_a_parked_block_is_stopped_with_its_run(scene: Scene) -> None:
    scene.attendant.turn()
    assert scene.host.should_stop() is None
    lifecycle.cancel(scene.run, moment=scene.now, reason="enough")

    scene.attendant.turn()

    assert scene.host.should_stop() is Stop.CANCEL


def test_a_parked_block_fences_itself_when_its_lease_was_not_renewed(scene: Scene) -> None:
    def refuse(*_: Any) -> Any:
        raise OperationalError("no route")

    scene.now += timedelta(seconds=5)
    with connection.execute_wrapper(refuse), pytest.raises(OperationalError):
        scene.attendant.turn()
    assert scene.host.should_stop() is None

    scene.attendant.renewed_at -= 15

    assert scene.host.should_stop() is Stop.FENCED


def test_one_that_waits_is_handed_back_as_soon_as_its_worker_is_to_stop(scene: Scene) -> None:
    scene.is_stopping = True
    assert scene.host.should_stop() is None

    scene.waits_for(make_run())

    assert scene.host.should_stop() is Stop.HAND_BACK


def test_one_that_works_on_may_do_so_until_its_worker_drains(scene: Scene) -> None:
    long_lived = scene.park("clean", stops_at_once=True)
    scene.is_stopping = True
    assert (scene.host.should_stop(), long_lived.should_stop()) == (None, Stop.HAND_BACK)

    scene.is_draining = True

    assert scene.host.should_stop() is Stop.HAND_BACK


# --- answers ----------------------------------------------------------------------------------------------------------


def test_the_answer_comes_with_the_end_of_the_run_and_once(scene: Scene) -> None:
    child = make_run()
    answers = scene.waits_for(child)
    scene.attendant.turn()
    assert answers == []
    lifecycle.cancel(child, moment=scene.now, reason="enough")

    scene.attendant.turn()
    scene.attendant.turn()

    (answer,) = answers
    assert (answer["value"]["id"], answer["value"]["status"]) == (child.pk, "cancelled")


def test_the_answer_comes_when_the_time_is_over(scene: Scene) -> None:
    answers = scene.waits_for(make_run(), 0.0)

    scene.attendant.turn()

    assert [answer["value"]["status"] for answer in answers] == ["running"]


def test_a_run_that_is_gone_is_told(scene: Scene) -> None:
    child = make_run()
    answers = scene.waits_for(child)
    child.delete()

    scene.attendant.turn()

    assert answers[0]["error"]["type"] == "RunIsGone"


def test_who_has_ended_is_answered_no_more(scene: Scene) -> None:
    answers = scene.waits_for(make_run(), 0.0)
    scene.attendant.forget(scene.host)

    scene.attendant.turn()

    assert answers == []


def test_a_question_goes_with_its_block_to_where_that_is_parked(scene: Scene) -> None:
    task = scene.task("clean")
    before = BlockHost(task.block_run, scene.worker, task.log, lambda: scene.now, lambda: False, scene.parking)
    assert scene.parking.wait_for(asking.Wait(scene.run.pk), before, lambda _: None) is Later.PARK
    scene.parking.adopt(task.block_run)
    host = ParkedHost(scene.parking, task)

    scene.attendant.attend_to(host, before)

    assert scene.attendant.has_question_of(host)
    assert not scene.attendant.has_question_of(before)


def test_beyond_the_limit_a_block_keeps_its_worker_and_says_so(scene: Scene, settings: Any) -> None:
    settings.PARKED_BLOCKS_PER_WORKER = 0
    task = scene.task("clean")
    before = BlockHost(task.block_run, scene.worker, task.log, lambda: scene.now, lambda: False, scene.parking)

    assert scene.parking.wait_for(asking.Wait(scene.run.pk), before, lambda _: None) is Later.LATER

    task.log.close()
    assert "PARKED_BLOCKS_PER_WORKER" in said(task.block_run)[0]
