"""How the dots of a chart of runs look, and its table. In one piece of text: there may be a thousand of them."""

from collections.abc import Iterator, Sequence
from html import escape

from django import template
from django.urls import reverse
from django.utils.safestring import SafeString

from orchestrator_site.templatetags.look import duration, look_of
from runs.drawing.charts import Chart, Dot, Timed
from runs.viewer_zone import stamp, viewer_zone
from runs.zones import UTC

register = template.Library()
RADIUS = 3.2


@register.simple_tag
def dots(chart: Chart) -> SafeString:
    """Draw the runs of a chart: a circle that completed, a cross that failed, a dash what else; each a link."""
    before, _, after = reverse("runs:detail", args=[0]).partition("0")
    return SafeString("".join(f'<a href="{before}{dot.run}{after}" {drawn(dot)}</a>' for dot in chart.dots))


def drawn(dot: Dot) -> str:
    look = look_of(dot.kind)
    words = f"run #{dot.run}: {look.label}, {duration(dot.value)}, {stamp(dot.at)}"
    return f'class="t-{look.tone}"><title>{escape(words)}</title>{shape_of(dot)}'


def shape_of(dot: Dot) -> str:
    if dot.kind == "completed":
        return f'<circle class="dot" cx="{dot.x}" cy="{dot.y}" r="{RADIUS}"/>'
    if dot.kind == "failed":
        return f'<path class="cross" d="M{dot.x - 3.5:g} {dot.y - 3.5:g}l7 7m0 -7l-7 7"/>'
    return f'<path class="cross" d="M{dot.x - 4:g} {dot.y:g}h8"/>'


@register.simple_tag
def rows_of_numbers(runs: Sequence[Timed]) -> SafeString:
    """Write the rows of the table beside a chart of durations, with the plain numbers that the chart reads."""
    return SafeString("".join(rows(runs)))


def rows(runs: Sequence[Timed]) -> Iterator[str]:
    before, _, after = reverse("runs:detail", args=[0]).partition("0")
    zone = viewer_zone()
    for run in runs:
        hover = "" if zone == UTC else f' title="{run.at:%Y-%m-%d %H:%M:%S} UTC"'
        took = f'<td class="right num" data-n="{run.seconds:.3f}">{duration(run.seconds)}</td>'
        both = f"{took}<td></td>" if run.status == "completed" else f"<td></td>{took}"
        local = run.at.astimezone(zone)
        began = f'<td class="num" data-n="{run.at.timestamp():.0f}"{hover}>{local:%Y-%m-%d %H:%M:%S}</td>'
        yield f'<tr>{began}{both}<td><a href="{before}{run.run}{after}">#{run.run}</a></td></tr>'
