"""Incidents: opened by the first breach of a fingerprint, changed by people and by time, closed on recovery.

Each function is one transaction and writes one `Change`, the incident's history, from which messages are made. What
people do to an incident that stands for many (alerts/gathering.py) is done to those as well.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.contrib.auth.models import AbstractBaseUser
from django.db import IntegrityError, transaction
from django.db.models import F, QuerySet

from alerts import messages
from alerts.models import AlertRule, Breach, Change, Incident, Severity, Step
from pipelines.models import Pipeline
from pipelines.refusal import Refusal
from runs import bell
from runs.bulk import verbs
from runs.models import PipelineRun
from runs.states import RunStatus
from schedules.reasons.drift import about

LOUDNESS = [severity.value for severity in Severity]
LONGEST_SNOOZE = timedelta(days=90)
LONGEST_NOTE = 10_000
RETRIED_AT_ONCE = 200


# --- what the evaluator writes --------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class Found:
    """Something that broke a rule. `key` names what did: it is written down once, whoever looks and how often."""

    key: str
    title: str
    happened_at: datetime
    message: str = ""
    severity: str = ""  # "" for that of the rule
    pipeline: Pipeline | None = None
    trigger_id: int | None = None
    block_uuid: str = ""
    run_id: int | None = None
    muted_by: str = ""


def record(
    rule: AlertRule,
    key: str,
    moment: datetime,
    *,
    fingerprint: str,
    title: str,
    happened_at: datetime | None = None,
    **fields: Any,
) -> Incident | None:
    """Write down that something broke a rule; None if it was. `fields` are those of `Found`."""
    found = Found(key=key, title=title, happened_at=happened_at or moment, **fields)
    return record_all(rule, fingerprint, [found], moment)


def record_all(
    rule: AlertRule, fingerprint: str, found: Sequence[Found], moment: datetime, into: Incident | None = None
) -> Incident | None:
    """Write down what broke a rule with the same trouble; None if all of it was.

    The open incident of the fingerprint is told of it, or one is opened: as a member of `into`, if that is given. Safe
    for any number of callers at once.
    """
    by_key = {each.key[:200]: each for each in found}
    known = set(Breach.objects.filter(rule=rule, key__in=list(by_key)).values_list("key", flat=True))
    new = [each for key, each in by_key.items() if key not in known]
    if not new:
        return None
    try:
        with transaction.atomic():
            return write_down(rule, fingerprint[:200], new, moment, into)
    except IntegrityError:  # another has written one of them meanwhile
        if len(new) == 1:
            return None
    alone = [record_all(rule, fingerprint, [each], moment, into) for each in new]
    return next((incident for incident in reversed(alone) if incident), None)


def write_down(
    rule: AlertRule, fingerprint: str, new: Sequence[Found], moment: datetime, into: Incident | None
) -> Incident:
    """Write the breaches, and tell their incident, its row held; IntegrityError if one was written by another."""
    latest, severity = new[-1], max((each.severity or rule.severity for each in new), key=LOUDNESS.index)
    incident, is_new = opened(fingerprint, {**first_fields(rule, new[0], severity), **member_fields(into)})
    is_heard = any(not each.muted_by for each in new)
    is_first_heard = not is_new and is_heard and not incident.breaches.filter(muted_by="").exists()
    Breach.objects.bulk_create([breach_of(rule, incident, each, moment) for each in new])
    rises = LOUDNESS.index(severity) > LOUDNESS.index(incident.severity)
    fields = {
        "detail": clean(latest.message),
        "run_id": latest.run_id,
        "last_seen_at": max(incident.last_seen_at, *(each.happened_at for each in new)),
        "severity": severity if rises else incident.severity,
        "breaches_count": incident.breaches_count + len(new) - is_new,
    }
    Incident.objects.filter(pk=incident.pk).update(**fields)
    incident.__dict__.update(fields)
    if is_new:
        write(incident, Step.OPENED, moment, message=incident.title)
    if more := len(new) - is_new:
        step = Step.ESCALATED if rises else Step.RENOTIFIED if is_first_heard else Step.SEEN_AGAIN
        text = clean(latest.message)
        write(incident, step, moment, message=f"{more} times more, the latest: {text}" if more > 1 else text)
    return incident


def first_fields(rule: AlertRule, found: Found, severity: str) -> dict[str, Any]:
    return {
        "rule": rule,
        "title": clean(found.title)[:300],
        "detail": clean(found.message),
        "severity": severity,
        "pipeline": found.pipeline,
        "trigger_id": found.trigger_id,
        "block_uuid": found.block_uuid[:255],
        "run_id": found.run_id,
        "runbook_url": rule.runbook_url,
        "opened_at": found.happened_at,
        "last_seen_at": found.happened_at,
    }


def member_fields(into: Incident | None) -> dict[str, Any]:
    """Return what one that is opened has from the one that stands for it: who looks after that looks after it."""
    if into is None:
        return {}
    names = ("acknowledged_at", "acknowledged_by", "assignee_id", "snoozed_until")
    return {"gathered_in": into, **{name: getattr(into, name) for name in names}}


def breach_of(rule: AlertRule, incident: Incident, found: Found, moment: datetime) -> Breach:
    return Breach(
        rule=rule,
        key=found.key[:200],
        incident=incident,
        message=clean(found.message).partition("\n")[0][:500],
        run_id=found.run_id,
        muted_by=found.muted_by[:200],
        happened_at=found.happened_at,
        noted_at=moment,
    )


def opened(fingerprint: str, fields: dict[str, Any]) -> tuple[Incident, bool]:
    """Return the open incident of the fingerprint, its row held, and whether it is a new one."""
    for _ in range(3):
        incident = Incident.objects.select_for_update().filter(fingerprint=fingerprint, closed_at=None).first()
        if incident is not None:
            return incident, False
        try:
            with transaction.atomic():
                return Incident.objects.create(fingerprint=fingerprint, **fields), True
        except IntegrityError:  # somebody opened it meanwhile: now it can be read
            continue
    raise RuntimeError(f"the incident of {fingerprint!r} is opened and closed again and again")


def recover(fingerprint: str, moment: datetime, reason: str) -> Incident | None:
    """Close the open incident of a fingerprint, because what was wrong is well again; None if there is none."""
    with transaction.atomic():
        incident = Incident.objects.select_for_update().filter(fingerprint=fingerprint[:200], closed_at=None).first()
        if incident is not None:
            shut(incident, moment, "", reason)
    if incident is not None and incident.gathered_in_id is not None:
        close_if_over(incident.gathered_in_id, moment)
    return incident


def close_if_over(incident_id: int, moment: datetime) -> bool:
    """Close an incident that stands for many when none of them is open any more; tell whether it did.

    In a transaction of its own: it is held before its members, by everybody who holds both.
    """
    with transaction.atomic():
        gathered = Incident.objects.select_for_update().filter(pk=incident_id, closed_at=None, members_count__gt=0)
        incident = gathered.first()
        if incident is None or incident.members.filter(closed_at=None).exists():
            return False
        shut(incident, moment, "", f"All {incident.members_count:,} are over")
    return True


def remind(incident: Incident, moment: datetime) -> bool:
    """Tell of an open incident again; False if somebody else has, or there is no need any more."""
    with transaction.atomic():
        now = Incident.objects.select_for_update().filter(pk=incident.pk, closed_at=None, acknowledged_at=None).first()
        if now is None or now.told_at != incident.told_at or now.snoozed_until is not None:
            return False
        update(now, told_at=moment)
        write(now, Step.RENOTIFIED, moment, message=now.detail)
    return True


def end_snooze(incident: Incident, moment: datetime) -> bool:
    """Wake an incident whose time has come, and tell of it again if nobody looks after it; False if it was woken."""
    with transaction.atomic():
        now = Incident.objects.select_for_update().filter(pk=incident.pk, closed_at=None).first()
        if now is None or now.snoozed_until is None or now.snoozed_until > moment:
            return False
        update(now, snoozed_until=None)
        write(now, Step.WOKEN, moment)
        if now.acknowledged_at is None and now.gathered_in_id is None:
            write(now, Step.RENOTIFIED, moment, message=now.detail)
    return True


def write(incident: Incident, step: Step, moment: datetime, *, by: str = "", message: str = "") -> Change:
    """Write one line of an incident's history, and the messages about it."""
    change = Change.objects.create(incident=incident, step=step, by=by, message=message, at=moment)
    if messages.write_for(change, moment):
        Incident.objects.filter(pk=incident.pk).update(told_at=moment, members_told=F("members_count"))
        incident.told_at, incident.members_told = moment, incident.members_count
    transaction.on_commit(lambda: bell.ring("live", f"incident {incident.pk}"))
    return change


