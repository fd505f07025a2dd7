"""Running again what has failed or was cancelled."""

from datetime import datetime

from django.db import transaction

from pipelines.refusal import Refusal
from runs import events
from runs.admission import Door, NotAdmitted
from runs.advancing import lock, queue_ready, settle_all
from runs.lifecycle import cancel_for
from runs.models import PipelineRun
from runs.setting_back import set_back
from runs.states import BlockStatus, RunStatus


def retry(
    run: PipelineRun, *, moment: datetime, by: str = "", from_block: str | None = None, incomplete: bool = True
) -> bool:
    """Run a failed or cancelled run again: its incomplete blocks, all of them, or a block and its descendants.

    False if it is neither. Raises NotAdmitted when its limits leave no room for it now.
    """
    with transaction.atomic():
        gate = Door.open([run], moment, but=run).admit(run)
        run = lock(run.pk)
        if run.status not in (RunStatus.FAILED, RunStatus.CANCELLED):
            return False
        if not gate.is_open:
            raise NotAdmitted(f"Run {run.pk} cannot start again", gate)
        cancel_for(run, gate, moment)
        chosen = blocks_to_repeat(run, from_block, incomplete)
        set_back(run, [row for row in run.block_runs.all() if row.block_uuid in chosen], moment)
        deadline = moment + run.timeout if run.timeout else None
        fields = {"attempt": run.attempt + 1, "started_at": moment, "completed_at": None, "deadline_at": deadline}
        fields |= {"logs_removed_at": None, "outputs_removed_at": None}  # it writes new ones
        if not run.move_to(RunStatus.RUNNING, reason="", **fields):
            return False
        events.note(run, "retried", moment, f"by {by}" if by else "", blocks=sorted(chosen))
        settle_all(run, moment)
        if queue_ready(run, moment).queued:
            events.publish_work()
        events.publish_run(run.pk)
    return True


def blocks_to_repeat(run: PipelineRun, from_block: str | None, incomplete: bool) -> set[str]:
    """Return the uuids of the blocks that a retry runs again; raise Refusal for an unknown `from_block`."""
    rows = {row.block_uuid: row for row in run.block_runs.of_graph()}
    unfinished = {uuid for uuid, row in rows.items() if row.status != BlockStatus.COMPLETED}
    if from_block is None:
        return unfinished if incomplete else set(rows)
    if from_block not in rows:
        raise Refusal(f"Run {run.pk} has no block {from_block!r}.", field="from_block", code="unknown_block")
    chosen, todo = set(unfinished), [from_block]
    while todo:
        uuid = todo.pop()
        chosen.add(uuid)
        todo += [name for name in rows[uuid].downstream if name not in chosen]
    return chosen
