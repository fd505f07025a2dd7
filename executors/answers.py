"""Answers to what a block asked: given from any thread, sent by the one that watches the block."""

import contextlib
import os
import threading
from collections import deque

from executors.base import Answer

MOST_QUESTIONS = 256  # without an answer, of one block


class Answers:
    """Answers on their way. `descriptor` can be read while there are some."""

    def __init__(self) -> None:
        self.descriptor = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)
        self.lock = threading.Lock()
        self.given: deque[tuple[int, Answer]] = deque()
        self.awaited: set[int] = set()  # questions without an answer
        self.is_closed = False

    def expect(self, number: int) -> bool:
        """Take note of a question; False when it, or too much else, waits already: a block may say what it likes."""
        if number in self.awaited or len(self.awaited) >= MOST_QUESTIONS:
            return False
        self.awaited.add(number)
        return True

    def give(self, number: int, answer: Answer) -> None:
        """Answer question `number`; nothing happens when the block has ended."""
        with self.lock:
            if not self.is_closed:
                self.given.append((number, answer))
                os.eventfd_write(self.descriptor, 1)

    def take(self) -> list[tuple[int, Answer]]:
        with self.lock:
            with contextlib.suppress(BlockingIOError):
                os.eventfd_read(self.descriptor)
            found = list(self.given)
            self.given.clear()
            self.awaited.difference_update(number for number, _ in found)
            return found

    def close(self) -> None:
        with self.lock:
            if not self.is_closed:
                self.is_closed = True
                os.close(self.descriptor)
