"""How each setting of a trigger is checked: JSON in, a typed value out, or `InvalidSettings`. Pure."""

import enum
import re
from collections.abc import Callable, Mapping
from datetime import time, timedelta
from typing import Any, TypeVar

from pipelines import exception_names
from pipelines.refusal import Refusal

YEAR = 31_536_000  # seconds
DELAYS = ("delay", "max_delay")
Choice = TypeVar("Choice", bound=enum.StrEnum)


class InvalidSettings(Refusal):
    """A setting of a wrong type or outside its range."""

    def __init__(self, name: str, wanted: str, value: object) -> None:
        seen = repr(value) if len(repr(value)) <= 80 else repr(value)[:79] + "…"
        super().__init__(f"{name} must be {wanted}; {seen} is not.", field=f"settings.{name}", code="invalid_settings")


class UnknownSetting(Refusal):
    """A name that is nearly that of a setting."""

    def __init__(self, name: str, right: str) -> None:
        shown = name if len(name) <= 80 else f"{name[:79]}…"
        hint = f"Did you mean {right}?"
        super().__init__(f"Unknown setting: {shown}.", field=f"settings.{shown}", hint=hint, code="unknown_field")


def flag(name: str, value: object) -> bool:
    if not isinstance(value, bool):
        raise InvalidSettings(name, "true or false", value)
    return value


def whole(low: int, high: int, wanted: str = "") -> Callable[[str, object], int]:
    def read(name: str, value: object) -> int:
        if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
            raise InvalidSettings(name, wanted or f"a whole number from {low} to {high}", value)
        return value

    return read


limit = whole(1, 1_000_000, "a whole number of at least 1, or empty for no limit")


def seconds(name: str, value: object) -> timedelta:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value <= YEAR:
        raise InvalidSettings(name, "a number of seconds from 1 to 31 536 000", value)
    return timedelta(seconds=value)


def short_seconds(name: str, value: object) -> timedelta:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 86_400:
        raise InvalidSettings(name, "a number of seconds from 0 to 86 400", value)
    return timedelta(seconds=value)


def share(name: str, value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0.05 <= value <= 1:
        raise InvalidSettings(name, "a share from 0.05 to 1, for example 0.9", value)
    return float(value)


def one_of(choices: type[Choice]) -> Callable[[str, object], Choice]:
    words = [f'"{choice}"' for choice in choices]

    def read(name: str, value: object) -> Choice:
        if not isinstance(value, str) or value not in tuple(choices):
            raise InvalidSettings(name, f"{', '.join(words[:-1])} or {words[-1]}", value)
        return choices(value)

    return read


def retry_config(name: str, value: object) -> Mapping[str, Any]:
    """Check Mage's `retries`, `delay`, `max_delay` (seconds) and `exponential_backoff`, and `jitter`, `retry_on`,
    `give_up_on`; keep whatever else is there.
    """
    if not isinstance(value, Mapping):
        raise InvalidSettings(name, "an object such as {retries: 3, delay: 5}", value)
    retries = value.get("retries", 0)
    if isinstance(retries, bool) or not isinstance(retries, int) or not 0 <= retries <= 1000:
        raise InvalidSettings(f"{name}.retries", "a whole number from 0 to 1000", retries)
    for key in DELAYS:
        delay = value.get(key, 0)
        if isinstance(delay, bool) or not isinstance(delay, int | float) or not 0 <= delay <= YEAR:
            raise InvalidSettings(f"{name}.{key}", "a number of seconds from 0 to 31 536 000", delay)
    flag(f"{name}.exponential_backoff", value.get("exponential_backoff", True))
    jitter = value.get("jitter", 0)
    if isinstance(jitter, bool) or not isinstance(jitter, int | float) or not 0 <= jitter <= 1:
        raise InvalidSettings(f"{name}.jitter", "a share from 0 to 1, for example 0.2", jitter)
    lists = {key: exceptions(f"{name}.{key}", value[key]) for key in ("retry_on", "give_up_on") if key in value}
    return {**value, **lists}


def exceptions(name: str, value: object) -> list[str]:
    """Check the name of an exception, or a list of them."""
    names: list[Any] = value if isinstance(value, list) else [value]
    if len(names) > 100 or any(exception_names.unfit(each) for each in names):
        raise InvalidSettings(name, "the name of an exception or a list of them, such as [ValueError]", value)
    return names


def limits_by_variable(name: str, value: object) -> Mapping[str, int]:
    """Check `{variable: runs at a time for each of its values}`."""
    if not isinstance(value, Mapping) or not value or len(value) > 10:
        raise InvalidSettings(name, "an object such as {customer: 1}", value)
    return {text(f"{name}.{key}", key): limit(f"{name}.{key}", runs) for key, runs in value.items()}


def text(name: str, value: object) -> str:
    if not isinstance(value, str) or not 1 <= len(value.strip()) <= 500:
        raise InvalidSettings(name, "text of 1 to 500 characters", value)
    return value.strip()


def active_hours(name: str, value: object) -> tuple[time, time]:
    """Read "07:00-22:00" (also "07-22" and with an en dash): from, included, to, excluded; may cross midnight."""
    match = isinstance(value, str) and HOURS.fullmatch(value.strip())
    try:
        begin, end = (clock(part) for part in match.groups()) if match else (None, None)
    except ValueError:
        begin = end = None
    if begin is None or end is None or begin == end:
        raise InvalidSettings(name, 'hours such as "07:00-22:00"', value)
    return begin, end


def clock(text: str) -> time:
    hour, _, minute = text.partition(":")
    return time(int(hour) % 24 if hour == "24" and minute in ("", "00") else int(hour), int(minute or 0))


HOURS = re.compile(r"(\d{1,2}(?::\d\d)?)\s*[-–]\s*(\d{1,2}(?::\d\d)?)", re.ASCII)
