"""A line of a log as safe HTML: what a program wrote is text, its colors are classes, and nothing else of it acts."""

import re
from collections.abc import Iterable, Iterator, Mapping
from html import escape
from typing import Any
from urllib.parse import urlencode

LONG = 4000  # characters of a line that are shown at once
BEFORE_A_HIT = 1000  # of them, where the first hit is further out
SOURCES = {"stdout": "out", "stderr": "err", "system": "sys"}
LEVELS = {"WARNING": "warn", "CRITICAL": "crit"}
SIMPLE = {1: ("bold", "a-bold"), 2: ("dim", "a-dim"), 3: ("italic", "a-italic"), 4: ("under", "a-under")}
ENDS = {22: ("bold", "dim"), 23: ("italic",), 24: ("under",), 39: ("color",)}

COLOR = re.compile(r"\x1b\[([0-9;:]*)m")
ACTS = re.compile(  # other sequences, then control characters, then halves of characters
    r"\x1b\][^\x07\x1b]*(?:\x07|\x1b\\|$)|\x1b[PX^_][^\x1b]*(?:\x1b\\|$)|\x1b\[[0-?]*[ -/]*[@-ln-~]"
    r"|\x1b(?!\[[0-9;:]*m)[ -/]*[0-~]?|[\x00-\x08\x0b-\x1a\x1c-\x1f\x7f-\x9f\ud800-\udfff]"
)
PLAIN = re.compile(r"[^\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff]*\Z")
PALETTE = (
    (0, 0, 0), (205, 49, 49), (13, 188, 121), (229, 229, 16), (36, 114, 200), (188, 63, 188), (17, 168, 205),
    (229, 229, 229),
)  # fmt: skip


class Html(str):
    """Text that is HTML already, to templates too."""

    __slots__ = ()

    def __html__(self) -> "Html":
        return self


def rows(
    lines: Iterable[Mapping[str, Any]], page: str, query: str = "", here: int = -1, *, whole: bool = False
) -> Html:
    """Return lines as list items: `page` is the log's own address, `here` the line to point out, `whole` if long."""
    return Html("".join(row(line, page, query, is_here=line["o"] == here, whole=whole) for line in lines))


def row(line: Mapping[str, Any], page: str, query: str = "", *, is_here: bool = False, whole: bool = False) -> Html:
    """Return one line as a list item with its time (a link to it), source or level, and text."""
    offset, stamp = int(line["o"]), str(line.get("t", ""))
    level, source = str(line.get("l") or "INFO"), str(line.get("s", ""))
    link = f"{page}?{urlencode({'at': offset})}#L{offset}"
    said = text(str(line.get("m", "")), query, page=page, offset=offset, whole=whole and is_here)
    name = SOURCES.get(source) or LEVELS.get(level) or level.lower()
    return Html(
        f'<li id="L{offset}" class="l-{escape(level)} s-{escape(source)}{" here" if is_here else ""}">'
        f'<a class="at" href="{escape(link)}"><time datetime="{escape(stamp)}" data-style="log"'
        f' title="{escape(stamp)}">{escape(stamp[11:23])}</time></a>'
        f'<span class="src" title="{escape(source)}, {escape(level)}">{escape(name[:5])}</span>'
        f'<bdi class="text">{said}</bdi></li>'
    )


def text(said: str, query: str = "", *, page: str = "", offset: int = 0, whole: bool = False) -> str:
    """Return what a line says as HTML: colors as classes, hits as <mark>, the far end of a long line as a link."""
    if not query and len(said) <= LONG and PLAIN.match(said):
        return escape(said)
    parts = list(styled(said))
    begin, end, length = window(parts, query, whole=whole)
    shown = marked(cut(parts, begin, end), query)
    found = "".join(f'<span class="{classes}">{html}</span>' if classes else html for classes, html in shown)
    more = [f"{begin:,} characters before …"] if begin else []
    if rest := length - end:
        more.append(f"… {rest:,} more characters")
    if not more:
        return found
    link = escape(f"{page}?{urlencode({'at': offset, 'full': 1})}#L{offset}")
    said_of = [f'<a class="rest" href="{link}">{words}</a>' for words in more]
    return f"{said_of[0] if begin else ''}{found}{said_of[-1] if rest else ''}"


