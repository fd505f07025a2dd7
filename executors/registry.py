"""Executors by name."""

from executors.base import Executor, Factory
from executors.local import LocalExecutor

LOCAL = "local_python"
FACTORIES: dict[str, Factory] = {LOCAL: LocalExecutor}
ALIASES = {"local_python_force": LOCAL, "": LOCAL}


class UnknownExecutor(ValueError):
    """There is no executor of this name."""


def canonical(name: str | None) -> str:
    """Return the executor's own name; raise UnknownExecutor, naming those there are."""
    found = ALIASES.get(name or "", name or "")
    if found not in FACTORIES:
        raise UnknownExecutor(f"There is no executor {name!r}; use one of: {', '.join(sorted(FACTORIES))}.")
    return found


def make(name: str) -> Executor:
    return FACTORIES[canonical(name)]()
