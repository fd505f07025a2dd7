"""The one function that django-q2 calls. A task is a hint: "look at block run 17, attempt 2"."""

import logging
import os
from multiprocessing import util

from django.db import DatabaseError, close_old_connections

from runs import clock
from runs.working import stopping
from runs.working.process import WorkerProcess

logger = logging.getLogger(__name__)
_process: tuple[int, WorkerProcess] | None = None


def execute(block_run_id: int, attempt: int) -> None:
    """Do the block run if it is still to be had, then whatever else is ready. Never raises: rows tell what happened."""
    try:
        process().work(block_run_id, attempt)
    except Exception:  # one turn of django-q2's loop, which would keep the error as a result nobody reads
        logger.exception("a worker could not go on; what it held is taken up again when its lease runs out")
        close_old_connections()


def process() -> WorkerProcess:
    """This worker process, made once in it (a fork must not inherit its parent's)."""
    global _process
    if _process is None or _process[0] != os.getpid():
        made = WorkerProcess(clock.now, stopping.is_stopping, stopping.is_draining)
        _process = (os.getpid(), made)
        util.Finalize(None, made.close, exitpriority=10)
    return _process[1]


def warm_up() -> None:
    """Sign this worker on and start its fork server before there is work."""
    from django.conf import settings

    from executors.local import LocalExecutor
    from runs.working import jobs

    try:
        executor = process().executor("local_python")
        assert isinstance(executor, LocalExecutor)
        executor.warm_up(jobs.preload(settings.PROJECT_DIR))
        process().sign_on()
    except (OSError, DatabaseError):
        logger.exception("a worker could not make ready; tried again with its first block")
