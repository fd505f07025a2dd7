"""Beside the workers: closed logs are compressed and, where there is a store, put there; logs that go on, in chunks.

A worker leaves a mark, an empty file, and goes on; what is behind is done here in a thread of its own, and tried again
until it is done. So neither a slow store nor one that is away has any part in how a block ends.
"""

import contextlib
import fcntl
import logging
import os
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from django.db import Error as DatabaseError
from django.db import close_old_connections

from runs import events, logs
from runs.log_segments import folder_of, found
from runs.models import BlockRun
from runs.storing import archives, store
from runs.storing.store import ARCHIVE, CHUNKS, LINES

logger = logging.getLogger(__name__)
SMALL = 16 * 1024  # bytes: a smaller log is not compressed, a disk gives it a block or two anyway
LOOK_EVERY = 1.0
SHIP_EVERY = 2.0
CHUNK = 1024 * 1024  # bytes at most
SMALL_CHUNKS = 30  # that are made one
TRY_AGAIN = 30.0
SILENT = 60.0  # seconds without a word after which is asked whether the attempt is over: its worker may be gone


@dataclass(frozen=True, order=True)
class Log:
    """The log of an attempt, as its mark names it."""

    run_id: int
    block_run_id: int
    attempt: int

    @property
    def first(self) -> Path:
        return logs.path(self.run_id, self.block_run_id, self.attempt)

    def mark(self, kind: str) -> Path:
        return store.root() / f".{kind}" / f"{self.run_id}.{self.block_run_id}.{self.attempt}"


# --- called by workers ------------------------------------------------------------------------------------------------


def began(block_run: BlockRun) -> None:
    """Have the log of this attempt sent to the store while it goes on, if there is one. Never raises."""
    if store.store() is not None:
        with contextlib.suppress(OSError):
            touch(log_of(block_run).mark("open"))


def ended(block_run: BlockRun, size: int) -> None:
    """Have the log of this attempt compressed, and kept where logs are kept: nothing more is written. Never raises."""
    log = log_of(block_run)
    with contextlib.suppress(OSError):
        if store.store() is not None:
            touch(log.mark("closed"))
            log.mark("open").unlink(missing_ok=True)
        elif size >= SMALL:
            touch(log.mark("closed"))


def log_of(block_run: BlockRun) -> Log:
    return Log(block_run.pipeline_run_id, block_run.pk, block_run.attempt)


def touch(mark: Path) -> None:
    mark.parent.mkdir(parents=True, exist_ok=True)
    mark.touch()


def marked(kind: str) -> list[Log]:
    """Return the logs with a mark."""
    with contextlib.suppress(FileNotFoundError):
        names = [name.split(".") for name in os.listdir(store.root() / f".{kind}")]
        return sorted(Log(*map(int, name)) for name in names if len(name) == 3 and all(map(str.isdigit, name)))
    return []


# --- what is done with them -------------------------------------------------------------------------------------------


def archive(log: Log) -> None:
    """Put a closed log, compressed, where logs are kept; then it is nowhere else. Raises OSError; nothing is lost."""
    parts = logs.parts_at(log.first)
    where = store.store()
    here = found(log.first)
    if parts or here:
        target = store.archive_beside(log.first)
        target.parent.mkdir(parents=True, exist_ok=True)
        fresh = target.with_name(target.name + ".new")
        with open(fresh, "wb") as file:
            archives.write(parts, file)
        if where is None:
            fresh.replace(target)
        else:
            where.upload(fresh, store.stem(log.first) + ARCHIVE)
            where.remove(store.stem(log.first) + CHUNKS)
            fresh.unlink()
            target.unlink(missing_ok=True)
    for part in reversed(here):  # the first file last: with it the log is found
        part.path.unlink(missing_ok=True)
    for folder in (folder_of(log.first), log.first.parent) if where else (folder_of(log.first),):
        with contextlib.suppress(OSError):  # others are in it
            folder.rmdir()
    log.mark("closed").unlink(missing_ok=True)


@dataclass
class Shipping:
    """How far a log that goes on was sent, and where its last chunks begin that are not full."""

    sent: int
    grew_at: float
    small: list[int] = field(default_factory=list)


