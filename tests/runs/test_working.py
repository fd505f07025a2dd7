"""A worker process at work: real blocks in real children, and the database as it is afterwards."""

import textwrap
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from django.db import OperationalError, connection, connections
from django.utils import timezone

from executors.base import Stop
from executors.local import LocalExecutor
from pipelines import catalog, secrets
from runs import hosting, jobs, lifecycle, logs, recovery, working
from runs.hosting import BlockHost
from runs.lifecycle import RunSettings
from runs.models import BlockRun, Origin, PipelineRun, Worker
from runs.states import BlockStatus, RunStatus
from runs.working import WorkerProcess
from tests.conftest import ON_POSTGRES
from tests.runs.outcomes import claim, make_owner, statuses
from tests.runs.small_project import write_project

pytestmark = [pytest.mark.processes, pytest.mark.django_db]
on_a_real_connection = pytest.mark.django_db(transaction=True)


@pytest.fixture(scope="module")
def executor() -> Iterator[LocalExecutor]:
    made = LocalExecutor()
    yield made
    made.close()


class Place:
    """A project on disk, a worker of this very process, and runs."""

    def __init__(self, folder: Path, executor: LocalExecutor) -> None:
        self.folder, self.executor = folder, executor
        self.told_to_stop = False
        self.at_each_look: Callable[[], Any] = lambda: False
        self.worker = self.hire()

    def hire(self) -> WorkerProcess:
        made = WorkerProcess(timezone.now, lambda: self.told_to_stop, lambda: bool(self.at_each_look()))
        made.executors["local_python"] = self.executor
        return made

    def write(self, uuid: str, settings: str, **blocks: str) -> str:
        """Write a pipeline; each block is its code, and named for its function: load, double, …"""
        for name, code in blocks.items():
            path = self.folder / "custom" / f"{name}.py"
            path.write_text(textwrap.dedent(code))
        path = self.folder / "pipelines" / uuid / "metadata.yaml"
        path.parent.mkdir(exist_ok=True)
        path.write_text(f"name: {uuid}\n" + textwrap.dedent(settings))
        return uuid

    def start(self, uuid: str, *, settings: RunSettings | None = None, **variables: Any) -> PipelineRun:
        catalog.refresh(self.folder)
        return lifecycle.create_run(
            catalog.find(uuid), moment=timezone.now(), origin=Origin.MANUAL, variables=variables, settings=settings
        )

    def run(self, uuid: str, *, settings: RunSettings | None = None, **variables: Any) -> PipelineRun:
        """Start a run, do all that can be done of it now, and return it as it is then."""
        run = self.start(uuid, settings=settings, **variables)
        self.worker.work_on_anything()
        run.refresh_from_db()
        return run

    def go_on(self, run: PipelineRun, *, after: timedelta = timedelta()) -> PipelineRun:
        """Let the time pass that waiting blocks wait, and work on."""
        moment = timezone.now() + after
        recovery.due_timers(moment)
        recovery.sweep(timezone.now())
        self.worker.work_on_anything()
        run.refresh_from_db()
        return run


@pytest.fixture
def place(tmp_path: Path, settings: Any, executor: LocalExecutor) -> Place:
    settings.PROJECT_DIR = write_project(tmp_path / "project")
    settings.LOGS_URL = str(tmp_path / "logs")
    settings.VARIABLES_URL = str(tmp_path / "variables")
    return Place(settings.PROJECT_DIR, executor)


def block(run: PipelineRun, uuid: str) -> BlockRun:
    return run.block_runs.get(block_uuid=uuid)


def said(block_run: BlockRun, attempt: int | None = None) -> list[str]:
    return [line["m"] for line in logs.read(block_run, attempt).lines]


# --- runs -------------------------------------------------------------------------------------------------------------


