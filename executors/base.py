"""What an executor gets and gives: Work in, Outcome out. Pure values; no Django, no clock."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Protocol

HAND_BACK_GRACE = 1.0  # seconds: a worker that stops has little time


class Verdict(StrEnum):
    """How a piece of work ended."""

    COMPLETED = "completed"
    FAILED = "failed"
    CONDITION_FAILED = "condition_failed"
    NOT_YET = "not_yet"  # a sensor that is not true yet
    CANCELLED = "cancelled"  # stopped on request
    TIMED_OUT = "timed_out"
    HANDED_BACK = "handed_back"  # stopped because the worker stops; no attempt is charged
    FENCED = "fenced"  # the work was taken away meanwhile; nothing may be written


class Stop(StrEnum):
    """Why running work should stop, as its host says."""

    CANCEL = "cancel"
    TIMEOUT = "timeout"
    HAND_BACK = "hand_back"
    FENCED = "fenced"
    SILENT = "silent"  # gave no sign of health for too long: a failure


@dataclass(frozen=True, kw_only=True)
class Work:
    """One block to run once.

    `job` is the JSON object handed to `entrypoint` ("module:function") in the child; it holds all the function
    needs, secrets included, and never leaves the pipe. `timeout` and `kill_grace` are seconds.
    """

    key: str  # "<run id>-<block>-<attempt>": unique for ever, the name of an external job
    entrypoint: str
    job: Mapping[str, Any]
    timeout: float | None = None
    kill_grace: float = 10.0
    hand_back_grace: float = HAND_BACK_GRACE  # the same where it is to stop because its worker does
    session: str | None = None  # work of one session runs in one child, one after the other
    session_ends: bool = False
    env: Mapping[str, str] = field(default_factory=dict)
    config: Mapping[str, Any] = field(default_factory=dict)  # executor_config


@dataclass(frozen=True, kw_only=True)
class Failure:
    """An error as data: exception type, message, traceback trimmed to user code, and the whole one.

    `bases` are the full names of the exception's class and of those it derives from; () where there was no exception.
    """

    type: str
    message: str
    traceback: str = ""
    full_traceback: str = ""
    bases: Sequence[str] = ()

    def as_dict(self) -> dict[str, str]:
        return {
            "type": self.type,
            "message": self.message,
            "traceback": self.traceback,
            "full_traceback": self.full_traceback,
        }


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What became of a piece of work.

    `result` is what the entrypoint returned (for a block: {"outputs": [...]}). `usage` has cpu_seconds,
    peak_memory_bytes, duration_seconds, and starting_seconds: from the launch until the process took the work. `exit`
    is the exit code, or minus the signal's number.
    """

    verdict: Verdict
    result: Mapping[str, Any] = field(default_factory=dict)
    failure: Failure | None = None
    usage: Mapping[str, float] = field(default_factory=dict)
    exit: int | None = None


class Later(StrEnum):
    """What a host says to a question that it cannot answer yet."""

    LATER = "later"
    PARK = "park"  # and nothing but other work brings the answer: the work shall hold no place of its host meanwhile


# {"value": …}, or {"error": {"type", "message"}} to be raised, or {"again": seconds} to ask again after.
Answer = Mapping[str, Any]
Reply = Answer | Later


class CannotStart(Exception):
    """No process can be started here now, for the reason given; nothing has happened to the work."""


class Host(Protocol):
    """What running work may ask of and tell to whoever launched it."""

    def started(self, external_id: str) -> None:
        """The work has begun, under this name outside (a pid, a job name)."""

    def output(self, stream: str, data: bytes) -> None:
        """Raw output came on `stream` ("stdout" or "stderr")."""

    def record(self, stream: str, level: str, text: str) -> None:
        """A whole message came with its level ("INFO"), from `logging` or from the executor ("system")."""

    def should_stop(self) -> Stop | None:
        """Called at least once a second: renews the lease; says whether to stop, and why."""

    def ask(self, request: Mapping[str, Any], answer: Callable[[Answer], None]) -> Reply:
        """The work asks something. What is not answered at once is answered by `answer`, from any thread.

        Returns soon and raises nothing, whatever was asked: until it returns the work is not watched.
        """


@dataclass(frozen=True)
class Parked:
    """Work that has begun and waits for what other work must do; whoever launched it has others to launch meanwhile.

    `go_on(host)` watches it to its end, in any thread, and returns the outcome, with everything closed that it used;
    `kill()`, from another thread, ends it at once. The executor that gave this does no other work any more.
    """

    go_on: Callable[[Host], Outcome]
    kill: Callable[[], None]


class Executor(Protocol):
    """A way of doing work."""

    def launch(self, work: Work, host: Host) -> Outcome | Parked | None:
        """Do the work and return its outcome; None when it goes on elsewhere and reports by itself.

        Parked when the host said PARK: this executor is then closed to other work. Raises CannotStart.
        """

    def make_ready(self, config: Mapping[str, Any]) -> None:
        """Be able to start work of that configuration at once; raise CannotStart while that cannot be."""

    def end_session(self) -> None:
        """No more work of the last session comes."""

    def close(self) -> None:
        """Let go of everything held (children, connections)."""


Factory = Callable[[], Executor]
