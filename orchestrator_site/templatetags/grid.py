"""How the cells of a grid of runs and blocks look. In one piece of text: there may be ten thousand of them."""

from collections.abc import Iterator, Sequence
from functools import lru_cache
from html import escape

from django import template
from django.urls import reverse
from django.utils.http import urlencode
from django.utils.safestring import SafeString

from orchestrator_site.templatetags.look import duration, look_of
from runs.drawing.grid import Cell, Column, Row

register = template.Library()


@register.simple_tag
def cells(row: Row, columns: Sequence[Column]) -> SafeString:
    """Draw the cells of a row: each a link to the block of that run, with color, shape and words."""
    query = escape(urlencode({"block": row.block}))
    return SafeString("".join(cells_of(row, columns, run_address(), query)))


@lru_cache(maxsize=1)  # a page has hundreds of rows
def run_address() -> tuple[str, str, str]:
    return reverse("runs:detail", args=[0]).partition("0")


def cells_of(row: Row, columns: Sequence[Column], address: tuple[str, str, str], query: str) -> Iterator[str]:
    before, _, after = address
    for cell, column in zip(row.cells, columns, strict=True):
        start = '<td class="cut">' if column.before is not None else "<td>"
        if cell is None:
            yield f'{start}<i class="g-none"></i></td>'
        else:
            link, state = f"{before}{cell.run}{after}?{query}", look_of(cell.status).label
            words = f'aria-label="{state}" title="{escape(in_words(cell))}"'
            yield f'{start}<a class="{shape(cell)}" href="{link}" {words}></a></td>'


def shape(cell: Cell) -> str:
    more = f"{' many' if cell.members else ''}{' again' if cell.attempt > 1 else ''}"
    return f"g g-{cell.status}{more} t-{look_of(cell.status).tone}"


def in_words(cell: Cell) -> str:
    """Return what a cell says when it is pointed at: "load in #12: failed, 3.10 s, attempt 2, 12 members"."""
    parts = [look_of(cell.status).label]
    if cell.seconds is not None:
        parts.append(duration(cell.seconds))
    if cell.attempt > 1:
        parts.append(f"attempt {cell.attempt}")
    if cell.members is not None:
        parts.append(f"{cell.members:,} members")
    if cell.why:
        parts.append(cell.why)
    return f"{cell.block} in #{cell.run}: {', '.join(parts)}"