def test_a_chain_hands_outputs_down_and_leaves_logs_and_figures(place: Place) -> None:
    run = place.run("chain", limit=4)

    assert run.status == RunStatus.COMPLETED
    assert statuses(run) == {"numbers": "completed", "double": "completed", "total": "completed"}
    assert said(block(run, "numbers")) == ["loading 4"]
    assert said(block(run, "total")) == ["total 12"]
    numbers = block(run, "numbers")
    assert [output["name"] for output in numbers.output] == ["output_0"]
    assert Path(numbers.output[0]["url"]).exists()
    assert numbers.metrics["peak_memory_bytes"] > 1_000_000
    assert numbers.worker == place.worker.row
    assert numbers.completed_at >= numbers.started_at >= numbers.queued_at


def test_one_worker_takes_a_chain_without_going_back_to_the_queue(place: Place) -> None:
    run = place.start("chain")
    first = block(run, "numbers")

    assert place.worker.work(first.pk, first.attempt) == 3


def test_a_fan_joins_what_its_branches_returned(place: Place) -> None:
    place.write(
        "fan",
        """
        blocks:
        - {uuid: one, type: custom}
        - {uuid: two, type: custom, upstream_blocks: [one]}
        - {uuid: three, type: custom, upstream_blocks: [one]}
        - {uuid: four, type: custom, upstream_blocks: [three, two]}
        """,
        one="@custom\ndef one():\n    return 1",
        two="@custom\ndef two(n):\n    return n + 1",
        three="@custom\ndef three(n):\n    return n + 2",
        four="@custom\ndef four(third, second):\n    print(third, second)",
    )

    run = place.run("fan")

    assert run.status == RunStatus.COMPLETED
    assert said(block(run, "four")) == ["3 2"]


def test_a_failure_is_on_the_row_with_the_users_lines_only(place: Place) -> None:
    run = place.run("failing")

    failed = block(run, "raises")
    assert (run.status, run.reason) == (RunStatus.FAILED, "failed: raises")
    assert statuses(run) == {"raises": "failed", "double": "upstream_failed"}
    assert (failed.error["type"], failed.error["message"]) == ("ValueError", "the sky is green")
    assert "raise ValueError('the sky is green')" in failed.error["traceback"]
    assert "run_block" not in failed.error["traceback"]
    assert "run_block" in failed.error["full_traceback"]
    assert said(failed)[0] == "so far so good"
    assert run.events.filter(kind="block_failed").count() == 1


def test_words_that_a_database_cannot_keep_do_not_keep_the_failure_away(place: Place) -> None:
    place.write(
        "odd",
        "blocks: [{uuid: odd, type: custom}]",
        odd="@custom\ndef odd():\n    print('a\\0b \\udc80')\n    raise ValueError('nul \\0, half \\udc80')",
    )

    run = place.run("odd")

    assert run.status == RunStatus.FAILED
    assert block(run, "odd").error["message"].startswith("nul ")


def test_a_block_that_ends_its_process_fails_and_the_worker_lives(place: Place) -> None:
    place.write("gone", "blocks: [{uuid: gone, type: custom}]", gone="import os\n@custom\ndef g():\n    os._exit(9)")

    assert place.run("gone").status == RunStatus.FAILED
    assert place.run("chain").status == RunStatus.COMPLETED


def test_a_failed_attempt_waits_and_is_tried_again(place: Place, tmp_path: Path) -> None:
    run = place.run("retrying", mark=str(tmp_path / "mark"))
    waiting = block(run, "flaky")
    assert (run.status, waiting.status, waiting.attempt, waiting.retries) == ("running", "waiting", 2, 1)
    assert waiting.error["message"] == "not the first time"
    assert waiting.worker is None

    place.go_on(run, after=timedelta(seconds=1.1))

    flaky = block(run, "flaky")
    assert (run.status, flaky.attempt, flaky.error) == (RunStatus.COMPLETED, 2, {})
    assert said(flaky) == ["now it works"]
    assert logs.attempts(flaky) == [1, 2]


