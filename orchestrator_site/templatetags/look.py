"""How states, times, durations and sizes look on every page."""

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from html import escape
from typing import Any, NamedTuple

from django import template
from django.template import Context
from django.urls import reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString

from runs.models import PipelineRun
from runs.viewer_zone import stamp as viewer_stamp
from runs.viewer_zone import viewer_zone
from schedules.spans import write_span
from schedules.timetable import Instant

register = template.Library()

SPRITE = "vendor/tabler-icons/3.51.0/sprite.svg"


class Look(NamedTuple):
    """A state is told by color and by shape: `tone` is the CSS class, `icon` a name in the sprite."""

    tone: str
    icon: str
    label: str


STATES = {
    # pipeline runs and block runs
    "initial": Look("idle", "circle-dashed", "initial"),
    "queued": Look("queued", "stack-2", "queued"),
    "running": Look("running", "loader-2", "running"),
    "waiting": Look("waiting", "hourglass", "waiting"),
    "completed": Look("good", "check", "completed"),
    "failed": Look("bad", "x", "failed"),
    "cancelled": Look("off", "ban", "cancelled"),
    "upstream_failed": Look("upstream", "arrow-up", "upstream failed"),
    "condition_failed": Look("off", "player-skip-forward", "condition not met"),
    # runs and blocks that should be finished
    "past its SLA": Look("waiting", "alarm", "past its SLA"),
    "past its deadline": Look("bad", "alarm", "past"),
    "will be late": Look("waiting", "alarm", "will be late"),
    "may be late": Look("idle", "clock", "may be late"),
    "not known": Look("idle", "circle-dashed", "not known"),
    "sla_passed": Look("waiting", "alarm", "SLA passed"),
    # attempts
    "lost": Look("bad", "zzz", "lost with its worker"),
    "handed_back": Look("off", "corner-up-left", "handed back"),
    # occurrences
    "started": Look("good", "player-play", "started"),
    "missing": Look("idle", "circle-dashed", "missing"),
    "removed": Look("off", "trash", "run deleted"),
    "held": Look("queued", "hand-click", "held"),
    "skipped": Look("off", "player-skip-forward", "skipped"),
    "expired": Look("waiting", "alarm", "expired"),
    "missed": Look("bad", "calendar-off", "missed"),
    # maintenance windows
    "open": Look("waiting", "hourglass", "open"),
    "coming": Look("queued", "clock", "coming"),
    "over": Look("off", "check", "over"),
    # executors and storage
    "unknown": Look("bad", "alert-triangle", "there is none"),
    "unhealthy": Look("bad", "alert-triangle", "cannot start blocks"),
    "orphans": Look("bad", "alert-triangle", "has orphans"),
    "busy": Look("running", "activity", "busy"),
    "idle": Look("idle", "circle-dashed", "idle"),
    "short": Look("waiting", "alert-triangle", "short of space"),
    # pools
    "full": Look("waiting", "hourglass", "full"),
    # schedules and processes
    "active": Look("good", "player-play", "active"),
    "paused": Look("off", "player-pause", "paused"),
    "set aside": Look("bad", "alert-triangle", "set aside"),
    "stopped": Look("off", "player-pause", "stopped"),
    "alive": Look("good", "activity", "alive"),
    "late": Look("waiting", "alarm", "late"),
    "gone": Look("bad", "circle-x", "gone"),
    "valid": Look("good", "check", "valid"),
    "broken": Look("bad", "alert-triangle", "broken"),
    # incidents: severity and state
    "critical": Look("bad", "alert-triangle", "critical"),
    "warning": Look("waiting", "flag", "warning"),
    "info": Look("off", "info-circle", "info"),
    "unattended": Look("bad", "bell-ringing", "open"),
    "acknowledged": Look("queued", "user-check", "acknowledged"),
    "snoozed": Look("off", "zzz", "snoozed"),
    "closed": Look("good", "checks", "closed"),
    # rules and channels
    "watched": Look("good", "eye", "watched"),
    "off": Look("off", "eye-off", "switched off"),
    "works": Look("good", "check", "works"),
    "in trouble": Look("bad", "alert-triangle", "in trouble"),
    "not tried": Look("idle", "circle-dashed", "not tried yet"),
    # messages
    "sent": Look("good", "send", "sent"),
    "trying": Look("waiting", "refresh", "trying again"),
}

