"""The instants of a schedule: (expression, zone, start, end, DST rule) → moments. Pure: no Django, no clock.

Every way to say when is read here, by `parse`: `@once`, `@always_on`, cron and its nicknames, "every 90 minutes from
06:00", "RRULE:…" and "on 2026-12-24T18:00, …". Cron, RRULEs and dates name local times; `clock_changes` says when those
happen. Intervals count real time.
"""

import difflib
import enum
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from functools import cached_property, lru_cache
from itertools import islice
from zoneinfo import ZoneInfo

from runs.zones import zone_names
from schedules.rules import opening
from schedules.rules.active_hours import Hours, next_within, within
from schedules.rules.clock_changes import (
    DEFAULT,
    DstRule,
    Missing,
    Repeated,
    Rule,
    instant_of,
    next_elastic,
    next_fixed,
)
from schedules.rules.clock_notes import Bite, bites, note_of
from schedules.rules.cron_fields import LONGEST, Cron, InvalidSchedule, read_cron, shown
from schedules.rules.cron_words import describe_cron
from schedules.rules.day_rules import DayRule
from schedules.rules.intervals import BEGINNING, Interval, read_interval
from schedules.rules.local_times import Dates, read_dates
from schedules.rules.moved_days import MovedSteps, MovedTimes
from schedules.rules.recurrence_text import read_recurrence
from schedules.rules.recurrence_words import describe_recurrence
from schedules.rules.recurrences import Recurrence


class Kind(enum.StrEnum):
    CRON = "cron"
    INTERVAL = "every"
    RRULE = "rrule"
    DATES = "on"
    ONCE = "@once"  # a single moment: `start`, or whenever it is activated
    ALWAYS_ON = "@always_on"  # no moments: a new run whenever none is unfinished


@dataclass(frozen=True)
class Instant:
    """One moment of a schedule. `local` is the wall clock at that moment, aware; `nominal` the time it stands for."""

    utc: datetime
    local: datetime
    nominal: datetime  # naive; differs from `local` when that time was missing
    is_elastic: bool = False
    dst: DstRule = DEFAULT
    hit: str = ""  # why its calendar keeps it from running, for example "Christmas Day (de_holidays)"
    moved: str = ""  # whence its calendar moved it: "moved from 2025-12-25 (Christmas Day)"

    @property
    def note(self) -> str | None:
        """What a calendar and a clock change did to this moment, in words, or None."""
        change = note_of(self.local, self.nominal, is_elastic=self.is_elastic, dst=self.dst)
        return " ".join(filter(None, [self.moved and f"M{self.moved[1:]}.", change])) or None

    @property
    def remark(self) -> str | None:
        """All that there is to say about a moment that lies ahead: the note, and why it will be skipped."""
        return " ".join(filter(None, [self.hit and f"Will be skipped: {self.hit}.", self.note])) or None


