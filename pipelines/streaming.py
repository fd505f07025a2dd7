"""Runs a streaming pipeline in one process: its source hands over batches, which go along the graph to its sinks.

Goes on until the source ends, something fails, or the process gets a SIGTERM: then the batch that is on its way is let
through, no other is begun, and source and sinks are told to let go of what they hold.
"""

import asyncio
import copy
import logging
import threading
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from pipelines import block_code, calls, compat, decorators, failures
from pipelines.failures import BlockError
from pipelines.keywords import keyword_arguments
from pipelines.stream_bases import SourceConsumeMethod
from pipelines.stream_counts import Counts
from pipelines.stream_stop import Stopping, StreamStopped

Job = Mapping[str, Any]
Tell = Callable[..., Any]  # a verb and details: pipelines.questions.ask
BEAT_SECONDS = 5.0
MARKS = {"data_loader": "streaming_source", "transformer": "transformer", "data_exporter": "streaming_sink"}
logger = logging.getLogger("stream")


def run(job: Job, tell: Tell) -> dict[str, Any]:
    """Run the stream of `job` and say what became of it: a result as of `pipelines.runtime.run_block`, with "stream"
    (what it has done) and "stopped" (it was asked to stop, and did).

    `job["stream"]` are the entries of its blocks, each with its "code"; `tell` takes a verb with details
    to the worker. Call it in the main thread: it takes SIGTERM for itself.
    """
    stopping = Stopping()
    counts = Counts([entry["uuid"] for entry in job["stream"]])
    failure = None
    tell("long_lived")
    try:
        stream(job, stopping, counts, tell)
    except StreamStopped:
        pass
    except BaseException as error:
        failure = failures.from_exception(error, job["project"])
    finally:
        stopping.is_over = True
    verdict = "failed" if failure else "completed"
    ended = {"stream": counts.as_dict(), "stopped": stopping.is_asked and failure is None}
    return {"verdict": verdict, "outputs": [], "failure": failure, **ended}


def stream(job: Job, stopping: Stopping, counts: Counts, tell: Tell) -> None:
    """Make the parts of the stream and let messages flow until it ends, however it does."""
    source_entry = check(job["stream"])
    block_code.enter(job["project"])
    compat.provide(job)
    parts: dict[str, Any] = {}
    pulse = Pulse(tell, counts, beat_seconds(job["stream"]))
    try:
        for entry in job["stream"]:
            if entry is not source_entry:
                parts[entry["uuid"]] = part_of(entry, job)
        flow = Flow(job["stream"], source_entry["uuid"], parts, stopping, counts)
        source = parts[source_entry["uuid"]] = part_of(source_entry, job)
        pulse.start()
        logger.info("%s reads; messages go through %s", source_entry["uuid"], ", ".join(flow.names()) or "nothing")
        consume(source, flow)
        logger.info("%s has ended: it gives no more messages", source_entry["uuid"])
    finally:
        stopping.is_over = True
        pulse.stop()
        in_order = dict.fromkeys((source_entry["uuid"], *parts))  # the source first, and once
        let_go([parts[uuid] for uuid in in_order if uuid in parts])


def check(entries: Sequence[Mapping[str, Any]]) -> Mapping[str, Any]:
    """Return the source; raise BlockError for what is no stream that can run here."""
    for entry in entries:
        if reason := entry.get("unsupported"):
            raise BlockError(f"block {entry['uuid']} cannot run: {reason}")
    sources = [entry for entry in entries if entry["type"] == "data_loader"]
    if len(sources) != 1:
        names = f" ({', '.join(entry['uuid'] for entry in sources)})" if sources else ""
        raise BlockError(f"a streaming pipeline has one source, a data loader; this one has {len(sources)}{names}")
    if sources[0]["upstream"]:
        raise BlockError(f"{sources[0]['uuid']} is the source: it cannot have upstream blocks")
    kinds = {entry["uuid"]: entry["type"] for entry in entries}
    for entry in entries:
        if entry is not sources[0] and not entry["upstream"]:
            raise BlockError(f"{entry['uuid']} gets no messages: it has no upstream block")
        for uuid in entry["upstream"]:
            if kinds.get(uuid) == "data_exporter":
                raise BlockError(f"{uuid} is a sink: {entry['uuid']} cannot come after it")
    return sources[0]


def beat_seconds(entries: Sequence[Mapping[str, Any]]) -> float:
    """Return how often to tell of the stream: three times at least within its shortest `heartbeat_timeout`."""
    timeouts: list[float] = [each["heartbeat_timeout"] for each in entries if each.get("heartbeat_timeout")]
    return min([BEAT_SECONDS, *(timeout / 3 for timeout in timeouts)])


# --- parts ----------------------------------------------------------------------------------------------------------


