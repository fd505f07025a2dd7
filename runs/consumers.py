"""Websockets: what changed, and logs as they grow. Messages carry no state: pages fetch it, logs are read by offset."""

import asyncio
import contextlib
from typing import Any
from urllib.parse import parse_qs

from channels.db import database_sync_to_async
from channels.generic.websocket import AsyncJsonWebsocketConsumer
from django.db import Error as DatabaseError
from django.urls import reverse

from runs import live, log_lines, logs
from runs.models import BlockRun, PipelineRun

UNAUTHENTICATED, NOT_FOUND, BAD_REQUEST = 4401, 4404, 4400
PATIENCE_AT_END = 15  # looks for the rest of a log that another machine has still to put into the store
LOOK_AGAIN = 1.0  # seconds: the floor when a hint was lost
BYTES_AT_ONCE = 128 * 1024
FAR_BEHIND = 512 * 1024  # bytes: a page that is further behind goes on near the end; a program is sent all
FAR_AT_FIRST = 3 * 1024 * 1024  # a page just opened may begin that far from the end
NEAR = 256 * 1024
EASE = 0.5  # seconds in which a page is sent that much at most
DRAWING = 5.0  # seconds at most that a page is waited for which is still drawing


class SignedInConsumer(AsyncJsonWebsocketConsumer):
    """Refuses who is not signed in; joins the groups that `groups_for` names."""

    joined: list[str]

    async def connect(self) -> None:
        self.joined = []
        user = self.scope.get("user")
        if user is None or not user.is_authenticated or not user.is_active:
            await self.refuse(UNAUTHENTICATED)
            return
        live.hub.ensure_running()
        groups = await self.groups_for()
        if groups is None:
            await self.refuse(NOT_FOUND)
            return
        for group in groups:
            await self.channel_layer.group_add(group, self.channel_name)
        self.joined = groups
        await self.accept()
        await self.opened()

    async def refuse(self, code: int) -> None:
        """Accept and close at once: a browser only then sees the code."""
        await self.accept()
        await self.close(code)

    async def disconnect(self, code: int) -> None:
        for group in self.joined:
            await self.channel_layer.group_discard(group, self.channel_name)

    async def groups_for(self) -> list[str] | None:
        raise NotImplementedError

    async def opened(self) -> None:
        """Called once the socket is open."""

    async def receive(self, text_data: str | None = None, bytes_data: bytes | None = None, **kwargs: Any) -> None:
        """Nothing is expected of the reader; what it says is not acted on."""

    async def run_changed(self, event: dict[str, Any]) -> None:
        await self.send_json({"type": "changed", "run": event["run"]})


class EventsConsumer(SignedInConsumer):
    """Every run's and incident's changes."""

    async def groups_for(self) -> list[str]:
        return [live.EVERYTHING]

    async def incident_changed(self, event: dict[str, Any]) -> None:
        await self.send_json({"type": "changed", "incident": event["incident"]})


class RunConsumer(SignedInConsumer):
    """One run's changes."""

    async def groups_for(self) -> list[str] | None:
        run_id = self.scope["url_route"]["kwargs"]["run_id"]
        exists = await database_sync_to_async(PipelineRun.objects.filter(pk=run_id).exists)()
        return [live.run_group(run_id)] if exists else None