# --- what people do -------------------------------------------------------------------------------------------------


def acknowledge(incident: Incident, moment: datetime, by: str) -> Incident:
    """Somebody looks after it: no reminders any more. A second one changes nothing."""
    with transaction.atomic():
        incident = held(incident)
        if incident.acknowledged_at is None:
            update(incident, acknowledged_at=moment, acknowledged_by=by)
            write(incident, Step.ACKNOWLEDGED, moment, by=by)
            rest = incident.members.filter(acknowledged_at=None)
            spread(incident, rest, Step.ACKNOWLEDGED, moment, by, acknowledged_at=moment, acknowledged_by=by)
    return incident


def assign(incident: Incident, moment: datetime, by: str, user: AbstractBaseUser | None) -> Incident:
    """Give it to somebody, or to nobody."""
    with transaction.atomic():
        incident = held(incident)
        update(incident, assignee=user)
        write(incident, Step.ASSIGNED, moment, by=by, message=f"to {user.get_username()}" if user else "to nobody")
        spread(incident, incident.members.all(), Step.ASSIGNED, moment, by, assignee=user)
    return incident


def snooze(incident: Incident, moment: datetime, by: str, until: datetime) -> Incident:
    """Put it aside until then: nothing is told, and it counts as nobody's; then it wakes by itself."""
    if not moment < until <= moment + LONGEST_SNOOZE:
        days = LONGEST_SNOOZE.days
        raise Refusal(
            f"{until:%Y-%m-%d %H:%M} UTC is not within the next {days} days.",
            field="until",
            hint=f"Snooze until a time that is to come, at most {days} days ahead.",
        )
    with transaction.atomic():
        incident = held(incident)
        update(incident, snoozed_until=until)
        write(incident, Step.SNOOZED, moment, by=by, message=f"until {until:%Y-%m-%d %H:%M} UTC")
        spread(incident, incident.members.all(), Step.SNOOZED, moment, by, snoozed_until=until)
    return incident