ORIGIN_ICONS = {
    "schedule": "clock",
    "event": "bolt",
    "api": "api",
    "manual": "hand-click",
    "backfill": "history",
    "pipeline": "arrows-split-2",
}


def look_of(state: str) -> Look:
    return STATES.get(state, Look("idle", "circle", state.replace("_", " ")))


@register.simple_tag(takes_context=True)
def here(context: Context) -> str:
    """Return the name of the part of the site that the page belongs to; "" for an unknown address."""
    match = getattr(context.get("request"), "resolver_match", None)
    return (match.namespace or match.url_name or "") if match else ""


@register.simple_tag
@lru_cache(maxsize=1000)  # a page has hundreds of them
def icon(name: str, title: str = "") -> SafeString:
    """Draw one icon of the sprite; hidden from screen readers unless it has a title."""
    from django.templatetags.static import static

    href = f"{static(SPRITE)}#{name}"
    if title:
        return format_html('<svg class="i" role="img"><title>{}</title><use href="{}"/></svg>', title, href)
    return format_html('<svg class="i" aria-hidden="true"><use href="{}"/></svg>', href)


@register.simple_tag
@lru_cache(maxsize=1000)
def state(name: str, *, bare: bool = False) -> SafeString:
    """Draw a state as a pill of color, shape and word; `bare` leaves the word to screen readers."""
    look = look_of(name)
    if bare:
        return format_html('<span class="st st-{} st-bare">{}</span>', look.tone, icon(look.icon, look.label))
    return format_html('<span class="st st-{}">{}{}</span>', look.tone, icon(look.icon), look.label)


@register.simple_tag
def origin(name: str) -> SafeString:
    return format_html('<span class="origin">{}{}</span>', icon(ORIGIN_ICONS.get(name, "circle")), name)


STRIP_BAR = '<a href="{}{}/"><rect class="t-{}" x="{}" y="{}" width="5" height="{}" rx="1"><title>{}</title></rect></a>'


@register.simple_tag
def strip(runs: Sequence[PipelineRun]) -> SafeString:
    """Draw the last runs of a pipeline as bars, oldest first: color is the state, height how long it took.

    No template draws it: lists have more than a thousand bars.
    """
    if not runs:
        return SafeString('<span class="quiet small">never ran</span>')
    times = [
        (run.completed_at - run.started_at).total_seconds() if run.completed_at and run.started_at else 0
        for run in runs
    ]
    longest, address = max(times) or 1, reverse("runs:list")
    bars = []
    for index, (run, seconds) in enumerate(zip(runs, times, strict=True)):
        look, height = look_of(run.status), round(5 + 19 * seconds / longest, 1) if run.is_finished else 24
        took = f", {duration(seconds)}" if run.is_finished else ""
        title = f"run {run.pk}: {look.label}{took}, for {viewer_stamp(run.execution_date, '%H:%M')}"
        place = (address, run.pk, look.tone, index * 7, round(24 - height, 1), height)
        bars.append(STRIP_BAR.format(*place, escape(title)))  # all but the title are numbers and words of ours
    width = 7 * len(bars) - 2
    return format_html(
        '<svg class="strip" width="{0}" height="24" viewBox="0 0 {0} 24" role="group" aria-label="Last {1} runs">'
        "{2}</svg>",
        width,
        len(bars),
        SafeString("".join(bars)),
    )


