"""How users' functions are called: what they take, what they are given, and `async def` as well."""

from collections.abc import Mapping, Sequence
from types import CoroutineType, FunctionType
from typing import Any, NamedTuple

from pipelines.decorators import Function
from pipelines.failures import BlockError

_HAS_ARGS, _HAS_KWARGS = 0x04, 0x08  # inspect.CO_VARARGS and CO_VARKEYWORDS, without importing inspect


class Takes(NamedTuple):
    """The parameters of a function."""

    positional: tuple[str, ...]  # those that a position fills
    by_position_only: int  # how many of these no name can fill
    by_name_only: tuple[str, ...]
    required: frozenset[str]
    has_args: bool
    has_kwargs: bool

    @property
    def room(self) -> int | None:
        """Number of positional arguments it takes at most; None for any number."""
        return None if self.has_args else len(self.positional)


def takes(function: Function) -> Takes:
    """What a function takes; a decorated function is taken for what it wraps when it says so (`functools.wraps`)."""
    if type(function) is not FunctionType or hasattr(function, "__wrapped__"):
        return _takes_by_signature(function)
    code = function.__code__
    names = code.co_varnames
    positional = names[: code.co_argcount]
    by_name_only = names[code.co_argcount : code.co_argcount + code.co_kwonlyargcount]
    with_default = {*positional[len(positional) - len(function.__defaults__ or ()) :], *(function.__kwdefaults__ or ())}
    return Takes(
        positional=positional,
        by_position_only=code.co_posonlyargcount,
        by_name_only=by_name_only,
        required=frozenset(positional + by_name_only) - with_default,
        has_args=bool(code.co_flags & _HAS_ARGS),
        has_kwargs=bool(code.co_flags & _HAS_KWARGS),
    )


def _takes_by_signature(function: Function) -> Takes:
    import inspect

    try:
        parameters = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):  # made in C: nothing is known
        return Takes((), 0, (), frozenset(), has_args=True, has_kwargs=False)
    kinds: dict[Any, list[str]] = {
        kind: [p.name for p in parameters if p.kind is kind] for kind in inspect._ParameterKind
    }
    only = kinds[inspect.Parameter.POSITIONAL_ONLY]
    return Takes(
        positional=(*only, *kinds[inspect.Parameter.POSITIONAL_OR_KEYWORD]),
        by_position_only=len(only),
        by_name_only=tuple(kinds[inspect.Parameter.KEYWORD_ONLY]),
        required=frozenset(
            p.name for p in parameters if p.default is p.empty and p.kind not in (p.VAR_POSITIONAL, p.VAR_KEYWORD)
        ),
        has_args=bool(kinds[inspect.Parameter.VAR_POSITIONAL]),
        has_kwargs=bool(kinds[inspect.Parameter.VAR_KEYWORD]),
    )


def named_arguments(function: Function, parameters: Takes, count: int, keywords: Mapping[str, Any]) -> dict[str, Any]:
    """Keyword arguments for a function that is given `count` positional ones: all of them, or those it names.

    A name that a position fills is left to the position. Raises BlockError naming what it needs and nobody gives.
    """
    filled = parameters.positional[:count]
    open_names = parameters.positional[max(count, parameters.by_position_only) :] + parameters.by_name_only
    if parameters.has_kwargs:
        named = {name: value for name, value in keywords.items() if name not in filled}
    else:
        named = {name: keywords[name] for name in open_names if name in keywords}
    if missing := parameters.required.difference(filled, named):
        names = ", ".join(repr(name) for name in parameters.positional + parameters.by_name_only if name in missing)
        raise BlockError(
            f"{name_of(function)}() needs {names}, but the block has {_counted(count, 'upstream output')} to give "
            f"and there is no variable of that name"
        )
    return named


def call(function: Function, positional: Sequence[Any], named: Mapping[str, Any]) -> Any:
    """Call a function and return what it returns; what an `async def` returns is awaited."""
    value = function(*positional, **named)
    if type(value) is not CoroutineType:
        return value
    import asyncio

    return asyncio.run(value)


def name_of(function: Function) -> str:
    """What a function is called, for people."""
    return getattr(function, "__name__", type(function).__name__)


def too_many(function: Function, room: int, blocks: Sequence[str]) -> BlockError:
    """The error for a function with fewer positional parameters than the block has upstream blocks."""
    return BlockError(
        f"{name_of(function)}() takes {_counted(room, 'positional argument')}, but the block has "
        f"{_counted(len(blocks), 'upstream block')} ({', '.join(blocks)}); add a parameter for each, or *args"
    )


def _counted(number: int, noun: str) -> str:
    return f"{number or 'no'} {noun}{'' if number == 1 else 's'}"
