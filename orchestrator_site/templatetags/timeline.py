"""How a lane of the timeline looks. In one piece of text: a page has thousands of elements."""

from collections.abc import Iterator
from html import escape
from typing import Any

from django import template
from django.urls import reverse
from django.utils.safestring import SafeString

from orchestrator_site.timeline.shown import Lane

register = template.Library()


@register.simple_tag
def lane_drawing(lane: Lane) -> SafeString:
    """Draw windows, cells, moments without a run, and runs, in this order; what has a page is a link to it."""
    return SafeString("".join([*bands(lane), *cells(lane), *marks(lane), *bars(lane)]))


def rect(name: str, place: dict[str, Any], y: float, height: float, more: str = "") -> str:
    return f'<rect class="{name}"{more} x="{place["x"]}%" width="{place["width"]}%" y="{y}" height="{height}"'


def title(shown: dict[str, Any]) -> str:
    return f"<title>{escape(shown['title'])}</title>"


def bands(lane: Lane) -> Iterator[str]:
    for band in lane.bands:
        yield f"{rect('band', band, 0, 20)}>{title(band)}</rect>"


def cells(lane: Lane) -> Iterator[str]:
    for cell in lane.cells:
        whole = rect(f"cell c{cell['depth']}", cell, 2, 16)
        if cell["link"]:
            bad = rect("cell-bad", cell, cell["bad_y"], cell["bad"])
            yield f'<a href="{escape(cell["link"])}" tabindex="-1">{title(cell)}{whole}/>{bad}/></a>'
        else:
            yield f"{whole}>{title(cell)}</rect>"


def marks(lane: Lane) -> Iterator[str]:
    before, _, after = reverse("schedules:detail", args=[0]).partition("0")
    for mark in lane.marks:
        hatch = f' fill="url(#hatch-{mark["hatch"]})"' if mark["hatch"] else ""
        whole = rect(f"mark-{mark['kind']}", mark, 3, 14, hatch)
        if mark["schedule"]:
            yield f'<a href="{before}{mark["schedule"]}{after}" tabindex="-1">{title(mark)}{whole}/></a>'
        else:
            yield f"{whole}>{title(mark)}</rect>"


NOTCH = '<svg x="{}%" overflow="visible"><path d="M-3 0h6l-3 4z"/></svg>'


def bars(lane: Lane) -> Iterator[str]:
    before, _, after = reverse("runs:detail", args=[0]).partition("0")
    for bar in lane.bars:
        parts = "".join(f"{rect(part['kind'], part, part['y'], part['height'])}/>" for part in bar["parts"])
        notch = NOTCH.format(bar["x"]) if bar["is_bad"] else ""
        link = f'<a class="t-{bar["tone"]}" href="{before}{bar["id"]}{after}" tabindex="-1">'
        yield f"{link}{title(bar)}{parts}{notch}</a>"
