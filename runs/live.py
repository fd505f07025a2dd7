"""In a web process: hear what other processes ring and tell the sockets that asked for it."""

import asyncio
import contextlib
import logging
import threading
import time
from typing import Protocol

from runs import bell

logger = logging.getLogger(__name__)
EVERYTHING = "events"


def run_group(run_id: int) -> str:
    return f"run.{run_id}"


def log_group(block_run_id: int) -> str:
    return f"log.{block_run_id}"


class Listener(Protocol):
    def hear(self, kind: str, number: int) -> None:
        """Take a hint: the "run", "incident" or "log" of that number changed. Called by the loop; may not wait."""


class Hub:
    """One thread that listens and one loop that it speaks to. Hints only: listeners look for themselves too.

    Not a channel layer: with two hundred pages open its queues, copies and tasks took longer than all the rest.
    """

    def __init__(self) -> None:
        self.loop: asyncio.AbstractEventLoop | None = None
        self.groups: dict[str, set[Listener]] = {}
        self.has_ear = asyncio.Event()

    def join(self, group: str, listener: Listener) -> None:
        """Have the listener hear of what the group is about. Call from a coroutine."""
        self.ensure_running()
        self.groups.setdefault(group, set()).add(listener)

    def leave(self, group: str, listener: Listener) -> None:
        listeners = self.groups.get(group, set())
        listeners.discard(listener)
        if not listeners:
            self.groups.pop(group, None)

    def ensure_running(self) -> None:
        """Start listening for the running loop, once."""
        loop = asyncio.get_running_loop()
        if self.loop is not loop:
            self.loop, self.groups, self.has_ear = loop, {}, asyncio.Event()
            threading.Thread(target=self.listen, args=(loop,), name="live-hub", daemon=True).start()

    async def wait_for_ear(self, seconds: float) -> None:
        """Return when what is rung from now on is heard; after `seconds` anyhow."""
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self.has_ear.wait(), seconds)

    def listen(self, loop: asyncio.AbstractEventLoop) -> None:
        """Hear and pass on until the loop is closed; a carrier that is away is tried again."""
        while not loop.is_closed():
            try:
                with bell.listen("live") as ear:
                    loop.call_soon_threadsafe(self.has_ear.set)
                    while not loop.is_closed():
                        if texts := ear.wait(1.0):
                            loop.call_soon_threadsafe(self.pass_on, texts)
            except RuntimeError:
                return  # the loop was closed meanwhile
            except Exception:  # one turn of the loop: whatever the carrier raises when its server is away
                logger.warning("live events are not heard, trying again", exc_info=logger.isEnabledFor(logging.DEBUG))
                time.sleep(1.0)

    def pass_on(self, texts: list[str]) -> None:
        """Tell each listener of each thing that changed, once, however often it was rung."""
        for kind, number in dict.fromkeys(map(read, texts)):
            for group in groups_of(kind, number):
                for listener in tuple(self.groups.get(group, ())):
                    listener.hear(kind, number)


def read(text: str) -> tuple[str, int]:
    """Return what changed; what another version rings, and this one does not know, is nothing of ours."""
    kind, number, *_ = [*text.split(), "", ""]
    return (kind, int(number)) if number.isascii() and number.isdigit() else ("", 0)


def groups_of(kind: str, number: int) -> tuple[str, ...]:
    if kind == "run":
        return run_group(number), EVERYTHING
    return {"log": (log_group(number),), "incident": (EVERYTHING,)}.get(kind, ())


hub = Hub()
