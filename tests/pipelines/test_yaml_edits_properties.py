"""Whatever a file looks like, an edit changes what was meant and leaves the other lines and every comment."""

from collections.abc import Iterator
from typing import Any

import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines.yaml_edits import append, remove, set_value

TEXTS = st.text(st.characters(codec="utf-8", exclude_categories=["Cs", "Cc", "Cn", "Co"]), max_size=12)
KEYS = st.text("abcdefgh_", min_size=1, max_size=4)
PLAIN = st.none() | st.booleans() | st.integers(-1000, 10**6) | st.sampled_from([0.5, -2.25]) | TEXTS
VALUES = st.recursive(
    PLAIN, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=3), max_leaves=6
)
ENTRIES = st.lists(st.dictionaries(KEYS, VALUES, min_size=1, max_size=4), min_size=1, max_size=3)


@st.composite
def files(draw: st.DrawFn) -> tuple[str, dict[str, Any]]:
    """A file as somebody may have written it, with comments between, and its values."""
    data = {"triggers": draw(ENTRIES)}
    style: dict[str, Any] = {
        "default_flow_style": draw(st.sampled_from([None, False, True])),
        "indent": draw(st.sampled_from([2, 4])),
    }
    dumped = yaml.safe_dump(data, allow_unicode=True, sort_keys=False, width=10**6, **style)
    every = draw(st.integers(1, 4))
    commented = "".join(
        f"# {number}\n{line}\n" if number % every == 0 else f"{line}\n"
        for number, line in enumerate(dumped.split("\n"))
    )
    return (commented if reads_as(commented, data) else dumped) + "# the end\n", data


def load(text: str) -> Any:
    return yaml.load(text, Loader=yaml.CSafeLoader)


def reads_as(text: str, data: Any) -> bool:
    """A comment is none within a text of several lines."""
    try:
        return bool(load(text) == data)
    except yaml.YAMLError:
        return False


def places(value: Any, path: tuple[str | int, ...] = ()) -> Iterator[tuple[str | int, ...]]:
    if path:
        yield path
    if isinstance(value, dict):
        for key, each in value.items():
            yield from places(each, (*path, key))
    elif isinstance(value, list) and path == ("triggers",):
        for index, each in enumerate(value):
            yield from places(each, (*path, index))


def changed(data: Any, path: tuple[str | int, ...], value: Any) -> Any:
    if not path:
        return value
    copy = dict(data) if isinstance(data, dict) else list(data)
    copy[path[0]] = changed(data[path[0]] if len(path) > 1 else None, path[1:], value)
    return copy


def comments(text: str) -> list[str]:
    return [line for line in text.splitlines() if line.startswith("# ")]


@settings(max_examples=25)
@given(files(), st.data(), VALUES)
def test_a_value_is_set_and_every_other_stays(
    file: tuple[str, dict[str, Any]], data: st.DataObject, value: Any
) -> None:
    text, before = file
    path = data.draw(st.sampled_from([path for path in places(before) if len(path) > 2]))

    after = set_value(text, path, value)

    assert load(after) == changed(before, path, value)


@settings(max_examples=25)
@given(files(), st.data(), VALUES, KEYS)
def test_a_key_is_added_and_every_line_stays(
    file: tuple[str, dict[str, Any]], data: st.DataObject, value: Any, key: str
) -> None:
    text, before = file
    index = data.draw(st.integers(0, len(before["triggers"]) - 1))
    if key in before["triggers"][index]:
        return

    after = set_value(text, ("triggers", index, key), value)

    assert load(after) == changed(before, ("triggers", index, key), value)
    assert comments(after) == comments(text)


@settings(max_examples=25)
@given(files(), st.data())
def test_an_entry_is_removed_and_every_comment_outside_of_it_stays(
    file: tuple[str, dict[str, Any]], data: st.DataObject
) -> None:
    text, before = file
    index = data.draw(st.integers(0, len(before["triggers"]) - 1))

    after = remove(text, ("triggers", index))

    kept = [entry for place, entry in enumerate(before["triggers"]) if place != index]
    assert (load(after)["triggers"] or []) == kept
    assert after.endswith("# the end\n")


@settings(max_examples=25)
@given(files(), st.data())
def test_a_key_is_removed_or_left_empty(file: tuple[str, dict[str, Any]], data: st.DataObject) -> None:
    text, before = file
    path = data.draw(st.sampled_from([path for path in places(before) if len(path) > 2]))

    found = load(remove(text, path))

    around = found
    for step in path[:-1]:
        around = around[step]
    assert (around or {}).get(path[-1]) is None
    assert changed(found, path[:-1], None) == changed(before, path[:-1], None)


@settings(max_examples=25)
@given(files(), st.dictionaries(KEYS, VALUES, min_size=1, max_size=4))
def test_an_entry_is_appended_and_every_line_stays(file: tuple[str, dict[str, Any]], entry: dict[str, Any]) -> None:
    text, before = file

    after = append(text, "triggers", entry)

    assert load(after) == {"triggers": [*before["triggers"], entry]}
    assert comments(after) == comments(text)
