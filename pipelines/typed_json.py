"""JSON that gives back what was put in: plain where JSON says it exactly, tagged where it does not.

A tagged value is `{"$type": ..., "value": ...}`; more keys where the type needs them. Both kinds of text are valid
strict JSON (no bare NaN), so any other program can read them.
"""

import json
from collections.abc import Callable, Mapping
from datetime import date, datetime, time, timedelta, timezone
from importlib import import_module
from typing import Any

TAG = "$type"
_SCALARS = frozenset((str, int, float, bool, type(None)))
_TEXT_KEYS = frozenset((str,))


class NotJson(ValueError):
    """The value holds something that JSON, tagged or not, cannot give back exactly."""


class NanKey(NotJson):
    """A dict with NaN among its keys: no form of storage lets that key be found again."""


def dumps(value: Any) -> tuple[str, bool]:
    """Return (text, whether it has tags). Raises NotJson, also for what is nested too deep or in a circle."""
    try:
        if _is_plain(value):
            try:
                return json.dumps(value, allow_nan=False, separators=(",", ":")), False
            except ValueError:  # NaN or infinity: these need a tag
                pass
        return json.dumps(_tagged(value), allow_nan=False, separators=(",", ":")), True
    except NotJson:
        raise
    except (RecursionError, ValueError, OverflowError) as error:
        raise NotJson(str(error)) from error


def loads(text: str | bytes, *, tagged: bool) -> Any:
    """The value that `dumps` was given."""
    return json.loads(text, object_hook=_untagged) if tagged else json.loads(text)


def _is_plain(value: Any) -> bool:
    """Whether plain JSON gives back exactly this; subclasses of JSON's own types do not count."""
    kind = type(value)
    if kind in _SCALARS:
        return True
    if kind is dict:
        if TAG in value or not _TEXT_KEYS.issuperset(map(type, value)):
            return False
        items = value.values()
    elif kind is list:
        items = value
    else:
        return False
    # One pass at C speed settles rows and columns of plain values.
    return _SCALARS.issuperset(map(type, items)) or all(map(_is_plain, items))


def _tagged(value: Any) -> Any:
    kind = type(value)
    if kind is float:
        return value if value - value == 0 else {TAG: "float", "value": repr(value)}
    if kind in _SCALARS:
        return value
    if kind is list:
        return [_tagged(item) for item in value]
    if kind is dict:
        if TAG not in value and _TEXT_KEYS.issuperset(map(type, value)):
            return {key: _tagged(item) for key, item in value.items()}
        return {TAG: "dict", "value": [[_tagged_key(key), _tagged(item)] for key, item in value.items()]}
    name = f"{kind.__module__}.{kind.__qualname__}"
    if encode := _ENCODERS.get(name):
        return encode(value)
    if kind.__module__ == "numpy":
        return _from_numpy(value)
    raise NotJson(name)


def _tagged_key(key: Any) -> Any:
    if key != key:
        raise NanKey("return it without NaN among its keys")
    return {TAG: "tuple", "value": [_tagged_key(item) for item in key]} if type(key) is tuple else _tagged(key)


def _simple(name: str, convert: Callable[[Any], Any] = str) -> Callable[[Any], dict[str, Any]]:
    return lambda value: {TAG: name, "value": convert(value)}


def _items(values: Any) -> list[Any]:
    return [_tagged(value) for value in values]


def _from_datetime(value: Any) -> dict[str, Any]:
    tag: dict[str, Any] = {TAG: type(value).__name__, "value": value.isoformat()}
    if value.fold:
        tag["fold"] = 1
    zone = value.tzinfo
    if zone is None or type(zone) is timezone:
        return tag
    key = getattr(zone, "key", None)
    if type(zone).__module__ not in ("zoneinfo", "zoneinfo._zoneinfo") or not key:
        raise NotJson(f"a time in the zone {type(zone).__name__}")
    return tag | {"value": value.replace(tzinfo=None).isoformat(), "zone": key}


def _from_bytes(value: bytes | bytearray) -> dict[str, Any]:
    import base64

    return {TAG: type(value).__name__, "value": base64.b64encode(value).decode("ascii")}


def _from_numpy(value: Any) -> dict[str, Any]:
    dtype = getattr(value, "dtype", None)
    if dtype is None or not hasattr(value, "item") or dtype.kind not in "biufU" or type(value) is not dtype.type:
        raise NotJson(f"numpy.{type(value).__name__}")
    plain = value.item()
    if type(plain) not in _SCALARS:  # longdouble has no exact Python type
        raise NotJson(f"numpy.{type(value).__name__}")
    return {TAG: "numpy", "dtype": dtype.str, "value": _tagged(plain)}


_ENCODERS: dict[str, Callable[[Any], dict[str, Any]]] = {
    "builtins.bytearray": _from_bytes,
    "builtins.bytes": _from_bytes,
    "builtins.frozenset": _simple("frozenset", _items),
    "builtins.set": _simple("set", _items),
    "builtins.tuple": _simple("tuple", _items),
    "datetime.date": _simple("date", date.isoformat),
    "datetime.datetime": _from_datetime,
    "datetime.time": _from_datetime,
    "datetime.timedelta": _simple("timedelta", lambda value: [value.days, value.seconds, value.microseconds]),
    "decimal.Decimal": _simple("decimal"),
    "pathlib.PosixPath": _simple("path"),
    "pathlib._local.PosixPath": _simple("path"),
    "uuid.UUID": _simple("uuid"),
}


def _to_datetime(tag: Mapping[str, Any], kind: Any) -> Any:
    value = kind.fromisoformat(tag["value"])
    changes: dict[str, Any] = {}
    if "fold" in tag:
        changes["fold"] = 1
    if "zone" in tag:
        changes["tzinfo"] = import_module("zoneinfo").ZoneInfo(tag["zone"])
    return value.replace(**changes) if changes else value


def _to_bytes(tag: Mapping[str, Any]) -> bytes:
    import base64

    return base64.b64decode(tag["value"])


_DECODERS: dict[str, Callable[[Mapping[str, Any]], Any]] = {
    "bytearray": lambda tag: bytearray(_to_bytes(tag)),
    "bytes": _to_bytes,
    "date": lambda tag: date.fromisoformat(tag["value"]),
    "datetime": lambda tag: _to_datetime(tag, datetime),
    "decimal": lambda tag: import_module("decimal").Decimal(tag["value"]),
    "dict": lambda tag: {key: item for key, item in tag["value"]},  # noqa: C416 - pairs are lists
    "float": lambda tag: float(tag["value"]),
    "frozenset": lambda tag: frozenset(tag["value"]),
    "numpy": lambda tag: import_module("numpy").dtype(tag["dtype"]).type(tag["value"]),
    "path": lambda tag: import_module("pathlib").Path(tag["value"]),
    "set": lambda tag: set(tag["value"]),
    "time": lambda tag: _to_datetime(tag, time),
    "timedelta": lambda tag: timedelta(*tag["value"]),
    "tuple": lambda tag: tuple(tag["value"]),
    "uuid": lambda tag: import_module("uuid").UUID(tag["value"]),
}


def _untagged(value: dict[str, Any]) -> Any:
    return _DECODERS[value[TAG]](value) if TAG in value else value
