"""Moments that came to nothing: missed, expired, skipped. Read from the ledger by when that was decided."""

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta

from django.db.models import Q

from alerts.kinds import Deadline, Moments
from alerts.models import AlertRule, Bookmark, Kind
from alerts.watching import going_on, service_levels
from alerts.watching.look import Look, Subject, about_all, covers
from runs.models.written import Written
from schedules.models import Decision, Occurrence
from schedules.reasons.drift import about

NAME = "ledger"
AT_ONCE = 200
MANY, OF_MANY = 20, "moments of many triggers"
QUIET_FOR = timedelta(minutes=15)
LATEST = timedelta(minutes=2)  # a decision is committed at most this much after its time
# In the order of the index: SQLite takes one only for what reads the same.
PASSED_OVER = tuple(Written(each.value) for each in (Decision.EXPIRED, Decision.MISSED, Decision.SKIPPED))


class LedgerCursor:
    """Up to which decisions one process has read, and what of the last two minutes it knows."""

    def __init__(self) -> None:
        self.known: dict[int, datetime] = {}

    def news(self, moment: datetime) -> Iterator[list[Occurrence]]:
        """Return what was passed over since the last look, in batches; the first time ever nothing: it begins here.

        The bookmark moves on as the next batch is asked for.
        """
        since = self.bookmark(moment)
        self.known = {pk: at for pk, at in self.known.items() if at >= since - LATEST}
        rows = Occurrence.objects.filter(decision__in=PASSED_OVER).order_by("decided_at", "pk")
        after = Q(decided_at__gte=since - LATEST)
        while lines := list(rows.filter(after).values_list("pk", "decided_at")[:AT_ONCE]):
            pk, at = lines[-1]
            if new := [pk for pk, _ in lines if pk not in self.known]:
                beside = ("pipeline", "schedule")
                yield list(Occurrence.objects.filter(pk__in=new).select_related(*beside).order_by("decided_at", "pk"))
            self.known.update(lines)
            Bookmark.objects.filter(name=NAME, at__lt=at).update(at=min(at, moment))
            after = Q(decided_at__gt=at) | Q(decided_at=at, pk__gt=pk)

    def bookmark(self, moment: datetime) -> datetime:
        found = Bookmark.objects.filter(name=NAME).values_list("at", flat=True).first()
        if found is None:
            # What was decided in the two minutes before is no news.
            row, _ = Bookmark.objects.get_or_create(name=NAME, defaults={"at": moment + LATEST})
            found = row.at or moment
        return found


def take_all(look: Look, rows: Sequence[Occurrence]) -> None:
    """Write down that moments came to nothing, for the rules that want to know.

    Where many triggers are struck at once, as by an outage, that is one trouble and not one for each of them.
    """
    for watched in look.rules(Kind.OCCURRENCE_MISSED):
        told = watched.told
        assert isinstance(told, Moments)
        subjects = [(row, going_on.subject_of(row)) for row in rows if row.decision in told.decisions]
        mine = [(row, subject) for row, subject in subjects if covers(watched.rule, subject)]
        is_many = len({row.schedule_id for row, _ in mine}) > MANY
        for row, subject in mine:
            say_passed_over(look, watched.rule, row, subject, is_many=is_many)
    service_levels.passed_by(look, rows)
    if look.has(Kind.DEADLINE):
        for row in rows:
            if row.decision != Decision.SKIPPED and row.backfill_id is None:
                going_on.late_moment(look, row, f"it was {row.decision}")


def say_passed_over(look: Look, rule: AlertRule, row: Occurrence, subject: Subject, *, is_many: bool) -> None:
    message = f"The moment {row.scheduled_for:%Y-%m-%d %H:%M} UTC was {row.decision}: {row.reason}".rstrip(": ")
    look.breaks(
        rule,
        f"occurrence {row.pk}",
        None if is_many else subject,
        title=f"Moments of {'many triggers' if is_many else subject.name} are {row.decision}",
        message=f"{subject.name}: {message}" if is_many else message,
        at=row.decided_at,
        fingerprint=about_all(rule, OF_MANY) if is_many else "",
    )


def close_of_many(look: Look) -> None:
    """The trouble of many triggers is over when it struck none for a while."""
    for watched in look.rules(Kind.OCCURRENCE_MISSED):
        incident = look.open().get(about_all(watched.rule, OF_MANY))
        if incident is not None and look.moment - incident.last_seen_at >= QUIET_FOR:
            look.heal(incident.fingerprint, f"Nothing of the kind for {about(QUIET_FOR)}")


def is_wanted(look: Look) -> bool:
    due = (each.told for each in look.rules(Kind.DEADLINE))
    return look.has(Kind.OCCURRENCE_MISSED, Kind.SLA) or any(
        isinstance(told, Deadline) and told.since == "due" for told in due
    )
