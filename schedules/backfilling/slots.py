"""The slots of a backfill: a range cut into moments, both ends included. Pure: no Django, no clock.

Seconds, minutes, hours and `custom` (units are seconds) are equal steps of real time from the start. Days, weeks,
months and years are local times of the zone, counted from the start, so that the 31st comes back after February and
06:00 stays 06:00 across a change of the clock. `schedule` takes the moments of a timetable.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import count, islice, pairwise
from zoneinfo import ZoneInfo

from dateutil.relativedelta import relativedelta

from pipelines.refusal import Refusal
from schedules.rules.clock_changes import instant_of
from schedules.timetable import YEARS, Kind, Timetable, read_zone

REAL = {"second": 1, "minute": 60, "hour": 3600, "custom": 1}  # in seconds
CALENDAR = ("day", "week", "month", "year")
SCHEDULE = "schedule"
WORDS = (*REAL, *CALENDAR, SCHEDULE)
MOST_UNITS = 31_536_000  # as seconds: a year
TICK = timedelta(microseconds=1)


@dataclass(frozen=True, slots=True)
class Slot:
    """One moment of a backfill, in UTC. `end` is the slot after it, None after the last that there is."""

    at: datetime
    end: datetime | None
    local_time: str  # the wall clock it stands for, ISO 8601


@dataclass(frozen=True)
class Range:
    """What is to be cut, checked by `read_range`. `timetable` goes with the interval type `schedule`."""

    start: datetime
    end: datetime
    interval_type: str
    units: int
    zone: ZoneInfo
    timetable: Timetable | None = None

    def slots(self) -> list[Slot]:
        """Return every slot, in order; may be many: see `size`."""
        found = []
        for at, following in pairwise([*self.moments(), None]):
            if at is None or at > self.end:
                break
            found.append(Slot(at, following, at.astimezone(self.zone).isoformat()))
        return found

    def moments(self) -> Iterator[datetime]:
        """Yield the slots of the range and the one after its end, in UTC."""
        for moment in self.endless():
            yield moment
            if moment > self.end:
                return

    def endless(self) -> Iterator[datetime]:
        if self.timetable is not None:
            return self.scheduled(self.timetable)
        return self.local_steps() if self.interval_type in CALENDAR else self.real_steps()

    def scheduled(self, timetable: Timetable) -> Iterator[datetime]:
        """Yield the moments of a trigger, without those that its calendar skips; past the end, whatever comes next."""
        for instant in timetable.after(self.start - TICK):
            if not instant.hit or instant.utc > self.end:
                yield instant.utc

    def real_steps(self) -> Iterator[datetime]:
        step = timedelta(seconds=self.units * REAL[self.interval_type])
        last = datetime(YEARS[1], 1, 1, tzinfo=UTC)
        return (self.start + number * step for number in range((last - self.start) // step))

    def local_steps(self) -> Iterator[datetime]:
        """Yield the start, then the same local time a day, a week, … later: never earlier than the one before."""
        last = self.start
        yield last
        for number in count(1):
            named = self.local_step(number)
            if named is None:
                return
            moment = instant_of(named, self.zone)  # None: a day that the zone never had
            if moment and moment > last:
                last = moment
                yield moment

    def local_step(self, number: int) -> datetime | None:
        """Return the local time (naive) so many steps after the start; None beyond the calendar."""
        local = self.start.astimezone(self.zone).replace(tzinfo=None, fold=0)
        years = number * self.units // {"day": 366, "week": 53, "month": 12, "year": 1}[self.interval_type]
        if local.year + years >= YEARS[1]:
            return None
        match self.interval_type:
            case "month" | "year":
                return local + relativedelta(months=number * self.units * (12 if self.interval_type == "year" else 1))
            case _:
                return local + timedelta(days=number * self.units * (7 if self.interval_type == "week" else 1))

    def size(self, limit: int) -> int:
        """Return how many slots there are, without listing them; of a timetable's at most `limit` + 1 are counted."""
        if self.timetable is not None:
            return sum(moment <= self.end for moment in islice(self.moments(), limit + 1))
        if self.interval_type in REAL:
            return (self.end - self.start) // timedelta(seconds=self.units * REAL[self.interval_type]) + 1
        steps = self.steps_between()
        last = self.local_step(steps)
        return steps + (last is None or last <= self.end.astimezone(self.zone).replace(tzinfo=None))

    def steps_between(self) -> int:
        """Return how many whole steps of the calendar lie between the two ends, perhaps one too many."""
        start, end = self.start.astimezone(self.zone), self.end.astimezone(self.zone)
        match self.interval_type:
            case "month" | "year":
                months = (end.year - start.year) * 12 + end.month - start.month
                return months // (self.units * (12 if self.interval_type == "year" else 1))
            case _:
                return (end.date() - start.date()).days // (self.units * (7 if self.interval_type == "week" else 1))


