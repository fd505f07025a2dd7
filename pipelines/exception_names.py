"""Names of exceptions as a retry_config gives them, `ValueError` or `requests.Timeout`, and what they mean. Pure."""

import re
from collections.abc import Iterable

NAME = re.compile(r"[^\W\d]\w*(\.[^\W\d]\w*)*")
LONGEST = 200
MOST = 32  # of one exception: itself and what it derives from


def unfit(name: object) -> bool:
    """Whether this cannot be the name of an exception."""
    return not isinstance(name, str) or len(name) > LONGEST or NAME.fullmatch(name) is None


def names_of(error: BaseException) -> list[str]:
    """Return the full names of the exception's class and of those it derives from, the nearest first."""
    classes = [kind for kind in type(error).__mro__ if kind is not object]
    return [f"{kind.__module__}.{kind.__qualname__}"[:LONGEST] for kind in classes[:MOST]]


def first_match(wanted: Iterable[str], names: Iterable[str]) -> str:
    """Return the first of the wanted names that one of an exception's names goes by, "" if there is none.

    A bare name is that of the class wherever it comes from; before a dot is its module, or a package around that:
    `requests.Timeout` is requests.exceptions.Timeout too.
    """
    full = list(names)
    return next((each for each in wanted if any(_is(each, name) for name in full)), "")


def _is(wanted: str, name: str) -> bool:
    place, _, word = wanted.rpartition(".")
    module, _, last = name.rpartition(".")
    if word != last:
        return False
    return not place or f"{module}.".startswith(f"{place}.") or f".{module}".endswith(f".{place}")