def test_a_sensor_looks_again_later_and_holds_nobody_meanwhile(place: Place, tmp_path: Path) -> None:
    run = place.run("sensing", mark=str(tmp_path / "mark"))
    looks = block(run, "looks")
    assert (looks.status, looks.pokes, looks.attempt, looks.worker) == ("waiting", 1, 1, None)

    place.go_on(run, after=timedelta(seconds=1.1))

    assert run.status == RunStatus.COMPLETED
    assert statuses(run) == {"looks": "completed", "numbers": "completed"}


PIDS = "import os\n@custom\ndef {0}(*before):\n    print('in', os.getpid())\n    return [*sum(before, []), os.getpid()]"


def test_a_run_in_one_process_has_states_logs_and_outputs_of_each_block(place: Place) -> None:
    place.write(
        "together",
        """
        run_pipeline_in_one_process: true
        blocks:
        - {uuid: a, type: custom}
        - {uuid: b, type: custom, upstream_blocks: [a]}
        - {uuid: c, type: custom, upstream_blocks: [a]}
        - {uuid: d, type: custom, upstream_blocks: [b, c]}
        """,
        **{name: PIDS.format(name) for name in "abcd"},
    )

    run, other = place.run("together"), place.run("together")

    rows = list(run.block_runs.order_by("position"))
    assert {row.status for row in rows} == {"completed"}
    pids = {said(row)[0] for row in rows}
    assert len(pids) == 1
    assert pids.isdisjoint({said(row)[0] for row in other.block_runs.all()})
    assert all(row.output and row.metrics["duration_seconds"] >= 0 for row in rows)


def test_after_a_crash_a_run_in_one_process_goes_on_in_another(place: Place, tmp_path: Path) -> None:
    place.write(
        "dies",
        """
        run_pipeline_in_one_process: true
        retry_config: {retries: 1, delay: 0.1}
        blocks:
        - {uuid: a, type: custom}
        - {uuid: dies, type: custom, upstream_blocks: [a]}
        """,
        a="@custom\ndef a():\n    return 41",
        dies="""
        import os, pathlib
        @custom
        def dies(number, mark, **_):
            if not pathlib.Path(mark).exists():
                pathlib.Path(mark).touch()
                os.abort()
            print(number + 1)
        """,
    )

    run = place.run("dies", mark=str(tmp_path / "mark"))
    assert "SIGABRT" in block(run, "dies").error["message"]
    place.go_on(run, after=timedelta(seconds=1))

    assert run.status == RunStatus.COMPLETED
    assert said(block(run, "dies")) == ["42"]


def test_secrets_go_to_the_block_that_names_them_and_to_no_log(place: Place) -> None:
    secrets.put("api_key", "correct horse battery")
    place.write(
        "secretive",
        "blocks: [{uuid: names, type: custom}, {uuid: pries, type: custom}]",
        names="""
        from mage_ai.data_preparation.shared.secrets import get_secret_value
        @custom
        def names():
            print('key', get_secret_value('api_key'))
            return len(get_secret_value('api_key'))
        """,
        pries="""
        import gc, os
        @custom
        def pries():
            dicts = [o for o in gc.get_objects() if isinstance(o, dict)]
            found = [o for o in dicts if 'correct horse battery' in map(str, o.values())]
            print(len(found), 'correct horse' in str(os.environ))
        """,
    )

    run = place.run("secretive")

    assert run.status == RunStatus.COMPLETED
    assert said(block(run, "names")) == ["key ***"]
    assert said(block(run, "pries")) == ["0 False"]


# --- stopping ---------------------------------------------------------------------------------------------------------


def at_second_look(action: Callable[[], Any]) -> Callable[[], Any]:
    """Do something while a block runs."""
    looks = []

    def look() -> Any:
        looks.append(1)
        return action() if len(looks) == 2 else None

    return look


