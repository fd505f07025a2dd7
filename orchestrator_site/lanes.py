"""Run Django's synchronous views in a few long-lived threads, so that database connections outlive a request.

Django's own ASGI handler makes a thread per request, and with it a connection per request: 5–8 ms on Postgres.
"""

import asyncio
import time
from typing import Any

from asgiref.sync import SyncToAsync, ThreadSensitiveContext
from django.core.handlers.asgi import ASGIHandler

from runs.pacing import pace

LANES = 6
LOOK = (b"hx-target", b"live")  # of a page that looks again


class PooledHandler(ASGIHandler):
    """Gives each request one of a fixed number of threads; more requests than threads wait their turn."""

    def __init__(self) -> None:
        super().__init__()
        self.free: asyncio.LifoQueue[ThreadSensitiveContext] | None = None

    def is_idle(self) -> bool:
        """Whether no request is under way."""
        return self.free is None or self.free.qsize() == LANES

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if self.free is None:
            self.free = asyncio.LifoQueue()
            for _ in range(LANES):
                self.free.put_nowait(ThreadSensitiveContext())
        lane = await self.free.get()
        token = SyncToAsync.thread_sensitive_context.set(lane)
        began, worked = time.monotonic(), time.process_time()
        try:
            await self.handle(scope, receive, send)
        finally:
            if LOOK in scope["headers"]:
                pace.took(time.monotonic() - began, time.process_time() - worked)
            SyncToAsync.thread_sensitive_context.reset(token)
            self.free.put_nowait(lane)
