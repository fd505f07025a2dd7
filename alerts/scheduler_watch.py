"""The clusters of workers watch the schedulers: when none comes round any more, they say so, as no evaluator can."""

import logging
import time
from datetime import datetime, timedelta

from django.db import DatabaseError
from django.db.models import Max

from alerts.models import Kind
from alerts.watching.conditions import Condition, begin
from alerts.watching.look import Look, about_all
from runs import clock
from runs.models import Worker, WorkerKind
from schedules.reasons.drift import about

logger = logging.getLogger(__name__)
LOOK_EVERY = 10.0  # seconds
SILENT_FOR = timedelta(seconds=60)
NAME = "no scheduler"


class Watch:
    """What one cluster knows. It complains only of a silence that it has heard itself, in two looks."""

    def __init__(self) -> None:
        self.looked_at: float | None = None
        self.since: datetime | None = None  # it has been watching
        self.was_late = False

    def look_if_due(self) -> None:
        """Look every ten seconds; cheap in between. Never raises."""
        now = time.monotonic()
        if self.looked_at is not None and now - self.looked_at < LOOK_EVERY:
            return
        self.looked_at = now
        try:
            self.look(clock.now())
        except DatabaseError as error:
            logger.debug("cannot look after the schedulers: %s", error)
        except Exception:  # an errand beside the work: that goes on
            logger.exception("cannot look after the schedulers")

    def look(self, moment: datetime) -> bool:
        """Write down that no scheduler has come round for a minute; tell whether that is so."""
        self.since = self.since if self.since is not None and self.since <= moment else moment
        last = Worker.objects.filter(kind=WorkerKind.SCHEDULER).aggregate(last=Max("last_loop_at"))["last"]
        is_late = last is not None and moment - max(last, self.since) > SILENT_FOR
        was_late, self.was_late = self.was_late, is_late
        if not (is_late and was_late):
            return False
        look = Look(moment)
        for watched in look.rules(Kind.UNHEALTHY):
            if about_all(watched.rule, NAME) not in look.open():
                begin(look, watched.rule.pk, silence(last, moment))
        look.flush()
        return True


def silence(last: datetime, moment: datetime) -> Condition:
    message = (
        f"The last loop was completed {about(moment - last)} ago, at {last:%Y-%m-%d %H:%M:%S} UTC: nothing is started "
        "by time. manage.py start or run_scheduler starts a scheduler."
    )
    return Condition(NAME, "No scheduler is at work", message, f"since {last.isoformat()}", last + SILENT_FOR)


watch = Watch()


def errand() -> None:
    """Look after the schedulers (called by the broker of each cluster)."""
    watch.look_if_due()
