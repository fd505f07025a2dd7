"""What the classes of a streaming pipeline's Python blocks inherit from, as in Mage."""

import logging
from collections.abc import Callable, Mapping, Sequence
from enum import StrEnum
from typing import Any

Handler = Callable[..., Any]


class SourceConsumeMethod(StrEnum):
    """Which method of a source is called."""

    BATCH_READ = "BATCH_READ"
    READ = "READ"
    READ_ASYNC = "READ_ASYNC"


class BasePythonSource:
    """A source: `init_client` once, then `batch_read(handler)`, which calls `handler(messages)` again and again.

    With `consume_method` READ, `read(handler)` is called instead and hands over one message at a time; with READ_ASYNC
    the coroutine `read_async(handler)`, which awaits the handler. `destroy` is called at the end.
    """

    consume_method: Any = SourceConsumeMethod.BATCH_READ

    def __init__(self, config: Mapping[str, Any] | None = None, **kwargs: Any) -> None:
        self.config = dict(config or {})
        self.global_vars = dict(kwargs.get("global_vars") or {})
        self.init_client()

    def init_client(self) -> None:
        """Connect. Called once, before the first message."""

    def batch_read(self, handler: Handler) -> None:
        raise NotImplementedError(f"{type(self).__name__} has no batch_read(handler)")

    def read(self, handler: Handler) -> None:
        raise NotImplementedError(f"{type(self).__name__} has no read(handler)")

    async def read_async(self, handler: Handler) -> None:
        raise NotImplementedError(f"{type(self).__name__} has no read_async(handler)")

    def destroy(self) -> None:
        """Let go of what is held. Called once, at the end."""

    def test_connection(self) -> bool:
        return True

    def _print(self, message: Any) -> None:
        logging.getLogger(type(self).__name__).info("%s", message)


class BasePythonSink:
    """A sink: `init_client` once, then `batch_write(messages)` for each batch, at the end `destroy`."""

    def __init__(self, config: Mapping[str, Any] | None = None, **kwargs: Any) -> None:
        self.config = dict(config or {})
        self.global_vars = dict(kwargs.get("global_vars") or {})
        self.init_client()

    def init_client(self) -> None:
        """Connect. Called once, before the first message."""

    def write(self, message: Any) -> None:
        raise NotImplementedError(f"{type(self).__name__} has neither batch_write(messages) nor write(message)")

    def batch_write(self, messages: Sequence[Any]) -> None:
        for message in messages:
            self.write(message)

    def destroy(self) -> None:
        """Let go of what is held. Called once, at the end."""

    def test_connection(self) -> bool:
        return True

    def _print(self, message: Any) -> None:
        logging.getLogger(type(self).__name__).info("%s", message)
