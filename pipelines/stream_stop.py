"""How a stream is asked to stop, by SIGTERM: between two batches, wherever its source is waiting then."""

import signal
import threading
from types import FrameType

PATIENCE = 0.5  # seconds that a source has, after a batch, to commit what it has read


class StreamStopped(BaseException):
    """Raised in a source's code when the stream is to stop. No `Exception`: users' code shall not swallow it."""


class Stopping:
    """Made in the main thread. A batch that is on its way is let through; no other is begun after the signal."""

    def __init__(self) -> None:
        self.is_asked = False
        self.is_busy = False  # a batch is on its way
        self.is_over = False  # the source has ended: nothing is to be interrupted any more
        self.main = threading.get_ident()
        signal.signal(signal.SIGTERM, self.on_signal)

    def on_signal(self, _: int, __: FrameType | None) -> None:
        was_asked, self.is_asked = self.is_asked, True
        if self.is_over:
            return
        self.nudge_later()
        if was_asked and not self.is_busy:
            raise StreamStopped

    def nudge_later(self) -> None:
        """Interrupt the source when it has had its time: a signal to the main thread also ends its waiting."""
        timer = threading.Timer(PATIENCE, self.nudge)
        timer.daemon = True
        timer.start()

    def nudge(self) -> None:
        if not self.is_over:
            signal.pthread_kill(self.main, signal.SIGTERM)

    def begin_batch(self) -> None:
        if self.is_asked:
            raise StreamStopped
        self.is_busy = True

    def end_batch(self) -> None:
        self.is_busy = False