def read_range(
    start: datetime,
    end: datetime,
    interval_type: str,
    units: int,
    zone: str,
    *,
    moment: datetime,
    limit: int,
    timetable: Timetable | None = None,
) -> Range:
    """Check a range that ends at `moment` at the latest; raise `Refusal` naming the field, what is wrong and right."""
    place = read_zone(zone)
    check_interval(interval_type, units, timetable)
    check_ends(start, end, moment)
    wanted = Range(
        start.astimezone(UTC),
        end.astimezone(UTC),
        interval_type,
        units,
        place,
        timetable if interval_type == SCHEDULE else None,
    )
    check_size(wanted, limit)
    return wanted


def check_interval(interval_type: str, units: int, timetable: Timetable | None) -> None:
    if interval_type not in WORDS:
        raise Refusal(
            f"{ascii(interval_type[:80])} is not an interval.",
            field="interval_type",
            hint=f"Use one of: {', '.join(WORDS)}.",
            code="invalid_choice",
        )
    if not 1 <= units <= MOST_UNITS:
        raise Refusal(
            f"Units must be a whole number from 1 to {spaced(MOST_UNITS)}.", field="interval_units", code="out_of_range"
        )
    if interval_type != SCHEDULE:
        return
    if timetable is None:
        raise Refusal(
            "The interval schedule takes the moments of a trigger, and none is given.",
            field="schedule",
            hint="Name a time trigger of this pipeline, or choose another interval.",
            code="required",
        )
    if units != 1:
        raise Refusal("A trigger's moments are not counted in units.", field="interval_units", hint="Leave it at 1.")
    if timetable.kind is Kind.ALWAYS_ON:
        raise Refusal("A trigger that is always on has no moments.", field="schedule", hint="Choose another interval.")


def check_ends(start: datetime, end: datetime, moment: datetime) -> None:
    for field, value in (("start_at", start), ("end_at", end)):
        if not YEARS[0] <= value.year < YEARS[1]:
            raise Refusal(f"The year {value.year} is outside {YEARS[0]} to {YEARS[1]}.", field=field)
    if start > end:
        raise Refusal("Start must be before end.", field="start_at", hint="Both are included.", code="invalid_range")
    if end > moment:
        raise Refusal(
            f"The end is in the future: it is {moment:%Y-%m-%d %H:%M} UTC now.",
            field="end_at",
            hint="A backfill is of the past; what is to come is for a trigger.",
            code="in_the_future",
        )


def check_size(wanted: Range, limit: int) -> None:
    size = wanted.size(limit)
    if size > limit:
        number = f"more than {spaced(limit)}" if wanted.timetable else spaced(size)
        raise Refusal(
            f"This backfill has {number} runs; the limit is {spaced(limit)}.",
            field="end_at",
            hint="Shorten it or raise the limit, BACKFILL_MOST_SLOTS.",
            code="too_many",
        )
    if not size:
        raise Refusal(
            "The trigger has no moment in this range.", field="start_at", hint="Choose a longer one.", code="empty"
        )


def spaced(number: int) -> str:
    """Return a number with its thousands apart: 10 000."""
    return f"{number:,}".replace(",", " ")
