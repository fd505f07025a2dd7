"""Drawings of which a page has hundreds of parts: written here, as templates would take most of the page's time."""

from collections.abc import Iterable, Mapping
from urllib.parse import quote

from django import template
from django.templatetags.static import static
from django.urls import reverse
from django.utils.html import escape
from django.utils.safestring import SafeString, mark_safe

from orchestrator_site.templatetags.look import SPRITE, duration, look_of
from pipelines.drawing import Drawing, Node
from runs.drawing.gantt import STARTING, WAITING, Part, Row
from runs.drawing.scatter import Placed
from runs.viewer_zone import stamp

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
    words = escape(f"#{run.run_id} {run.words}: {look.label}, {duration(run.seconds)}, began {stamp(run.at)}")
    mark = f'<use href="#dot-{look.tone}" x="{each.x}%" y="{each.y}"/>'
    link = f'<a href="{before}{run.run_id}{after}" tabindex="-1" class="t-{look.tone}">'
    return f"{link}<title>{words}</title>{mark}</a>"


@register.simple_tag
def graph(
    drawing: Drawing,
    states: Mapping[str, str] | None = None,
    link: str = "#block-",
    current: str = "",
    swap: bool = False,
    counts: Mapping[str, str] | None = None,
) -> SafeString:
    """Draw a pipeline. `states`: block uuid → state; `counts`: how far one that runs many times is; links are `link`
    and the block's uuid.
    """
    size, sprite = f'width="{drawing.width}" height="{drawing.height}"', static(SPRITE)
    start = "<a data-swap href=" if swap else "<a href="
    edges = "".join(f'<path class="edge" d="{edge.path}" marker-end="url(#tip)"/>' for edge in drawing.edges)
    nodes = []
    for node in drawing.nodes:
        state, count = (states or {}).get(node.uuid, ""), (counts or {}).get(node.uuid, "")
        tone = look_of(state or "initial").tone
        mark = ' aria-current="true"' if node.uuid == current else ""
        address = escape(link + quote(node.uuid, safe=""))
        parts = node_parts(node, state, count, sprite, 34 if states else 22)
        nodes.append(f'{start}"{address}" class="t-{tone}"{mark}>{parts}</a>')
    return mark_safe(  # noqa: S308  # what is not a number is escaped
        f'<div class="graph" tabindex="0" role="group" aria-label="Graph of {len(nodes)} blocks">'
        f'<svg {size} viewBox="0 0 {drawing.width} {drawing.height}">{TIP}{edges}\n{NEW_LINE.join(nodes)}</svg></div>'
    )


TIP = (
    '<defs><marker id="tip" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" orient="auto">'
    '<path d="M1 1L7 4L1 7" class="edge"/></marker></defs>'
)
NEW_LINE = "\n"


def node_parts(node: Node, state: str, count: str, sprite: str, text_x: int) -> str:
    """Draw a block as a box with its state, its name, and its type or how many of its members are done."""
    kind = f" ({node.type})" if node.type else ""
    said = f": {look_of(state).label}" if state else ""
    title = f"<title>{escape(node.name + kind + said + (count and f', {count}'))}</title>"
    box = f'width="{node.width}" height="{node.height}" rx="7"'
    behind = f'<rect class="box" x="{node.x + 4}" y="{round(node.y - 4, 1)}" {box}/>' if count else ""
    mark = f'<rect class="side" x="{node.x + 10}" y="{round(node.y + 9, 1)}" width="3" height="20" rx="1.500"/>'
    if state:
        place = f'x="{node.x + 10}" y="{round(node.y + 11, 1)}" width="16" height="16"'
        mark = f'<svg class="mark" {place} viewBox="0 0 24 24"><use href="{sprite}#{look_of(state).icon}"/></svg>'
    x, name, below = node.x + text_x, escape(node.label), escape(count or node.type)
    texts = (
        f'<text x="{x}" y="{round(node.y + 16, 1)}">{name}</text>'
        f'<text class="kind" x="{x}" y="{round(node.y + 30, 1)}">{below}</text>'
    )
    return f'{title}{behind}<rect class="box" x="{node.x}" y="{node.y}" {box}/>{mark}{texts}'