@dataclass(frozen=True)
class Timetable:
    """The rule of instants inside a schedule. Moments are aware; `start` and `end` are both included."""

    expression: str
    zone: ZoneInfo
    kind: Kind
    rule: Cron | Recurrence | Dates | Interval | None  # None where the kind says it all
    start: datetime | None = None
    end: datetime | None = None
    dst: DstRule = DEFAULT
    hours: Hours | None = None  # there are no moments outside these
    days: DayRule | None = None  # a calendar: moments on its hits are skipped or moved

    def next_after(self, moment: datetime) -> Instant | None:
        """Return the first instant strictly after `moment`, or None when there is none within fifty years."""
        return next(self.after(moment), None)

    def between(self, after: datetime, until: datetime, limit: int) -> list[Instant]:
        """Return the instants of `after` < t <= `until`, the earliest `limit` of them."""
        found = []
        for instant in islice(self.after(after), limit):
            if instant.utc > until:
                break
            found.append(instant)
        return found

    def latest(self, after: datetime, until: datetime, count: int) -> list[Instant]:
        """Return the last `count` instants of `after` < t <= `until`, in order, however long that span is."""
        span = timedelta(hours=1)
        while until - span > after:
            found = self.between(until - span, until, limit=MANY)
            if len(found) >= count:
                return found[-count:]
            span *= 2
        return self.between(after, until, limit=MANY)[-count:]

    def upcoming(self, after: datetime, count: int) -> list[Instant]:
        """Return the next `count` instants strictly after `after`."""
        return list(islice(self.after(after), count))

    def after(self, moment: datetime) -> Iterator[Instant]:
        """Yield the instants strictly after `moment`, in order."""
        moment = moment.astimezone(UTC)
        if (once := self.once) and moment < once.utc:
            yield once
        if self.start and moment < self.start:
            moment = self.start.astimezone(UTC) - timedelta(microseconds=1)
        while (found := self.find(moment)) and (self.end is None or found.utc <= self.end):
            moment = found.utc
            yield found

    def find(self, moment: datetime) -> Instant | None:
        """Return the next instant that the rule, the hours and the calendar alone have after `moment`."""
        if isinstance(self.rule, Interval):
            return self.find_step(self.rule, moment)
        if self.times is None:
            return None
        if self.times.is_elastic:
            found = next_elastic(self.times, self.zone, moment)
        else:
            found = next_fixed(self.times, self.zone, moment, self.dst)
        return self.instant(*found) if found else None

    def find_step(self, interval: Interval, moment: datetime) -> Instant | None:
        if self.steps:
            step = self.steps.next_after(moment)
            return self.instant(step.utc, step.nominal, step.source) if step else None
        found = next_within(interval, self.zone, self.hours, moment) if self.hours else interval.next_after(moment)
        return self.at(found) if found else None

    @cached_property
    def times(self) -> Rule | None:
        """The local times of cron, an RRULE or dates, with what the hours and the calendar make of them."""
        if self.rule is None or isinstance(self.rule, Interval):
            return None
        rule = within(self.rule, self.hours) if self.hours else self.rule
        return MovedTimes(rule, self.days) if self.days and self.days.moves else rule

    @cached_property
    def steps(self) -> MovedSteps | None:
        """The steps of an interval, if a calendar moves them."""
        if not isinstance(self.rule, Interval) or not self.days or not self.days.moves:
            return None
        return MovedSteps(self.rule, self.zone, self.hours, self.days)

    @cached_property
    def once(self) -> Instant | None:
        """The moment of `@once` with a start."""
        if self.kind is not Kind.ONCE or self.start is None:
            return None
        found = self.at(self.start)
        return None if self.end and found.utc > self.end else found

    def instant(self, utc: datetime, nominal: datetime, source: date | None = None) -> Instant:
        """Return the moment, with what the calendar has to say; `source` is the day that it was moved from."""
        local = utc.astimezone(self.zone)
        if self.days is None:
            return Instant(utc, local, nominal, self.is_elastic, self.dst)
        if source is None:
            source = self.times.source_of(nominal) if isinstance(self.times, MovedTimes) else nominal.date()
        is_moved = source != nominal.date()
        moved = f"moved from {source} ({self.days.name(source)})" if is_moved else ""
        return Instant(utc, local, nominal, self.is_elastic, self.dst, self.days.reason(nominal.date()), moved)

    @property
    def is_elastic(self) -> bool:
        """Does it follow real time through changes of the clock, so that the DST choices do not matter?"""
        return self.rule is None or isinstance(self.rule, Interval) or self.rule.is_elastic

    def bites(self, after: datetime, until: datetime) -> list[Bite]:
        """Return the changes of the clock in `after` < t <= `until` that move, drop or double a time of this."""
        if self.times is None:
            return []
        after, until = max(after, self.start or after), min(until, self.end or until)
        return list(bites(self.times, self.zone, self.dst, after, until))

    def is_over(self, moment: datetime) -> bool:
        return self.end is not None and moment > self.end

    def at(self, moment: datetime) -> Instant:
        """Return any moment as an instant of this schedule, where its calendar moves it: for kinds without a rule."""
        nominal = moment.astimezone(self.zone).replace(tzinfo=None, fold=0)
        source = nominal.date()
        if self.kind is Kind.ONCE and self.days and self.days.moves and self.days.target(source) != source:
            nominal = datetime.combine(self.days.target(source), nominal.time())
            moment = instant_of(nominal, self.zone) or moment
        return self.instant(moment.astimezone(UTC), nominal, source)

    def is_open(self, moment: datetime) -> bool:
        """Is this within the hours, on a day that is no hit? For `@always_on`, which has no moments to leave out."""
        return opening.is_open(moment, self.zone, self.hours, self.days)

    def opens_at(self, moment: datetime) -> datetime | None:
        """Return the first open moment at or after this one, or None when there is none within three years."""
        return opening.opens_at(moment, self.zone, self.hours, self.days)

    def describe(self) -> str:
        """Return the rule in words, for example "at 06:00 on Monday to Friday; skipped on de_holidays"."""
        words = self.describe_rule()
        words += f", only {self.hours.describe()}" if self.hours else ""
        words += f"; {self.days.describe()}" if self.days else ""
        return words if self.is_elastic else words + choices_in_words(self.dst)

    def describe_rule(self) -> str:
        match self.rule:
            case Cron():
                words = describe_cron(self.rule)
            case Recurrence():
                words = describe_recurrence(self.rule)
            case Dates() | Interval():
                words = self.rule.describe()
            case None if self.kind is Kind.ONCE:
                start = self.start and self.start.astimezone(self.zone)
                words = f"once, at {start:%Y-%m-%d %H:%M}" if start else "once, as soon as it is switched on"
            case _:
                words = "always on: a new run whenever none is unfinished"
        return words


