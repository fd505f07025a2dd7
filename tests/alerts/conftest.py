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
