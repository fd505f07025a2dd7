"""In a web process: hear what other processes ring and hand it to the channel layer's groups."""

import asyncio
import logging
import threading
import time

from channels.layers import get_channel_layer

from runs import bell

logger = logging.getLogger(__name__)
EVERYTHING = "events"


def run_group(run_id: int) -> str:
    return f"run.{run_id}"


def log_group(block_run_id: int) -> str:
    return f"log.{block_run_id}"


class Hub:
    """One thread that listens and one loop that it speaks to. Hints only: consumers look for themselves too."""

    def __init__(self) -> None:
        self.loop: asyncio.AbstractEventLoop | None = None

    def ensure_running(self) -> None:
        """Start listening for the running loop, once. Call from a coroutine."""
        loop = asyncio.get_running_loop()
        if self.loop is not loop:
            self.loop = loop
            threading.Thread(target=self.listen, args=(loop,), name="live-hub", daemon=True).start()

    def listen(self, loop: asyncio.AbstractEventLoop) -> None:
        """Hear and pass on until the loop is closed; a carrier that is away is tried again."""
        while not loop.is_closed():
            try:
                with bell.listen("live") as ear:
                    while not loop.is_closed():
                        if texts := ear.wait(1.0):
                            asyncio.run_coroutine_threadsafe(self.pass_on(texts), loop)
            except RuntimeError:
                return  # the loop was closed meanwhile
            except Exception:  # one turn of the loop: whatever the carrier raises when its server is away
                logger.warning("live events are not heard, trying again", exc_info=logger.isEnabledFor(logging.DEBUG))
                time.sleep(1.0)

    async def pass_on(self, texts: list[str]) -> None:
        layer = get_channel_layer()
        assert layer is not None
        for text in dict.fromkeys(texts):
            kind, *numbers = text.split()
            if kind == "run":
                message = {"type": "run.changed", "run": int(numbers[0])}
                await layer.group_send(run_group(int(numbers[0])), message)
                await layer.group_send(EVERYTHING, message)
            elif kind == "log":
                await layer.group_send(log_group(int(numbers[0])), {"type": "log.grew"})
            elif kind == "incident":
                await layer.group_send(EVERYTHING, {"type": "incident.changed", "incident": int(numbers[0])})


hub = Hub()
