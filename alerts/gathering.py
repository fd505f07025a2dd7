"""Many incidents of one rule at once, as by an outage, are told as one: the incident that stands for them.

Each of them, a member, stays an incident with its own breaches and its own recovery; nothing is told of it by itself.
The one that stands for them has no breaches, is told when it opens, again when it has grown, and when it is over.

Whoever gathers holds the rule, so that two evaluators never do so at once; then the incidents that stand for many,
then their members: in this order everybody holds them.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

from django.conf import settings
from django.db import transaction
from django.db.models import Count, Max, Min, Q, QuerySet

from alerts import incidents, messages
from alerts.incidents import Found
from alerts.models import AlertRule, Breach, Change, Delivery, Incident, Kind, Step

LATELY = timedelta(minutes=1)  # what opens within this is counted together
GOES_ON = timedelta(minutes=10)  # one that has grown within this takes what opens
TOLD_AGAIN = timedelta(minutes=10)  # after which people hear of how much it has grown
UNSENT = Q(tries=0, sent_at=None, given_up_at=None)
Troubles = Mapping[str, Sequence[Found]]  # by fingerprint


def record_all(rule: AlertRule, troubles: Troubles, moment: datetime) -> dict[str, Incident | None]:
    """Write down what broke a rule, as `incidents.record_all` does for one trouble; gather what opens if it is many."""
    if not gathers(rule) or not has_news(rule, troubles):
        return {name: incidents.record_all(rule, name, found, moment) for name, found in troubles.items()}
    with transaction.atomic():
        hold(rule)
        standing = list(standing_for_many(rule).select_for_update().order_by("pk"))
        alone = opened_alone(rule, moment)
        into = going_on(standing, moment)
        if into is None and len(alone) + len(opening(troubles)) > settings.ALERTS_GATHER_ABOVE:
            into = stand_for_many(rule, moment)
        done = {
            name: incidents.record_all(rule, name, found, moment, into if found[0].pipeline else None)
            for name, found in troubles.items()
        }
        if into is not None:
            take_in(into, alone, moment)
    return done


def gathers(rule: AlertRule) -> bool:
    """Tell whether many incidents of the rule may be told as one; what is about no pipeline is a trouble by itself."""
    return rule.gathers and settings.ALERTS_GATHER_ABOVE > 0 and rule.kind != Kind.UNHEALTHY


def has_news(rule: AlertRule, troubles: Troubles) -> bool:
    keys = {each.key[:200] for found in troubles.values() for each in found}
    return len(keys) > Breach.objects.filter(rule=rule, key__in=list(keys)).count()


def hold(rule: AlertRule) -> None:
    """Have every other who gathers for the rule wait until the commit; who reads or changes the rule does not."""
    list(AlertRule.objects.select_for_update(no_key=True).filter(pk=rule.pk).values_list("pk"))


def standing_for_many(rule: AlertRule) -> QuerySet[Incident]:
    return Incident.objects.open().filter(rule=rule, members_count__gt=0)


def going_on(standing: Sequence[Incident], moment: datetime) -> Incident | None:
    """Return the one that has grown a short time ago: what opens now is of the same trouble."""
    grown = Change.objects.filter(incident__in=standing, step__in=(Step.OPENED, Step.SEEN_AGAIN)) if standing else None
    last = grown.filter(at__gt=moment - GOES_ON).order_by("-id").first() if grown is not None else None
    return next((each for each in standing if last is not None and each.pk == last.incident_id), None)


def opening(troubles: Troubles) -> set[str]:
    """Return the fingerprints that are of a pipeline and of no open incident."""
    names = {name[:200] for name, found in troubles.items() if found[0].pipeline}
    known = Incident.objects.open().filter(fingerprint__in=names).values_list("fingerprint", flat=True)
    return names - set(known)


def opened_alone(rule: AlertRule, moment: datetime) -> list[Incident]:
    """Return those of the rule that opened within the minute, each by itself, and that nobody has done anything to."""
    lately = Change.objects.filter(step=Step.OPENED, at__gt=moment - LATELY)
    mine = Incident.objects.open().ungathered().filter(rule=rule, members_count=0, pipeline__isnull=False)
    untouched = mine.filter(acknowledged_at=None, snoozed_until=None, assignee=None)
    return list(untouched.filter(pk__in=lately.values("incident")).select_for_update().order_by("pk"))


def stand_for_many(rule: AlertRule, moment: datetime) -> Incident:
    return Incident.objects.create(
        rule=rule,
        fingerprint=f"rule {rule.pk} many since {moment.isoformat()}",
        severity=rule.severity,
        runbook_url=rule.runbook_url,
        breaches_count=0,
        opened_at=moment,
        last_seen_at=moment,
    )


# --- growing --------------------------------------------------------------------------------------------------------


def take_in(into: Incident, alone: Sequence[Incident], moment: datetime) -> None:
    """Count what was just opened into it, and what stood alone, whose messages go no more if they have not gone yet."""
    if alone:
        Incident.objects.filter(pk__in=[each.pk for each in alone]).update(gathered_in=into)
        unsent = Delivery.objects.filter(UNSENT, change__incident__in=alone).values_list("pk", flat=True)
        Delivery.objects.filter(UNSENT, pk__in=list(unsent)).delete()
    joined, is_new = count(into), not into.members_count
    if not joined:
        if is_new:  # another has written all of it meanwhile
            into.delete()
        return
    rises = incidents.LOUDNESS.index(severity_of(into)) > incidents.LOUDNESS.index(into.severity)
    incidents.update(into, **fields_of(into, joined))
    if is_new:
        incidents.write(into, Step.OPENED, moment)  # the title says how many, and changes while messages wait
        return
    incidents.write(into, Step.SEEN_AGAIN, moment, message=f"{joined:,} more")
    if rises:
        incidents.write(into, Step.ESCALATED, moment)
    elif write_anew(into):
        incidents.update(into, members_told=into.members_count)


def count(into: Incident) -> int:
    return into.members.count() - into.members_count


def severity_of(into: Incident) -> str:
    found = set(into.members.order_by().values_list("severity", flat=True).distinct())
    return max(found, key=incidents.LOUDNESS.index)


def fields_of(into: Incident, joined: int) -> dict[str, object]:
    """Return what it says of its members, as they are now."""
    figures = into.members.aggregate(
        pipelines=Count("pipeline", distinct=True), since=Min("opened_at"), last=Max("last_seen_at")
    )
    latest = into.members.order_by("-id")[0]
    members = into.members_count + joined
    return {
        "title": title_of(into, members, figures["pipelines"], latest, figures["since"])[:300],
        "detail": f"The latest: {latest.title}\n{latest.detail}".strip(),
        "severity": max(into.severity, severity_of(into), key=incidents.LOUDNESS.index),
        "run_id": latest.run_id,
        "opened_at": figures["since"],
        "last_seen_at": figures["last"],
        "members_count": members,
        "breaches_count": members,
    }


def write_anew(into: Incident) -> bool:
    """Have its messages that nobody has tried to send yet say how many they are now; False if one has gone before."""
    for row in Delivery.objects.filter(UNSENT, change__incident=into).select_related("change", "channel"):
        assert row.change is not None
        row.change.incident = into
        assert into.rule is not None
        Delivery.objects.filter(UNSENT, pk=row.pk).update(**messages.says(row.change, into.rule))
    told = Delivery.objects.filter(change__incident=into).order_by("-change_id").values_list("change_id", flat=True)
    last = told.first()
    return last is not None and not Delivery.objects.filter(change=last).exclude(UNSENT).exists()


def tell_growth(incident: Incident, moment: datetime) -> bool:
    """Tell that an open incident stands for more than people have heard; False if another has, or it is too early."""
    if not has_grown(incident, moment):
        return False
    with transaction.atomic():
        held = Incident.objects.select_for_update().filter(pk=incident.pk, closed_at=None).first()
        if held is None or not has_grown(held, moment):
            return False
        more = held.members_count - held.members_told
        incidents.update(held, told_at=moment, members_told=held.members_count)
        incidents.write(held, Step.GREW, moment, message=f"{more:,} more than was told")
    return True


def has_grown(incident: Incident, moment: datetime) -> bool:
    if incident.told_at is None or incident.snoozed_until is not None:
        return False
    return incident.members_count > incident.members_told and moment - incident.told_at >= TOLD_AGAIN


# --- in words -------------------------------------------------------------------------------------------------------

MANY: Mapping[str, str] = {
    Kind.RUN_FAILED: "failed",
    Kind.BLOCK_FAILED: "failed",
    Kind.CONSECUTIVE_FAILURES: "fail again and again",
    Kind.SLA: "passed their SLAs",
    Kind.DEADLINE: "were not finished in time",
    Kind.FRESHNESS: "have had no completed run for too long",
    Kind.SLOWER: "are slower than usual",
    Kind.QUEUE_TIME: "wait too long to begin",
    Kind.OCCURRENCE_MISSED: "missed moments",
    Kind.LOG_PATTERN: "say in their logs what they should not",
    Kind.ROW_COUNT: "return too few or too many rows",
    Kind.DELIVERY_FAILED: "cannot send their messages",
}


def title_of(into: Incident, members: int, pipelines: int, latest: Incident, since: datetime) -> str:
    """Return for example "37 pipelines failed since 02:10 UTC"; of one pipeline "8 blocks of etl failed since …"."""
    who = f"{pipelines:,} pipelines"
    if pipelines == 1 and latest.pipeline is not None:
        who = f"{members:,} {'blocks' if latest.block_uuid else 'triggers'} of {latest.pipeline.uuid}"
    kind = into.rule.kind if into.rule else ""
    return f"{who} {MANY.get(kind, 'are in trouble')} since {since:%H:%M} UTC"
