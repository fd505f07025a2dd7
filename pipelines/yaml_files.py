"""Yaml of a project as plain JSON values, with the line of each: no tags, few aliases, no duplicate keys.

Reads what Mage reads (YAML 1.1), and says in which file, line and column it cannot.
"""

import datetime
import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import yaml

from pipelines.files import FileFault, TextFile, shown
from pipelines.templating import Rendered, render

MAX_ALIASES = 100
MAX_DEPTH = 32
MAX_VALUES = 100_000  # after aliases are expanded
Path = tuple[str | int, ...]
Event = Any  # yaml.Event: its stubs leave the fields untyped
LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
SURROGATE = re.compile("[\ud800-\udfff]")


@dataclass(frozen=True)
class Document:
    """A yaml file as JSON values (dates as ISO texts); None for an empty file.

    `raw` has the text of every scalar that is not a string by its looks: `12:30:00` is the number 45000 to yaml.
    """

    file: str
    data: Any
    lines: Mapping[Path, int]
    raw: Mapping[Path, str]

    def line(self, *path: str | int) -> int | None:
        """Return the line of a value by its keys and indexes, or of the nearest thing around it that has one."""
        for length in range(len(path), -1, -1):
            if found := self.lines.get(path[:length]):
                return found
        return None

    def fault(self, message: str, *path: str | int, hint: str = "") -> FileFault:
        return FileFault(message, file=self.file, line=self.line(*path), hint=hint)


def parse(source: TextFile, *, env: Mapping[str, str]) -> Document:
    """Read a file's text, its `{{ … }}` first; raise FileFault for whatever is not plain yaml."""
    rendered = render(source.text, file=source.path, env=env)
    return Reader(source.path, rendered).document()


