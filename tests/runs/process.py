# ruff: noqa: F401 - names for the code that crowd.py sends
"""What the processes of tests/runs/crowd.py can do: make runs, work on them without their code, get in the way."""

import json
import os
import random
import signal
import socket
import sys
import threading
import time
import traceback
from collections import Counter
from collections.abc import Callable, Iterable
from contextlib import suppress
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, TextIO

from django.conf import settings
from django.contrib.auth import BACKEND_SESSION_KEY, HASH_SESSION_KEY, SESSION_KEY
from django.contrib.sessions.backends.db import SessionStore
from django.db import connection
from django.db.models import Count, F, Q
from django.utils import timezone

from executors.base import Outcome
from orchestrator_site import tokens
from pipelines import catalog, variables
from pipelines.models import Pipeline
from pipelines.refusal import Refusal
from runs import bell, events, lifecycle, logs, pools, recovery
from runs.lifecycle import create_run
from runs.models import BlockRun, Event, Origin, PipelineRun, Worker, WorkerKind
from runs.planning import RunSettings
from runs.retrying import repeating
from runs.states import BLOCK_FINISHED, RUN_FINISHED
from runs.working import workers
from runs.working.process import WorkerProcess
from tests.factories import make_pipeline, make_user
from tests.runs.outcomes import COMPLETED, FAILED, HANDED_BACK, NOT_YET

MODEL_BACKEND = "django.contrib.auth.backends.ModelBackend"
DIAMOND = (("root",), ("left", "root"), ("right", "root"), ("join", "left", "right"))
_worker: list[Worker] = []


def answer_in_copies(descriptors: list[str]) -> None:
    """Fork a process for each socket that is told what to do there; end when all have ended."""
    for descriptor in map(int, descriptors):
        if os.fork() == 0:
            with socket.socket(fileno=descriptor) as told, told.makefile("rw") as lines:
                answer(lines)
            os._exit(0)
        os.close(descriptor)
    for _ in descriptors:
        os.wait()


def answer(lines: TextIO) -> None:
    """Evaluate the expressions that come by line; answer in JSON."""
    for line in lines:
        try:
            found = {"is": eval(json.loads(line), globals())}
        except Exception:
            found = {"raised": traceback.format_exc()}
        lines.write(json.dumps(found, default=str) + "\n")
        lines.flush()


def me() -> Worker:
    if not _worker:
        _worker.append(workers.register(WorkerKind.WORKER, timezone.now()))
    workers.renew_if_due(_worker[0], timezone.now())
    return _worker[0]


def start(uuid: str, **fields: Any) -> PipelineRun:
    fields = {"origin": Origin.MANUAL, **fields}
    return create_run(Pipeline.objects.get(uuid=uuid), moment=timezone.now(), **fields)


def start_from_disk(uuid: str, *, may_fail: bool = False, **variables: Any) -> int:
    """Start a run of the project on disk; return its number."""
    catalog.refresh(settings.PROJECT_DIR)
    given = {"variables": variables, "settings": RunSettings(allow_blocks_to_fail=may_fail)}
    return create_run(catalog.find(uuid), moment=timezone.now(), origin=Origin.MANUAL, **given).pk


def claim(pk: int) -> BlockRun:
    claimed = lifecycle.claim(pk, 1, me(), timezone.now())
    assert claimed is not None
    return claimed


def finish(block_run: BlockRun, outcome: Outcome = COMPLETED, *, takes: bool = False) -> BlockRun | None:
    return lifecycle.finish_block(block_run, outcome, moment=timezone.now(), next_for=me() if takes else None)


# --- two blocks of a run that end at once -----------------------------------------------------------------------------

_held: list[BlockRun] = []


def make_diamonds(count: int) -> list[list[int]]:
    """Make runs whose roots are done; return the numbers of [left, right] of each."""
    make_pipeline("diamond", DIAMOND)
    found = []
    for _ in range(count):
        run = start("diamond")
        finish(claim(run.block_runs.get(block_uuid="root").pk))
        found.append(list(run.block_runs.filter(status="queued").order_by("block_uuid").values_list("pk", flat=True)))
    return found


def hold(pks: Iterable[int]) -> int:
    _held[:] = [claim(pk) for pk in pks]
    return len(_held)


def finish_next(*, takes: bool) -> str | None:
    """Finish the next of what is held; return what was claimed on, which is finished too."""
    following = finish(_held.pop(0), takes=takes)
    if following is not None:
        finish(following)
    return following and following.block_uuid


def joins() -> list[list[Any]]:
    """Return, for each run, its status, the status and attempt of its join, and how often it was completed."""
    rows = BlockRun.objects.filter(block_uuid="join").order_by("pipeline_run_id").select_related("pipeline_run")
    completed = Event.objects.filter(kind="completed").values_list("pipeline_run_id")
    ends = dict(completed.annotate(count=Count("id")).values_list("pipeline_run_id", "count"))
    return [[row.pipeline_run.status, row.status, row.attempt, ends.get(row.pipeline_run_id, 0)] for row in rows]


# --- many who claim ---------------------------------------------------------------------------------------------------


