"""The watcher is watched: an address that is asked for after completed loops, so that silence is noticed elsewhere.

A GET in a thread of its own: nothing that the other side does holds up the loop.
"""

import logging
import os
import threading
import urllib.error
import urllib.request
from collections.abc import Sequence
from datetime import datetime
from http.client import HTTPException
from typing import Any
from urllib.parse import urlsplit

from django.conf import settings

from alerts.watching.conditions import Condition
from runs.models import Worker, WorkerKind
from runs.reasons.presence import OLD_LOOP
from runs.working import workers

logger = logging.getLogger(__name__)
TIMEOUT = 5.0  # seconds
FAILURES = 3  # in a row, until it counts as trouble: one may be the network's


class NoRedirect(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *args: Any, **kwargs: Any) -> None:
        """Go nowhere else: the answer itself is taken, which is then a failure."""


class Heartbeat:
    """What this process knows of its pings."""

    def __init__(self) -> None:
        self.thread: threading.Thread | None = None
        self.failures = 0
        self.problem = ""

    def ping(self, moment: datetime) -> None:
        """Ask for the address if the loop of this process comes round, unless it is still being asked for."""
        if not settings.HEARTBEAT_URL or (self.thread is not None and self.thread.is_alive()):
            return
        if loop_comes_round(moment):
            self.thread = threading.Thread(target=self.send, args=(settings.HEARTBEAT_URL,), daemon=True)
            self.thread.start()

    def send(self, url: str) -> None:
        problem = ask_for(url)
        if problem and not self.problem:
            logger.warning("HEARTBEAT_URL (%s) was not reached: %s", host_of(url), problem)
        elif self.problem and not problem:
            logger.info("HEARTBEAT_URL (%s) is reached again", host_of(url))
        self.problem, self.failures = problem, self.failures + 1 if problem else 0

    def conditions(self) -> Sequence[Condition]:
        if self.failures < FAILURES:
            return []
        name = f"heartbeat on {workers.this_host()}"
        message = f"{self.failures} pings in a row failed, the last with: {self.problem}"
        return [Condition(name, f"HEARTBEAT_URL ({host_of(settings.HEARTBEAT_URL)}) is not reached", message)]


def loop_comes_round(moment: datetime) -> bool:
    """Tell whether the scheduler of this process has completed a loop lately: it may fail though it turns."""
    mine = Worker.objects.filter(kind=WorkerKind.SCHEDULER, host=workers.this_host(), pid=os.getpid(), stopped_at=None)
    return mine.filter(last_loop_at__gte=moment - OLD_LOOP).exists()


def ask_for(url: str) -> str:
    """GET the address; return "" or what was wrong. Of the address, a secret, nothing but its host is ever told."""
    opener = urllib.request.build_opener(NoRedirect)
    request = urllib.request.Request(url, headers={"User-Agent": f"orchestrator/{settings.VERSION}"})  # noqa: S310
    try:
        with opener.open(request, timeout=TIMEOUT) as answer:
            answer.read(1024)
        return ""
    except urllib.error.HTTPError as error:
        error.close()
        return f"it answered {error.code}"
    except (OSError, HTTPException, ValueError) as error:
        reason = getattr(error, "reason", None) or error
        return str(getattr(reason, "strerror", None) or type(reason).__name__)[:200]


def host_of(url: str) -> str:
    return urlsplit(url).hostname or "?"


heartbeat = Heartbeat()


def ping(moment: datetime) -> None:
    """Ping HEARTBEAT_URL (the name of the duty in the scheduler's log)."""
    heartbeat.ping(moment)


def conditions() -> Sequence[Condition]:
    return heartbeat.conditions()