def wake(incident: Incident, moment: datetime, by: str = "") -> Incident:
    """End the snooze, by hand or because its time is over. One that is not snoozed stays as it is."""
    with transaction.atomic():
        incident = held(incident)
        if incident.snoozed_until is not None:
            update(incident, snoozed_until=None)
            write(incident, Step.WOKEN, moment, by=by)
            spread(incident, incident.members.all(), Step.WOKEN, moment, by, snoozed_until=None)
    return incident


def note(incident: Incident, moment: datetime, by: str, text: str) -> Incident:
    """Write something down about it."""
    text = clean(text).strip()
    if not 1 <= len(text) <= LONGEST_NOTE:
        hint = f"Write 1 to {LONGEST_NOTE:,} characters."
        raise Refusal("There is nothing to note." if not text else "The note is too long.", field="text", hint=hint)
    with transaction.atomic():
        incident = held(incident)
        write(incident, Step.NOTED, moment, by=by, message=text)
    return incident


def close(incident: Incident, moment: datetime, by: str, reason: str) -> Incident:
    """Close it by hand. The next breach of the same trouble opens a new one."""
    with transaction.atomic():
        incident = shut(held(incident), moment, by, clean(reason).strip() or f"closed by {by}")
    if incident.gathered_in_id is not None:
        close_if_over(incident.gathered_in_id, moment)
    return incident


