"""The names that mark a block's functions: `@data_loader`, `@test`, `@callback('failure')` and the rest.

A mark is written into the globals of the file that uses it, so each file has its own however it is imported.
"""

import sys
from collections.abc import Callable, Mapping
from typing import Any

Function = Callable[..., Any]

MARKS = "__marks__"
OUTCOMES = ("success", "failure", "cancelled")


def marked(namespace: Mapping[str, Any], kind: str) -> list[Function]:
    """Functions of one file that carry a mark, in the order of the file."""
    return [function for mark, function in namespace.get(MARKS, ()) if mark == kind]


def marks(namespace: Mapping[str, Any]) -> list[str]:
    """Every mark used in one file, in the order of the file."""
    return [mark for mark, _ in namespace.get(MARKS, ())]


def _decorator(kind: str) -> Callable[..., Any]:
    def mark(function: Function | None = None, /) -> Any:
        if function is None:  # written with brackets: @data_loader()
            return mark
        return _record(kind, function, sys._getframe(1).f_globals)

    mark.__name__ = mark.__qualname__ = kind
    return mark


def _record(kind: str, function: Function, namespace: dict[str, Any]) -> Function:
    if not callable(function):
        raise TypeError(f"@{kind} marks a function; it was given {type(function).__name__}")
    namespace.setdefault(MARKS, []).append((kind, function))
    return function


data_loader = _decorator("data_loader")
transformer = _decorator("transformer")
data_exporter = _decorator("data_exporter")
custom = _decorator("custom")
sensor = _decorator("sensor")
condition = _decorator("condition")
test = _decorator("test")
preprocesser = _decorator("preprocesser")
streaming_source = _decorator("streaming_source")
streaming_sink = _decorator("streaming_sink")
on_success = _decorator("on_success")
on_failure = _decorator("on_failure")
on_cancelled = _decorator("on_cancelled")


def callback(outcome: str | Function = "success", /, *, fetch_inputs: bool = True) -> Any:
    """Mark a function to call after the block: `@callback('success'|'failure'|'cancelled')`; bare means success.

    `fetch_inputs` is Mage's, and changes nothing here: an input is read when it is asked for.
    """
    if callable(outcome):
        return _record("on_success", outcome, sys._getframe(1).f_globals)
    if outcome not in OUTCOMES:
        raise ValueError(f"@callback({outcome!r}): the outcome is one of {', '.join(map(repr, OUTCOMES))}")
    return {"success": on_success, "failure": on_failure, "cancelled": on_cancelled}[outcome]


DECORATORS: dict[str, Callable[..., Any]] = {
    "callback": callback,
    "condition": condition,
    "custom": custom,
    "data_exporter": data_exporter,
    "data_loader": data_loader,
    "on_cancelled": on_cancelled,
    "on_failure": on_failure,
    "on_success": on_success,
    "preprocesser": preprocesser,
    "sensor": sensor,
    "streaming_sink": streaming_sink,
    "streaming_source": streaming_source,
    "test": test,
    "transformer": transformer,
}
