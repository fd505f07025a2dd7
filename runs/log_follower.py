"""Follows a block run's log for a websocket: sends what there is from an offset on, then what comes."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from typing import Any

from channels.db import database_sync_to_async
from django.db import Error as DatabaseError
from django.urls import reverse

from runs import live, log_lines, logs
from runs.models import BlockRun

Send = Callable[[dict[str, Any]], Awaitable[None]]
PATIENCE_AT_END = 15  # looks for the rest of a log that another machine has still to put into the store
LOOK_AGAIN = 1.0  # seconds: the floor when a hint was lost
BYTES_AT_ONCE = 128 * 1024
FAR_BEHIND = 512 * 1024  # bytes: a page that is further behind goes on near the end; a program is sent all
FAR_AT_FIRST = 3 * 1024 * 1024  # a page just opened may begin that far from the end
NEAR = 256 * 1024
EASE = 0.5  # seconds in which a page is sent that much at most
DRAWING = 5.0  # seconds at most that a page is waited for which is still drawing


class LogFollower:
    """Follows until the block run is finished and all was sent.

    Programs are sent lines as they are; pages get them drawn, and of a flood only what can be read.
    """

    def __init__(self, send: Send, block_run_id: int, *, offset: int = 0, attempt: int = 0, is_page: bool) -> None:
        """`attempt` 0 is the newest."""
        self.send = send
        self.block_run_id, self.offset, self.attempt = block_run_id, offset, attempt
        self.is_page = is_page
        self.block_run: BlockRun | None = None
        self.looks_at = 0.0  # when the row is looked at again, if nobody rings for its run
        self.grew, self.drew = asyncio.Event(), asyncio.Event()
        self.drawn_to = -1  # the offset up to which a page says it has drawn; programs say nothing
        self.wants_latest = True
        self.patience = FAR_AT_FIRST
        self.patience_at_end = PATIENCE_AT_END
        self.sent = -FAR_AT_FIRST  # bytes since the last pause
        self.eased_at = 0.0

    async def find(self) -> bool:
        """Tell whether there is such a block run. Comes before `follow`."""
        block_run = self.block_run = await self.look()
        if block_run is not None:
            self.wants_latest = self.attempt in (0, block_run.attempt)
        return block_run is not None

    def hear(self, kind: str, number: int) -> None:
        if kind == "run":
            self.looks_at = 0.0
        self.grew.set()

    def has_drawn(self, offset: int) -> None:
        """Take a page's word for how far it has drawn, so that it is not sent more than it can."""
        self.drawn_to = offset
        self.drew.set()

    async def follow(self) -> bool:
        """Send what there is, then what comes; a new attempt starts a new log, unless an older one was asked for.

        Return False when the block run is gone.
        """
        assert self.block_run is not None
        groups = live.log_group(self.block_run_id), live.run_group(self.block_run.pipeline_run_id)
        for group in groups:
            live.hub.join(group, self)
        try:
            return await self.go_on_to_the_end()
        finally:
            for group in groups:
                live.hub.leave(group, self)

    async def go_on_to_the_end(self) -> bool:
        while True:
            self.grew.clear()
            try:
                block_run = await self.row()
                if block_run is None or await self.go_on(block_run):
                    return block_run is not None
            except (DatabaseError, OSError):  # the database or the logs are away: goes on when they are back
                await asyncio.sleep(LOOK_AGAIN)
                continue
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self.grew.wait(), LOOK_AGAIN)

    async def row(self) -> BlockRun | None:
        """Return the row as it is, or was within the last second if nobody rang for its run since."""
        now = asyncio.get_running_loop().time()
        if now >= self.looks_at:
            self.looks_at = now + LOOK_AGAIN  # before looking: a ring meanwhile means one more look
            try:
                self.block_run = await self.look()
            except DatabaseError:
                self.looks_at = 0.0
                raise
        return self.block_run

    async def go_on(self, block_run: BlockRun) -> bool:
        """Send what there is by now; tell whether that was all there will be."""
        is_over = block_run.is_finished or (not self.wants_latest and block_run.attempt != self.attempt)
        if self.wants_latest and block_run.attempt != self.attempt:
            if self.attempt:  # finish the old one first: it is closed
                await self.send_all(block_run)
                self.offset = 0
            self.attempt = block_run.attempt
            await self.send({"type": "attempt", "attempt": self.attempt})
        if is_over and not await asyncio.to_thread(logs.is_settled, block_run, self.attempt):
            self.patience_at_end -= 1
            is_over = self.patience_at_end < 0
        await self.send_all(block_run)
        if is_over:
            await self.send({"type": "end", "status": block_run.status})
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
                await self.send({"type": "lines", "attempt": self.attempt, **said, "next": self.offset})
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
        size = await asyncio.to_thread(logs.size, block_run, self.attempt)
        if size - self.offset <= patience:
            return
        begin = await asyncio.to_thread(logs.line_at, block_run, self.attempt, size - NEAR)
        words = f"{logs.amount(begin - self.offset)} came too fast to be shown here; they are in the whole log"
        self.offset = begin
        html = f'<li class="mark">{words}</li>'
        await self.send({"type": "lines", "attempt": self.attempt, "html": html, "next": self.offset})

    def drawn(self, block_run: BlockRun, page: logs.Page) -> str:
        return log_lines.rows(
            page.lines, reverse("runs:log", args=[block_run.pipeline_run_id, block_run.pk, self.attempt])
        )

    @database_sync_to_async
    def look(self) -> BlockRun | None:
        fields = ("pk", "pipeline_run_id", "status", "attempt")
        return BlockRun.objects.filter(pk=self.block_run_id).only(*fields).first()