PROGRESS = (
    "completed",
    "condition_failed",
    "failed",
    "upstream_failed",
    "cancelled",
    "skipped",
    "removed",
    "running",
    "waiting",
    "queued",
)
OVER = 7  # as many of them are ends
LEAST = 4  # hundredths of the bar that a state takes, however few are in it


@register.inclusion_tag("runs/_progress.html")
def progress(tally: Mapping[str, int]) -> dict[str, Any]:
    """Draw how the blocks of a run, or the slots of a backfill, are doing: done of all, and a bar of their states."""
    total = sum(tally.values())
    # One failure in a thousand is seen as well.
    widths = {name: max(100 * tally[name] / total, LEAST) for name in PROGRESS if tally.get(name)}
    scale = min(1, 100 / sum(widths.values())) if widths else 1
    parts, x = [], 0.0
    for name, width in widths.items():
        parts.append({"x": round(x, 2), "width": round(width * scale, 2), "tone": look_of(name).tone})
        x += width * scale
    words = ", ".join(f"{count:,} {look_of(name).label}" for name, count in tally.items())
    done = sum(tally.get(name, 0) for name in PROGRESS[:OVER])
    return {"parts": parts, "done": done, "total": total, "words": words}


@register.inclusion_tag("system/_slots.html")
def slots(used: int, of: int) -> dict[str, Any]:
    """Draw how many slots of a pool are taken. One that was made smaller may have more in use than it has."""
    return {"used": used, "of": of, "share": round(100 * min(used / of, 1), 1) if of else 100, "full": used >= of}


@register.filter
def plus(value: float, more: float) -> float:
    return round(value + more, 1)


@register.filter
def shape(name: str) -> str:
    """Return the icon of a state."""
    return look_of(name).icon


@register.filter
def label(name: str) -> str:
    """Return a state in words."""
    return look_of(name).label


@register.filter
def tone(name: str) -> str:
    """Return the CSS class word of a state."""
    return look_of(name).tone


@register.simple_tag
def moment(value: datetime | None, style: str = "ago", empty: str = "–") -> SafeString | str:
    """Write a time as `<time>`: date and time with their zone, which times.js makes what `style` says.

    `style`: "ago" (relative, ticking), "clock" (date and time), "time" (time of day with seconds).
    """
    if value is None:
        return empty
    utc = value.astimezone(UTC)
    return format_html(
        '<time datetime="{}" data-style="{}">{}</time>',
        utc.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        style,
        value.astimezone(viewer_zone()).strftime("%Y-%m-%d %H:%M:%S %Z"),
    )


@register.filter
def stamp(value: datetime | None) -> str:
    """Write a time where no `<time>` can stand, as in the title of a drawing: with its zone and in UTC."""
    return viewer_stamp(value) if value else "–"


@register.simple_tag
def ticking(since: datetime | None, until: datetime | None = None, now: datetime | None = None) -> SafeString | str:
    """Write how long something took; while it goes on (`until` is None) the number ticks in the browser."""
    if since is None:
        return "–"
    if until is not None:
        return duration(until - since)
    return format_html(
        '<span class="tick" data-since="{}">{}</span>',
        since.astimezone(UTC).isoformat(timespec="milliseconds"),
        duration(now - since) if now else "…",
    )


@register.simple_tag
def origin_icon(name: str) -> SafeString:
    return icon(ORIGIN_ICONS.get(name, "circle"), name)


@register.filter
def duration(value: timedelta | float | str | None) -> str:
    """Return "0.42 s", "12.3 s", "4 min 05 s", "2 h 07 min" or "3 d 4 h"; seconds or a timedelta in."""
    if value in (None, ""):
        return "–"
    seconds = value.total_seconds() if isinstance(value, timedelta) else float(value)
    if seconds < 0:
        return "0 s"
    if seconds < 10:
        return f"{seconds:.2f} s"
    if seconds < 60:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    if whole < 86400:
        return f"{whole // 3600} h {whole % 3600 // 60:02d} min"
    return f"{whole // 86400} d {whole % 86400 // 3600} h"


