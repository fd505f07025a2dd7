"""Cancelling, all the way: every process of the run is gone, however it hides, and nothing of it starts any more."""

import time
from copy import copy
from datetime import datetime
from pathlib import Path
from typing import Any

import psutil
import pytest
from django.db import connection
from django.utils import timezone

from pipelines.graph import Block
from runs import bell, lifecycle, recovery
from runs.lifecycle import create_run
from runs.models import Origin, PipelineRun
from runs.states import RunStatus
from runs.working import hosting
from runs.working.stop_ear import StopEar
from tests.factories import make_pipeline
from tests.runs.outcomes import COMPLETED, NOT_YET, claim, make_owner, statuses
from tests.runs.place import Place

processes = pytest.mark.processes
pytestmark = pytest.mark.django_db

NOTE = """
import ctypes, os, signal, subprocess, sys, time

def note(pid, file):
    with open(file, "a") as out:
        out.write(f"{pid}\\n")

@custom
def work(file, **_):
    note(os.getpid(), file)
"""
SLEEP = "    time.sleep(60)\n"
DEAF = "    signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
BESIDE = '    note(subprocess.Popen(["sleep", "60"]).pid, file)\n'
AWAY = '    note(subprocess.Popen(["sleep", "60"], start_new_session=True).pid, file)\n'
DAEMON = """
    if os.fork() == 0:
        os.setsid()
        if os.fork() == 0:
            signal.signal(signal.SIGTERM, signal.SIG_IGN)
            note(os.getpid(), file)
            time.sleep(60)
        os._exit(0)
    os.wait()
    time.sleep(0.1)
"""
IN_C = "    ctypes.PyDLL(None).sleep(60)\n"  # holds the interpreter all the time
SAYS_MORE = "    signal.signal(signal.SIGTERM, lambda *_: sys.exit('not without a word'))\n"


def pids_in(file: Path) -> list[int]:
    return [int(line) for line in file.read_text().split()] if file.exists() else []


def cancel_when_begun(place: Place, run: PipelineRun, file: Path, count: int) -> list[float]:
    """Have the run cancelled as soon as so many processes of it are there; return where that moment will be."""
    found: list[float] = []

    def look() -> None:
        if not found and len(pids_in(file)) == count:
            assert lifecycle.cancel(run, moment=timezone.now(), reason="enough")
            found.append(time.monotonic())

    place.at_each_look = look
    return found


def work_and_cancel(place: Place, body: str, file: Path, count: int, settings: str = "") -> float:
    """Run a block with this body and cancel it; return the seconds from the cancel until its worker was free again."""
    place.write("hiding", f"{settings}\nblocks: [{{uuid: work, type: custom}}]", work=NOTE + body)
    run = place.start("hiding", file=str(file))
    cancelled = cancel_when_begun(place, run, file, count)

    place.worker.work_on_anything()

    took = time.monotonic() - cancelled[0]
    assert statuses(run) == {"work": "cancelled"}
    assert [pid for pid in pids_in(file) if psutil.pid_exists(pid)] == []
    return took


# --- processes ------------------------------------------------------------------------------------------------------


@processes
@pytest.mark.parametrize(
    ("body", "count"),
    [
        (SLEEP, 1),
        (BESIDE + SLEEP, 2),
        (AWAY + SLEEP, 2),
        (DAEMON + SLEEP, 2),
        (AWAY + SAYS_MORE + SLEEP, 2),
        (IN_C, 1),
    ],
    ids=["plain", "child", "child_in_another_session", "daemon_deaf", "says_more", "in_C_code"],
)
def test_what_does_not_resist_is_gone_with_all_it_started_at_once(
    place: Place, tmp_path: Path, body: str, count: int
) -> None:
    assert work_and_cancel(place, body, tmp_path / "pids", count) < 2


@processes
@pytest.mark.parametrize(
    ("body", "count"), [(DEAF + SLEEP, 1), (DEAF + AWAY + DAEMON + SLEEP, 3)], ids=["deaf", "deaf_with_daemons"]
)
def test_what_ignores_the_signal_is_killed_after_the_grace(
    place: Place, tmp_path: Path, settings: Any, body: str, count: int
) -> None:
    settings.KILL_GRACE_SECONDS = 1

    assert 0.9 < work_and_cancel(place, body, tmp_path / "pids", count) < 3


@processes
def test_a_run_in_one_process_ends_with_that_process(place: Place, tmp_path: Path) -> None:
    one = "run_pipeline_in_one_process: true"

    assert work_and_cancel(place, DAEMON + SLEEP, tmp_path / "pids", 2, one) < 2