class Keeper:
    """The thread. One per machine is at work, whoever has the lock."""

    def __init__(self) -> None:
        self.shipping: dict[Log, Shipping] = {}
        self.put_off: dict[Log, float] = {}
        self.shipped_at = 0.0
        self.problem = ""

    def work(self) -> None:
        """Go on for ever."""
        with contextlib.suppress(OSError, AttributeError):  # after those whom people wait for
            os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), 10)
        while True:
            try:
                with only_one():
                    while True:
                        close_old_connections()
                        self.turn(time.monotonic())
                        time.sleep(LOOK_EVERY)
            except BlockingIOError:
                time.sleep(LOOK_EVERY)
            except Exception:  # one turn of the loop: whatever it is, logs wait meanwhile and nothing else
                logger.exception("something went wrong while logs were put away")
                time.sleep(TRY_AGAIN)

    def turn(self, now: float) -> None:
        for log in marked("closed"):
            if self.put_off.get(log, 0.0) <= now:
                self.put_away(log, now)
        if store.store() is not None and now - self.shipped_at >= SHIP_EVERY:
            self.shipped_at = now
            self.ship(now)

    def put_away(self, log: Log, now: float) -> None:
        try:
            archive(log)
        except OSError as error:
            self.put_off[log] = now + TRY_AGAIN
            self.tell(log, error)
            return
        self.put_off.pop(log, None)
        self.problem = ""

    def tell(self, log: Log, error: OSError) -> None:
        """Say once, until something goes well again, what hinders; the mark keeps it for those who look."""
        words = str(error)
        with contextlib.suppress(OSError):
            log.mark("closed").write_text(words)
        if words.partition(":")[0] != self.problem.partition(":")[0]:
            logger.warning("logs stay on this machine, trying again every %.0f s: %s", TRY_AGAIN, words)
        self.problem = words

    def ship(self, now: float) -> None:
        """Send what is new of the logs that go on."""
        open_logs = marked("open")
        for log in open_logs:
            try:
                self.ship_on(log, now)
            except OSError as error:
                logger.debug("a log that goes on was not sent: %s", error)
                return  # the others later: the store is away
        for log in set(self.shipping) - set(open_logs):
            del self.shipping[log]

    def ship_on(self, log: Log, now: float) -> None:
        state = self.shipping.get(log)
        if state is None:
            state = self.shipping[log] = Shipping(sent_before(log), now)
        if send_chunks(log, state):
            state.grew_at = now
        elif now - state.grew_at > SILENT:
            state.grew_at = now
            if is_over(log):
                touch(log.mark("closed"))
                log.mark("open").unlink(missing_ok=True)


def sent_before(log: Log) -> int:
    where = store.store()
    assert where is not None
    return max((chunk.end for chunk in store.chunks(where, store.stem(log.first))), default=0)


def send_chunks(log: Log, state: Shipping) -> bool:
    """Send whole lines from where it stopped; tell whether there were any."""
    where, grew = store.store(), False
    assert where is not None
    for part in found(log.first):
        at = max(part.start, state.sent)
        while at < part.end:
            data = part.read(at, CHUNK)
            data = data[: data.rfind(b"\n") + 1]
            if not data:
                break
            where.write(chunk_name(log, at), data)
            state.small = [*state.small, at] if len(data) < CHUNK // 2 else []
            at = state.sent = at + len(data)
            grew = True
    if len(state.small) >= SMALL_CHUNKS:
        make_one(log, state)
    if grew:
        events.publish_log(log.block_run_id, state.sent)
    return grew


def make_one(log: Log, state: Shipping) -> None:
    """Put one chunk in the place of many small ones: a log may go on for days, a line at a time."""
    where = store.store()
    assert where is not None
    begin, *others = state.small
    part = next((part for part in found(log.first) if part.start <= begin < part.end), None)
    data = part.read(begin, state.sent - begin) if part else b""
    if begin + len(data) == state.sent:
        where.write(chunk_name(log, begin), data)
        for other in others:
            where.remove(chunk_name(log, other))
        state.small = [begin] if len(data) < CHUNK else []
    else:
        state.small = []


def chunk_name(log: Log, start: int) -> str:
    return f"{store.stem(log.first)}{CHUNKS}/{start:015d}{LINES}"


def is_over(log: Log) -> bool:
    """Tell whether the attempt was ended, without its worker or by another."""
    try:
        row = BlockRun.objects.filter(pk=log.block_run_id).only("attempt", "status").first()
    except DatabaseError:
        return False
    return row is None or row.attempt > log.attempt or row.is_finished


@contextlib.contextmanager
def only_one() -> Iterator[None]:
    """Hold the lock of this machine's logs; raise BlockingIOError while another process has it."""
    store.root().mkdir(parents=True, exist_ok=True)
    with open(store.root() / ".keeper", "wb") as file:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield


def finish() -> None:
    """Put away now what is closed, for a process that ends: what cannot be is left to the next server."""
    with contextlib.suppress(OSError), only_one():
        keeper = Keeper()
        keeper.turn(time.monotonic())


@dataclass(frozen=True)
class Backlog:
    """Closed logs that are not where they belong yet, and what hinders."""

    waiting: int
    problem: str


def backlog() -> Backlog:
    waiting = marked("closed")
    with contextlib.suppress(OSError):
        problems = (log.mark("closed").read_text()[:500] for log in waiting[:20])
        return Backlog(len(waiting), next((problem for problem in problems if problem), ""))
    return Backlog(len(waiting), "")


thread: threading.Thread | None = None


def errand() -> None:
    """See that the thread is there: an errand of each cluster of workers."""
    global thread
    if thread is None or not thread.is_alive():
        thread = threading.Thread(target=Keeper().work, name="keeper of logs", daemon=True)
        thread.start()