@register.simple_tag
def lateness(due: datetime, at: datetime) -> SafeString:
    """Write how long after it was due something happened; with a minus, how long before."""
    sign, span = ("−", due - at) if at < due else ("+", at - due)
    return format_html('<span class="num quiet" title="{}">{}{}</span>', viewer_stamp(at), sign, duration(span))


@register.filter
def wall(instant: Instant) -> str:
    """Return the local time of an instant with its offset: "Mon 2025-03-03 06:00 +01:00"."""
    offset = instant.local.strftime("%z")
    return f"{instant.local:%a %Y-%m-%d %H:%M} {offset[:3]}:{offset[3:]}"


@register.filter
def local_clock(text: str) -> str:
    """Return a stored local time for people: "2025-03-03T06:00:00+01:00" → "2025-03-03 06:00 +01:00"."""
    day, _, clock = text.partition("T")
    return f"{day} {clock[:5]} {clock[8:]}".strip()


@register.simple_tag
def yours(instant: Instant) -> SafeString:
    """Write the time of day of an instant in the viewer's zone; its date only where it differs from the local one."""
    return format_html(
        '<time datetime="{}" data-style="beside" data-day="{}">{}</time>',
        instant.utc.isoformat().replace("+00:00", "Z"),
        instant.local.date(),
        utc_clock(instant),
    )


@register.filter
def wall_of(text: str) -> str:
    """Return a local time that is kept as ISO 8601: "Mon 2025-03-03 06:00 +01:00"; with seconds where it has some."""
    local = datetime.fromisoformat(text)
    offset = local.strftime("%z")
    return f"{local:%a %Y-%m-%d %H:%M}{f':{local:%S}' if local.second else ''} {offset[:3]}:{offset[3:5]}"


@register.filter
def utc_clock(instant: Instant) -> str:
    """Return the UTC of an instant; its date only where it differs from the local one."""
    same_day = instant.utc.date() == instant.local.date()
    return instant.utc.strftime("%H:%M" if same_day else "%m-%d %H:%M")


@register.filter
def size(value: float | str | None) -> str:
    """Return bytes in words: "512 B", "1.4 MB"."""
    if value in (None, ""):
        return "–"
    amount = float(value)
    for unit in ("B", "kB", "MB", "GB"):
        if amount < 1000 or unit == "GB":
            return f"{amount:.0f} {unit}" if unit == "B" or amount >= 100 else f"{amount:.1f} {unit}"
        amount /= 1000
    raise AssertionError("unreachable")


@register.filter
def rows(outputs: Sequence[Mapping[str, Any]]) -> str:
    """Return how many rows a block's outputs have, each: "12 + 3"; a dash where none counts rows."""
    return " + ".join(f"{output['rows']:,}" for output in outputs if output.get("rows") is not None) or "–"


@register.filter
def after_name(message: str, name: str) -> str:
    """Return what an event says of a block, without the name that stands before it anyway."""
    return message.removeprefix(f"block {name} ").removeprefix(f"{name}: ")


@register.filter
def pretty(value: Any) -> str:
    """Return JSON for people: one line when short, indented when long."""
    line = json.dumps(value, ensure_ascii=False, default=str)
    return line if len(line) <= 60 else json.dumps(value, ensure_ascii=False, indent=2, default=str)


@register.filter
def setting(value: Any, name: str) -> str:
    """Return the value of a trigger's setting: spans in words, anything else as JSON."""
    is_span = name in SPANS and isinstance(value, int | float) and not isinstance(value, bool)
    return write_span(value) if is_span else pretty(value)


SPANS = ("timeout", "catchup_window", "start_deadline", "jitter")


@register.filter
def entry(mapping: dict[Any, Any] | None, key: Any) -> Any:
    """Return `mapping[key]`, or None."""
    return (mapping or {}).get(key)
