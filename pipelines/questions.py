"""How a block asks its worker: a way that is handed over by whoever runs the block's process. No Django."""

import time
from collections.abc import Callable, Mapping
from typing import Any

Ask = Callable[[Mapping[str, Any]], Mapping[str, Any]]
_ask: Ask | None = None


class NobodyToAsk(RuntimeError):
    """There is no worker: the code runs in no block's own process."""


class Refused(RuntimeError):
    """The worker will not do what a block asked for; the message says why and what would be right."""


def ask_through(ask: Ask) -> None:
    """Let blocks of this process ask so: what it returns is {"value"}, {"error": {"message"}} or {"again": seconds}."""
    global _ask
    _ask = ask


def ask(verb: str, **details: Any) -> Any:
    """Return the worker's answer, however long it takes; raise Refused where it refuses."""
    if _ask is None:
        raise NobodyToAsk(f"{verb} works in a block that runs, and nowhere else")
    while True:
        answer = _ask({"verb": verb, **details})
        if "again" not in answer:
            break
        time.sleep(answer["again"])
    if error := answer.get("error"):
        raise Refused(error["message"])
    return answer["value"]