MANY = 100_000
YEARS = (1900, 9000)  # further out, arithmetic overflows


def choices_in_words(dst: DstRule) -> str:
    missing = "; a missing local time is skipped" if dst.missing is Missing.SKIPPED else ""
    passes = {Repeated.SECOND: "the second time only", Repeated.BOTH: "both times"}
    return missing + (f"; a repeated one runs {passes[dst.repeated]}" if dst.repeated in passes else "")


def parse(
    expression: str,
    zone: str,
    *,
    start: datetime | None = None,
    end: datetime | None = None,
    dst: DstRule = DEFAULT,
    hours: tuple[time, time] | None = None,
    days: DayRule | None = None,
) -> Timetable:
    """Read a schedule as typed; raise `InvalidSchedule` naming the field, what is wrong and what would be right.

    `hours` are local times, from (included) and to (excluded); `days` a calendar, read by `day_rules.read_day_rule`.
    """
    if not isinstance(expression, str):
        raise InvalidSchedule(f"A schedule interval is text; {shown(repr(expression))} is not.")
    place = read_zone(zone)
    if days is None:
        return read_plain(expression, place, start, end, dst, hours)
    return read_rule(expression, place, start, end, dst, hours, days)


@lru_cache(maxsize=4096)
def read_plain(
    expression: str,
    place: ZoneInfo,
    start: datetime | None,
    end: datetime | None,
    dst: DstRule,
    hours: tuple[time, time] | None,
) -> Timetable:
    """Return the timetable without a calendar: schedules that are written alike share one."""
    return read_rule(expression, place, start, end, dst, hours, None)


def read_rule(
    expression: str,
    place: ZoneInfo,
    start: datetime | None,
    end: datetime | None,
    dst: DstRule,
    hours: tuple[time, time] | None,
    days: DayRule | None,
) -> Timetable:
    for field, moment in (("start_time", start), ("end_time", end)):
        if moment and not YEARS[0] <= moment.year < YEARS[1]:
            what = f"The year {moment.year} is outside {YEARS[0]} to {YEARS[1]}."
            raise InvalidSchedule(what, field=field, code="out_of_range")
    if start and end and start >= end:
        raise InvalidSchedule("Start must be before end.", field="end_time", code="invalid_range")
    kind = kind_of(expression)
    rule: Cron | Recurrence | Dates | Interval | None = None
    match kind:
        case Kind.CRON:
            rule = read_cron(expression)
        case Kind.INTERVAL:
            rule = read_interval(expression, place, start)
        case Kind.RRULE:
            rule = read_recurrence(expression, place, start, BEGINNING)
        case Kind.DATES:
            rule = read_dates(expression)
    found = Timetable(expression, place, kind, rule, start, end, dst, Hours(*hours) if hours else None, days)
    check_hours(found)
    check_not_always_missing(found)
    return found


