"""Running a finished run again: what is incomplete, all of it, or from a block on; as it was, or as it is by now."""

from copy import copy
from datetime import datetime
from typing import Any

from django.db import transaction

from pipelines import catalog
from pipelines.refusal import Refusal
from runs import admission, events, slas
from runs.admission import Door, Gate, NotAdmitted
from runs.advancing import lock
from runs.lifecycle import cancel_for, go_on
from runs.models import PipelineRun
from runs.retrying.regrouping import regroup
from runs.retrying.repeat_plans import HEAVY, Plan, Version, Wanted, plan_for
from runs.retrying.version_changes import make_so
from runs.setting_back import set_back
from runs.states import RunStatus


def retry(
    run: PipelineRun,
    *,
    moment: datetime,
    by: str = "",
    from_block: str | None = None,
    incomplete: bool = True,
    version: Version = "pinned",
) -> bool:
    """Run a finished run again: its incomplete blocks, the whole of it (not `incomplete`), or a block and all after it.

    What is incomplete is always repeated along. With the `version` "current", blocks that are new or changed run too,
    with all after them, and those that are gone are removed. False if the run goes on already. Raises Refusal for an
    unknown block, a completed run of which nothing is incomplete, a broken pipeline; NotAdmitted when its limits leave
    no room for it now.
    """
    wanted = Wanted(from_block=from_block, whole=not incomplete, version=version)
    with transaction.atomic():
        asking = with_version(run, version)
        gate = Door.open([asking], moment, but=run).admit(asking)
        run = lock(run.pk)
        if not run.is_finished:
            return False
        plan = plan_for(run, wanted)
        reopen(run, gate, moment)
        set_back(run, [plan.rows[line.block_uuid] for line in plan.again if line.status], moment)
        if plan.change is not None:
            make_so(run, plan.change, plan.rows, moment)
        regroup(run, {line.block_uuid for line in plan.again}, anew=plan.change is not None)
        if not restart(run, moment, **(plan.change.fields if plan.change else {})):
            return False
        events.note(run, "retried", moment, told(wanted, by), blocks=[line.block_uuid for line in plan.again])
        go_on(run, moment)
        events.publish_run(run.pk)
    return True


def preview(
    run: PipelineRun,
    *,
    moment: datetime,
    from_block: str | None = None,
    incomplete: bool = True,
    version: Version = "pinned",
) -> tuple[Plan, str]:
    """Return exactly what `retry` would do now, and "" or why its limits would refuse it. Raises what it would raise.

    A run that goes on already is refused too.
    """
    if not run.is_finished:
        raise unfinished(run)
    plan = plan_for(run, Wanted(from_block=from_block, whole=not incomplete, version=version), without=HEAVY)
    asking = with_version(run, version)
    shut = next((gate for gate in admission.gates_of(asking, moment, is_new=True) if not gate.is_open), None)
    return plan, shut.reason if shut else ""


def unfinished(run: PipelineRun) -> Refusal:
    hint = "Cancel it first, or wait for its end."
    return Refusal(f"Run {run.pk} is {run.status}; only a finished run is retried.", hint=hint, code="conflict")


def with_version(run: PipelineRun, version: Version) -> PipelineRun:
    """Return the run as its limits will be: the concurrency of a pipeline is a setting of its version."""
    if version == "pinned":
        return run
    run = copy(run)
    run.version = catalog.runnable_version(catalog.find(run.pipeline.uuid))
    return run


def reopen(run: PipelineRun, gate: Gate, moment: datetime) -> None:
    """See that a finished run may go on: raise NotAdmitted, or end those that have to go first."""
    if not gate.is_open:
        raise NotAdmitted(f"Run {run.pk} cannot start again", gate)
    cancel_for(run, gate, moment)


def restart(run: PipelineRun, moment: datetime, **fields: Any) -> bool:
    """Move a finished run to running with all its clocks set anew."""
    clocks: dict[str, Any] = {
        "started_at": moment,
        "completed_at": None,
        "deadline_at": moment + run.timeout if run.timeout else None,
        "sla_at": moment + run.sla if run.sla else None,
        "passed_sla": False,
        "logs_removed_at": None,  # it writes new ones
        "outputs_removed_at": None,
    }
    if not run.move_to(RunStatus.RUNNING, attempt=run.attempt + 1, reason="", **clocks, **fields):
        return False
    slas.restart(run, moment)
    return True


def told(wanted: Wanted, by: str) -> str:
    """Say what was asked for, in words."""
    what = f"from {wanted.from_block} on" if wanted.from_block else "the whole run" if wanted.whole else ""
    with_ = "with the current version" if wanted.version == "current" else ""
    return ", ".join(part for part in (what, with_, f"by {by}" if by else "") if part)
