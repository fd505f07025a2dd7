"""Writing down what happened although the database is away for a while."""

import logging
import time
from collections.abc import Callable
from typing import TypeVar

from django.db import InterfaceError, OperationalError, connections

logger = logging.getLogger(__name__)
T = TypeVar("T")
PATIENCE = 60.0  # seconds to try again while the database does not answer


def persist(action: Callable[[], T], after_trouble: Callable[[], None] = lambda: None) -> T:
    """Run a transaction again while the database is away; fencing makes a repetition harmless.

    A try that failed may have been committed all the same; `after_trouble` is called before the next one.
    """
    until, pause = time.monotonic() + PATIENCE, 0.1
    while True:
        try:
            return action()
        except (OperationalError, InterfaceError) as error:
            if time.monotonic() > until:
                raise
            logger.warning("the database does not answer, trying again: %s", str(error).strip().splitlines()[0])
            connections.close_all()
            after_trouble()
            time.sleep(pause)
            pause = min(2.0, pause * 2)