class Reader:
    """Builds the values from the parser's events, so that limits hold before anything is expanded."""

    def __init__(self, file: str, rendered: Rendered) -> None:
        self.file = file
        self.rendered = rendered
        self.lines: dict[Path, int] = {}
        self.raw: dict[Path, str] = {}
        self.anchors: dict[str, tuple[Any, int]] = {}  # value and how many values are in it
        self.aliases = 0
        self.values = 0
        self.resolve: Any = yaml.resolver.Resolver().resolve
        self.constructor = yaml.constructor.SafeConstructor()

    def document(self) -> Document:
        try:
            data = self.whole(iter(yaml.parse(self.rendered.text, Loader=LOADER)))
        except yaml.MarkedYAMLError as error:
            raise self.syntax_fault(error) from None
        except (yaml.YAMLError, RecursionError) as error:
            raise FileFault(one_line(str(error)), file=self.file) from None
        return Document(self.file, data, self.lines, self.raw)

    def whole(self, events: Iterator[Event]) -> Any:
        data, seen = None, False
        for event in events:
            if not isinstance(event, yaml.DocumentStartEvent):
                continue
            if seen:
                raise self.fault("There is a second document (after ---).", event, "Keep one document in the file.")
            data, seen = self.value(next(events), events, ()), True
        return data

    def value(self, event: Event, events: Iterator[Event], path: Path) -> Any:
        if len(path) > MAX_DEPTH:
            raise self.fault(f"Values are nested more than {MAX_DEPTH} deep.", event, "Nest them less.")
        if isinstance(event, yaml.AliasEvent):
            return self.alias(event, path)
        if event.tag is not None and event.tag != "!":
            hint = "Write the plain value, quoted if it is a text."
            raise self.fault(f"Tags are not allowed ({shown(event.tag)}).", event, hint)
        self.lines.setdefault(path, event.start_mark.line + 1)
        before = self.values
        self.count(1, event)
        if event.anchor is not None:
            self.anchors.pop(event.anchor, None)  # until it is complete, it cannot be used: no value contains itself
        if isinstance(event, yaml.ScalarEvent):
            value: Any = self.scalar(event, path)
        elif isinstance(event, yaml.SequenceStartEvent):
            value = self.sequence(events, path)
        else:
            value = self.mapping(events, path)
        if event.anchor is not None:
            self.anchors[event.anchor] = (value, self.values - before)
        return value

    def alias(self, event: Event, path: Path) -> Any:
        self.aliases += 1
        if self.aliases > MAX_ALIASES:
            raise self.fault(f"There are more than {MAX_ALIASES} aliases.", event, "Write the values out.")
        if event.anchor not in self.anchors:
            hint = "Quote the text if no alias is meant, for example '*/5 * * * *'."
            raise self.fault(f"The alias *{shown(event.anchor)} names nothing that is complete.", event, hint)
        self.lines.setdefault(path, event.start_mark.line + 1)
        value, size = self.anchors[event.anchor]
        self.count(size, event)
        return value

    def count(self, size: int, event: Event) -> None:
        self.values += size
        if self.values > MAX_VALUES:
            raise self.fault(f"There are more than {MAX_VALUES:,} values.", event, "Make the file smaller.")

    def sequence(self, events: Iterator[Event], path: Path) -> list[Any]:
        items: list[Any] = []
        while not isinstance(event := next(events), yaml.SequenceEndEvent):
            items.append(self.value(event, events, (*path, len(items))))
        return items

    def mapping(self, events: Iterator[Event], path: Path) -> dict[str, Any]:
        own: dict[str, Any] = {}
        merged: dict[str, Any] = {}
        while not isinstance(event := next(events), yaml.MappingEndEvent):
            if not isinstance(event, yaml.ScalarEvent):
                raise self.fault("A key must be a plain text.", event, "If {{ … }} is meant, put it in quotes.")
            if event.tag is not None:
                raise self.fault(f"Tags are not allowed ({shown(event.tag)}).", event, "Write the plain key.")
            key = self.text(event)
            if key == "<<" and event.implicit[0]:
                merged = self.merge(self.value(next(events), events, (*path, "<<")), event) | merged
                continue
            if key in own:
                raise self.fault(f"The key {shown(key)!r} is here twice.", event, "Keep one of them.")
            mark: Any = event.start_mark
            self.lines[(*path, key)] = mark.line + 1
            own[key] = self.value(next(events), events, (*path, key))
        return merged | own

    def merge(self, value: Any, event: Event) -> dict[str, Any]:
        parts = value if isinstance(value, list) else [value]
        if not all(isinstance(part, dict) for part in parts):
            raise self.fault("<<: takes a mapping or a list of mappings.", event, "Name the anchor of a mapping.")
        return {key: each for part in reversed(parts) for key, each in part.items()}

    def scalar(self, event: Event, path: Path) -> Any:
        if not event.implicit[0]:  # quoted, or a block of text
            return self.text(event)
        tag = self.resolve(yaml.ScalarNode, event.value, (True, False))
        if tag == "tag:yaml.org,2002:str":
            return self.text(event)
        self.raw[path] = event.value
        try:
            construct = self.constructor.yaml_constructors[tag]
            value = construct(self.constructor, yaml.ScalarNode(tag, event.value))
        except (ValueError, KeyError, yaml.YAMLError):  # 2025-02-30, a number of 5,000 digits, "=" or "<<" alone
            hint = "Quote it if it is a text."
            raise self.fault(f"{shown(event.value)!r} is not a value.", event, hint) from None
        if isinstance(value, float) and not math.isfinite(value):
            raise self.fault(f"{shown(event.value)} is not a finite number.", event, "Use a number, or quote it.")
        if isinstance(value, datetime.date):  # datetimes too
            return value.isoformat()
        return value

    def text(self, event: Event) -> str:
        text = self.rendered.restore(event.value)
        if "\0" in text or SURROGATE.search(text):
            hint = "Remove the escape (\\0, \\ud800 and the like)."
            raise self.fault("This text contains a character that cannot be stored.", event, hint)
        return text

    def fault(self, message: str, event: Event, hint: str = "") -> FileFault:
        mark: Any = event.start_mark
        return FileFault(message, file=self.file, line=mark.line + 1, column=mark.column + 1, hint=hint)

    def syntax_fault(self, error: yaml.MarkedYAMLError) -> FileFault:
        mark: Any = error.problem_mark or error.context_mark
        problem = one_line(error.problem or error.context or "this is not yaml")
        if mark is None:
            return FileFault(problem, file=self.file)
        lines = self.rendered.text.split("\n")
        line = lines[mark.line] if mark.line < len(lines) else ""
        message = f"Column {mark.column + 1}: {problem}."
        return FileFault(message, file=self.file, line=mark.line + 1, column=mark.column + 1, hint=advice(line))


def advice(line: str) -> str:
    """Guess from the line that yaml could not read what would be right."""
    if "\t" in line[: len(line) - len(line.lstrip())]:
        return "Indent with spaces: yaml takes no tabs."
    if re.search(r"(^|[:-] +)[*@%`&]", line.strip()):
        return "Quote the expression, for example '*/5 * * * *' or '@daily'."
    if "{{" in line or "}}" in line:
        return 'Put the {{ … }} in quotes: "{{ … }}".'
    if re.search(r": .*: ", line):
        return "Quote a text that contains a colon and a space."
    return "Check the indentation and the quotes around this line."


def one_line(text: str) -> str:
    return " ".join(text.split())
