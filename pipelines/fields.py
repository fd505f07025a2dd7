"""Typed look-ups in a mapping of a yaml file: what has the wrong type is noted as a fault with its line."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

from pipelines.files import FileFault, shown
from pipelines.graph import nearest
from pipelines.yaml_files import Document

MAX_SECONDS = 31_536_000  # a year


class Fields:
    """One mapping of a document. A missing or empty value gives the default; a wrong one too, and adds to `faults`.

    Quoted numbers and words for yes and no are taken as what they say: they often come out of `{{ env_var('X') }}`.
    """

    def __init__(self, document: Document, path: tuple[str | int, ...], faults: list[FileFault]) -> None:
        self.document = document
        self.path = path
        self.faults = faults
        data: Any = document.data
        for key in path:
            data = data[key]
        self.data: Mapping[str, Any] = data

    def fault(self, message: str, key: str | int = "", hint: str = "") -> None:
        self.faults.append(self.document.fault(message, *self.path, *([key] if key != "" else []), hint=hint))

    def text(self, key: str, default: str = "", *, limit: int = 255) -> str:
        """Return a text (a number as it was written); note a fault and return `default` for anything else."""
        value = self.data.get(key)
        if value is None or value == "":
            return default
        if isinstance(value, dict | list | bool):
            self.fault(f"{key} must be a text.", key, hint=f"Write {key}: some text.")
            return default
        text = str(value) if isinstance(value, str) else self.document.raw.get((*self.path, key), str(value))
        if len(text) > limit:
            self.fault(f"{key} has {len(text)} characters; the limit is {limit}.", key, hint="Shorten it.")
            return default
        return text

    def choice(self, key: str, choices: Sequence[str], default: str) -> str:
        text = self.text(key, default)
        if text not in choices:
            hint = nearest(text, choices) or f"Use one of: {', '.join(choices)}."
            self.fault(f"{key}: {shown(text)!r} is not known.", key, hint=hint)
            return default
        return text

    def seconds(self, key: str, *, low: float = 0, zero_is_none: bool = True) -> float | None:
        """Return a time in seconds, None for no limit (empty, or 0 as Mage's pages write it)."""
        value = self.number(key, low=low, high=MAX_SECONDS, unit=" of seconds")
        return None if value == 0 and zero_is_none else value

    def number(self, key: str, *, low: float, high: float, unit: str = "") -> float | None:
        """Return a number from `low` to `high`, None if left empty; note a fault and return None for anything else."""
        value = self.data.get(key)
        if value is None or value == "":
            return None
        if isinstance(value, str):
            try:
                value = float(value)
            except ValueError:
                value = math.nan
        if isinstance(value, bool | dict | list) or not low <= value <= high:
            seen = self.document.raw.get((*self.path, key), self.data[key])
            hint = f"Use {low:g} to {high:,.0f}, or leave it empty."
            self.fault(f"{key}: {shown(str(seen))!r} is not a number{unit} that is allowed.", key, hint=hint)
            return None
        return float(value)

    def integer(self, key: str, *, low: int, high: int) -> int | None:
        value = self.number(key, low=low, high=high)
        if value is not None and value != int(value):
            self.fault(f"{key}: {value:g} is not a whole number.", key, hint=f"Use {low} to {high}.")
            return None
        return None if value is None else int(value)

    def flag(self, key: str, *, default: bool = False) -> bool:
        value = self.data.get(key)
        if value is None or value == "":
            return default
        words = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}
        if (word := str(value).strip().lower()) not in words:
            self.fault(f"{key}: {shown(str(value))!r} is not a yes or no.", key, hint="Write true or false.")
            return default
        return words[word]

    def mapping(self, key: str) -> dict[str, Any]:
        value = self.data.get(key)
        if value is None or value == "" or value == []:
            return {}
        if not isinstance(value, dict):
            self.fault(f"{key} must have keys and values.", key, hint=f"Write {key}: and under it name: value.")
            return {}
        return value

    def inner(self, key: str) -> "Fields":
        """Return the look-ups of the mapping at `key`; an empty one if there is none."""
        if self.mapping(key):
            return Fields(self.document, (*self.path, key), self.faults)
        empty = Fields(self.document, (), self.faults)
        empty.path, empty.data = (*self.path, key), {}
        return empty

    def names(self, key: str) -> list[str]:
        """Return a list of texts; a single text counts as a list of one."""
        value = self.data.get(key)
        if value is None or value == "" or value == {}:
            return []
        items = value if isinstance(value, list) else [value]
        if any(isinstance(item, dict | list) or item is None or item == "" for item in items):
            self.fault(f"{key} must be a list of names.", key, hint=f"Write {key}: [first, second].")
            return []
        return [
            item if isinstance(item, str) else self.document.raw.get((*self.path, key, index), str(item))
            for index, item in enumerate(items)
        ]

    def entries(self, key: str) -> "list[Fields]":
        """Return the look-ups of each mapping in the list at `key`; what is no mapping is a fault and left out."""
        value = self.data.get(key)
        if value is None or value == "" or value == {}:
            return []
        if not isinstance(value, list):
            self.fault(f"{key} must be a list.", key, hint=f"Write {key}: and under it - entries.")
            return []
        found = []
        for index, item in enumerate(value):
            if isinstance(item, dict):
                found.append(Fields(self.document, (*self.path, key, index), self.faults))
            else:
                line = self.document.line(*self.path, key, index)
                message = f"Entry {index + 1} of {key} must have keys and values."
                self.faults.append(FileFault(message, file=self.document.file, line=line, hint="Write - uuid: name."))
        return found
