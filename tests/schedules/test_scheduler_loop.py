"""The loop around the tick, turn by turn, in this process."""

import logging
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from django.db import InterfaceError, OperationalError, connection
from django.test import override_settings
from django.utils import timezone

from runs import bell
from runs.models import PipelineRun, Worker, WorkerKind
from runs.working import workers
from schedules.scheduler import Duty, Loop, run_forever
from tests.factories import NOON, make_schedule
from tests.pipelines.project_on_disk import ProjectOnDisk

SECOND = timedelta(seconds=1)


def test_a_duty_is_due_at_first_and_then_after_its_interval() -> None:
    duty = Duty(lambda moment: None, 5 * SECOND)
    assert duty.is_due(NOON)

    duty.do(NOON)

    assert not duty.is_due(NOON + 4.9 * SECOND)
    assert duty.is_due(NOON + 5 * SECOND)


def test_a_duty_may_ask_to_be_called_earlier_but_not_later() -> None:
    sooner = Duty(lambda moment: moment + SECOND, 5 * SECOND)
    later = Duty(lambda moment: moment + timedelta(days=36500), 5 * SECOND)

    sooner.do(NOON)
    later.do(NOON)

    assert (sooner.next_at, later.next_at) == (NOON + SECOND, NOON + 5 * SECOND)


def test_what_another_scheduler_is_at_is_looked_at_again_soon_but_not_in_a_spin() -> None:
    duty = Duty(lambda moment: moment - SECOND, 5 * SECOND)

    duty.do(NOON)

    assert NOON < duty.next_at <= NOON + 0.1 * SECOND


def test_a_clock_that_is_set_back_does_not_silence_a_duty() -> None:
    duty = Duty(lambda moment: None, 5 * SECOND)

    duty.do(NOON)

    assert duty.is_due(NOON - timedelta(hours=1))


def test_a_duty_that_fails_is_logged_and_leaves_the_others_alone(caplog: pytest.LogCaptureFixture) -> None:
    done: list[datetime] = []

    def stumble(moment: datetime) -> None:
        raise ValueError("over a stone")

    loop = Loop(threading.Event())
    loop.duties = [Duty(stumble, 5 * SECOND), Duty(done.append, 5 * SECOND)]

    loop.turn()
    loop.turn()

    assert len(done) == 1
    assert [record.getMessage() for record in caplog.records] == ["the scheduler could not stumble"]


@pytest.mark.parametrize("error", [OperationalError("gone"), InterfaceError("closed")])
def test_a_database_that_is_away_ends_the_turn_and_is_asked_again_at_once_when_it_is_back(error: Exception) -> None:
    failures = [error]

    def look(moment: datetime) -> None:
        if failures:
            raise failures.pop()

    loop = Loop(threading.Event())
    loop.duties = [Duty(look, timedelta(hours=1))]

    with pytest.raises(type(error)):
        loop.turn()
    assert loop.duties[0].is_due(timezone.now())
    loop.turn()
    assert not loop.duties[0].is_due(timezone.now())


@pytest.mark.django_db(transaction=True)
def test_an_outage_is_logged_once_and_waited_out_longer_each_time(caplog: pytest.LogCaptureFixture) -> None:
    stop = threading.Event()
    stop.set()  # so that waiting takes no time
    loop = Loop(stop)
    loop.duties = []
    caplog.set_level(logging.INFO)

    pauses = []
    for _ in range(8):
        loop.wait_out(OperationalError("could not connect\nto server"))
        pauses.append(loop.pause)
    loop.turn()

    assert pauses[:3] == [0.4, 0.8, 1.6]
    assert pauses[-1] == 5.0
    assert [record.getMessage() for record in caplog.records] == [
        "the database does not answer, trying again: could not connect",
        "the database answers again",
    ]


@pytest.mark.django_db(transaction=True)
def test_one_turn_fires_beats_and_mirrors_the_project(tmp_path: Path) -> None:
    project = ProjectOnDisk(tmp_path)
    project.chain("only")
    project.write(
        "pipelines/etl/triggers.yaml", "triggers:\n- {name: now, schedule_interval: '@once', status: active}\n"
    )

    with override_settings(PROJECT_DIR=tmp_path):
        loop = Loop(threading.Event())
        loop.turn()
        loop.duties[0].next_at = datetime.min.replace(tzinfo=UTC)
        loop.turn()

    worker = Worker.objects.get()
    assert (worker.kind, worker.last_loop_at is not None) == (WorkerKind.SCHEDULER, True)
    assert PipelineRun.objects.get().trigger_name == "now"


@pytest.mark.django_db(transaction=True)
def test_a_project_that_is_none_is_told_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with override_settings(PROJECT_DIR=tmp_path / "missing"):
        loop = Loop(threading.Event())
        loop.look_at_project(NOON)
        loop.look_at_project(NOON)

    assert [record.levelname for record in caplog.records] == ["WARNING"]
    assert "is not a folder" in caplog.text


@pytest.mark.django_db(transaction=True)
def test_a_heartbeat_row_that_was_deleted_is_made_again() -> None:
    make_schedule()
    loop = Loop(threading.Event())
    loop.beat(NOON)
    Worker.objects.all().delete()

    loop.beat(NOON)
    loop.beat(NOON)

    assert Worker.objects.count() == 1


@pytest.mark.django_db(transaction=True)
def test_a_stop_that_came_before_the_start_ends_it_at_once() -> None:
    stop = threading.Event()
    stop.set()

    run_forever(stop)

    assert Worker.objects.count() == 0


@pytest.mark.django_db(transaction=True)
def test_where_nobody_can_be_heard_it_polls_and_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "timers").write_text("a file where the folder of bells should be")
    monkeypatch.setattr(bell, "carrier", lambda: bell.SocketCarrier(tmp_path))
    stop = threading.Event()
    loop = Loop(stop)
    loop.duties = [Duty(lambda moment: stop.set(), 5 * SECOND)]

    loop.run()

    assert "cannot listen for changes, polling instead" in caplog.text


@pytest.mark.django_db
@pytest.mark.parametrize(("pid", "is_told"), [(1, True), (2**22 - 1, False)])
def test_a_second_scheduler_on_sqlite_is_told_so(pid: int, is_told: bool, caplog: pytest.LogCaptureFixture) -> None:
    moment = timezone.now()
    other = workers.register(WorkerKind.SCHEDULER, moment)
    Worker.objects.filter(pk=other.pk).update(pid=pid)  # 1 is alive wherever we are, the other is no process

    Loop(threading.Event()).beat(moment)

    assert ("another scheduler is at work" in caplog.text) == (is_told and connection.vendor == "sqlite")