def make_wide(count: int) -> list[int]:
    uuid = f"wide_{PipelineRun.objects.count()}"
    make_pipeline(uuid, [(f"block_{number}",) for number in range(count)])
    return list(start(uuid).block_runs.filter(status="queued").values_list("pk", flat=True))


def claim_all() -> list[int]:
    """Claim whatever is most urgent until nothing is queued."""
    found = []
    while BlockRun.objects.queued().exists():
        if claimed := lifecycle.claim_next(me(), timezone.now()):
            found.append(claimed.pk)
    return found


def claim_each(pks: Iterable[int]) -> list[int]:
    claimed = [lifecycle.claim(pk, 1, me(), timezone.now()) for pk in pks]
    return [row.pk for row in claimed if row is not None]


# --- everything at once -----------------------------------------------------------------------------------------------


def make_mixture() -> int:
    """Make pipelines of several shapes; return how many."""
    make_pipeline("diamond", DIAMOND, retry_config={"retries": 2, "delay": 0.05})
    make_pipeline("chain", (("a",), ("b", "a"), ("c", "b")), retry_config={"retries": 1, "delay": 0})
    make_pipeline("limited", DIAMOND, concurrency_config={"pipeline_run_limit": 2, "block_run_limit": 1})
    return Pipeline.objects.count()


def mix(seed: int, seconds: float) -> dict[str, Any]:
    """Do what schedulers, workers and people do, at random; return what was done and what was raised."""
    dice, done, raised = random.Random(seed), Counter[str](), []
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        action = dice.choices(list(ACTIONS), WEIGHTS)[0]
        try:
            ACTIONS[action](dice)
            done[action] += 1
        except Exception:
            raised.append(f"{action}: {traceback.format_exc()}")
    return {"done": done, "raised": raised[:3]}


def do_start(dice: random.Random) -> None:
    if PipelineRun.objects.unfinished().count() < 30:
        start(dice.choice(["diamond", "chain", "limited"]))


def do_work(dice: random.Random) -> None:
    block_run = lifecycle.claim_next(me(), timezone.now())
    while block_run is not None:
        outcome = dice.choices([COMPLETED, FAILED, NOT_YET, HANDED_BACK], [8, 1, 1, 1])[0]
        block_run = finish(block_run, outcome, takes=True)


def do_cancel(dice: random.Random) -> None:
    if run := PipelineRun.objects.unfinished().order_by("?").first():
        lifecycle.cancel(run, moment=timezone.now(), reason="at random")


def do_retry(dice: random.Random) -> None:
    ended = PipelineRun.objects.filter(status__in=("failed", "cancelled")).exclude(pipeline__uuid="limited")
    if run := ended.order_by("?").first():
        with suppress(Refusal):  # another has repeated it, and it is completed by now
            repeating.retry(run, moment=timezone.now())


def do_time(dice: random.Random) -> None:
    recovery.due_timers(timezone.now() + timedelta(minutes=2))  # sensors look every minute
    recovery.sweep(timezone.now())


def do_lose(dice: random.Random) -> None:
    """Take a block away from whoever runs it."""
    if block_run := BlockRun.objects.filter(status="running").order_by("?").first():
        recovery.take_back(block_run, timezone.now())


ACTIONS: dict[str, Callable[[random.Random], None]] = {
    "start": do_start,
    "work": do_work,
    "cancel": do_cancel,
    "retry": do_retry,
    "time": do_time,
    "lose": do_lose,
}
WEIGHTS = [20, 50, 4, 4, 12, 2]


def bring_to_an_end() -> dict[str, int]:
    """Do what is left; return how many runs have which status."""
    until = time.monotonic() + 60
    while PipelineRun.objects.unfinished().exists():
        assert time.monotonic() < until, stuck()
        recovery.take_back_lost(timezone.now() + timedelta(minutes=5))
        do_time(random.Random(0))
        while block_run := lifecycle.claim_next(me(), timezone.now()):
            finish(block_run)
    return dict(PipelineRun.objects.order_by().values_list("status").annotate(count=Count("id")))


