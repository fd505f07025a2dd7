"""Tests that measure the machine have it to themselves, also while pytest-xdist runs others side by side."""

import fcntl
import os
import tempfile
from pathlib import Path

import pytest


class Turns:
    """What the workers of one test run share: a room, and a door that whoever waits for the room keeps shut."""

    def __init__(self, run: str) -> None:
        self.path = Path(tempfile.gettempdir()) / f"orchestrator-tests-{run}"
        self.door, self.room = (open(f"{self.path}.{name}", "w") for name in ("door", "room"))  # noqa: SIM115
        self.is_alone = False

    def begin(self, item: pytest.Item) -> None:
        """Wait until the item may run: while others run, or while nobody does."""
        if not self.is_alone:
            self.is_alone = measures(item)
            fcntl.flock(self.door, fcntl.LOCK_EX)
            fcntl.flock(self.room, fcntl.LOCK_EX if self.is_alone else fcntl.LOCK_SH)
            fcntl.flock(self.door, fcntl.LOCK_UN)

    def end(self, following: pytest.Item | None) -> None:
        """Leave the room, unless the next test would have to wait for it again."""
        if not (self.is_alone and following is not None and measures(following)):
            fcntl.flock(self.room, fcntl.LOCK_UN)
            self.is_alone = False

    def close(self) -> None:
        for file in (self.door, self.room):
            file.close()
            Path(file.name).unlink(missing_ok=True)  # who still has it open goes on with it


def measures(item: pytest.Item) -> bool:
    return item.get_closest_marker("alone") is not None


def of_this_run() -> Turns | None:
    """Return nothing where tests run one after the other anyhow."""
    run = os.environ.get("PYTEST_XDIST_TESTRUNUID")
    return Turns(run) if run else None
