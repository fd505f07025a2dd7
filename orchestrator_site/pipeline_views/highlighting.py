"""Code with its colors, line by line: Pygments on the server, as classes of the style sheet."""

from typing import NamedTuple

from django.utils.html import escape
from django.utils.safestring import SafeString
from pygments import highlight
from pygments.formatters import HtmlFormatter
from pygments.lexers import get_lexer_for_filename
from pygments.util import ClassNotFound

LONGEST = 200_000  # characters; what is longer stays without colors
FORMATTER: "HtmlFormatter[str]" = HtmlFormatter(nowrap=True, classprefix="tok-")


class Line(NamedTuple):
    """A line by its number from 1, as HTML."""

    number: int
    html: SafeString


def lines_of(path: str, text: str, most: int) -> list[Line]:
    """Return the lines of a file, at most so many; one of an unknown kind is plain text."""
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    parts = colored(path, text) or [escape(line) for line in text.removesuffix("\n").split("\n")]
    return [Line(number, SafeString(part)) for number, part in enumerate(parts[:most], 1)]


def colored(path: str, text: str) -> list[str]:
    """Return the lines with markup; none where there are no colors for it."""
    if len(text) > LONGEST:
        return []
    try:
        lexer = get_lexer_for_filename(path, stripnl=False, ensurenl=False)
    except ClassNotFound:
        return []
    # (The formatter ends its spans with each line and opens them anew.)
    return str(highlight(text, lexer, FORMATTER)).removesuffix("\n").split("\n")
