"""A total time for what is sent, whatever a server does: one that sends a byte every few seconds holds nobody.

The limits of libraries are for each answer, or each byte of it. So the connections that a thread makes are watched, and
ended when the time is over; whoever waits on one hears that it has ended.
"""

import contextlib
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from alerts.sending import guard


class Patience:
    """Ends the connections that it watches when its time is over."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.lines: list[socket.socket] = []
        self.is_over = False

    def watch(self, line: socket.socket) -> None:
        """Keep a handle of our own to a socket that is about to connect: libraries wrap theirs in others, for TLS."""
        with self.lock:
            if self.is_over:
                raise TimeoutError("the time is over")
            self.lines.append(line.dup())

    def end(self) -> None:
        with self.lock:
            self.is_over = True
            for line in self.lines:
                with contextlib.suppress(OSError):
                    line.shutdown(socket.SHUT_RDWR)

    def forget(self) -> None:
        with self.lock:
            for line in self.lines:
                line.close()
            self.lines.clear()


@contextmanager
def at_most(seconds: float) -> Iterator[Patience]:
    """Have what this thread connects to meanwhile ended after so many seconds; `is_over` tells whether it was."""
    guard.install()
    patience = Patience()
    timer = threading.Timer(seconds, patience.end)
    timer.daemon = True
    timer.start()
    guard.watched.patience = patience
    try:
        yield patience
    finally:
        guard.watched.patience = None
        timer.cancel()
        patience.forget()
