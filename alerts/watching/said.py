"""What logs say: the logs of finished runs, read in a thread and searched for the texts that rules name.

A text is looked for in each line, letters of either case alike; * stands for anything. Of a log at most the first and
the last 2 MB are read, of a line 4,000 characters; of a run at most 200 blocks are.
"""

import logging
import queue
import threading
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from alerts.kinds import Pattern
from alerts.models import Kind
from alerts.watching.event_cursor import EventCursor, Line
from alerts.watching.look import Look, Subject, covers, fingerprint_of
from runs import logs
from runs.models import BlockRun, Event, PipelineRun

logger = logging.getLogger(__name__)
ENDS = ("completed", "failed", "timed_out", "cancelled")
EVENTS_AT_ONCE, BLOCKS_OF_RUN = 200, 200
TURN = 0.1  # seconds
MOST_BYTES, PIECE = 2 * 1024**2, 256 * 1024
LONGEST_LINE = 4000


@dataclass(frozen=True)
class Job:
    """A run whose logs are to be searched: for each block run, for the parts of each text."""

    event_id: int
    run: PipelineRun
    block_runs: Sequence[BlockRun]
    texts: Sequence[str]
    ended_at: datetime
    has_completed: bool


@dataclass(frozen=True)
class Hit:
    """The first line of a log that says a text."""

    block_run: BlockRun
    text: str
    line: str


@dataclass(frozen=True)
class Result:
    job: Job
    hits: Sequence[Hit]


class Reader:
    """Gives runs to the thread, those of 200 events at a time, and writes down what it found; has its own bookmark."""

    def __init__(self) -> None:
        self.cursor = EventCursor("logs")
        self.jobs: queue.SimpleQueue[Job] = queue.SimpleQueue()
        self.results: queue.SimpleQueue[Result] = queue.SimpleQueue()
        self.thread: threading.Thread | None = None
        self.outstanding = 0
        self.idle_at: int | None = None  # the last event that no rule about logs can mean

    def look_at(self, look: Look, read_to: int | None = None) -> None:
        """Take what was found and give the next runs; nothing at all while no rule is about logs.

        `read_to` is the last event that was known before this look: a rule that is made begins after it.
        """
        if not look.has(Kind.LOG_PATTERN) and not self.outstanding:
            self.idle_at = read_to
            return
        if self.idle_at is not None:
            self.cursor.skip_to(self.idle_at, look.moment)
            self.idle_at = None
        for result in [self.results.get() for _ in range(self.results.qsize())]:
            self.outstanding -= 1
            take(look, result)
        if self.outstanding:
            return
        self.cursor.save(look.moment)  # everything that was given is done
        until = time.monotonic() + TURN
        while not self.outstanding and time.monotonic() < until:
            lines = self.cursor.news(look.moment, EVENTS_AT_ONCE)
            for job in jobs(look, lines):
                self.give(job)
            if not self.outstanding:
                self.cursor.save(look.moment)
            if not lines:
                return

    def begin_again(self) -> None:
        """Read on from the bookmark. What the thread is at is written down all the same when it is done."""
        self.cursor = EventCursor("logs")

    def give(self, job: Job) -> None:
        if self.thread is None:
            self.thread = threading.Thread(target=self.work, name="alerts-logs", daemon=True)
            self.thread.start()
        self.outstanding += 1
        self.jobs.put(job)

    def work(self) -> None:
        while True:
            job = self.jobs.get()
            try:
                hits = list(search(job))
            except Exception:  # one run's logs: the next ones are read all the same
                logger.exception("the logs of run %s could not be searched", job.run.pk)
                hits = []
            self.results.put(Result(job, hits))


