"""Writing down triggers: made, changed, deleted by people and programs, checked by one set of rules."""

from collections.abc import Collection, Mapping
from datetime import datetime
from typing import Any

from django.conf import settings
from django.db import IntegrityError, transaction

from pipelines import catalog
from pipelines.project import AUTHORITATIVE, TriggerRules, trigger_rules
from pipelines.refusal import Refusal
from schedules import chains, firing, scheduler
from schedules.files import triggers_back
from schedules.files.triggers_back import Edit
from schedules.files.triggers_file import triggers_path
from schedules.files.triggers_plan import is_in_code
from schedules.models import PipelineSchedule, ScheduleType, Source
from schedules.trigger_checks import check, check_may_go, check_name

# A change of these moves the next moment.
TIMING = frozenset({"schedule_type", "schedule_interval", "timezone", "start_time", "end_time", "settings"})

IN_CODE = ("source", "source_hash", "code_id")


class DuplicateName(Refusal):
    """The pipeline has a trigger of this name."""

    def __init__(self, name: str) -> None:
        super().__init__(
            f"A trigger named {name} exists already.", field="name", hint="Choose another name.", code="duplicate_name"
        )


def create(
    pipeline_uuid: str, fields: Mapping[str, Any], *, is_active: bool, source: Source, moment: datetime
) -> tuple[PipelineSchedule, str]:
    """Write down a trigger; return it and, for an API trigger, its token in clear: the only time that it is known.

    `fields` are those of the model. Raises `Refusal` for whatever does not make sense; then nothing is kept. It is
    written into triggers.yaml too where the pipeline's metadata.yaml asks for that.
    """
    schedule = PipelineSchedule(pipeline=catalog.find(pipeline_uuid), source=source, **fields)
    rules = rules_of(schedule)
    if rules.files_are_authoritative:
        raise only_in_files(f"New triggers are written in {triggers_path(pipeline_uuid)}")
    check_name(schedule.name)
    check(schedule)
    with transaction.atomic():
        save(schedule)
        token = schedule.rotate_token() if schedule.schedule_type == ScheduleType.API else ""
        if is_active:
            schedule.resume(moment)
        if rules.save_in_code_automatically:
            write_down(schedule)
    return schedule, token


def change(schedule: PipelineSchedule, fields: Mapping[str, Any], *, is_active: bool | None, moment: datetime) -> None:
    """Give a trigger other values, and pause or resume it if `is_active` says so; in its file too, if it is in code.

    Raises `Refusal`, also if the file cannot be changed so; then nothing is kept.
    """
    changed = [name for name, value in fields.items() if getattr(schedule, name) != value]
    switched_to = None if is_active == schedule.is_active else is_active
    if changed:
        check_may_change(schedule)
    for name in changed:
        setattr(schedule, name, fields[name])
    if "name" in changed:
        check_name(schedule.name)
    check(schedule)
    # A save starts nothing, also one that switches on: what passed until now is accounted for and not made up.
    is_replanned = bool(TIMING & set(changed)) or switched_to is True
    with transaction.atomic():
        edit = prepare(schedule, changed, is_active=switched_to) if changed else None
        if is_replanned:
            firing.settle(schedule.pk, moment)
            chains.settle(schedule.pk, moment)
            schedule.decided_until = moment
        if changed:
            save(schedule, update_fields=[*changed, *IN_CODE, "decided_until", "updated_at"])
        if switched_to is not None:
            switch(schedule, moment, is_active=switched_to, is_written_down=bool(changed))
        elif is_replanned:
            scheduler.plan_next(schedule, moment)
        if edit:
            edit.write()


def prepare(schedule: PipelineSchedule, changed: Collection[str], *, is_active: bool | None) -> Edit | None:
    """Return the edit of the trigger's file and note in the row what its entry will be; None if it is not in code."""
    if not is_written(schedule):
        schedule.source_hash, schedule.code_id = "", ""
        schedule.source = Source.UI if schedule.source == Source.CODE else schedule.source
        return None
    was = PipelineSchedule.objects.select_for_update(of=("self",)).get(pk=schedule.pk)
    edit = triggers_back.change_entry(schedule, changed, was=was, is_active=is_active)
    assert edit.entry is not None
    schedule.source_hash, schedule.code_id = edit.entry.digest(), edit.entry.id
    return edit


def pause(schedule: PipelineSchedule, moment: datetime, until: datetime | None = None) -> str:
    """Switch a trigger off, always; return why its file does not say so, "" if it does or if it is not in code.

    A pause that ends by itself is not written into the file, where nothing would end it.
    """
    if until is None:
        return switch(schedule, moment, is_active=False)
    schedule.pause(moment, until)
    return ""


