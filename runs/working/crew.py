"""Workers that `run` brings along: processes forked from it, for one run only, gone when it is."""

import contextlib
import ctypes
import multiprocessing
import os
import signal
import time
from datetime import datetime
from typing import Any

from django.conf import settings
from django.db import close_old_connections, connections

from executors.forking import ForkServerGone
from executors.local import LocalExecutor
from runs import bell, clock, kinship
from runs.models import BlockRun, PipelineRun, Worker, WorkerKind
from runs.working import jobs, workers
from runs.working.persisting import persist
from runs.working.process import WorkerProcess

FORK = multiprocessing.get_context("fork")
PR_SET_PDEATHSIG = 1
LOOK_EVERY = 0.5  # seconds, when no bell rings


class Crew:
    """Up to `size` workers, forked one by one as there is work for them. Call from a process without threads."""

    def __init__(self, run: PipelineRun, size: int) -> None:
        self.run_id, self.size = run.pk, size
        self.members: list[Any] = []
        self.is_at_work = False  # once one was needed, all may be

    def __len__(self) -> int:
        return len(self.members)

    def __enter__(self) -> "Crew":
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()

    def stand_by(self, moment: datetime) -> None:
        """Get one to work at once, unless a server's workers are there."""
        workers.tidy_this_host(moment)
        if not Worker.objects.alive(moment).filter(kind=WorkerKind.WORKER).exists():
            self.add()

    def add(self) -> bool:
        """Fork one more, unless there are enough."""
        self.is_at_work = True
        self.muster()
        if len(self.members) >= self.size:
            return False
        connections.close_all()  # a connection must not be shared
        process = FORK.Process(target=work, args=(self.run_id, os.getpid(), not self.members), daemon=True)
        process.start()
        self.members.append(process)
        return True

    def muster(self) -> None:
        """Let go of members that died; recovery takes up what they held."""
        self.members = [process for process in self.members if process.is_alive()]

    def ask_to_stop(self) -> None:
        """Have each claim no more and go when what it does is done."""
        for process in self.members:
            process.terminate()
        bell.ring("queue")

    def close(self, seconds: float) -> None:
        """Wait until all have gone, then end the rest; what those held is handed back by recovery."""
        self.ask_to_stop()
        until = time.monotonic() + seconds
        for process in self.members:
            process.join(max(0.0, until - time.monotonic()))
        self.kill()

    def kill(self) -> None:
        for process in self.members:
            process.kill()  # its fork server and its blocks die with it
            process.join()
        self.members = []


def work(run_id: int, parent: int, is_first: bool) -> None:
    """Be one of the crew until told to stop, or until the parent is gone: then what runs is handed back."""
    told_to_stop = False

    def stop(*_: object) -> None:
        nonlocal told_to_stop
        told_to_stop = True

    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C goes to the whole terminal; the parent decides
    signal.signal(signal.SIGTERM, stop)
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
    process = WorkerProcess(clock.now, lambda: told_to_stop, lambda: os.getppid() != parent)
    warm_up(process, is_first=is_first)
    try:
        with bell.listen("queue") as ear:
            while not told_to_stop and os.getppid() == parent:
                if not do_what_is_queued(process, run_id):
                    ear.wait(LOOK_EVERY)
    finally:
        process.close()
        close_old_connections()


def warm_up(process: WorkerProcess, *, is_first: bool) -> None:
    """Start the fork server. A helper waits for it: a block it claims cold would be done sooner by the first."""
    executor = process.executor("local_python")
    assert isinstance(executor, LocalExecutor)
    with contextlib.suppress(ForkServerGone):  # then the first block tells what is wrong
        executor.warm_up(jobs.preload(settings.PROJECT_DIR))
        if executor.server and not is_first:
            executor.server.hear()  # that it has a child
            executor.server.hear()  # that the project's libraries are loaded


def do_what_is_queued(process: WorkerProcess, run_id: int) -> int:
    """Do what is queued of the run, and of the runs that its blocks started."""
    if not persist(lambda: BlockRun.objects.filter(pipeline_run__in=kinship.family(run_id)).has_queued()):
        return 0
    return process.work_on_anything(PipelineRun(pk=run_id))
