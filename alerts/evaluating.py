"""The evaluator: a duty of the scheduler's loop that looks at what happened and at what time alone makes wrong.

Any number of processes may do it: a breach is written once, whoever looks. What it costs grows with what happens: a
look at nothing new is a handful of small questions, each answered by an index.
"""

import logging
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from django.db import InterfaceError, OperationalError

from alerts import heartbeat
from alerts.watching import (
    deliveries,
    ended,
    event_cursor,
    fresh,
    going_on,
    health,
    ledger,
    said,
    service_levels,
    upkeep,
    usual,
)
from alerts.watching.look import Look, Memory

logger = logging.getLogger(__name__)
EVERY = timedelta(seconds=3)
CHUNK = 50  # events that are read, and whose breaches are written down, together
SOON = timedelta(milliseconds=200)
HEALTH_EVERY = timedelta(seconds=10)


class Evaluator:
    """What one process knows of where it is. Losing it costs nothing but reading a little again."""

    def __init__(self) -> None:
        self.logs = said.Reader()
        self.forget()

    def forget(self) -> None:
        """Begin again from the bookmarks: what was read may not have been written down."""
        self.memory = Memory()
        self.events = event_cursor.EventCursor()
        self.ledger = ledger.LedgerCursor()
        self.freshness = fresh.Freshness()
        self.deliveries = deliveries.Deliveries()
        self.logs.begin_again()
        self.health_at = datetime.min.replace(tzinfo=UTC)

    def look(self, moment: datetime) -> datetime | None:
        """Look once; return when to come again if there is more to read than fits into a turn."""
        try:
            return self.look_once(moment)
        except BaseException:
            self.forget()
            raise

    def look_once(self, moment: datetime) -> datetime | None:
        look = Look(moment, self.memory)
        read_to = self.events.read_to
        has_more = self.read_events(look)
        look.begin_part()
        has_more |= self.read_ledger(look)
        look.begin_part()
        usual.take_long(look, going_on.look_at(look))
        look.begin_part()
        self.freshness.look_at(look)
        self.logs.look_at(look, read_to)
        look.flush()
        if not self.health_at <= moment < self.health_at + HEALTH_EVERY:
            self.health_at = moment
            health.look_at(look, heartbeat.conditions())
            self.deliveries.look_at(look)
            ledger.close_of_many(look)
            service_levels.look_at(look)
            upkeep.look_at(look)
        look.flush()
        return moment + SOON if has_more else None

    def read_events(self, look: Look) -> bool:
        """Deal with the events since the last look; tell whether there are more."""
        while lines := self.events.news(look.moment):
            for begin in range(0, len(lines), CHUNK):
                stopped_at = take(look, lines[begin : begin + CHUNK])
                if stopped_at is not None:
                    self.events.stop_at(stopped_at)
                    self.events.save(look.moment)
                    return True
            self.events.save(look.moment)
        return False

    def read_ledger(self, look: Look) -> bool:
        """Deal with what came to nothing since the last look; tell whether there is more."""
        if not ledger.is_wanted(look):
            return False
        for number, rows in enumerate(self.ledger.news(look.moment)):
            if number and look.is_over:
                return True
            ledger.take_all(look, rows)
            look.flush()
        return False


def take(look: Look, lines: Sequence[event_cursor.Line]) -> int | None:
    """Deal with some events, in order, and write down what they broke; return where to go on if time was over.

    One that cannot be dealt with does not stop the others.
    """
    watched = [line.id for line in lines if line.kind in ended.WATCHED]
    stopped_at = None
    if watched:
        look.opened = None  # what others wrote about the events before is read again
        for event in ended.read(watched):
            try:
                ended.take(look, event)
            except (OperationalError, InterfaceError):
                raise
            except Exception:  # one of many: it is named, and left out
                logger.exception("an alert could not be evaluated for %s", event)
            if look.is_over:
                stopped_at = event.pk
                break
        look.flush()
    return stopped_at


evaluator = Evaluator()


def look(moment: datetime) -> datetime | None:
    """Evaluate alerts (the name of the duty in the scheduler's log)."""
    return evaluator.look(moment)
