"""What becomes of moments that were due: start, skip, miss, hold or expire, and why. Pure: no Django, no clock.

One function rules on downtime, pauses and edits alike. Whether a moment that is to start may do so now is then for
`runs.limits` to say, as for every other start.
"""

import enum
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from schedules.policies import Catchup, Settings

# A start within a minute is on time; later than that, the catch-up policy has its say.
ON_TIME = timedelta(seconds=60)


class Verdict(enum.StrEnum):
    """What was decided; START is a start as far as time goes."""

    START = "started"
    SKIPPED = "skipped"
    MISSED = "missed"
    HELD = "held"
    EXPIRED = "expired"


@dataclass(frozen=True)
class Due:
    """A moment of a schedule that has come. `due_at` is when it was to start (jitter, landing time), `hit` the name
    of the calendar's day that forbids it."""

    utc: datetime
    due_at: datetime
    hit: str = ""


@dataclass(frozen=True)
class Ruling:
    verdict: Verdict
    reason: str = ""


START = Ruling(Verdict.START)


def rule(
    moments: Sequence[Due],
    settings: Settings,
    now: datetime,
    *,
    paused_until: datetime | None = None,
    unlisted_since: datetime | None = None,
) -> list[Ruling]:
    """Rule on the moments of one schedule that are due and undecided, given in order.

    `paused_until`: moments up to then passed while it was switched off. `unlisted_since`: there were too many to
    list; the first one given stands for all since then.
    """
    open_ones = [due for due in moments if not due.hit]
    is_late = {due: now - due.due_at > ON_TIME or passed_in_pause(due, paused_until) for due in open_ones}
    late = [due for due in open_ones if is_late[due]]
    punctual = [due for due in open_ones if not is_late[due]]
    overdue = dict(zip(late, catch_up(late, settings, now, paused_until, punctual), strict=True))
    found = [
        Ruling(Verdict.SKIPPED, f"Calendar: {due.hit}.")
        if due.hit
        else expire(due, overdue.get(due, START), settings, now)
        for due in moments
    ]
    if unlisted_since and found:
        summed = f"{found[0].reason} This stands for every moment since {said(unlisted_since)}."
        found[0] = Ruling(Verdict.MISSED, summed.strip())
    return found


def passed_in_pause(due: Due, paused_until: datetime | None) -> bool:
    """Did it pass while the schedule was off? Then it is late, however soon somebody resumed."""
    return paused_until is not None and due.utc < paused_until


def catch_up(
    late: Sequence[Due],
    settings: Settings,
    now: datetime,
    paused_until: datetime | None,
    punctual: Sequence[Due],
) -> list[Ruling]:
    """Rule on moments found late, by the schedule's policy. Those that are `punctual` came after them."""
    wanted = wanted_of(late, settings, now, newer=len(punctual))
    rulings = []
    for due in late:
        paused = paused_until and passed_in_pause(due, paused_until)
        why = f"Paused until {said(paused_until)}." if paused and paused_until else "Not started in time."
        if due in wanted:
            verdict = Verdict.HELD if settings.catchup is Catchup.HOLD else Verdict.START
            rulings.append(Ruling(verdict, f"{why} Catch-up: {settings.catchup}."))
        elif now - due.due_at > settings.catchup_window:
            rulings.append(Ruling(Verdict.MISSED, f"{why} Older than the catch-up window, {settings.catchup_window}."))
        elif settings.catchup is Catchup.NONE:
            rulings.append(Ruling(Verdict.MISSED, f"{why} Catch-up: none."))
        elif settings.catchup is Catchup.LATEST:
            latest = said([*late, *punctual][-1].utc)
            rulings.append(Ruling(Verdict.MISSED, f"{why} Of the overdue moments only the latest, {latest}, is run."))
        else:
            rulings.append(Ruling(Verdict.MISSED, f"{why} More than {settings.catchup_max} moments were overdue."))
    return rulings


def wanted_of(late: Sequence[Due], settings: Settings, now: datetime, *, newer: int) -> set[Due]:
    """Return the late moments that are still wanted beside so many newer ones."""
    fresh = [due for due in late if now - due.due_at <= settings.catchup_window]
    match settings.catchup:
        case Catchup.LATEST:
            return set() if newer else set(fresh[-1:])
        case Catchup.ALL:  # what starts anyway counts: so many runs at once, no more
            room = max(0, settings.catchup_max - newer)
            return set(fresh[len(fresh) - room :]) if room < len(fresh) else set(fresh)
        case Catchup.HOLD:
            return set(fresh[-settings.catchup_max :])
    return set()


def expire(due: Due, ruling: Ruling, settings: Settings, now: datetime) -> Ruling:
    """Refuse a start whose deadline has passed."""
    deadline = settings.start_deadline
    if ruling.verdict is not Verdict.START or deadline is None or now <= due.due_at + deadline:
        return ruling
    return Ruling(Verdict.EXPIRED, f"Not started within {deadline} of {said(due.due_at)}.")


def said(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M} UTC"
