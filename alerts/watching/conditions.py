"""States that are wrong while they last: a breach as they begin, recovery as they end."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime

from alerts.models import Incident, Kind
from alerts.watching.look import Look, about_all


@dataclass(frozen=True)
class Condition:
    """Something that is wrong now. `name` is its part of the fingerprint; `key` names this time, where that is known.

    Without a key it is told of anew after a recovery, and each day if somebody closed it by hand although it lasts.
    """

    name: str
    title: str
    message: str
    key: str = ""
    since: datetime | None = None


def compare(look: Look, present: Iterable[Condition], is_mine: Callable[[str], bool]) -> None:
    """Open incidents of what is wrong now, close those that are mine to tell of and are no more."""
    now = {condition.name: condition for condition in present}
    for watched in look.rules(Kind.UNHEALTHY):
        for name, condition in now.items():
            if about_all(watched.rule, name) not in look.open():
                begin(look, watched.rule.pk, condition)
        prefix = f"rule {watched.rule.pk} "
        for fingerprint in list(look.open()):
            name = fingerprint.removeprefix(prefix)
            if name != fingerprint and is_mine(name) and name[:180] not in {each[:180] for each in now}:
                look.heal(fingerprint, "It is well again")


def begin(look: Look, rule_id: int, condition: Condition) -> None:
    watched = next(each for each in look.rules(Kind.UNHEALTHY) if each.rule.pk == rule_id)
    fingerprint = about_all(watched.rule, condition.name)
    key = f"{condition.key or episode(fingerprint, look.moment)}: {condition.name}"
    look.breaks(
        watched.rule,
        key,
        None,
        title=condition.title,
        message=condition.message,
        at=condition.since,
        fingerprint=fingerprint,
    )


def episode(fingerprint: str, moment: datetime) -> str:
    """Name this time of a condition the same for everybody who sees it."""
    over = Incident.objects.filter(fingerprint=fingerprint, closed_by="").exclude(closed_at=None)
    last = over.order_by("-pk").values_list("pk", flat=True).first()
    return f"after {last or 0} on {moment:%Y-%m-%d}"
