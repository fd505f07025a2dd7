"""A child's end of its channel: jobs for its main thread, answers for whichever of its threads asked. No Django."""

import json
import os
import socket
import threading
from collections import deque
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from executors.answers import MOST_QUESTIONS
from executors.channel import ChannelClosed, Reader, send

LARGEST_REQUEST = 1024 * 1024  # bytes of JSON
T = TypeVar("T")


class CannotAsk(RuntimeError):
    """A question that cannot be put, and why."""


class Mail:
    """Whichever thread waits first reads for all the others. What is sent goes whole, one message after the other."""

    def __init__(self, channel: socket.socket) -> None:
        self.channel = channel
        self.reader = Reader(channel, expect_files=True)
        self.pid = os.getpid()
        self.sending = threading.RLock()  # a signal's handler may print while we print
        self.news = threading.Condition()
        self.somebody_reads = False
        self.is_closed = False
        self.jobs: deque[tuple[dict[str, Any], int, int]] = deque()
        self.last_number = 0
        self.open: set[int] = set()
        self.answers: dict[int, dict[str, Any]] = {}

    def send(self, message: Any) -> None:
        with self.sending:
            send(self.channel, message)

    def next_job(self) -> tuple[dict[str, Any], int, int]:
        """Wait for the next job and the files that are its stdout and stderr; raise ChannelClosed when none comes."""
        with self.news:
            for number in self.open:  # of threads that outlived their job
                self.answers[number] = {"error": {"type": "CannotAsk", "message": "the block that asked has ended"}}
            self.news.notify_all()
        return self.wait_for(lambda: self.jobs.popleft() if self.jobs else None)

    def ask(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """Return what the worker answers (executors.base.Answer), however long that takes. From any thread.

        Raises CannotAsk for what cannot be asked: too large, no JSON, from another process than the block's.
        """
        check(request, self.pid)
        with self.news:
            if len(self.open) >= MOST_QUESTIONS:
                raise CannotAsk(f"{MOST_QUESTIONS} questions of this block wait for an answer already")
            self.last_number += 1
            number = self.last_number
            self.open.add(number)
        try:
            self.send(["ask", number, request])
            return self.wait_for(lambda: self.answers.get(number))
        except (ChannelClosed, OSError) as error:
            raise CannotAsk("the worker is gone") from error
        finally:
            with self.news:
                self.open.discard(number)
                self.answers.pop(number, None)

    def wait_for(self, find: Callable[[], T | None]) -> T:
        """Return what `find` finds, when it has come, whoever read it."""
        while True:
            with self.news:
                if (found := find()) is not None:
                    return found
                if self.is_closed:
                    raise ChannelClosed("the other side is gone")
                if self.somebody_reads:
                    self.news.wait()
                    continue
                self.somebody_reads = True
            try:
                self.read()
            finally:
                with self.news:
                    self.somebody_reads = False
                    self.news.notify_all()

    def read(self) -> None:
        try:
            if not self.reader.read():
                raise ChannelClosed("the other side is gone")
            messages = self.reader.messages()
        except (ChannelClosed, OSError):
            self.is_closed = True
            raise
        with self.news:
            for message in messages:
                self.sort(message)

    def sort(self, message: list[Any]) -> None:
        if message[0] == "job":
            stdout, stderr = self.reader.files
            self.reader.files = []
            self.jobs.append((message[1], stdout, stderr))
        elif message[0] == "answer" and message[1] in self.open:
            self.answers[message[1]] = message[2]


def check(request: Mapping[str, Any], pid: int) -> None:
    if os.getpid() != pid:
        raise CannotAsk("only the block's own process can ask its worker, not one that it started")
    try:
        size = len(json.dumps(request))
    except (TypeError, ValueError, RecursionError) as error:
        raise CannotAsk(f"what is asked must be plain JSON: {error}") from error
    if size > LARGEST_REQUEST:
        raise CannotAsk(f"what is asked has {size:,} bytes; {LARGEST_REQUEST:,} are allowed")
