"""Which days a schedule keeps clear of, what they are called, and where a moment on one of them moves to. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, timedelta

from schedules.policies import OnCalendarHit
from schedules.rules.day_expressions import BUILTIN, Days, Expression, InvalidDays, Whys, did_you_mean, read_expression

DAY = timedelta(days=1)
FARTHEST = 100  # days that a moment may be moved by
IN_WORDS = {
    OnCalendarHit.SKIP: "skipped on",
    OnCalendarHit.PREVIOUS: "moved to the last day before that is not in",
    OnCalendarHit.NEXT: "moved to the next day that is not in",
}


@dataclass(frozen=True)
class DayRule:
    """The days of an expression over calendars, its "hits", and what becomes of moments on them."""

    text: str
    tree: Expression
    calendars: Mapping[str, Days]
    on_hit: OnCalendarHit = OnCalendarHit.SKIP
    known: dict[date, Whys | None] = field(default_factory=dict, compare=False, repr=False)

    def whys(self, day: date) -> Whys | None:
        if day not in self.known:
            self.known[day] = self.tree.why(day, self.calendars)
        return self.known[day]

    def is_hit(self, day: date) -> bool:
        return self.whys(day) is not None

    def reason(self, day: date) -> str:
        """Return why moments of a day do not run there, for example "Christmas Day (de_holidays)"; "" if they do."""
        reason = " and ".join(map(str, self.whys(day) or ()))
        return f"{reason}, and no other day within {FARTHEST} days" if reason and self.moves else reason

    def name(self, day: date) -> str:
        """Return what a hit is called, without the calendars: "Christmas Day"."""
        return " and ".join(why.name for why in self.whys(day) or ())

    @property
    def moves(self) -> bool:
        """Are moments on a hit moved, rather than skipped?"""
        return self.on_hit is not OnCalendarHit.SKIP

    @property
    def step(self) -> timedelta:
        return -DAY if self.on_hit is OnCalendarHit.PREVIOUS else DAY

    def target(self, day: date) -> date:
        """Return the day that moments of `day` run on: itself, or the nearest that is no hit, if it is near enough."""
        found = day
        for _ in range(FARTHEST + 1):
            if not self.is_hit(found):
                return found
            found += self.step
        return day

    def sources(self, target: date) -> list[date]:
        """Return the days whose moments run on `target`, in order; none for a hit that moves elsewhere."""
        if self.target(target) != target:
            return []
        found, day = [target], target - self.step
        while self.is_hit(day) and len(found) <= FARTHEST and not self.is_hit(target):
            found.append(day)
            day -= self.step
        return sorted(found)

    def describe(self) -> str:
        """Return the rule in words, for example "skipped on de_holidays or weekend"."""
        return f"{IN_WORDS[self.on_hit]} {self.text}"


def read_day_rule(text: str, calendars: Mapping[str, Days], on_hit: OnCalendarHit = OnCalendarHit.SKIP) -> DayRule:
    """Read an expression over these calendars and the builtin ones; raise `InvalidDays` for an unknown name."""
    tree, known = read_expression(text), {**calendars, **BUILTIN}
    for name in tree.names():
        if name not in known:
            raise unknown(name, known)
    return DayRule(" ".join(text.split()), tree, known, on_hit)


def unknown(name: str, known: Mapping[str, Days]) -> InvalidDays:
    hint = did_you_mean(name, known) or f"There are {', '.join(sorted(known)[:20])}."
    return InvalidDays(f"There is no calendar named {name[:80]}.", hint=hint)