def cancel_as_a_timer_comes_due(run: PipelineRun) -> bool:
    """Cancel a run; just before its waiting blocks are, another session queues them."""
    others: list[threading.Thread] = []

    def interrupt(execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
        if sql.startswith('UPDATE "runs_blockrun"') and "waiting" in params and not others:
            others.append(threading.Thread(target=do_time, args=(None,)))
            others[0].start()
            others[0].join(1.0)  # where writers exclude each other it has to wait for us
        return execute(sql, params, many, context)

    with connection.execute_wrapper(interrupt):
        is_cancelled = lifecycle.cancel(run, moment=timezone.now(), reason="just now")
    others[0].join()
    return is_cancelled


def stuck() -> list[Any]:
    rows = BlockRun.objects.exclude(pipeline_run__status__in=RUN_FINISHED)
    return list(rows.values_list("pipeline_run_id", "pipeline_run__status", "block_uuid", "status", "pending"))


def broken_promises() -> dict[str, list[Any]]:
    """Return rows that must not be, by what is wrong with them."""
    blocks, runs = BlockRun.objects.all(), PipelineRun.objects.all()
    completed = {row.pipeline_run_id: {} for row in blocks}
    for row in blocks:
        completed[row.pipeline_run_id][row.block_uuid] = row
    early = [
        row.pk
        for row in blocks.filter(status="completed")
        for uuid in row.upstream
        if completed[row.pipeline_run_id][uuid].status == "completed"
        and row.completed_at < completed[row.pipeline_run_id][uuid].completed_at
    ]
    found = {
        "a finished run with an unfinished block": list(
            blocks.filter(pipeline_run__status__in=RUN_FINISHED).exclude(status__in=BLOCK_FINISHED).values_list("pk")
        ),
        "a finished row without its time": [
            *blocks.filter(status__in=BLOCK_FINISHED, completed_at=None).values_list("pk"),
            *runs.filter(status__in=RUN_FINISHED, completed_at=None).values_list("pk"),
        ],
        "completed before what it waits for": early,
        "a completed run with a block that did not complete": list(
            runs.filter(status="completed").exclude(block_runs__status="completed").values_list("pk")
        ),
        "more waited for than there is": list(blocks.filter(pending__gt=2).values_list("pk")),
    }
    return {what: rows for what, rows in found.items() if rows}


def running_at_once(uuid: str) -> int:
    return PipelineRun.objects.filter(pipeline__uuid=uuid, status="running").count()


# --- logs and who may see them ----------------------------------------------------------------------------------------


def sign_in(username: str, **fields: Any) -> str:
    """Make a user with a session; return the session's key."""
    user = make_user(username, **fields)
    session = SessionStore()
    session.update(
        {SESSION_KEY: str(user.pk), BACKEND_SESSION_KEY: MODEL_BACKEND, HASH_SESSION_KEY: user.get_session_auth_hash()}
    )
    session.save()
    return str(session.session_key)


def make_token(username: str, *scopes: str) -> str:
    user, moment = make_user(username), timezone.now()
    return tokens.issue(user, name="test", scopes=scopes, expires_at=moment + timedelta(days=1), moment=moment)[1]


def begin_block() -> dict[str, int]:
    """Start a run of one block and claim it; return {"run", "block"}."""
    pipeline = Pipeline.objects.filter(uuid="single").first() or make_pipeline("single", [("only",)])
    run = start(pipeline.uuid)
    _held[:] = [claim(run.block_runs.get().pk)]
    return {"run": run.pk, "block": _held[0].pk}


def write_lines(*texts: str, rings: bool = True) -> int:
    """Append lines to the log of the block begun last, as its worker would; return the log's size."""
    block_run = _held[0]
    log = logs.Writer(logs.path(block_run.pipeline_run_id, block_run.pk, block_run.attempt), timezone.now)
    for text in texts:
        log.write("stdout", "INFO", text)
    log.close()
    if rings:
        events.publish_log(block_run.pk, log.size)
    return log.size


def write_for(seconds: float) -> int:
    """Write lines at an uneven pace; return how many."""
    dice, count, until = random.Random(1), 0, time.monotonic() + seconds
    while time.monotonic() < until:
        burst = dice.choice([1, 3, 500])
        write_lines(*(f"line {count + number} {'é' * dice.randrange(80)}" for number in range(burst)))
        count += burst
        time.sleep(dice.choice([0, 0.01, 0.05]))
    return count


def end_block(outcome: Outcome = COMPLETED) -> None:
    finish(_held[0], outcome)


def begin_again() -> int:
    """Take the block begun last away and claim its next attempt; return its number."""
    recovery.take_back(_held[0], timezone.now())
    row = BlockRun.objects.get(pk=_held[0].pk)
    claimed = lifecycle.claim(row.pk, row.attempt, me(), timezone.now())
    assert claimed is not None
    _held[:] = [claimed]
    return claimed.attempt


def log_file() -> str:
    block_run = _held[0]
    return logs.path(block_run.pipeline_run_id, block_run.pk, block_run.attempt).read_text()


def end_other_sessions() -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
            "WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )


def work_until_finished(run_id: int) -> int:
    """Be a worker until the run is finished; return how many block runs were done."""
    process, done, until = WorkerProcess(timezone.now, lambda: False, lambda: False), 0, time.monotonic() + 120
    try:
        while PipelineRun.objects.filter(pk=run_id).exclude(status__in=RUN_FINISHED).exists():
            assert time.monotonic() < until, "it takes too long"
            done += process.work_on_anything()
            time.sleep(0.02)
    finally:
        process.close()
    return done


def what_became_of(run_id: int) -> list[Any]:
    """Say of each block run of a run how it ended and what it returned, and how the run ended."""
    rows = list(BlockRun.objects.filter(pipeline_run=run_id))
    completed = [row for row in rows if row.status == "completed" and row.members_total is None]
    returned = {row.block_uuid: variables.load_output(row.output) for row in completed if row.output}
    return [{row.block_uuid: row.status for row in rows}, returned, PipelineRun.objects.get(pk=run_id).status]