def plain(said: str) -> str:
    """Return the text of a line as it is read, without colors and control characters."""
    return "".join(part for _, part in styled(said))


def styled(said: str) -> Iterator[tuple[str, str]]:
    """Yield pieces of text with their classes. Of what a progress bar wrote over itself the last is shown."""
    last = next((part for part in reversed(said.split("\r")) if part), "")
    style: dict[str, str] = {}
    for number, part in enumerate(COLOR.split(ACTS.sub("", last))):
        if number % 2:
            change(style, part)
        elif part := part.replace("\x1b", ""):
            yield " ".join(style.values()), part


def change(style: dict[str, str], codes: str) -> None:
    """Apply a color sequence; what it says of anything but the letters is dropped."""
    numbers = [int(code) if code and len(code) < 6 else 0 for code in re.split("[;:]", codes)]
    while numbers:
        code = numbers.pop(0)
        if code == 0:
            style.clear()
        elif code in SIMPLE:
            style[SIMPLE[code][0]] = SIMPLE[code][1]
        elif code in ENDS:
            for name in ENDS[code]:
                style.pop(name, None)
        elif 30 <= code <= 37 or 90 <= code <= 97:
            style["color"] = of_sixteen(code % 10 + (8 if code >= 90 else 0))
        elif code in (38, 48):
            color = wide_color(numbers)
            if code == 38 and color is not None:
                style["color"] = of_sixteen(color)


def of_sixteen(number: int) -> str:
    return f"a-{number % 8}{'b' if number >= 8 else ''}"


def wide_color(numbers: list[int]) -> int | None:
    """Take the rest of a 256 or 24-bit color off the numbers; return the nearest of the sixteen."""
    kind = numbers.pop(0) if numbers else 0
    if kind == 5 and numbers:
        number = min(numbers.pop(0), 255)
        if number < 16:
            return number
        if number >= 232:
            return nearest((8 + 10 * (number - 232),) * 3)
        cube = number - 16
        return nearest(tuple(55 + 40 * each if each else 0 for each in (cube // 36, cube // 6 % 6, cube % 6)))
    if kind == 2:
        red_green_blue, numbers[:3] = tuple(numbers[:3]), []
        return nearest(red_green_blue) if len(red_green_blue) == 3 else None
    return None


def nearest(color: tuple[int, ...]) -> int:
    """Return which of the first eight colors is nearest; those with least hue are black or white."""
    distances = [sum((a - b) ** 2 for a, b in zip(color, each, strict=True)) for each in PALETTE]
    return distances.index(min(distances))


# --- hits and long lines ----------------------------------------------------------------------------------------------


def window(parts: list[tuple[str, str]], query: str, *, whole: bool) -> tuple[int, int, int]:
    """Return from where to where a line is shown, and how long it is: with its first hit in view."""
    said = "".join(part for _, part in parts)
    if whole or len(said) <= LONG:
        return 0, len(said), len(said)
    hit = said.lower().find(query.lower()) if query else -1
    begin = hit - BEFORE_A_HIT if hit + len(query) > LONG else 0
    return begin, min(begin + LONG, len(said)), len(said)


def cut(parts: list[tuple[str, str]], begin: int, end: int) -> Iterator[tuple[str, str]]:
    at = 0
    for classes, part in parts:
        if piece := part[max(0, begin - at) : max(0, end - at)]:
            yield classes, piece
        at += len(part)


def marked(parts: Iterable[tuple[str, str]], query: str) -> Iterator[tuple[str, str]]:
    """Yield each piece as HTML with its hits marked; a hit may go over several pieces."""
    pieces = list(parts)
    hits = places(query, "".join(part for _, part in pieces)) if query else []
    at = 0
    for classes, part in pieces:
        html, done = [], 0
        for begin, end in hits:
            low, high = max(begin - at, 0), min(end - at, len(part))
            if low < high:
                html += [escape(part[done:low]), "<mark>", escape(part[low:high]), "</mark>"]
                done = high
        yield classes, "".join([*html, escape(part[done:])])
        at += len(part)


def places(query: str, said: str) -> list[tuple[int, int]]:
    """Return where the query is in the text, whatever the case of its letters."""
    return [match.span() for match in re.finditer(re.escape(query), said, re.IGNORECASE)]
