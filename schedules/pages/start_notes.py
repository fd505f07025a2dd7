"""What the page of a trigger says about its starts: what resuming would run, and how far from its moments they are."""

import copy
from collections import Counter
from datetime import datetime, timedelta

from pipelines.refusal import Refusal
from schedules import forecasts
from schedules.accounting import account
from schedules.models import Decision, PipelineSchedule, ScheduleType
from schedules.spans import span_in_words


def what_resuming_does(schedule: PipelineSchedule, moment: datetime) -> str:
    """Say what the catch-up policy makes of the moments that passed during a pause; "" where there is nothing to say.

    What is asked is the scheduler's own function; nothing is stored.
    """
    if schedule.is_active or schedule.schedule_type != ScheduleType.TIME or schedule.last_enabled_at is None:
        return ""
    draft = copy.copy(schedule)
    draft.is_active, draft.last_enabled_at = True, moment
    try:
        settings = draft.checked_settings()
        case = account(draft, settings, moment, forecasts.leads({draft.pk: settings}).get(draft.pk, timedelta(0)))
    except Refusal:
        return ""
    counts = Counter(entry.decision for entry in case.entries)
    if case.starts_when_idle or not counts:
        return ""
    said = [f"{counts[decision]} {words}" for decision, words in RESUMED if counts[decision]]
    return f"Of the moments that passed meanwhile, {', '.join(said)} (catch-up: {settings.catchup})."


RESUMED = (
    (Decision.STARTED, "would run at once"),
    (Decision.HELD, "would be held"),
    (Decision.MISSED, "would not be made up"),
    (Decision.EXPIRED, "would be past their deadline"),
    (Decision.SKIPPED, "would be skipped"),
)


def shift_in_words(schedule: PipelineSchedule) -> str:
    """Say how far from its moments a trigger starts: jitter puts it off, landing time brings it forward."""
    try:
        settings = schedule.checked_settings()
        if schedule.schedule_type != ScheduleType.TIME or not (settings.jitter or settings.landing_time_enabled):
            return ""
        shift = schedule.timing(forecasts.leads({schedule.pk: settings}).get(schedule.pk, timedelta(0))).shift
    except Refusal:
        return ""
    seconds = round(shift.total_seconds())
    if settings.landing_time_enabled and seconds >= 0 and not settings.jitter:
        return "at its moments: no run has shown yet how long one takes"
    return (
        f"{span_in_words(abs(seconds))} {'after' if seconds > 0 else 'before'} each moment"
        if seconds
        else "at its moments"
    )
