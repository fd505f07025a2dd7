"""Lengths of time as people type them: "90", "90 s", "45 min", "2 h", "1 h 30 min", "3 days". Pure."""

import re

UNITS = {
    **dict.fromkeys(("s", "sec", "secs", "second", "seconds"), 1),
    **dict.fromkeys(("m", "min", "mins", "minute", "minutes"), 60),
    **dict.fromkeys(("h", "hr", "hrs", "hour", "hours"), 3600),
    **dict.fromkeys(("d", "day", "days"), 86_400),
    **dict.fromkeys(("w", "week", "weeks"), 604_800),
}
PART = re.compile(r"(\d{1,15}(?:\.\d{1,6})?)\s*([a-z]+)\s*", re.ASCII)
WRITTEN = (("d", 86_400), ("h", 3600), ("min", 60), ("s", 1))


def read_span(text: str) -> float | None:
    """Return the seconds that a span is long, a whole number where it is one; None for what is no span."""
    typed = text.strip().lower()
    if re.fullmatch(r"-?\d{1,15}(\.\d{1,6})?", typed, re.ASCII):
        return whole_if_it_is(float(typed))
    parts = list(PART.finditer(typed))
    if not parts or "".join(part.group() for part in parts) != typed or any(part[2] not in UNITS for part in parts):
        return None
    return whole_if_it_is(sum(float(part[1]) * UNITS[part[2]] for part in parts))


def write_span(seconds: float) -> str:
    """Return a span in the largest unit that fits exactly: "90 min", "2 h", "45 s"."""
    for name, size in WRITTEN:
        if seconds and seconds % size == 0:
            return f"{int(seconds // size)} {name}"
    return f"{whole_if_it_is(seconds)} s"


def span_in_words(seconds: float) -> str:
    """Return a span by its two largest units: "6 min 15 s", "2 h 30 min"; less is left out."""
    rest, parts = round(seconds), []
    for name, size in WRITTEN:
        count, rest = divmod(rest, size)
        if count:
            parts.append(f"{count} {name}")
    return " ".join(parts[:2]) or "0 s"


def whole_if_it_is(seconds: float) -> float:
    return int(seconds) if seconds == int(seconds) else seconds
