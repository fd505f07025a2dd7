"""Edits of a yaml text: a value set, removed or appended. Every other character stays as it was written.

Knows where values stand from the parser and cuts there, so that comments, order, quotes and spaces survive. It does
not promise that the result means what was wanted (an alias elsewhere may follow the change): read it again to be sure.
"""

import re
from datetime import datetime
from typing import Any

import yaml

from pipelines.refusal import Refusal
from pipelines.yaml_files import LOADER

Path = tuple[str | int, ...]
Node = Any  # yaml.Node: its stubs leave the fields untyped
ALIAS = re.compile(r"\s*:\s*\*[^\s,\]}]+")
WIDEST = 100  # characters of a mapping that is written on one line


class CannotEdit(Refusal):
    """The value is written in a way that cannot be changed without touching others."""


class Writer(yaml.SafeDumper):
    """Writes a text of several lines as one line with \\n in it."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


def write_text(writer: Writer, text: str) -> Node:
    return writer.represent_scalar("tag:yaml.org,2002:str", text, style='"' if "\n" in text else None)


Writer.add_representer(str, write_text)


def set_value(text: str, path: Path, value: Any) -> str:
    """Return the text with the value at `path` replaced, or its last key added to the mapping around it.

    `value`: JSON, or a datetime. Raises CannotEdit.
    """
    parent = node_at(text, path[:-1])
    found = child(parent, path[-1])
    if found is None:
        return add_key(text, parent, str(path[-1]), value)
    key, old = found
    start, end = old.start_mark.index, end_of(text, old)
    style = getattr(old, "style", None)
    if isinstance(old, yaml.CollectionNode) and not old.flow_style:
        if isinstance(old, yaml.SequenceNode) and isinstance(value, list) and value:
            new = f"\n{' ' * old.start_mark.column}".join(f"- {inline(each)}" for each in value)
        else:
            start, new = after_colon(text, key, start), f" {inline(value)}"
    elif style == "|":
        new = literal(value, parent.value[0][0].start_mark.column + 2)
    else:
        new = (" " if start == end else "") + inline(value, style=style)
    return text[:start] + new + text[end:]


def after_colon(text: str, key: Node | None, start: int) -> int:
    if key is None:
        raise CannotEdit("It is an item of a list.")
    return text.index(":", key.end_mark.index, start) + 1


def remove(text: str, path: Path) -> str:
    """Return the text without the key or the item at `path`; comments around it stay."""
    parent = node_at(text, path[:-1])
    found = child(parent, path[-1])
    if found is None:
        raise CannotEdit("It is not written there itself.")
    key, value = found
    if parent.flow_style:
        return remove_from_flow(text, parent, key or value)
    start = key.start_mark.index if key else text.rindex("-", 0, value.start_mark.index)
    line = text.rfind("\n", 0, start) + 1
    if text[line:start].strip():  # the first key after a dash
        return set_value(text, path, None)
    return text[:line] + text[end_of_line(text, end_of_pair(text, key, value)) :]


def append(text: str, key: str, entry: dict[str, Any]) -> str:
    """Return the text with `entry` at the end of the list at the top-level `key`, which may be missing or empty."""
    root = yaml.compose(text, Loader=LOADER)
    if root is None:
        return f"{closed(text)}{key}:\n{item(entry, 0)}"
    found = child(root, key)
    if found is None:
        end = end_of_line(text, end_of(text, root))
        return f"{closed(text[:end])}{key}:\n{item(entry, 0)}{text[end:]}"
    _, node = found
    if isinstance(node, yaml.SequenceNode) and node.value:
        end = end_of(text, node.value[-1])
        if node.flow_style:
            return f"{text[:end]}, {inline(entry)}{text[end:]}"
        end = end_of_line(text, end)
        return closed(text[:end]) + item(entry, node.start_mark.column) + text[end:]
    start, end = node.start_mark.index, end_of(text, node)
    bare = text[:start].rstrip(" ") + text[end:]  # without the [] or null
    end = end_of_line(bare, len(text[:start].rstrip(" ")))
    return closed(bare[:end]) + item(entry, 0) + bare[end:]


def text_at(text: str, path: Path) -> str:
    """Return what is written at `path`; "" where nothing is."""
    found = child(node_at(text, path[:-1]), path[-1])
    return text[found[1].start_mark.index : end_of(text, found[1])] if found else ""


# --- where things are -----------------------------------------------------------------------------------------------


def node_at(text: str, path: Path) -> Node:
    node = yaml.compose(text, Loader=LOADER)
    for step in path:
        found = child(node, step)
        if found is None:
            raise CannotEdit("It is not written there itself.")
        node = found[1]
    return node


def child(node: Node, step: str | int) -> tuple[Node | None, Node] | None:
    """Return the (key and) value one step further, None if there is none; raise CannotEdit for an alias."""
    if isinstance(node, yaml.SequenceNode):
        value = node.value[int(step)]
        earlier = any(value is other for other in node.value[: int(step)])
        if earlier or value.start_mark.index < node.start_mark.index:
            raise CannotEdit("It is written with an alias.")
        return None, value
    for key, value in node.value if isinstance(node, yaml.MappingNode) else ():
        if key.value == step:
            if is_alias(key, value):
                raise CannotEdit("It is written with an alias.")
            return key, value
    return None


def is_alias(key: Node, value: Node) -> bool:
    return bool(value.start_mark.index < key.end_mark.index)  # its marks are the anchor's, which comes before


def end_of(text: str, node: Node) -> int:
    """Return where the last character of a node's own is: the parser's mark may be after comments below it."""
    if isinstance(node, yaml.ScalarNode):
        end = int(node.end_mark.index)
        return len(text[:end].rstrip()) if node.style in ("|", ">") else end
    if node.flow_style or not node.value:
        return int(node.end_mark.index)
    if isinstance(node, yaml.MappingNode):
        return end_of_pair(text, *node.value[-1])
    if node.value[-1].start_mark.index < node.start_mark.index:
        raise CannotEdit("It ends with an alias.")
    return end_of(text, node.value[-1])


def end_of_pair(text: str, key: Node | None, value: Node) -> int:
    if key is not None and is_alias(key, value):
        match = ALIAS.match(text, key.end_mark.index)
        return match.end() if match else int(key.end_mark.index)
    return end_of(text, value)


def end_of_line(text: str, position: int) -> int:
    found = text.find("\n", position)
    return len(text) if found < 0 else found + 1


# --- what is put there ----------------------------------------------------------------------------------------------


def add_key(text: str, parent: Node, key: str, value: Any) -> str:
    if not isinstance(parent, yaml.MappingNode) or not parent.value:
        raise CannotEdit("There are no keys and values.")
    if parent.flow_style:
        end = end_of_pair(text, *parent.value[-1])
        return f"{text[:end]}, {inline(key)}: {inline(value)}{text[end:]}"
    end = end_of_line(text, end_of(text, parent))
    return closed(text[:end]) + pair(key, value, parent.value[0][0].start_mark.column) + text[end:]


def remove_from_flow(text: str, parent: Node, target: Node) -> str:
    firsts = [each[0] if isinstance(parent, yaml.MappingNode) else each for each in parent.value]
    starts = [first.start_mark.index for first in firsts]
    place = starts.index(target.start_mark.index)
    last = parent.value[place]
    end = end_of_pair(text, *last) if isinstance(last, tuple) else end_of(text, last)
    if place + 1 < len(starts):
        return text[: starts[place]] + text[starts[place + 1] :]
    if place:
        before = parent.value[place - 1]
        start = end_of_pair(text, *before) if isinstance(before, tuple) else end_of(text, before)
        return text[:start] + text[end:]
    return text[: starts[0]] + text[end:]


def inline(value: Any, *, style: str | None = None) -> str:
    """Return a value on one line, fit for any place; a text in the quotes that were there before."""
    if isinstance(value, datetime):
        return value.isoformat(" ")
    quotes = style if style in ("'", '"') and isinstance(value, str) and "\n" not in value else None
    options: dict[str, Any] = {"allow_unicode": True, "width": 10**9, "sort_keys": False}
    dumped = yaml.dump([value], Dumper=Writer, default_flow_style=True, default_style=quotes, **options)
    return str(dumped).strip()[1:-1]


def literal(value: Any, column: int) -> str:
    """Return a text as a block of lines after |, or inline where that is not possible."""
    if not isinstance(value, str) or not value.strip() or value[0].isspace() or "\r" in value:
        return inline(value)
    body = value.removesuffix("\n")
    if body.endswith("\n") or not all(line.isprintable() for line in body.split("\n")):
        return inline(value)
    lines = [" " * column + line if line else "" for line in body.split("\n")]
    return "\n".join(["|" if value.endswith("\n") else "|-", *lines])


def pair(key: str, value: Any, column: int) -> str:
    """Return a line, or several for a mapping that is long, at a column."""
    indent, line = " " * column, inline(value)
    if isinstance(value, dict) and value and len(line) > WIDEST:
        return f"{indent}{inline(key)}:\n" + "".join(pair(name, each, column + 2) for name, each in value.items())
    return f"{indent}{inline(key)}: {line}\n"


def item(entry: dict[str, Any], column: int) -> str:
    lines = "".join(pair(key, value, column + 2) for key, value in entry.items())
    return f"{' ' * column}- {lines[column + 2 :]}"


def closed(text: str) -> str:
    return text if not text or text.endswith("\n") else f"{text}\n"
