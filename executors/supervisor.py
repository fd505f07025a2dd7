"""One worker's hold on a child: give it a job, watch, limit and end it."""

import contextlib
import os
import selectors
import signal
import time
from collections.abc import Mapping
from functools import partial
from typing import Any

from executors.answers import MOST_QUESTIONS, Answers
from executors.base import Failure, Host, Later, Outcome, Stop, Verdict, Work
from executors.channel import ChannelClosed, send
from executors.forking import Child, ForkServer, ForkServerGone

CHECK_SECONDS = 0.25  # how often the host is asked whether to stop
READ_AT_ONCE = 1 << 18
# What taking in a message may raise: users' code can reach the channel, and what it says there is not believed.
NONSENSE = (ChannelClosed, OSError, ValueError, TypeError, LookupError, AttributeError)
TOO_MANY = {"error": {"type": "CannotAsk", "message": f"{MOST_QUESTIONS} questions of this block wait already"}}
TAKES_ANSWER_SECONDS = 5.0  # a block that asks and does not listen is ended


class Supervision:
    """Watches one job in one child until it ends."""

    def __init__(self, server: ForkServer, child: Child, work: Work, host: Host, since: float | None = None) -> None:
        """`since`: when the work was launched, by the monotonic clock (default: now)."""
        self.server, self.child, self.work, self.host = server, child, work, host
        self.pipes: dict[int, str] = {}
        self.selector = selectors.DefaultSelector()
        self.stop: Stop | None = None
        self.kill_at: float | None = None
        self.result: tuple[dict[str, Any], dict[str, float]] | None = None
        self.exit: dict[str, Any] | None = None
        self.has_begun = False
        self.since = since or time.monotonic()
        self.starting_seconds: float | None = None
        self.nonsense = ""
        self.answers = Answers()
        self.is_parking = False  # the host does not want to watch it here any longer
        self.next_check = 0.0
        self.overdue_at: float | None = None

    def run(self, ends: tuple[int, int]) -> Outcome | None:
        """Hand the job over, watch, and return what became of it; None when it is to be parked: then `go_on`.

        `ends`: what `open_pipes` returned.
        """
        try:
            self.hand_over(ends)
        except BaseException:
            self.let_go()
            raise
        return self.go_on(self.host)

    def go_on(self, host: Host) -> Outcome | None:
        """Watch on, on behalf of this host."""
        self.host, self.is_parking = host, False
        try:
            self.watch()
            if self.is_to_be_parked():
                return None
            self.drain()
        except BaseException:
            self.let_go()
            raise
        self.let_go()
        return self.outcome()

    def is_to_be_parked(self) -> bool:
        return self.is_parking and self.result is None and self.exit is None and self.stop is None

    def let_go(self) -> None:
        """Close what only this block used, and end it if it should have ended."""
        for descriptor in self.pipes:
            os.close(descriptor)
        self.selector.close()
        self.answers.close()
        if self.stop is not None and self.exit is None:
            with contextlib.suppress(ForkServerGone):
                self.server.say({"kill": self.child.pid})
        self.server.clear_folder()

    def open_pipes(self) -> tuple[int, int]:
        """Have pipes for what the child writes, and return its ends of them; OSError when there are none to be had."""
        ends = []
        try:
            for stream in ("stdout", "stderr"):
                descriptor, end = os.pipe()
                ends.append(end)
                self.pipes[descriptor] = stream
                os.set_blocking(descriptor, False)
                self.selector.register(descriptor, selectors.EVENT_READ)
        except OSError:
            for end in ends:
                os.close(end)
            self.let_go()
            self.child.channel.close()
            raise
        return ends[0], ends[1]

    def hand_over(self, ends: tuple[int, int]) -> None:
        """Give the child its job and the ends of the pipes that it writes to."""
        self.selector.register(self.child.channel, selectors.EVENT_READ)
        self.selector.register(self.server.control, selectors.EVENT_READ)
        self.selector.register(self.answers.descriptor, selectors.EVENT_READ)
        order = {
            "entrypoint": self.work.entrypoint,
            "job": dict(self.work.job),
            "env": {"TMPDIR": self.server.folder, **self.work.env},
            "limits": limits_of(self.work),
            "last": self.work.session is None or self.work.session_ends,
        }
        self.child.channel.setblocking(True)
        try:
            send(self.child.channel, ["job", order], ends)
        except OSError:
            pass  # it is gone already; its exit tells why
        finally:
            self.child.channel.setblocking(False)
            for end in ends:
                os.close(end)
        self.host.started(str(self.child.pid))
        if self.work.session is None:
            self.server.ask()
        began = time.monotonic()
        self.next_check = began + CHECK_SECONDS
        self.overdue_at = began + self.work.timeout if self.work.timeout else None

    def watch(self) -> None:
        """Pass on what the block says until it has ended; end it when the host asks, or when its time is over.

        Returns before when it is to be parked.
        """
        while not self.is_to_be_parked():
            now = time.monotonic()
            until = min(moment for moment in (self.next_check, self.overdue_at, self.kill_at) if moment is not None)
            for key, _ in self.selector.select(max(0.0, until - now)):
                self.take(key.fileobj)
            if self.exit is not None or (self.result is not None and self.stop is None):
                break
            if self.result is not None and self.kill_at is not None:
                self.kill_at = None  # its function has ended, what it started goes with its process
                self.server.say({"kill": self.child.pid})
            now = time.monotonic()
            if now >= self.next_check:
                self.next_check = now + CHECK_SECONDS
                if stop := self.host.should_stop():
                    self.end(stop)
            if self.overdue_at is not None and now >= self.overdue_at:
                self.overdue_at = None
                self.end(Stop.TIMEOUT)
            if self.kill_at is not None and now >= self.kill_at:
                self.kill_at = None
                self.server.say({"kill": self.child.pid})

    def take(self, source: Any) -> None:
        """Take in what is readable on one of the sources."""
        if source is self.server.control:
            self.server.hear()
            self.exit = self.server.exit
        elif source is self.child.channel:
            self.take_messages()
        elif source == self.answers.descriptor:
            self.send_answers()
        else:
            self.take_bytes(source)

    def take_messages(self) -> None:
        try:
            alive = self.child.reader.read()
            for message in self.child.reader.messages():
                self.take_message(message)
        except BlockingIOError:
            return
        except NONSENSE as error:
            alive = False
            self.nonsense = f"{type(error).__name__}: {error}"
            self.server.say({"kill": self.child.pid})
        if not alive:
            self.selector.unregister(self.child.channel)

    def take_message(self, message: list[Any]) -> None:
        if message[0] == "out":
            self.host.output(message[1], message[2].encode("utf-8", "replace"))
        elif message[0] == "record":
            self.host.record("log", message[1], message[2])
        elif message[0] == "ask":
            self.ask(int(message[1]), dict(message[2]))
        elif message[0] == "begun" and not self.has_begun:
            self.has_begun = True
            self.starting_seconds = round(time.monotonic() - self.since, 6)
        elif message[0] == "result":
            self.result = (checked(message[1]), dict(message[2]))

    def ask(self, number: int, request: dict[str, Any]) -> None:
        if not self.answers.expect(number):
            self.answers.give(number, TOO_MANY)
            return
        reply = self.host.ask(request, partial(self.answers.give, number))
        if reply is Later.PARK:
            self.is_parking = True
        elif not isinstance(reply, Later):
            self.answers.give(number, reply)

    def send_answers(self) -> None:
        """Send what was answered; a block that has ended needs it no more."""
        channel = self.child.channel
        channel.settimeout(TAKES_ANSWER_SECONDS)
        try:
            for number, answer in self.answers.take():
                send(channel, ["answer", number, dict(answer)])
        except TimeoutError:
            self.nonsense = "it asks without listening"
            self.server.say({"kill": self.child.pid})
        except OSError:
            pass  # it is gone; its exit tells why
        finally:
            channel.setblocking(False)

    def take_bytes(self, descriptor: int) -> bool:
        try:
            data = os.read(descriptor, READ_AT_ONCE)
        except BlockingIOError:
            return False
        if data:
            self.host.output(self.pipes[descriptor], data)
        else:
            self.selector.unregister(descriptor)
        return bool(data)

    def drain(self) -> None:
        """Read what is left without waiting: something that outlives the block may hold the pipes open."""
        if self.result is None:
            with contextlib.suppress(OSError):
                while self.child.reader.read():
                    pass
            with contextlib.suppress(*NONSENSE):
                for message in self.child.reader.messages():
                    self.take_message(message)
        for descriptor in self.pipes:
            for _ in range(64):
                if not self.take_bytes_quietly(descriptor):
                    break

    def take_bytes_quietly(self, descriptor: int) -> bool:
        try:
            return self.take_bytes(descriptor)
        except KeyError:  # was at its end before
            return False

    def end(self, stop: Stop) -> None:
        """Begin to end the child: SIGTERM to its group, SIGKILL to everything of it after the grace."""
        if self.stop is not None or self.has_just_ended():
            return
        self.stop = stop
        graces = {Stop.FENCED: 0.0, Stop.HAND_BACK: min(self.work.kill_grace, self.work.hand_back_grace)}
        grace = graces.get(stop, self.work.kill_grace)
        self.kill_at = time.monotonic() + grace
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.child.pid, signal.SIGTERM)

    def has_just_ended(self) -> bool:
        """Look once more: a block that has done its work is not to be stopped, and done again."""
        if self.child.channel in self.selector.get_map():
            self.take_messages()
        return self.result is not None

    def outcome(self) -> Outcome:
        if self.exit and self.exit["left"]:
            self.host.record(
                "system", "WARNING", f"{self.exit['left']} processes that the block left behind were ended"
            )
        status = self.exit["status"] if self.exit else 0
        if self.stop is not None:
            return self.stopped(status)
        if self.result is None:
            return Outcome(
                verdict=Verdict.FAILED, failure=death(status, self.nonsense), usage=self.usage(), exit=status
            )
        result, usage = self.result
        failure = result.get("failure")
        return Outcome(
            verdict=Verdict(result["verdict"]),
            result=result,
            failure=Failure(**failure) if failure else None,
            usage=self.usage(usage),
            exit=status,
        )

    def stopped(self, status: int) -> Outcome:
        verdicts = {
            Stop.CANCEL: Verdict.CANCELLED,
            Stop.TIMEOUT: Verdict.TIMED_OUT,
            Stop.HAND_BACK: Verdict.HANDED_BACK,
            Stop.FENCED: Verdict.FENCED,
            Stop.SILENT: Verdict.FAILED,
        }
        assert self.stop is not None
        failure = None
        if self.stop is Stop.TIMEOUT:
            failure = Failure(type="Timeout", message=f"did not finish within {self.work.timeout:g} s and was ended")
        if self.stop is Stop.SILENT:
            failure = Failure(type="HeartbeatTimeout", message="gave no sign of health for too long and was ended")
        return Outcome(verdict=verdicts[self.stop], failure=failure, usage=self.usage(), exit=status)

    def usage(self, used: Mapping[str, float] | None = None) -> dict[str, float]:
        """Put beside what the child used how long it took until it began."""
        began = {} if self.starting_seconds is None else {"starting_seconds": self.starting_seconds}
        return {**(used or {}), **began}


def limits_of(work: Work) -> dict[str, int]:
    """RLIMIT_* by name: `resources: {memory: bytes}` of the block limits its address space."""
    memory = work.config.get("memory_bytes")
    return {"AS": int(memory)} if memory else {}


def checked(result: dict[str, Any]) -> dict[str, Any]:
    """Return a result that has the shape of one; raise for nonsense."""
    Verdict(result["verdict"])
    if failure := result.get("failure"):
        "".join(Failure(**failure).bases)  # raises unless they are texts
    return result


def death(status: int, nonsense: str = "") -> Failure:
    """Say how a process ended that gave no result."""
    if nonsense:
        return Failure(
            type="ProcessKilled", message=f"the block's process was ended: it spoke nonsense to its worker ({nonsense})"
        )
    if status >= 0:
        return Failure(
            type="ProcessExit", message=f"the block's process ended with exit code {status} before it returned"
        )
    name = signal.Signals(-status).name
    hint = ""
    if name == "SIGKILL":
        hint = ", most likely by the kernel for want of memory"
    elif name == "SIGSEGV":
        hint = ": a crash in native code (its stack is at the end of the log)"
    return Failure(type="ProcessKilled", message=f"the block's process was killed by {name}{hint}")
