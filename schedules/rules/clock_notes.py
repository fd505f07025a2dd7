"""What changes of the clock do to a schedule, in words: to one moment, and over the coming years. Pure."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from zoneinfo import ZoneInfo

from schedules.rules.clock_changes import (
    LARGEST_MADE_UP_JUMP,
    MINUTE,
    ClockChange,
    DstRule,
    Missing,
    Repeated,
    Rule,
    clock_changes,
)
from schedules.rules.cron_words import listed

MOST_LISTED = 4
PASSES = ("first", "second")


@dataclass(frozen=True)
class Bite:
    """A change of the clock that meets times of a schedule. `local` is the wall clock right after it, aware."""

    utc: datetime
    local: datetime
    note: str


def note_of(local: datetime, nominal: datetime, *, is_elastic: bool, dst: DstRule) -> str | None:
    """Say what a change of the clock did to a moment that stands for `nominal` (naive), or None."""
    wall = nominal.strftime("%H:%M")
    if local.replace(tzinfo=None, fold=0) != nominal:
        return f"{wall} does not exist on {nominal:%Y-%m-%d}: clocks go forward; runs at {local:%H:%M}."
    if local.replace(fold=1 - local.fold).utcoffset() == local.utcoffset():
        return None
    twice = f"{wall} comes twice on {nominal:%Y-%m-%d};"
    if is_elastic:
        return f"{twice} this is the {PASSES[local.fold]}."
    if dst.repeated is Repeated.BOTH:
        return f"{twice} runs both times: this is the {PASSES[local.fold]}."
    return f"{twice} runs the {dst.repeated} time only."


def bites(rule: Rule, zone: ZoneInfo, dst: DstRule, after: datetime, until: datetime) -> Iterator[Bite]:
    """Yield the changes of `after` < t <= `until` that move, drop or double a time of the rule."""
    if rule.is_elastic and rule.covers_every_hour:
        return
    for change in clock_changes(zone, after, until):
        times = times_between(rule, *sorted((change.before, change.then)))
        if times:
            yield Bite(change.utc, change.utc.astimezone(zone), note_of_change(change, times, rule.is_elastic, dst))


def times_between(rule: Rule, low: datetime, high: datetime) -> list[datetime]:
    found, local = [], low
    while (named := rule.first_from(local)) and named < high:
        found.append(named)
        local = named + MINUTE
    return found


def note_of_change(change: ClockChange, times: list[datetime], is_elastic: bool, dst: DstRule) -> str:
    words, one = times_in_words(times), len(times) == 1
    if not change.goes_forward:
        passes = "both times" if is_elastic or dst.repeated is Repeated.BOTH else f"the {dst.repeated} time only"
        comes, runs = ("comes", "runs") if one else ("come", "run")
        return f"{words} {comes} twice on {times[0]:%Y-%m-%d}: {runs} {passes}."
    missing = f"{words} {'does' if one else 'do'} not exist on {times[0]:%Y-%m-%d}:"
    if is_elastic:
        return f"{missing} no run, as this rule follows real time."
    if change.then - change.before >= LARGEST_MADE_UP_JUMP:
        return f"{missing} no run, as so large a jump is not made up."
    if dst.missing is Missing.SKIPPED:
        return f"{missing} skipped."
    return f"{missing} {'runs' if one else 'run once,'} at {change.then:%H:%M}."


def times_in_words(times: list[datetime]) -> str:
    if len(times) <= MOST_LISTED:
        return listed([f"{time:%H:%M}" for time in times])
    return f"{times[0]:%H:%M} to {times[-1]:%H:%M} ({len(times)} times)"
