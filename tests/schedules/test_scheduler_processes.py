"""Schedulers as real processes: racing, waking, stopping, outliving the database's absence."""

import signal
import subprocess
import time
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta

import pytest

from tests.schedules.scratch import Scratch, scratch_database

pytestmark = pytest.mark.processes
NOON = datetime(2025, 3, 2, 12, tzinfo=UTC)
MINUTE = timedelta(minutes=1)


@pytest.fixture(params=["sqlite", "postgres"], scope="module")
def database(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scratch]:
    with scratch_database(request.param, tmp_path_factory.mktemp(request.param)) as database:
        yield database


@pytest.fixture
def scratch(database: Scratch) -> Iterator[Scratch]:
    """The database, empty; processes that a test leaves behind are killed."""
    database.ask("start_over()")
    yield database
    database.kill_all()


def eventually(look: Callable[[], bool], seconds: float = 20) -> None:
    deadline = time.monotonic() + seconds
    while not look():
        assert time.monotonic() < deadline, "it did not come to pass"
        time.sleep(0.1)


def tell(process: "subprocess.Popen[str]", moment: datetime) -> None:
    process.stdin.write(f"{moment.isoformat()}\n")
    process.stdin.flush()


def end(process: "subprocess.Popen[str]") -> str:
    """Ask a process to stop; return what it said on stderr. It must go within three seconds, and well."""
    process.send_signal(signal.SIGTERM)
    _, said = process.communicate(timeout=20)
    assert process.returncode == 0, said
    return said


def test_racing_schedulers_fire_each_moment_once(scratch: Scratch) -> None:
    scratch.ask(f"make_schedules(25, '* * * * *', '{NOON.isoformat()}')")
    racers = [scratch.start("tick_when_told()") for _ in range(3)]
    moments = [NOON + MINUTE * step for step in range(1, 16)]

    fired = []
    for moment in moments:
        for racer in racers:
            tell(racer, moment)
        fired.append(sum(int(racer.stdout.readline()) for racer in racers))
    for racer in racers:
        _, said = racer.communicate(timeout=20)
        assert racer.returncode == 0, said

    assert fired == [25] * len(moments)
    assert set(Counter(map(tuple, scratch.ask("started()"))).values()) == {1}
    assert len(scratch.ask("ledger()")) == 25 * len(moments)


def test_a_scheduler_is_woken_fires_on_the_second_and_signs_off(scratch: Scratch) -> None:
    scratch.ask("make_schedules(1, '@daily', '2025-03-02T12:00:00+00:00', end_time=timezone.now())")
    process = scratch.start("schedule_forever()")
    eventually(lambda: scratch.ask("Worker.objects.exclude(last_loop_at=None).exists()"))

    scratch.ask("[make_once('first', 1.5), make_once('second', 2.2)]")
    eventually(lambda: scratch.ask("PipelineRun.objects.exclude(trigger_name='number 0').count()") == 2)

    late = scratch.ask("lateness()")
    assert 0 <= late["first"] < 1.0
    assert 0 <= late["second"] < 1.0
    assert end(process) == ""
    beat = scratch.ask("heartbeat()")
    assert (beat["kind"], beat["pid"]) == ("scheduler", process.pid)
    assert beat["stopped_at"]


def test_a_scheduler_outlives_a_lost_database_and_says_so_once(scratch: Scratch) -> None:
    if scratch.kind == "sqlite":
        pytest.skip("SQLite is a file: there is no server to lose")

    scratch.ask("make_schedules(1, '@daily', '2125-03-02T12:00:00+00:00')")
    process = scratch.start("logging.basicConfig(level='INFO'); schedule_forever()")
    eventually(lambda: scratch.ask("Worker.objects.exclude(last_loop_at=None).exists()"))

    assert scratch.ask("end_other_sessions()") >= 1
    scratch.ask("make_once('after', 0.5)")
    eventually(lambda: "after" in scratch.ask("lateness()"))

    said = end(process)
    assert said.count("the database does not answer") == 1
    assert said.count("the database answers again") == 1
    assert "Traceback" not in said


def test_a_killed_scheduler_leaves_nothing_half_done(scratch: Scratch) -> None:
    scratch.ask(f"make_schedules(25, '* * * * *', '{NOON.isoformat()}')")
    for number in (1, 2):
        victim = scratch.start("tick_when_told()")
        tell(victim, NOON)
        assert victim.stdout.readline() == "0\n"  # it is up
        tell(victim, NOON + MINUTE * number)
        time.sleep(0.03 * number)
        victim.kill()

    # Postgres holds a killed session's locks until it notices; what is locked is left out, not waited for.
    last = (NOON + 3 * MINUTE).isoformat()
    eventually(
        lambda: scratch.ask(
            f"scheduler.tick(datetime.fromisoformat('{last}')).next_due > datetime.fromisoformat('{last}')"
        )
    )

    ledger = scratch.ask("ledger()")
    runs = scratch.ask("started()")
    assert len(ledger) == 75
    assert sorted([row[:2] for row in ledger if row[2] == "started"]) == sorted(runs)