def jobs(look: Look, lines: Iterable[Line]) -> Iterator[Job]:
    """Return what is to be searched of the runs that these events end, since there is a rule."""
    since = min((each.rule.created_at for each in look.rules(Kind.LOG_PATTERN)), default=look.moment)
    ids = [line.id for line in lines if line.kind in ENDS and line.happened_at >= since]
    if not ids:
        return
    rows = Event.objects.filter(pk__in=ids).select_related("pipeline_run__pipeline")
    wide = ("variables", "variable_origins", "event", "retry_config", "limits", "callbacks", "pipeline__problems")
    for event in rows.defer(*(f"pipeline_run__{name}" for name in wide)).order_by("pk"):
        run = event.pipeline_run
        rules = [
            each for each in look.rules(Kind.LOG_PATTERN) if covers(each.rule, Subject.of(run, each.rule.block_uuid))
        ]
        texts = [each.told.pattern for each in rules if isinstance(each.told, Pattern)]
        if not texts:
            continue
        wanted = {each.rule.block_uuid for each in rules}
        begun = run.block_runs.filter(started_at__isnull=False)
        begun = begun if "" in wanted else begun.filter(block_uuid__in=wanted)
        rows_of_run = list(begun.only("block_uuid", "attempt", "pipeline_run_id").order_by("id")[:BLOCKS_OF_RUN])
        yield Job(event.pk, run, rows_of_run, texts, event.happened_at, event.kind == "completed")


def take(look: Look, result: Result) -> None:
    """Write down what was said, and close what a completed run did not say again."""
    run, broken = result.job.run, set()
    for hit in result.hits:
        subject = Subject.of(run, hit.block_run.block_uuid)
        for watched in look.rules(Kind.LOG_PATTERN, subject):
            if isinstance(watched.told, Pattern) and watched.told.pattern == hit.text:
                key = f"block run {hit.block_run.pk} attempt {hit.block_run.attempt}"
                title = f"The log of {subject.name} says “{hit.text}”"
                message = f"Run {run.pk}: {hit.line}"
                look.breaks(watched.rule, key, subject, title=title, message=message, at=result.job.ended_at)
                broken.add(fingerprint_of(watched.rule, subject))
    if not result.job.has_completed:
        return
    for incident in look.open_of(run.pipeline_id):
        is_about_it = incident.rule is not None and incident.rule.kind == Kind.LOG_PATTERN
        is_mine = incident.trigger_id in (None, run.trigger_id)
        if is_about_it and is_mine and incident.fingerprint not in broken and (incident.run_id or 0) < run.pk:
            look.heal(incident.fingerprint, f"Run {run.pk} completed without saying it")


# --- searching: in the thread, without the database -----------------------------------------------------------------


def search(job: Job) -> Iterator[Hit]:
    """Find the first line of each log that says a text, for each text."""
    for block_run in job.block_runs:
        wanted = {text: parts_of(text) for text in job.texts}
        for line in lines_of(block_run):
            lower = line.lower()
            for text in [text for text, parts in wanted.items() if says(lower, parts)]:
                yield Hit(block_run, text, line)
                del wanted[text]
            if not wanted:
                break


def lines_of(block_run: BlockRun) -> Iterator[str]:
    """Return the lines of a log; of a long one those at its beginning and its end."""
    size = logs.size(block_run, block_run.attempt)
    spans = [(0, size)] if size <= 2 * MOST_BYTES else [(0, MOST_BYTES), (size - MOST_BYTES, size)]
    for begin, end in spans:
        offset = begin
        while offset < end:
            page = logs.read(block_run, offset=offset, limit=PIECE)
            yield from (str(line.get("m", ""))[:LONGEST_LINE] for line in page.lines)
            if page.at_end or page.next_offset <= offset:
                return
            offset = page.next_offset


def parts_of(text: str) -> list[str]:
    return [part for part in text.lower().split("*") if part]


def says(line: str, parts: Sequence[str]) -> bool:
    """Tell whether the parts come in the line in this order. Takes as long as the line, whatever the text."""
    place = 0
    for part in parts:
        place = line.find(part, place)
        if place < 0:
            return False
        place += len(part)
    return True
