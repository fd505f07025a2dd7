"""Websockets of programs: what changed, and logs as they grow. Messages carry no state: it is fetched, logs are read.

Pages have a socket of their own kind (`runs.page_consumer`).
"""

import asyncio
import contextlib
from collections.abc import Coroutine
from typing import Any
from urllib.parse import parse_qs

from channels.db import database_sync_to_async
from channels.generic.websocket import AsyncJsonWebsocketConsumer

from runs import live
from runs.log_follower import LogFollower
from runs.models import PipelineRun

UNAUTHENTICATED, NOT_FOUND = 4401, 4404
PATIENCE = 2.0  # seconds: a carrier that is away keeps nobody from looking
MOST_WAITING = 10_000  # changes kept for a program that does not read


class SignedInConsumer(AsyncJsonWebsocketConsumer):
    """Refuses who is not signed in; hears of the groups that `groups_for` names."""

    groups_heard: tuple[str, ...] = ()
    task: asyncio.Task[None] | None = None

    async def dispatch(self, message: dict[str, Any]) -> None:
        """As Channels does, but for its look for old database connections, which is a hop to a thread per message.

        Whoever asks the database here does so by `database_sync_to_async`, which looks for them itself.
        """
        await getattr(self, message["type"].replace(".", "_"))(message)

    async def connect(self) -> None:
        user = self.scope.get("user")
        if user is None or not user.is_authenticated or not user.is_active:
            await self.refuse(UNAUTHENTICATED)
            return
        groups = await self.groups_for()
        if groups is None:
            await self.refuse(NOT_FOUND)
            return
        for group in groups:
            live.hub.join(group, self)
        self.groups_heard = groups
        await live.hub.wait_for_ear(PATIENCE)  # the first socket of a process comes before it listens
        await self.accept()
        self.task = asyncio.create_task(self.alone(self.tell()))

    async def refuse(self, code: int) -> None:
        """Accept and close at once: a browser only then sees the code."""
        await self.accept()
        await self.close(code)

    async def disconnect(self, code: int) -> None:
        for group in self.groups_heard:
            live.hub.leave(group, self)
        if self.task:
            self.task.cancel()

    async def groups_for(self) -> tuple[str, ...] | None:
        raise NotImplementedError

    async def tell(self) -> None:
        """Say what is to be said for as long as the socket is open."""
        raise NotImplementedError

    async def alone(self, telling: Coroutine[Any, Any, None]) -> None:
        with contextlib.suppress(OSError):  # the other side went away while it was told something
            await telling

    def hear(self, kind: str, number: int) -> None:
        """Take a hint of the hub."""

    async def receive(self, text_data: str | None = None, bytes_data: bytes | None = None, **kwargs: Any) -> None:
        """Nothing is expected of the reader; what it says is not acted on."""

    async def has_run(self, run_id: int) -> bool:
        return await database_sync_to_async(PipelineRun.objects.filter(pk=run_id).exists)()


class ChangesConsumer(SignedInConsumer):
    """Tells each change; what changes again before it was told is told once."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.waiting: dict[tuple[str, int], None] = {}
        self.came = asyncio.Event()

    def hear(self, kind: str, number: int) -> None:
        if len(self.waiting) < MOST_WAITING:
            self.waiting[kind, number] = None
        self.came.set()

    async def tell(self) -> None:
        while True:
            await self.came.wait()
            self.came.clear()
            waiting, self.waiting = self.waiting, {}
            for kind, number in waiting:
                await self.send_json({"type": "changed", kind: number})


class EventsConsumer(ChangesConsumer):
    """Every run's and incident's changes."""

    async def groups_for(self) -> tuple[str, ...]:
        return (live.EVERYTHING,)


class RunConsumer(ChangesConsumer):
    """One run's changes."""

    async def groups_for(self) -> tuple[str, ...] | None:
        run_id = self.scope["url_route"]["kwargs"]["run_id"]
        return (live.run_group(run_id),) if await self.has_run(run_id) else None


class LogConsumer(SignedInConsumer):
    """A block run's log from an offset on; with `format=html` its lines come drawn, and a flood is thinned."""

    follower: LogFollower

    async def groups_for(self) -> tuple[str, ...] | None:
        query = parse_qs(self.scope["query_string"].decode())
        try:
            offset, attempt = (int(query.get(name, ["0"])[0]) for name in ("from", "attempt"))
        except ValueError:
            return None
        block_run_id = self.scope["url_route"]["kwargs"]["block_run_id"]
        is_page = query.get("format") == ["html"]
        self.follower = LogFollower(self.send_json, block_run_id, offset=offset, attempt=attempt, is_page=is_page)
        return () if offset >= 0 and await self.follower.find() else None

    async def tell(self) -> None:
        if not await self.follower.follow():
            await self.close(NOT_FOUND)

    async def receive(self, text_data: str | None = None, bytes_data: bytes | None = None, **kwargs: Any) -> None:
        """Who has lines drawn says how far it has drawn; nothing else is acted on."""
        if text_data and text_data.isdecimal() and len(text_data) < 20:
            self.follower.has_drawn(int(text_data))