def retry_all(incident: Incident, moment: datetime, by: str) -> int:
    """Run the failed runs of its breaches again that are still failed, the oldest 200; return how many began.

    Of one that stands for many: those of all of them that are open.
    """
    held(incident)
    order = verbs.Order(verb="retry")
    ids = list(failed_runs(incident).values_list("pk", flat=True)[: RETRIED_AT_ONCE + 1])
    refused = [why for run in verbs.read(ids[:RETRIED_AT_ONCE]) if (why := verbs.do(run, order, moment, by))]
    begun = len(ids[:RETRIED_AT_ONCE]) - len(refused)
    told = f"{begun} of {len(ids[:RETRIED_AT_ONCE])} failed runs began again"
    told += f"; {len(refused)} did not, the first because: {refused[0]}" if refused else ""
    told += "; more are left" if len(ids) > RETRIED_AT_ONCE else ""
    with transaction.atomic():
        write(incident, Step.RETRIED, moment, by=by, message=told)
    return begun


def failed_runs(incident: Incident) -> QuerySet[PipelineRun]:
    """Return the runs of its breaches that are failed now, the oldest first."""
    of_it = breaches_of(incident, is_open=True)
    runs = of_it.filter(run_id__isnull=False).order_by().values("run_id")
    return PipelineRun.objects.filter(pk__in=runs, status=RunStatus.FAILED).order_by("pk")


def breaches_of(incident: Incident, *, is_open: bool = False) -> QuerySet[Breach]:
    """Return its breaches; of one that stands for many, those of its members (that are open)."""
    if not incident.members_count:
        return incident.breaches.all()
    members = incident.members.filter(closed_at=None) if is_open else incident.members.all()
    return Breach.objects.filter(incident__in=members.values("pk"))


# --- below ----------------------------------------------------------------------------------------------------------


def held(incident: Incident) -> Incident:
    """Read the incident again and hold it until the commit; raises Refusal when it is closed."""
    with transaction.atomic():
        now = Incident.objects.select_for_update().get(pk=incident.pk)
    if now.closed_at is not None:
        raise Refusal(
            f"Incident {now.pk} is closed since {now.closed_at:%Y-%m-%d %H:%M} UTC.",
            hint="The next breach of the same trouble opens a new one.",
            code="conflict",
        )
    return now


def update(incident: Incident, **fields: Any) -> None:
    for name, value in fields.items():
        setattr(incident, name, value)
    incident.save(update_fields=list(fields))


def shut(incident: Incident, moment: datetime, by: str, reason: str) -> Incident:
    update(incident, closed_at=moment, closed_by=by, close_reason=reason[:500], snoozed_until=None)
    lasted = about(max(moment - incident.opened_at, timedelta(0)))
    write(incident, Step.CLOSED, moment, by=by, message=f"{reason}; it lasted {lasted}")
    fields = {"closed_at": moment, "closed_by": by, "close_reason": reason[:500], "snoozed_until": None}
    spread(incident, incident.members.all(), Step.CLOSED, moment, by, **fields)
    return incident


def spread(
    incident: Incident, members: QuerySet[Incident], step: Step, moment: datetime, by: str, **fields: Any
) -> None:
    """Do to the open members of an incident that stands for many what was done to it; of members nothing is told."""
    if not incident.members_count:
        return
    ids = list(members.filter(closed_at=None).select_for_update().order_by("pk").values_list("pk", flat=True))
    Incident.objects.filter(pk__in=ids).update(**fields)
    message = f"with incident {incident.pk}"
    Change.objects.bulk_create(Change(incident_id=pk, step=step, by=by, at=moment, message=message) for pk in ids)


def clean(text: str) -> str:
    """Return the text without what Postgres cannot keep."""
    return text.replace("\x00", "�")
