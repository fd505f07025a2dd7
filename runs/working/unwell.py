"""A worker whose executor can start nothing says so in its row, and claims nothing until that is over.

Otherwise a machine without room for one more process would take whatever is queued, again and again, and fail it.
"""

import itertools
import logging
import time
from collections.abc import Callable
from datetime import datetime
from typing import Any

from django.db import Error as DatabaseError
from django.db import close_old_connections

from executors.base import CannotStart
from runs.models import Worker

logger = logging.getLogger(__name__)
PAUSES = (1.0, 2.0, 5.0, 10.0)  # seconds before the next trial; the last again and again
STEP = 0.25  # seconds in which a stop is noticed
LONGEST = 300  # characters of a reason


def wait_until_well(
    try_it: Callable[[], None],
    executor: str,
    reason: str,
    *,
    row: Callable[[], Worker],
    clock: Callable[[], datetime],
    stopping: Callable[[], bool],
) -> None:
    """Say what is wrong in the worker's row, return when `try_it` raises CannotStart no more, or when all stops."""
    told = {"executor": executor, "reason": reason[:LONGEST], "since": clock().isoformat()}
    logger.warning("%s cannot start a block here, nothing is claimed until it can: %s", executor, reason)
    for pause in itertools.chain(PAUSES, itertools.repeat(PAUSES[-1])):
        tell(row, told)
        if not pauses(pause, stopping):
            return
        try:
            try_it()
        except CannotStart as error:
            told["reason"] = str(error)[:LONGEST]
            continue
        logger.warning("%s starts blocks again", executor)
        tell(row, {})
        return


def tell(row: Callable[[], Worker], trouble: dict[str, Any]) -> None:
    """Write it down and renew the lease; while the database is away there is nobody to tell."""
    try:
        worker = row()
        if worker.trouble != trouble:
            worker.trouble = dict(trouble)
            worker.save(update_fields=["trouble"])
    except DatabaseError:
        close_old_connections()


def pauses(seconds: float, stopping: Callable[[], bool]) -> bool:
    """Let time pass; False when all stops meanwhile."""
    until = time.monotonic() + seconds
    while not stopping():
        left = until - time.monotonic()
        if left <= 0:
            return True
        time.sleep(min(STEP, left))
    return False