def test_a_cancelled_run_ends_its_block_and_starts_no_other(place: Place) -> None:
    place.write(
        "long",
        "blocks: [{uuid: sleeps, type: custom}, {uuid: later, type: custom, upstream_blocks: [sleeps]}]",
        later="@custom\ndef later(_):\n    pass",
    )
    run = place.start("long")
    place.at_each_look = at_second_look(
        lambda: lifecycle.cancel(run, moment=timezone.now(), reason="cancelled by ada") and None
    )

    began = timezone.now()
    place.worker.work_on_anything()
    run.refresh_from_db()

    assert timezone.now() - began < timedelta(seconds=10)
    assert (run.status, run.reason) == (RunStatus.CANCELLED, "cancelled by ada")
    assert statuses(run) == {"sleeps": "cancelled", "later": "cancelled"}


def test_a_block_over_its_time_is_ended_and_fails(place: Place) -> None:
    place.write("slow", "blocks: [{uuid: sleeps, type: custom, timeout: 0.3}]")

    run = place.run("slow")

    failed = block(run, "sleeps")
    assert run.status == RunStatus.FAILED
    assert (failed.error["type"], failed.error["message"]) == (
        "Timeout",
        "did not finish within 0.3 s and was ended",
    )
    assert said(failed)[0] == "asleep"


def test_a_worker_that_drains_hands_its_block_back_uncharged(place: Place) -> None:
    run = place.start("sleeping")
    place.at_each_look = at_second_look(lambda: setattr(place, "told_to_stop", True) or True)

    place.worker.work_on_anything()

    row = block(run, "sleeps")
    assert (row.status, row.attempt, row.losses, row.retries) == (BlockStatus.QUEUED, 2, 0, 0)
    assert row.worker is None


def test_a_worker_that_stops_finishes_its_block_and_claims_no_other(place: Place) -> None:
    run = place.start("chain")
    first = block(run, "numbers")
    claimed = lifecycle.claim(first.pk, 1, place.worker.worker, timezone.now())
    stops = iter([False, True, True, True])
    place.worker.stopping = lambda: next(stops)

    assert place.worker.go_on(claimed) == 1

    assert statuses(run) == {"numbers": "completed", "double": "queued", "total": "initial"}


def test_a_block_that_was_taken_away_is_ended_and_writes_nothing(place: Place) -> None:
    run = place.start("sleeping")
    place.at_each_look = at_second_look(
        lambda: recovery.take_back(block(run, "sleeps"), timezone.now()) and setattr(place, "told_to_stop", True)
    )

    place.worker.work_on_anything()

    row = block(run, "sleeps")
    assert (row.status, row.attempt, row.losses, row.metrics) == (BlockStatus.QUEUED, 2, 1, {})


# --- trouble ----------------------------------------------------------------------------------------------------------


@on_a_real_connection
def test_an_outcome_is_recorded_though_the_connection_was_closed_meanwhile(place: Place) -> None:
    place.write("nap", "blocks: [{uuid: nap, type: custom}]", nap="import time\n@custom\ndef n():\n    time.sleep(1.2)")
    place.at_each_look = connections.close_all

    assert place.run("nap").status == RunStatus.COMPLETED


@on_a_real_connection
@pytest.mark.skipif(not ON_POSTGRES, reason="the database of this test run is not Postgres")
def test_an_outcome_is_recorded_though_the_server_ended_our_session(place: Place) -> None:
    place.write("nap", "blocks: [{uuid: nap, type: custom}]", nap="import time\n@custom\ndef n():\n    time.sleep(1.2)")
    place.at_each_look = end_our_session

    assert place.run("nap").status == RunStatus.COMPLETED


def end_our_session() -> None:
    connection.ensure_connection()
    other = connection.copy()
    try:
        with other.cursor() as cursor:
            cursor.execute("SELECT pg_terminate_backend(%s)", [connection.connection.get_backend_pid()])
    finally:
        other.close()