def kind_of(expression: str) -> Kind:
    """Tell the kinds apart by how they begin; what is none of the others is read as cron, whose errors say more."""
    text = expression.strip()
    if text.lower() in {Kind.ONCE, Kind.ALWAYS_ON}:
        return Kind(text.lower())
    begun = BEGINNINGS.match(text)
    if begun is None:
        return Kind.CRON
    if len(expression) > LONGEST:
        raise InvalidSchedule(f"A schedule interval has at most {LONGEST} characters; this one has {len(expression)}.")
    if strange := re.search(r"[^\t\x20-\x7e]", text):
        raise InvalidSchedule(
            f"A schedule interval is written on one line in plain ASCII; {ascii(strange.group())} is not.",
            hint="" if begun[1] else "Write the RRULE alone: DTSTART is the trigger's start_time.",
        )
    return Kind(begun[1].lower()) if begun[1] else Kind.RRULE


BEGINNINGS = re.compile(r"(every|on)(?![a-z])|rrule|dtstart|freq\s*=", re.IGNORECASE)
AFTER_THE_TABLES = datetime(2038, 1, 1, tzinfo=UTC)  # from here on a zone's changes are a fixed rule


def check_hours(timetable: Timetable) -> None:
    """Refuse a schedule that never falls within its hours."""
    hours, rule = timetable.hours, timetable.rule
    if hours is None:
        return
    match rule:
        case Interval():
            has_any = next_within(rule, timetable.zone, hours, rule.anchor - timedelta(microseconds=1)) is not None
        case None:
            start = timetable.start if timetable.kind is Kind.ONCE else None
            has_any = start is None or hours.contain(start.astimezone(timetable.zone).time())
        case _:
            has_any = (
                within(rule, hours).first_from(rule.start if isinstance(rule, Recurrence) else BEGINNING) is not None
            )
    if not has_any:
        raise InvalidSchedule(
            f"This schedule has no moment {hours.describe()}.",
            hint="Widen the active hours, or choose times within them.",
            field="settings.active_hours",
            code="invalid_hours",
        )


def check_not_always_missing(timetable: Timetable) -> None:
    """Refuse a rule whose every time is one that the clocks skip, if skipped times are not made up."""
    rule, begin = timetable.times, timetable.start or AFTER_THE_TABLES
    is_one = isinstance(timetable.rule, Cron | Recurrence)
    if timetable.dst.missing is not Missing.SKIPPED or rule is None or not is_one or timetable.end:
        return
    local = begin.astimezone(timetable.zone).replace(tzinfo=None, fold=0)
    if rule.first_from(local.replace(second=0, microsecond=0)) and not timetable.next_after(begin):
        raise InvalidSchedule(
            "This schedule never fires: clocks go forward over each of its times.",
            hint="Choose another time, or dst_missing: at_next_valid.",
        )


def read_zone(name: str) -> ZoneInfo:
    """Return the IANA zone; suggest the nearest name for one that does not exist."""
    if isinstance(name, str) and name in zone_names():
        return ZoneInfo(name)
    typed = str(name).strip().replace(" ", "_")
    by_lower = {zone.lower(): zone for zone in zone_names()}
    by_city = {zone.lower().rpartition("/")[2]: zone for zone in sorted(zone_names(), reverse=True)}
    near = difflib.get_close_matches(typed.lower()[:64], by_lower, n=1, cutoff=0.7)
    city = difflib.get_close_matches(typed.lower().rpartition("/")[2][:64], by_city, n=1, cutoff=0.8)
    guess = by_lower[near[0]] if near else by_city[city[0]] if city else ""
    hint = f"Did you mean {guess}?" if guess else "Use an IANA name such as Europe/Berlin, or UTC."
    raise InvalidSchedule("Unknown time zone.", hint=hint, field="timezone", code="unknown_timezone")


def zone_or_utc(name: str) -> ZoneInfo:
    """Return the zone of a row; UTC for one that is not known any more, so that its form can be opened and mended."""
    try:
        return read_zone(name)
    except InvalidSchedule:
        return ZoneInfo("UTC")
