"""How the history of a block looks: a bar for each of its last runs, and how many of them failed."""

from html import escape

from django import template
from django.utils.html import format_html
from django.utils.safestring import SafeString

from orchestrator_site.templatetags.look import duration, look_of
from runs.figures.history_of_blocks import History

register = template.Library()
TALL, LOW, STEP = 16, 3, 4


BARS = '<svg class="strip" width="{0}" height="{1}" viewBox="0 0 {0} {1}" role="img" aria-label="{2}">{3}</svg>'
BAR = '<rect class="t-{}" x="{}" y="{:.1f}" width="3" height="{:.1f}"><title>{}</title></rect>'


@register.simple_tag
def bars(history: History) -> SafeString:
    """Draw the last runs as bars, oldest first: color is the state, height how long it took.

    No template draws it: a page has more than a thousand bars.
    """
    if not history.recent:
        return SafeString('<span class="quiet">–</span>')
    longest = max(each.seconds or 0 for each in history.recent) or 1
    drawn = []
    for place, each in enumerate(history.recent):
        look, height = look_of(each.status), round(LOW + (TALL - LOW) * (each.seconds or 0) / longest, 1)
        took = f", {duration(each.seconds)}" if each.seconds is not None else ""
        title = escape(f"run {each.run_id}: {look.label}{took}")
        drawn.append(BAR.format(look.tone, place * STEP, round(TALL - height, 1), height, title))
    width = max(len(drawn) * STEP - 1, 1)
    words = f"the last {len(drawn)}, the longest {duration(longest)}"
    return SafeString(BARS.format(width, TALL, words, "".join(drawn)))


@register.simple_tag
def failures(history: History) -> SafeString | str:
    """Write how many failed of all that count, and what share that is."""
    if not history.counted:
        return "–"
    if not history.failures:
        return "0"
    share = f"{100 * history.failures / history.counted:.0f} %"
    return format_html('{} of {} <span class="quiet">({})</span>', history.failures, history.counted, share)


@register.simple_tag
def trend(change: float | None) -> SafeString | str:
    """Write by how much something takes longer or less long than it did; nothing where it hardly does."""
    if change is None:
        return ""
    arrow, word, tone = ("▲", "longer", "waiting") if change > 0 else ("▼", "shorter", "good")
    title = f"the newer half of its last runs took {abs(change):.0%} {word} than the older, by their medians"
    words = f"{arrow} {abs(change):.0%} {word}"
    return format_html('<span class="trend t-{}" title="{}">{}</span>', tone, title, words)


@register.simple_tag
def landed(value: float | None, by: str) -> str:
    """Write a landing: a time of day with the days after ("06:12", "00:30 +1 d"), or how long after it was due."""
    if value is None:
        return "–"
    if by != "clock":
        return f"−{duration(-value)}" if value < 0 else duration(value)
    days, rest = divmod(round(value), 86_400)
    return f"{rest // 3600:02d}:{rest % 3600 // 60:02d}" + (f" {days:+d} d" if days else "")
