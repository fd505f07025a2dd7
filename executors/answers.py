"""Answers to what a block asked: given from any thread, sent by the one that watches the block."""

import contextlib
import os
import threading
from collections import deque

from executors.base import Answer


class Answers:
    """Answers on their way. `descriptor` can be read while there are some."""

    def __init__(self) -> None:
        self.descriptor = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)
        self.lock = threading.Lock()
        self.given: deque[tuple[int, Answer]] = deque()
        self.is_closed = False

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
            return found

    def close(self) -> None:
        with self.lock:
            if not self.is_closed:
                self.is_closed = True
                os.close(self.descriptor)
