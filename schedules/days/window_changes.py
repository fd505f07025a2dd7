"""Maintenance windows are made, changed, deleted: checked by one set of rules, and schedulers told."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from django.db import IntegrityError, transaction

from executors.registry import FACTORIES, UnknownExecutor, canonical
from pipelines.models import Pipeline
from pipelines.refusal import Refusal
from runs import events
from schedules.days.maintenance import LONGEST, Effect, MaintenanceWindow, Scope
from schedules.models import Decision, Occurrence
from schedules.rules.cron_fields import InvalidSchedule
from schedules.rules.day_expressions import did_you_mean
from schedules.timetable import read_zone

LONGEST_NAME, LONGEST_REASON, LONGEST_VALUE = 100, 2000, 255
FIRST = datetime(1970, 1, 1, tzinfo=UTC)
TICK = timedelta(microseconds=1)


class InvalidWindow(Refusal):
    """Something about a maintenance window that does not make sense."""

    def __init__(self, field: str, message: str, hint: str = "") -> None:
        super().__init__(message, field=field, hint=hint, code="invalid_window")


def create(fields: Mapping[str, Any]) -> MaintenanceWindow:
    """Write down a window; raise `Refusal` for whatever does not make sense, and keep nothing then."""
    window = MaintenanceWindow()
    change(window, fields)
    return window


def change(window: MaintenanceWindow, fields: Mapping[str, Any]) -> None:
    for name, value in fields.items():
        setattr(window, name, value)
    for mistake in mistakes(window):
        raise mistake
    try:
        with transaction.atomic():
            window.save()
    except IntegrityError:  # made by another request at the same time
        raise duplicate(window.name) from None
    look_again()


def delete(window: MaintenanceWindow) -> None:
    """Remove a window; what it holds may start."""
    window.delete()
    look_again()


def look_again() -> None:
    """Have everything that waits looked at now: what held it until a certain time may be gone."""
    Occurrence.objects.filter(decision=Decision.WAITING, start_after__isnull=False).update(start_after=None)
    events.publish_timer()


def mistakes(window: MaintenanceWindow) -> list[Refusal]:
    """Return what is wrong with a window as it stands, one entry for each field; an executor gets its own name."""
    found: list[Refusal] = []
    if not (window.name.strip() and window.name.isprintable() and len(window.name) <= LONGEST_NAME):
        found.append(InvalidWindow("name", "Name: 1–100 printable characters.", "For example “database upgrade”."))
    elif MaintenanceWindow.objects.filter(name=window.name).exclude(pk=window.pk).exists():
        found.append(duplicate(window.name))
    if len(window.reason) > LONGEST_REASON or "\x00" in window.reason:
        found.append(InvalidWindow("reason", f"Reason: at most {LONGEST_REASON} characters, none of them NUL."))
    if window.effect not in Effect.values:
        hint = did_you_mean(str(window.effect), Effect.values) or f"Use {', '.join(Effect.values)}."
        found.append(InvalidWindow("effect", f"{str(window.effect)[:80]!r} is no effect.", hint))
    for check in (check_scope, check_recurring if window.recurrence else check_once):
        try:
            check(window)
        except Refusal as mistake:
            found.append(mistake)
    return found


def duplicate(name: str) -> Refusal:
    return Refusal(
        f"A window named {name} exists already.", field="name", hint="Choose another name.", code="duplicate_name"
    )


def check_scope(window: MaintenanceWindow) -> None:
    value = window.value = window.value.strip()
    match window.scope:
        case Scope.ALL if value:
            raise InvalidWindow("value", "A window for everything has no value.", "Leave it empty.")
        case Scope.TAG if not value or len(value) > LONGEST_VALUE:
            raise InvalidWindow(
                "value", f"Value: a tag of 1–{LONGEST_VALUE} characters.", "It is that of pipelines or triggers."
            )
        case Scope.PIPELINE if not Pipeline.objects.filter(uuid=value).exists():
            known = Pipeline.objects.present().values_list("uuid", flat=True)
            raise InvalidWindow("value", f"There is no pipeline {value[:80]!r}.", did_you_mean(value, known))
        case Scope.EXECUTOR:
            try:
                window.value = canonical(value) if value else ""
            except UnknownExecutor:
                window.value = ""
            if not window.value:
                window.value = value
                raise InvalidWindow("value", f"There is no executor {value[:80]!r}.", f"Use {', '.join(FACTORIES)}.")
        case _ if window.scope not in Scope.values:
            hint = did_you_mean(str(window.scope), Scope.values) or f"Use {', '.join(Scope.values)}."
            raise InvalidWindow("scope", f"{str(window.scope)[:80]!r} is no scope.", hint)


def check_once(window: MaintenanceWindow) -> None:
    for field in ("duration", "until"):
        if getattr(window, field) is not None:
            raise InvalidWindow(field, f"A window that does not come again has no {field}.", "Leave it out.")
    read_zone(window.timezone)
    for field in ("starts_at", "ends_at"):
        if getattr(window, field) is None:
            raise InvalidWindow(field, "Give starts_at and ends_at, or recurrence and duration.")
    if window.starts_at and window.ends_at and window.ends_at <= window.starts_at:
        raise InvalidWindow("ends_at", "A window ends after it starts.")


def check_recurring(window: MaintenanceWindow) -> None:
    if window.ends_at is not None:
        raise InvalidWindow("ends_at", "A window that comes again has a duration, and perhaps until.", "Leave it out.")
    if window.duration is None:
        raise InvalidWindow("duration", "How long is it open each time?", "Give a duration, for example 2 hours.")
    seconds = window.duration.total_seconds()
    if seconds % 60 or not 0 < seconds <= LONGEST.total_seconds():
        raise InvalidWindow("duration", f"A window is open for whole minutes, at most {LONGEST.days} days.")
    if window.timetable().next_after(window.starts_at - TICK if window.starts_at else FIRST) is None:
        raise InvalidSchedule("This window never opens.", hint="It ends before it begins.", field="until")