class Nemesis:
    """Makes one statement or commit of this connection fail, or only seem to."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, words: str) -> None:
        self.words = words
        self.struck = 0
        self.is_seen = False
        self.real_commit = connection._commit
        monkeypatch.setattr(connection, "_commit", self.commit)
        self.strikes_commit = False

    def statement(self, execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
        if self.words in sql and not self.struck and not self.strikes_commit:
            self.struck += 1
            raise OperationalError("server closed the connection unexpectedly")
        result = execute(sql, params, many, context)
        self.is_seen = self.is_seen or self.words in sql
        return result

    def commit(self) -> None:
        self.real_commit()
        if self.strikes_commit and self.is_seen and not self.struck:
            self.struck += 1
            raise OperationalError("the answer to COMMIT was lost")


@on_a_real_connection
def test_a_finish_that_was_rolled_back_is_made_again(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    run = place.start("chain")
    nemesis = Nemesis(monkeypatch, 'UPDATE "runs_blockrun" SET "pending"')

    with connection.execute_wrapper(nemesis.statement):
        place.worker.work_on_anything()

    run.refresh_from_db()
    assert nemesis.struck == 1
    assert run.status == RunStatus.COMPLETED
    assert set(run.block_runs.values_list("attempt", "losses")) == {(1, 0)}


@on_a_real_connection
def test_a_block_claimed_in_a_commit_nobody_heard_of_is_taken_up_again(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = place.start("chain")
    nemesis = Nemesis(monkeypatch, 'SET "pending"')
    nemesis.strikes_commit = True

    with connection.execute_wrapper(nemesis.statement):
        place.worker.work_on_anything()
    assert nemesis.struck == 1
    assert statuses(run) == {"numbers": "completed", "double": "running", "total": "initial"}
    place.go_on(run)
    place.go_on(run)

    assert run.status == RunStatus.COMPLETED
    assert list(run.block_runs.order_by("position").values_list("losses", flat=True)) == [0, 1, 0]


@on_a_real_connection
def test_a_claim_nobody_heard_of_is_taken_up_again(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    run = place.start("chain")
    real, calls = lifecycle.claim_next, []

    def claim_and_lose_the_answer(*args: Any, **fields: Any) -> BlockRun | None:
        claimed = real(*args, **fields)
        calls.append(claimed)
        if len(calls) == 1:
            raise OperationalError("the answer was lost")
        return claimed

    monkeypatch.setattr(lifecycle, "claim_next", claim_and_lose_the_answer)
    place.worker.work_on_anything()
    place.go_on(run)

    assert run.status == RunStatus.COMPLETED
    assert block(run, "numbers").losses == 1


def test_a_fault_of_ours_does_not_leave_a_block_running_for_ever(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    run = place.start("sleeping")
    real = jobs.work_for
    monkeypatch.setattr(jobs, "work_for", lambda *_: 1 // 0)
    with pytest.raises(ZeroDivisionError):
        place.worker.work_on_anything()
    monkeypatch.setattr(jobs, "work_for", real)
    assert statuses(run) == {"sleeps": "running"}

    other = place.run("chain")
    recovery.sweep(timezone.now())

    assert other.status == RunStatus.COMPLETED
    row = block(run, "sleeps")
    assert (row.status, row.attempt, row.losses) == (BlockStatus.QUEUED, 2, 1)


def test_a_fault_in_mid_block_ends_its_process(place: Place, tmp_path: Path) -> None:
    run = place.start("witnessed", file=str(tmp_path / "witness"), seconds=3)

    def fault() -> None:
        raise ZeroDivisionError

    place.at_each_look = fault
    with pytest.raises(ZeroDivisionError):
        place.worker.work_on_anything()

    assert (tmp_path / "witness").read_text() == "began\n"
    assert place.executor.server is None
    assert place.worker.row is None
    assert statuses(run) == {"witness": "running"}


@on_a_real_connection
def test_a_fork_server_that_dies_under_a_block_costs_one_loss(place: Place) -> None:
    run = place.start("sleeping")

    def strike() -> None:
        place.executor.server.process.kill()
        place.told_to_stop = False

    place.at_each_look = at_second_look(strike)
    place.worker.stopping = iter([False, False, True, True]).__next__

    place.worker.work_on_anything()

    row = block(run, "sleeps")
    assert (row.status, row.attempt, row.losses) == (BlockStatus.QUEUED, 2, 1)


def test_the_database_away_for_good_is_told_to_the_caller(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(working, "PATIENCE", 0.3)
    tries = []

    def away() -> None:
        tries.append(1)
        raise OperationalError("no route to host")

    with pytest.raises(OperationalError, match="no route"):
        working.persist(away)

    assert 2 <= len(tries) <= 4


# --- the host ---------------------------------------------------------------------------------------------------------


@pytest.fixture
def host(place: Place, monkeypatch: pytest.MonkeyPatch) -> BlockHost:
    """The host of a block that runs, which looks whenever it is asked."""
    monkeypatch.setattr(hosting, "LOOK_SECONDS", 0.0)
    moment = timezone.now()
    run = place.start("sleeping")
    worker = make_owner(moment)
    held = claim(run, "sleeps", worker, moment)
    log = logs.Writer(logs.path(run.pk, held.pk, 1), timezone.now)
    return BlockHost(held, worker, log, timezone.now, lambda: False)


def refuse(execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
    raise OperationalError("the database is away")


def test_a_host_renews_the_lease_of_its_worker_when_it_is_time(host: BlockHost) -> None:
    before = Worker.objects.get(pk=host.worker.pk).lease_until
    assert host.should_stop() is None
    assert Worker.objects.get(pk=host.worker.pk).lease_until == before
    host.renewed_at -= 5

    assert host.should_stop() is None

    assert Worker.objects.get(pk=host.worker.pk).lease_until > before


def test_a_host_counts_the_lease_from_when_it_was_renewed(place: Place) -> None:
    seen = timezone.now() - timedelta(seconds=3.9)
    worker = make_owner(seen)
    log = logs.Writer(logs.path(1, 1, 1), timezone.now)

    host = BlockHost(BlockRun(pk=1), worker, log, timezone.now, lambda: False)

    assert host.looked_at - host.renewed_at == pytest.approx(3.9, abs=0.2)


def test_a_short_outage_stops_no_block(host: BlockHost) -> None:
    with connection.execute_wrapper(refuse):
        assert host.should_stop() is None

    assert host.should_stop() is None


def test_a_host_that_cannot_renew_ends_its_block_before_the_lease_ends(host: BlockHost) -> None:
    host.renewed_at -= 15

    with connection.execute_wrapper(refuse):
        assert host.should_stop() is Stop.FENCED


@pytest.mark.parametrize(
    ("change", "stop"),
    [
        ({"status": BlockStatus.CANCELLED}, Stop.CANCEL),
        ({"status": BlockStatus.QUEUED}, Stop.FENCED),
        ({"attempt": 2}, Stop.FENCED),
    ],
)
def test_a_host_sees_what_became_of_its_row(host: BlockHost, change: dict[str, Any], stop: Stop) -> None:
    BlockRun.objects.filter(pk=host.block_run.pk).update(**change)

    assert host.should_stop() is stop


def test_a_row_that_is_gone_is_fenced(host: BlockHost) -> None:
    PipelineRun.objects.all().delete()

    assert host.should_stop() is Stop.FENCED


def test_output_is_readable_at_the_next_look(host: BlockHost, now: datetime) -> None:
    host.output("stdout", b"one\n")
    host.output("stdout", b"two\n")
    assert said(host.block_run) == ["one"]

    host.should_stop()

    assert said(host.block_run) == ["one", "two"]