def resume(schedule: PipelineSchedule, moment: datetime) -> str:
    """Switch a trigger on, from `moment`; return why its file does not say so, as `pause` does."""
    return switch(schedule, moment, is_active=True)


def switch(schedule: PipelineSchedule, moment: datetime, *, is_active: bool, is_written_down: bool = False) -> str:
    """Pause or resume. That must be possible whatever has become of the file: then it lasts until the entry changes."""
    note = ""
    if is_active and is_left_over(schedule) and rules_of(schedule).files_are_authoritative:
        raise only_in_files(f"The entry of {schedule.name!r} is gone from {triggers_path(schedule.pipeline.uuid)}")
    with transaction.atomic():
        if schedule.is_active != is_active and not is_written_down:
            note = write_state(schedule, is_active=is_active)
        schedule.resume(moment) if is_active else schedule.pause(moment)
    return note


def write_state(schedule: PipelineSchedule, *, is_active: bool) -> str:
    was_in_code = schedule.source == Source.CODE
    try:
        if was_in_code and rules_of(schedule).files_are_authoritative:
            return f"In {triggers_path(schedule.pipeline.uuid)} it stays as it is: this lasts until its entry changes."
        if edit := prepare(schedule, (), is_active=is_active):
            edit.write()
    except Refusal as refusal:
        return f"This lasts until its entry changes. {refusal}"
    if was_in_code:
        schedule.save(update_fields=[*IN_CODE, "updated_at"])
    return ""


def delete(schedule: PipelineSchedule) -> None:
    """Remove a trigger and its occurrences, and its entry if it is in code; its runs stay.

    Refused while slots of a backfill are among the occurrences.
    """
    check_may_change(schedule)
    check_may_go(schedule)
    with transaction.atomic():
        edit = None
        if is_written(schedule):
            edit = triggers_back.remove_entry(PipelineSchedule.objects.select_for_update().get(pk=schedule.pk))
        schedule.delete()
        if edit:
            edit.write()


def save_in_code(schedule: PipelineSchedule) -> None:
    """Write a trigger that was made by hand into its pipeline's triggers.yaml; raise Refusal if that is impossible."""
    if rules_of(schedule).files_are_authoritative:
        raise only_in_files(f"Triggers are written in {triggers_path(schedule.pipeline.uuid)} by people")
    if is_in_code(schedule):
        raise Refusal(
            f"The trigger {schedule.name!r} is in {triggers_path(schedule.pipeline.uuid)} already.", code="conflict"
        )
    with transaction.atomic():
        write_down(schedule)


def write_down(schedule: PipelineSchedule) -> None:
    edit = triggers_back.add_entry(schedule)
    assert edit.entry is not None
    schedule.source, schedule.source_hash = Source.CODE, edit.entry.digest()
    schedule.save(update_fields=[*IN_CODE, "updated_at"])
    edit.write()


def rotate_token(schedule: PipelineSchedule) -> str:
    """Give an API trigger a new token and return it; refuse where its file says which token it has."""
    with transaction.atomic():
        if is_written(schedule) and triggers_back.has_token(schedule):
            raise Refusal(
                f"The token of {schedule.name!r} comes from {triggers_path(schedule.pipeline.uuid)}.",
                hint="Change the secret that is named there, then run manage.py apply_triggers.",
                code="conflict",
            )
        return schedule.rotate_token()


def is_written(schedule: PipelineSchedule) -> bool:
    """Say whether there is a file with the trigger's entry; with the folder of a pipeline, that has gone."""
    return is_in_code(schedule) and schedule.pipeline.is_present


def is_left_over(schedule: PipelineSchedule) -> bool:
    """Say whether the trigger was in code and its entry is gone."""
    return schedule.source == Source.CODE and not schedule.source_hash


def rules_of(schedule: PipelineSchedule) -> TriggerRules:
    return trigger_rules(settings.PROJECT_DIR, schedule.pipeline.uuid)


def check_may_change(schedule: PipelineSchedule) -> None:
    """Raise `Refusal` for a trigger in code where people change files and nothing else."""
    if is_written(schedule) and rules_of(schedule).files_are_authoritative:
        path = triggers_path(schedule.pipeline.uuid)
        raise only_in_files(f"The trigger {schedule.name!r} is written in {path}")


def only_in_files(what: str) -> Refusal:
    return Refusal(
        f"{what}: in this project those files are authoritative.",
        hint=f"Change it in the file (metadata.yaml has triggers: {AUTHORITATIVE}).",
        code="conflict",
    )


def save(schedule: PipelineSchedule, update_fields: list[str] | None = None) -> None:
    """Save; the one constraint a trigger can break is its name's."""
    try:
        with transaction.atomic():
            schedule.save(update_fields=update_fields)
    except IntegrityError:
        raise DuplicateName(schedule.name) from None