@processes
def test_a_cancel_that_no_ring_tells_of_is_seen_at_the_next_look(
    place: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(StopEar, "heard", lambda _: [])

    assert work_and_cancel(place, SLEEP, tmp_path / "pids", 1) < 2


@processes
@pytest.mark.django_db(transaction=True)
def test_a_ring_is_heard_before_the_next_look(place: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hosting, "LOOK_SECONDS", 30.0)

    assert work_and_cancel(place, SLEEP, tmp_path / "pids", 1) < 5


# --- the ear --------------------------------------------------------------------------------------------------------


@pytest.mark.django_db(transaction=True)
def test_an_ear_hears_of_stops_since_it_was_asked_last(settings: Any) -> None:
    connection.ensure_connection()  # as a worker's is that has just claimed a block
    ear = StopEar()
    assert ear.heard() == []

    bell.ring("stops", "17")
    bell.ring("live", "run 17")

    until = time.monotonic() + 5
    heard = ear.heard()
    while not heard and time.monotonic() < until:
        heard = ear.heard()
    assert heard == ["17"]
    assert ear.heard() == []
    ear.close()


def test_an_ear_whose_carrier_is_away_is_deaf_for_a_while(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise OSError("nobody there")

    ear = StopEar()
    monkeypatch.setattr(StopEar, "heard_by_carrier", fail)
    monkeypatch.setattr(StopEar, "heard_by_connection", fail)

    assert ear.heard() == []
    assert ear.deaf_until > time.monotonic() + 5


# --- rows -----------------------------------------------------------------------------------------------------------


def begin(now: datetime, *blocks: Block) -> PipelineRun:
    chain = blocks or (Block(uuid="load"), Block(uuid="save", upstream=("load",)))
    return create_run(make_pipeline("stopped", chain), moment=now, origin=Origin.MANUAL)


def test_a_worker_that_was_about_to_claim_gets_nothing(now: datetime) -> None:
    run = begin(now)
    row = run.block_runs.get(block_uuid="load")
    lifecycle.cancel(run, moment=now, reason="enough")

    assert lifecycle.claim(row.pk, row.attempt, make_owner(now), now) is None
    assert lifecycle.claim_next(make_owner(now), now) is None


def test_a_block_that_ends_as_its_run_is_cancelled_hops_to_no_other(now: datetime) -> None:
    run, worker = begin(now), make_owner(now)
    held = claim(run, "load", worker, now)
    lifecycle.cancel(run, moment=now, reason="enough")

    assert lifecycle.finish_block(held, COMPLETED, moment=now, next_for=worker) is None

    assert statuses(run) == {"load": "cancelled", "save": "cancelled"}


def test_recovery_takes_back_nothing_of_a_cancelled_run(now: datetime) -> None:
    run = begin(now)
    lost = claim(run, "load", make_owner(now), now)
    seen = copy(lost)  # as recovery read it just before
    lifecycle.cancel(run, moment=now, reason="enough")

    assert not recovery.take_back(seen, now)

    assert statuses(run)["load"] == "cancelled"


def test_a_block_that_recovery_has_just_queued_again_is_cancelled(now: datetime) -> None:
    run = begin(now)
    recovery.take_back(claim(run, "load", make_owner(now), now), now)

    lifecycle.cancel(run, moment=now, reason="enough")

    assert statuses(run)["load"] == "cancelled"


def test_a_sensor_between_two_looks_is_cancelled_and_never_looks_again(now: datetime) -> None:
    run = begin(now, Block(uuid="look", type="sensor"))
    lifecycle.finish_block(claim(run, "look", make_owner(now), now), NOT_YET, moment=now)

    lifecycle.cancel(run, moment=now, reason="enough")
    recovery.due_timers(timezone.now())

    run.refresh_from_db()
    assert (run.status, statuses(run)) == (RunStatus.CANCELLED, {"look": "cancelled"})


def test_a_sensor_looks_last_at_the_end_of_its_patience(now: datetime) -> None:
    run = begin(now, Block(uuid="look", type="sensor", poke_interval=60, poke_timeout=100))
    seconds = [0.0, 60.0, 100.0]
    for at in seconds:
        moment = datetime.fromtimestamp(now.timestamp() + at, tz=now.tzinfo)
        recovery.due_timers(moment)
        lifecycle.finish_block(claim(run, "look", make_owner(moment), moment), NOT_YET, moment=moment)

    assert run.block_runs.get().error["type"] == "SensorTimeout"
