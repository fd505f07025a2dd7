"""What time does to open incidents: snoozes end, reminders are due, what was muted is told when its window is over."""

from alerts import incidents
from alerts.models import AlertRule, Breach, Incident
from alerts.watching.look import Look, Subject
from runs.models import PipelineRun


def look_at(look: Look) -> None:
    """Go through what is open; nothing is asked while no time has come."""
    opened = list(look.open().values())
    for incident in opened:
        if incident.rule_id is None:
            incidents.recover(incident.fingerprint, look.moment, "Its rule was removed")
            look.open().pop(incident.fingerprint, None)
        elif incident.snoozed_until is not None and incident.snoozed_until <= look.moment:
            incidents.end_snooze(incident, look.moment)
    waiting = [each for each in opened if is_waiting(each)]
    due = {each.pk for each in waiting if is_due(each, look)} | was_muted(waiting, look)
    if not due:
        return
    links = AlertRule.channels.through.objects.filter(channel__is_active=True, alertrule__is_active=True)
    telling = set(links.values_list("alertrule", flat=True))
    for incident in waiting:
        if incident.pk in due and incident.rule_id in telling and not is_muted(incident, look):
            incidents.remind(incident, look.moment)


def is_waiting(incident: Incident) -> bool:
    """Tell whether nobody has said that they look after it, or put it aside."""
    return incident.rule_id is not None and incident.acknowledged_at is None and incident.snoozed_until is None


def is_due(incident: Incident, look: Look) -> bool:
    every = incident.rule.renotify_every if incident.rule else None
    return every is not None and look.moment - (incident.told_at or incident.opened_at) >= every


def was_muted(waiting: list[Incident], look: Look) -> set[int]:
    """Return those of which nothing was told yet because a window muted the last breach."""
    never = [each.pk for each in waiting if each.told_at is None]
    if not never:
        return set()
    muted = Breach.objects.filter(incident__in=never).exclude(muted_by="").values_list("incident", flat=True)
    return {pk for pk in muted.distinct() if pk is not None}


def is_muted(incident: Incident, look: Look) -> bool:
    if incident.pipeline is None:
        return bool(look.muted_by(look.moment))
    executor = PipelineRun.objects.filter(pk=incident.run_id or 0).values_list("executor", flat=True).first()
    subject = Subject(incident.pipeline, incident.trigger_id, executor=executor or "")
    return bool(look.muted_by(look.moment, subject))