class LogConsumer(SignedInConsumer):
    """A block run's log from an offset on, until the block run is finished and all was sent.

    Programs are sent lines as they are; pages (`format=html`) get them drawn, and of a flood only what can be read.
    """

    following: asyncio.Task[None] | None = None
    patience = FAR_AT_FIRST
    sent = -FAR_AT_FIRST  # bytes since the last pause
    eased_at = 0.0
    patience_at_end = PATIENCE_AT_END
    wants_latest = True
    drawn_to = -1  # the offset up to which a page says it has drawn; programs say nothing

    async def groups_for(self) -> list[str] | None:
        self.block_run_id = self.scope["url_route"]["kwargs"]["block_run_id"]
        query = parse_qs(self.scope["query_string"].decode())
        try:
            self.offset = int(query.get("from", ["0"])[0])
            self.attempt = int(query.get("attempt", ["0"])[0])
        except ValueError:
            return None
        self.is_page = query.get("format") == ["html"]
        self.grew, self.drew = asyncio.Event(), asyncio.Event()
        block_run = await self.look()
        if block_run is None or self.offset < 0:
            return None
        self.first = block_run
        return [live.log_group(self.block_run_id)]

    async def opened(self) -> None:
        self.following = asyncio.create_task(self.follow())

    async def disconnect(self, code: int) -> None:
        if self.following:
            self.following.cancel()
        await super().disconnect(code)

    async def receive(self, text_data: str | None = None, bytes_data: bytes | None = None, **kwargs: Any) -> None:
        """A page says how far it has drawn, so that it is not sent more than it can; nothing else is acted on."""
        if text_data and text_data.isdecimal() and len(text_data) < 20:
            self.drawn_to = int(text_data)
            self.drew.set()

    async def log_grew(self, event: dict[str, Any]) -> None:
        self.grew.set()

    async def follow(self) -> None:
        """Send what there is, then what comes; a new attempt starts a new log, unless an older one was asked for."""
        self.wants_latest = self.attempt in (0, self.first.attempt)
        while True:
            self.grew.clear()
            try:
                if await self.go_on():
                    return
            except (DatabaseError, OSError):  # the database or the logs are away: goes on when they are back
                await asyncio.sleep(LOOK_AGAIN)
                continue
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self.grew.wait(), LOOK_AGAIN)

    async def go_on(self) -> bool:
        """Send what there is by now; tell whether that was all there will be."""
        block_run = await self.look()
        if block_run is None:
            await self.close(NOT_FOUND)
            return True
        is_over = block_run.is_finished or (not self.wants_latest and block_run.attempt != self.attempt)
        if self.wants_latest and block_run.attempt != self.attempt:
            if self.attempt:  # finish the old one first: it is closed
                await self.send_all(block_run)
                self.offset = 0
            self.attempt = block_run.attempt
            await self.send_json({"type": "attempt", "attempt": self.attempt})
        if is_over and not await asyncio.to_thread(logs.is_settled, block_run, self.attempt):
            self.patience_at_end -= 1
            is_over = self.patience_at_end < 0
        await self.send_all(block_run)
        if is_over:
            await self.send_json({"type": "end", "status": block_run.status})
        return is_over

    async def send_all(self, block_run: BlockRun) -> None:
        """Send what there is by now."""
        if self.is_page:
            await self.leave_out(block_run)
        while True:
            page = await asyncio.to_thread(logs.read, block_run, self.attempt, offset=self.offset, limit=BYTES_AT_ONCE)
            new, self.offset = page.next_offset - self.offset, page.next_offset
            if page.lines:
                said = {"html": self.drawn(block_run, page)} if self.is_page else {"lines": page.lines}
                await self.send_json({"type": "lines", "attempt": self.attempt, **said, "next": self.offset})
                await self.page_has_drawn()
            if self.is_page and await self.has_paused(new):
                await self.leave_out(block_run)
            if page.at_end:
                return

    async def has_paused(self, new: int) -> bool:
        """Pause where a page was just sent as much as it can draw; tell whether that was so."""
        self.sent += new
        if self.sent < NEAR:
            return False
        loop = asyncio.get_running_loop()
        await asyncio.sleep(max(0.0, self.eased_at + EASE - loop.time()))
        self.sent, self.eased_at = 0, loop.time()
        return True

    async def page_has_drawn(self) -> None:
        """Wait until the page has drawn what it was sent: a slow one would only pile it up, and hear no click."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(DRAWING):
                while 0 <= self.drawn_to < self.offset:
                    self.drew.clear()
                    await self.drew.wait()

    async def leave_out(self, block_run: BlockRun) -> None:
        """Go on near the end of a log that grows faster than anybody reads, and say so; the file is whole."""
        patience, self.patience = self.patience, FAR_BEHIND
        size = await self.size(block_run)
        if size - self.offset <= patience:
            return
        begin = await asyncio.to_thread(logs.line_at, block_run, self.attempt, size - NEAR)
        words = f"{logs.amount(begin - self.offset)} came too fast to be shown here; they are in the whole log"
        self.offset = begin
        html = f'<li class="mark">{words}</li>'
        await self.send_json({"type": "lines", "attempt": self.attempt, "html": html, "next": self.offset})

    async def size(self, block_run: BlockRun) -> int:
        return await asyncio.to_thread(logs.size, block_run, self.attempt)

    def drawn(self, block_run: BlockRun, page: logs.Page) -> str:
        return log_lines.rows(
            page.lines, reverse("runs:log", args=[block_run.pipeline_run_id, block_run.pk, self.attempt])
        )

    @database_sync_to_async
    def look(self) -> BlockRun | None:
        fields = ("pk", "pipeline_run_id", "status", "attempt")
        return BlockRun.objects.filter(pk=self.block_run_id).only(*fields).first()
