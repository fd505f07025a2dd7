"""JSON with tags gives back what was put in, whatever it was."""

import json
import math
from datetime import UTC, timedelta, timezone
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.typed_json import TAG, NanKey, NotJson, dumps, loads

ZONES = st.sampled_from(
    [None, UTC, timezone(timedelta(hours=-3, minutes=-30)), ZoneInfo("Europe/Berlin"), ZoneInfo("America/New_York")]
)
PLAIN = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text()
KEYS = st.text() | st.just(TAG)
FINITE = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text()
PLAIN_VALUES = st.recursive(FINITE, lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner), max_leaves=20)
EXACT = (
    PLAIN
    | st.datetimes(timezones=ZONES)
    | st.dates()
    | st.times()
    | st.timedeltas()
    | st.decimals(allow_nan=False)
    | st.uuids()
    | st.binary()
)
HASHABLE = st.recursive(EXACT, lambda inner: st.lists(inner, max_size=3).map(tuple), max_leaves=4)
VALUES = st.recursive(
    EXACT,
    lambda inner: (
        st.lists(inner)
        | st.lists(inner).map(tuple)
        | st.dictionaries(KEYS, inner)
        | st.dictionaries(HASHABLE, inner)
        | st.sets(HASHABLE)
        | st.frozensets(HASHABLE)
    ),
    max_leaves=20,
)


def types(value: Any) -> Any:
    """The shape of a value in types; for what has no order, the types in any order."""
    if isinstance(value, (list, tuple)):
        return type(value), [types(item) for item in value]
    if isinstance(value, dict):
        return dict, [(types(key), types(item)) for key, item in value.items()]
    if isinstance(value, (set, frozenset)):
        return type(value), sorted(str(types(item)) for item in value)
    return type(value)


@given(PLAIN_VALUES)
def test_plain_values_are_plain_json(value: Any) -> None:
    text, tagged = dumps(value)

    assert json.loads(text) == value
    assert loads(text, tagged=tagged) == value


@given(VALUES)
def test_values_come_back_equal_and_of_the_same_types(value: Any) -> None:
    text, tagged = dumps(value)

    result = loads(text, tagged=tagged)

    assert result == value
    assert types(result) == types(value)


@given(VALUES)
def test_the_text_is_strict_json_in_ascii(value: Any) -> None:
    text, _ = dumps(value)

    json.loads(text, parse_constant=lambda name: pytest.fail(f"{name} is not JSON"))
    assert text.isascii()


@given(st.lists(st.floats()))
def test_every_float_comes_back(values: list[float]) -> None:
    text, tagged = dumps(values)

    result = loads(text, tagged=tagged)

    assert [repr(value) for value in result] == [repr(value) for value in values]


@given(st.datetimes(timezones=st.just(ZoneInfo("Europe/Berlin"))))
def test_a_zoned_time_keeps_wall_clock_zone_and_offset(moment: Any) -> None:
    result = loads(dumps(moment)[0], tagged=True)

    assert result.isoformat() == moment.isoformat()
    assert (result.tzinfo.key, result.fold) == ("Europe/Berlin", moment.fold)


def test_keys_that_look_alike_stay_apart() -> None:
    value = {"1": "text", 1: "number", (1,): "tuple"}

    assert loads(dumps(value)[0], tagged=True) == value


@pytest.mark.parametrize("key", [math.nan, (1, math.nan)])
def test_a_nan_key_is_refused(key: Any) -> None:
    with pytest.raises(NanKey):
        dumps({key: 1})


@pytest.mark.parametrize("value", [object(), 1j, range(3), len, type, Exception("x"), [[object()]], {"a": {1j}}])
def test_what_json_cannot_say_is_refused(value: Any) -> None:
    with pytest.raises(NotJson):
        dumps(value)


def test_circles_and_deep_nesting_are_refused() -> None:
    circle: list[Any] = []
    circle.append(circle)
    deep: list[Any] = []
    for _ in range(100_000):
        deep = [deep]

    for value in (circle, deep):
        with pytest.raises(NotJson):
            dumps(value)


def test_many_plain_records_are_written_without_tags() -> None:
    records = [{"number": place, "text": "x", "rate": 1.5} for place in range(10_000)]

    text, tagged = dumps(records)

    assert not tagged
    assert json.loads(text) == records
