"""What time does to open incidents: snoozes end, reminders are due, what was muted is told when its window is over, and
what stands for many is told when it has grown, and is over when they are."""

from collections.abc import Mapping

from alerts import gathering, incidents
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
        elif incident.members_count and not incidents.close_if_over(incident.pk, look.moment):
            gathering.tell_growth(incident, look.moment)
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
    """Tell whether nobody has said that they look after it, or put it aside; of a member nothing is told."""
    is_untouched = incident.acknowledged_at is None and incident.snoozed_until is None
    return incident.rule_id is not None and incident.gathered_in_id is None and is_untouched


def is_due(incident: Incident, look: Look) -> bool:
    every = incident.rule.renotify_every if incident.rule else None
    return every is not None and look.moment - (incident.told_at or incident.opened_at) >= every


def was_muted(waiting: list[Incident], look: Look) -> set[int]:
    """Return those of which nothing was told yet because a window muted the last breach."""
    never = [each.pk for each in waiting if each.told_at is None]
    if not never:
        return set()
    muted = Breach.objects.exclude(muted_by="").order_by()
    alone = muted.filter(incident__in=never).values_list("incident", flat=True)
    of_many = muted.filter(incident__gathered_in__in=never).values_list("incident__gathered_in", flat=True)
    many = any(each.members_count for each in waiting)
    return {pk for pk in [*alone.distinct(), *(of_many.distinct() if many else ())] if pk is not None}


def is_muted(incident: Incident, look: Look) -> bool:
    """Tell whether a window mutes it now; one that stands for many, whether that is so of all of them."""
    if not look.windows:
        return False
    found = [incident]
    if incident.members_count:
        found = list(incident.members.filter(closed_at=None).select_related("pipeline").defer("detail"))
    runs = PipelineRun.objects.filter(pk__in=[each.run_id for each in found if each.run_id])
    executors = dict(runs.values_list("pk", "executor"))
    return all(look.muted_by(look.moment, subject_of(each, executors)) for each in found)


def subject_of(incident: Incident, executors: Mapping[int, str]) -> Subject | None:
    if incident.pipeline is None:
        return None
    return Subject(incident.pipeline, incident.trigger_id, executor=executors.get(incident.run_id or 0, ""))
