from collections.abc import Iterator

import pytest

from tests.alerts.receivers import Mailbox, Receiver, mailbox, receiver


@pytest.fixture
def server() -> Iterator[Receiver]:
    with receiver() as it:
        yield it


@pytest.fixture
def mail() -> Iterator[Mailbox]:
    with mailbox() as it:
        yield it


@pytest.fixture(autouse=True)
def long_turns(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have turns of the evaluator end when a test says so, not when the machine is slow."""
    monkeypatch.setattr("alerts.watching.look.TURN", 60)