def part_of(entry: Mapping[str, Any], job: Job) -> Any:
    """Return the block's source or sink, made and connected, or its transformer: a function of the messages."""
    mark = MARKS[entry["type"]]
    found = decorators.marked(block_code.execute(job["project"], entry["file"], entry.get("code")), mark)
    if len(found) != 1:
        raise BlockError(f"block {entry['uuid']} has {len(found) or 'nothing'} marked @{mark}; it needs one")
    keywords = keyword_arguments({**job, "block": entry})
    if entry["type"] == "transformer":
        return Transformer(found[0], keywords)
    return made(found[0], {"config": entry.get("configuration") or {}, "global_vars": keywords})


def made(kind: Any, keywords: Mapping[str, Any]) -> Any:
    """Make a source or sink with what its constructor takes; a class without one of its own is connected here."""
    if not isinstance(kind, type):
        raise BlockError(f"{calls.name_of(kind)} is a function; a source or a sink is a class")
    constructor: Any = getattr(kind, "__init__")  # noqa: B009
    if constructor is not object.__init__:
        return kind(**calls.named_arguments(constructor, calls.takes(constructor), 1, keywords))
    part: Any = kind()
    if hasattr(part, "init_client"):
        part.init_client()
    return part


class Transformer:
    def __init__(self, function: decorators.Function, keywords: Mapping[str, Any]) -> None:
        self.function = function
        self.named = calls.named_arguments(function, calls.takes(function), 1, keywords)

    def __call__(self, messages: Any, extra: Mapping[str, Any]) -> Any:
        return calls.call(self.function, [messages], {**self.named, **extra} if extra else self.named)


def let_go(parts: Sequence[Any]) -> None:
    """Tell source and sinks that it is over; one that fails in that is logged and keeps no other from it."""
    for part in parts:
        for names in (("flush",), ("destroy", "close")):
            hook = next((getattr(part, name) for name in names if hasattr(part, name)), None)
            if callable(hook):
                try:
                    calls.call(hook, [], {})
                except Exception:  # users' code
                    logger.exception("%s could not be ended as it should", type(part).__name__)


# --- messages ---------------------------------------------------------------------------------------------------------


class Flow:
    """Takes batches from the source along the graph. Each block below gets messages of its own where there are many."""

    def __init__(
        self,
        entries: Sequence[Mapping[str, Any]],
        source: str,
        parts: Mapping[str, Any],
        stopping: Stopping,
        counts: Counts,
    ) -> None:
        self.source, self.parts, self.stopping, self.counts = source, parts, stopping, counts
        self.below = {
            entry["uuid"]: [other["uuid"] for other in entries if entry["uuid"] in other["upstream"]]
            for entry in entries
        }

    def names(self) -> list[str]:
        return [uuid for uuid in self.below if uuid != self.source]

    def handle(self, messages: Any, **extra: Any) -> None:
        """Take one batch through; what the source is given as its handler."""
        self.stopping.begin_batch()
        is_done = False
        try:
            self.counts.begin(messages)
            self.hand_on(self.source, messages, extra)
            is_done = True
        finally:
            self.counts.end(is_done=is_done)
            self.stopping.end_batch()

    def hand_on(self, block: str, messages: Any, extra: Mapping[str, Any]) -> None:
        below = self.below[block]
        for uuid in below:
            given = copy.deepcopy(messages) if len(below) > 1 else messages
            self.counts.give(uuid, given)
            part = self.parts[uuid]
            if isinstance(part, Transformer):
                if (made := part(given, extra)) is not None:
                    self.hand_on(uuid, made, extra)
            else:
                calls.call(part.batch_write, [given], {})


def consume(source: Any, flow: Flow) -> None:
    """Call the method of the source that its `consume_method` names; return when it has ended."""
    method = str(getattr(source, "consume_method", SourceConsumeMethod.BATCH_READ)).rpartition(".")[2].upper()
    if method == SourceConsumeMethod.READ:
        source.read(handler=lambda message, **extra: flow.handle([message], **extra))
    elif method == SourceConsumeMethod.READ_ASYNC:

        async def handle(message: Any, **extra: Any) -> None:
            await asyncio.to_thread(flow.handle, [message], **extra)

        asyncio.run(source.read_async(handler=handle))
    else:
        calls.call(source.batch_read, [], {"handler": flow.handle})


class Pulse:
    """Tells the worker every few seconds how far the stream is, from a thread of its own: also while nothing comes."""

    def __init__(self, tell: Tell, counts: Counts, every: float) -> None:
        self.tell, self.counts, self.every = tell, counts, every
        self.ended = threading.Event()
        self.thread = threading.Thread(target=self.beat, name="pulse", daemon=True)

    def start(self) -> None:
        self.thread.start()

    def stop(self) -> None:
        self.ended.set()

    def beat(self) -> None:
        while True:
            try:
                self.tell("beat", **self.counts.as_dict())
            except Exception:  # the worker is gone, and soon this process too
                return
            if self.ended.wait(self.every):
                return
