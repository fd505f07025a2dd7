"""Drawings of which a page has hundreds of parts: written here, as templates would take most of the page's time."""

from collections.abc import Iterable

from django import template
from django.urls import reverse
from django.utils.html import escape
from django.utils.safestring import SafeString, mark_safe

from orchestrator_site.templatetags.look import duration, look_of
from runs.drawing.gantt import STARTING, WAITING, Part, Row
from runs.drawing.scatter import Placed

register = template.Library()
WENT_WELL = ("", "completed", "condition_failed")


@register.simple_tag
def gantt_bar(row: Row) -> SafeString:
    """Draw the bar of one block: a line for what it waited for, then three parts for each attempt."""
    if not row.parts:
        words = look_of(row.work.status).label
        return mark_safe(f'<svg width="100%" height="20" role="img" aria-label="{escape(words)}"></svg>')  # noqa: S308
    lead = f'<line class="lead" x1="0" x2="{row.lead}%" y1="10" y2="10"/>' if row.lead else ""
    parts = "".join(map_part(row, part) for part in row.parts)
    crosses = "".join(f'<text class="crossed" x="{x}%" y="14" text-anchor="middle">×</text>' for x in row.failed_ends)
    label = f'<svg width="100%" height="20" role="img" aria-label="{escape(said(row))}">'
    return mark_safe(f"{label}{lead}{parts}{crosses}</svg>")  # noqa: S308  # what is not a number is escaped


def map_part(row: Row, part: Part) -> str:
    y, height = (7, 6) if part.kind == WAITING else (3, 14)
    place = f'x="{part.x}%" width="{part.width}%" y="{y}" height="{height}"'
    ended = "" if part.ended_as in WENT_WELL else " ended-badly"
    words = f"{row.work.name}: {part.kind} {duration(part.seconds)}"
    if row.failed_ends:
        words += f", attempt {part.number + 1}"
    hatch = f'<rect fill="url(#hatch)" {place}/>' if part.kind == STARTING else ""
    return f'<rect class="{part.kind}{ended}" {place}><title>{escape(words)}</title></rect>{hatch}'


def said(row: Row) -> str:
    words = f"waited {duration(row.waited)}, starting {duration(row.started)}, ran {duration(row.ran)}"
    if row.failed_ends:
        words += f", {len(row.failed_ends) + 1} attempts"
    return f"{words}; on the way that decided" if row.is_critical else words


@register.simple_tag
def dots(placed: Iterable[Placed]) -> SafeString:
    """Draw runs as marks, each a link: its shape and color say how it ended."""
    before, after = reverse("runs:detail", args=[0]).split("0")
    return mark_safe("\n".join(dot(each, before, after) for each in placed))  # noqa: S308  # words are escaped


def dot(each: Placed, before: str, after: str) -> str:
    look, run = look_of(each.dot.status), each.dot
    words = escape(f"#{run.run_id} {run.words}: {look.label}, {duration(run.seconds)}")
    mark = f'<use href="#dot-{look.tone}" x="{each.x}%" y="{each.y}"/>'
    link = f'<a href="{before}{run.run_id}{after}" tabindex="-1" class="t-{look.tone}">'
    return f"{link}<title>{words}</title>{mark}</a>"
