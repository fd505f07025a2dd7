"""Where two logs begin to say something else: lines compared by what they say, not by when. Pure."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from typing import Any

from runs.log_lines import ACTS, COLOR

SHOWN = 300  # characters of a line
CLOCK = r"\d\d:\d\d(?::\d\d(?:[.,]\d+)?)?"
STAMP = re.compile(rf"\b\d{{4}}-\d\d-\d\d[T ]{CLOCK}(?: ?(?:Z|UTC)\b|[+-]\d\d:?\d\d)?|\b{CLOCK}")
ADDRESS = re.compile(r"\b0x[0-9a-fA-F]+|\b[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}\b")
NUMBER = re.compile(r"\d+(?:[.,_]\d+)*(?:[eE][+-]?\d+)?")
OURS = "system"  # what the orchestrator itself writes into a log

Line = Mapping[str, Any]


@dataclass(frozen=True)
class Said:
    """A line as it is shown, and its offset in the log."""

    text: str
    offset: int


@dataclass(frozen=True)
class Divergence:
    """The first line that differs, counted from 1; None on the side whose log has ended."""

    number: int
    old: Said | None
    new: Said | None


def first_difference(old: Sequence[Line], new: Sequence[Line], *, numbers: bool) -> Divergence | None:
    """Return the first line that says something else; None where both say the same. `numbers`: they count, too."""
    pairs = zip_longest(of_the_block(old), of_the_block(new))
    for number, (was, now) in enumerate(pairs, 1):
        if was is None or now is None or bare(was, numbers=numbers) != bare(now, numbers=numbers):
            return Divergence(number, said(was), said(now))
    return None


def of_the_block(lines: Sequence[Line]) -> list[Line]:
    return [line for line in lines if line.get("s") != OURS]


def bare(line: Line, *, numbers: bool) -> tuple[str, str]:
    """Return the level and the text without times and addresses; without numbers where these do not count."""
    text = ADDRESS.sub("@", STAMP.sub("@", str(line.get("m", ""))))
    return str(line.get("l", "")), text if numbers else NUMBER.sub("#", text)


def said(line: Line | None) -> Said | None:
    if line is None:
        return None
    text = ACTS.sub("", COLOR.sub("", str(line.get("m", ""))))
    return Said(text if len(text) <= SHOWN else f"{text[:SHOWN]}…", int(line.get("o", 0)))
