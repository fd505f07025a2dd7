"""Reading the events of runs in order, each at least once, however late its transaction commits.

On Postgres a row gets its number before its transaction commits: a lower one may appear after a higher one was read.
Numbers that are missing are therefore looked for again for a while, and the bookmark stays before the first of them.
What was read twice is harmless: a breach is written once.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import NamedTuple

from django.db import connection
from django.db.models import Max

from alerts.models import Bookmark
from runs.models import Event

AT_ONCE = 1000
LATEST = timedelta(minutes=2)  # a transaction is over after this; the database sees to that
MOST_GAPS = 5000


class Line(NamedTuple):
    id: int
    kind: str
    happened_at: datetime


class EventCursor:
    """How far one process has read, and which numbers below were missing."""

    def __init__(self, name: str = "events") -> None:
        self.name = name
        self.read_to: int | None = None
        self.saved = 0
        self.gaps: dict[int, datetime] = {}  # number → when it was missed

    def news(self, moment: datetime, limit: int = AT_ONCE) -> list[Line]:
        """Return the next events in order; [] when there are none. The first time ever: none, it begins here."""
        self.begin(moment)
        self.go_back_for_late(moment)
        rows = Event.objects.filter(pk__gt=self.read_to).order_by("pk")
        lines = [Line(*row) for row in rows.values_list("pk", "kind", "happened_at")[:limit]]
        if connection.vendor == "postgresql":
            self.note_gaps(lines, moment)
        if lines:
            self.read_to = lines[-1].id
        return lines

    def begin(self, moment: datetime) -> None:
        """Read the bookmark: another evaluator may be further on."""
        self.saved = self.bookmark(moment)
        if self.read_to is None or self.read_to < self.saved:
            self.read_to = self.saved
        self.gaps = {number: since for number, since in self.gaps.items() if number > self.saved}

    def bookmark(self, moment: datetime) -> int:
        found = Bookmark.objects.filter(name=self.name).values_list("position", flat=True).first()
        if found is None:
            newest = Event.objects.aggregate(newest=Max("pk"))["newest"] or 0
            row, _ = Bookmark.objects.get_or_create(name=self.name, defaults={"position": newest, "at": moment})
            found = row.position
        return found

    def skip_to(self, number: int, moment: datetime) -> None:
        """Begin after this number, unless the bookmark is further on: before it is nothing of interest."""
        row, _ = Bookmark.objects.get_or_create(name=self.name, defaults={"position": number, "at": moment})
        if row.position < number:
            Bookmark.objects.filter(pk=row.pk, position__lt=number).update(position=number, at=moment)

    def go_back_for_late(self, moment: datetime) -> None:
        """Read again from the first missing number that is there by now."""
        self.gaps = {number: since for number, since in self.gaps.items() if moment - since < LATEST}
        if self.gaps:
            found = Event.objects.filter(pk__in=list(self.gaps)).order_by("pk").values_list("pk", flat=True).first()
            if found is not None:
                self.read_to = found - 1

    def note_gaps(self, lines: Sequence[Line], moment: datetime) -> None:
        before = self.read_to or 0
        for line in lines:
            self.gaps.pop(line.id, None)
            if line.id > before + 1 and line.happened_at > moment - LATEST:
                for number in range(max(before + 1, line.id - MOST_GAPS), line.id):
                    self.gaps.setdefault(number, moment)
            before = line.id

    def stop_at(self, number: int) -> None:
        """Leave what comes after this number for the next time."""
        self.read_to = number
        self.gaps = {gap: since for gap, since in self.gaps.items() if gap < number}

    def save(self, moment: datetime) -> None:
        """Move the bookmark to where nothing before is missing; call it when what was read is dealt with."""
        position = min(self.gaps, default=(self.read_to or 0) + 1) - 1
        if position > self.saved:
            Bookmark.objects.filter(name=self.name, position__lt=position).update(position=position, at=moment)
            self.saved = position
