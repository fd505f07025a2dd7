"""Who is there to do it: a scheduler that keeps time, workers that are free, an executor of that name."""

from collections.abc import Iterable
from datetime import datetime, timedelta

from executors import registry
from runs.models import BlockRun, Worker, WorkerKind
from runs.reasons.ailing import ailing
from runs.reasons.explanations import Check, block_link, counted, listed
from runs.states import BlockStatus

OLD_LOOP = timedelta(seconds=30)  # a scheduler that has not come round for longer than this does not keep time
NAMED = 5  # block runs that are named when all workers are busy


def scheduler_check(moment: datetime) -> Check:
    """Is there a scheduler that gets round its loop?"""
    loops = Worker.objects.filter(kind=WorkerKind.SCHEDULER, last_loop_at__isnull=False).order_by("-last_loop_at")
    newest = loops.only("host", "pid", "last_loop_at", "stopped_at").first()
    if newest is None or newest.last_loop_at is None:
        return Check(name="scheduler", passed=False, detail=f"No scheduler has ever run. {START}")
    age = moment - newest.last_loop_at
    if age <= OLD_LOOP and newest.stopped_at is None:
        detail = f"A scheduler is alive; its last loop was {max(age.total_seconds(), 0):.1f} s ago."
        return Check(name="scheduler", passed=True, detail=detail)
    who = f"{newest.host}:{newest.pid}"
    detail = f"No scheduler is alive: the last loop was completed {ago(age)} ago, by {who}. {START}"
    return Check(name="scheduler", passed=False, detail=detail)


START = "manage.py start or run_scheduler starts one."


def worker_check(moment: datetime) -> Check:
    """Is a worker free to take a block? If all are busy: with what, the longest first."""
    workers = list(Worker.objects.alive(moment).filter(kind=WorkerKind.WORKER))
    if not workers:
        detail = "No worker is alive. manage.py start or qcluster starts some."
        return Check(name="worker", passed=False, detail=detail)
    alive = {worker.pk for worker in workers if not worker.trouble}
    if not alive:
        detail = f"No worker can start a block: {'; '.join(each.sentence for each in ailing(workers))}."
        return Check(name="worker", passed=False, detail=detail)
    running = BlockRun.objects.filter(status=BlockStatus.RUNNING, worker__in=alive).order_by("started_at")
    busy = list(running.values_list("pipeline_run_id", "block_uuid", "started_at", "worker_id"))
    free = len(alive - {worker_id for _, _, _, worker_id in busy})
    if free:
        detail = f"{free} of {counted(len(alive), 'worker')} {'is' if free == 1 else 'are'} free."
        return Check(name="worker", passed=True, detail=detail)
    since = f", the longest since {busy[0][2]:%H:%M:%S} UTC" if busy[0][2] else ""
    who = "The only worker is" if len(alive) == 1 else f"All {len(alive)} workers are"
    blocks = [f"{uuid} of run {run_id}" for run_id, uuid, _, _ in busy]
    return Check(
        name="worker",
        passed=False,
        detail=f"{who} busy with {listed(blocks)}{since}.",
        blockers=tuple(block_link(run_id, uuid, f"{uuid} of run {run_id}") for run_id, uuid, _, _ in busy[:NAMED]),
    )


def executor_check(names: Iterable[str]) -> Check:
    """Is there an executor of each of these names?"""
    wanted = sorted({name or registry.LOCAL for name in names}) or [registry.LOCAL]
    for name in wanted:
        try:
            registry.canonical(name)
        except registry.UnknownExecutor as error:
            return Check(name="executor", passed=False, detail=str(error))
    return Check(name="executor", passed=True, detail=f"{', '.join(wanted)} is known here.")


def ago(age: timedelta) -> str:
    """Return an age in words: "45 s", "12 min", "3 h", "2 d"."""
    seconds = int(age.total_seconds())
    for size, unit in ((86400, "d"), (3600, "h"), (60, "min")):
        if seconds >= 2 * size:
            return f"{seconds // size} {unit}"
    return f"{max(seconds, 0)} s"
