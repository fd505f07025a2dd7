"""The one websocket of an open page: it is told when to look again, and sent the log that it follows.

The page says {"hidden": true} when nobody sees it, {"follow": block run, "from": offset, "attempt": n, "log": k} to be
sent a log instead of the one before (0 is none), and {"drawn": offset, "log": k}. It is told {"type": "changed",
"wait": ms}, and what `runs.log_follower` sends, with the "log" it is for. What is not understood is not minded.
"""

import asyncio
import json
from typing import Any
from urllib.parse import parse_qs

from django.db import Error as DatabaseError

from runs import live
from runs.consumers import SignedInConsumer
from runs.log_follower import LOOK_AGAIN, LogFollower
from runs.pacing import pace

LONGEST = 1000  # characters that a page says at once
HIGHEST = 2**63
SETTLE = 0.03  # seconds before a look: several changes at once are one
QUICK = 0.1  # seconds between two looks after a rest: a short run begins and ends within them
PAUSE = 0.3  # and while changes go on: several are one look
REST = 1.0


class PageConsumer(SignedInConsumer):
    """Of one run (`?run=17`), of none (0, where only a log is followed), or of everything."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.changed, self.is_seen = asyncio.Event(), asyncio.Event()
        self.is_seen.set()
        self.changed_at = self.looks_at = 0.0
        self.following: asyncio.Task[None] | None = None
        self.follower: LogFollower | None = None
        self.log = 0  # which following it is, as the page counts them

    async def groups_for(self) -> tuple[str, ...] | None:
        run = parse_qs(self.scope["query_string"].decode()).get("run")
        if run is None:
            return (live.EVERYTHING,)
        run_id = number_of(run[0])
        if run_id == 0:
            return ()
        return (live.run_group(run_id),) if run_id is not None and await self.has_run(run_id) else None

    async def disconnect(self, code: int) -> None:
        self.stop_following()
        await super().disconnect(code)

    # --- when to look

    def hear(self, kind: str, number: int) -> None:
        self.note_change()

    def note_change(self) -> None:
        self.changed_at = asyncio.get_running_loop().time()
        self.changed.set()

    async def tell(self) -> None:
        """Say when to look, whenever something changed that the look before does not show.

        First of all when the socket is new, as the page may have missed something before: in a line of its own, behind
        which no change waits when many pages open at once.
        """
        if not self.groups_heard:
            return
        loop = asyncio.get_running_loop()
        told_at = loop.time()
        await self.say_when_to_look(SETTLE + pace.turn("opened", told_at))
        while True:
            await self.changed.wait()
            await self.is_seen.wait()
            self.changed.clear()
            if self.changed_at < self.looks_at:
                continue
            now = loop.time()
            wait = SETTLE + pace.turn(self.groups_heard[0].partition(".")[0], now)
            pause = QUICK if now - told_at > REST else PAUSE
            told_at, self.looks_at = now, now + wait
            await self.say_when_to_look(wait)
            await asyncio.sleep(max(wait, pause))

    async def say_when_to_look(self, wait: float) -> None:
        await self.send_json({"type": "changed", "wait": round(1000 * wait)})

    def see(self, *, is_hidden: bool) -> None:
        """Tell a page that nobody sees nothing, and that somebody sees again to look."""
        if is_hidden:
            self.is_seen.clear()
            self.note_change()
        else:
            self.is_seen.set()

    # --- what the page says

    async def receive(self, text_data: str | None = None, bytes_data: bytes | None = None, **kwargs: Any) -> None:
        said = understood(text_data or "")
        if "hidden" in said:
            self.see(is_hidden=said["hidden"] is True)
        elif "follow" in said:
            self.follow(*(number_of(said.get(name, 0)) for name in ("follow", "from", "attempt", "log")))
        elif self.follower and said.get("log") == self.log:
            offset = number_of(said.get("drawn"))
            if offset is not None:
                self.follower.has_drawn(offset)

    def follow(self, block_run_id: int | None, offset: int | None, attempt: int | None, log: int | None) -> None:
        if block_run_id is None or offset is None or attempt is None or log is None:
            return
        self.stop_following()
        if not block_run_id:
            return

        async def send(message: dict[str, Any]) -> None:
            await self.send_json({**message, "log": log})

        self.log = log
        self.follower = LogFollower(send, block_run_id, offset=offset, attempt=attempt, is_page=True)
        self.follower.has_drawn(offset)
        self.following = asyncio.create_task(self.alone(self.keep_following(self.follower)))

    async def keep_following(self, follower: LogFollower) -> None:
        while True:
            try:
                found = await follower.find()
                break
            except DatabaseError:  # away for now
                await asyncio.sleep(LOOK_AGAIN)
        if not (found and await follower.follow()):
            await follower.send({"type": "gone"})

    def stop_following(self) -> None:
        if self.following:
            self.following.cancel()
        self.following = self.follower = None


def understood(text: str) -> dict[str, Any]:
    """Return what a page says, or nothing."""
    try:
        said = json.loads(text) if len(text) <= LONGEST else None
    except (ValueError, RecursionError):
        return {}
    return said if isinstance(said, dict) else {}


def number_of(value: object) -> int | None:
    """Return a whole number of a query or a message, or None for what is none that the database could know."""
    if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) < 20:
        value = int(value)
    return value if type(value) is int and 0 <= value < HIGHEST else None
