"""Files that runs left behind: which are to go by a decision of retention, and away with them. No transaction is open.

What is to go is named attempt by attempt where the run stays: one that is retried meanwhile writes under a new number,
and loses nothing.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from pipelines import stored_folders
from pipelines.stored_folders import Held
from runs import logs
from runs.models import BlockRun, Removal
from runs.states import BLOCK_FINISHED
from runs.working import jobs


@dataclass(frozen=True)
class Leaving:
    """The files that one removal is about. `attempts`: up to which the files go, by their owner; None: the lot."""

    removal_id: int
    run_id: int
    kind: str
    attempts: Mapping[str, int] | None = field(default=None, repr=False)


@dataclass(frozen=True)
class Result:
    """What became of a removal: what is gone, and what hindered the rest."""

    leaving: Leaving
    gone: Held = Held()
    problem: str = ""


def leavings(removals: Sequence[Removal]) -> list[Leaving]:
    """Look up what is to go. One query for all of them."""
    partly = {removal.run_id for removal in removals if removal.kind != "runs"}
    owners: dict[int, list[BlockRun]] = {run_id: [] for run_id in partly}
    wanted = ("pipeline_run_id", "block_uuid", "attempt", "status", "completed_at")
    for block_run in BlockRun.objects.filter(pipeline_run__in=partly).only(*wanted) if partly else ():
        owners[block_run.pipeline_run_id].append(block_run)
    return [
        Leaving(
            each.pk, each.run_id, each.kind, attempts_of(owners[each.run_id], each) if each.kind != "runs" else None
        )
        for each in removals
    ]


def attempts_of(block_runs: Sequence[BlockRun], removal: Removal) -> dict[str, int]:
    """Return the newest attempt of each owner that was over when the removal was decided."""
    found: dict[str, int] = {}
    for row in block_runs:
        name = str(row.pk) if removal.kind == "logs" else jobs.output_name(row.block_uuid)
        was_over = row.status in BLOCK_FINISHED and row.completed_at and row.completed_at <= removal.decided_at
        last = row.attempt if was_over else row.attempt - 1
        found[name] = min(found.get(name, last), last)  # two names may be one folder
    return found


def remove(leaving: Leaving) -> Result:
    """Remove the files; a fault of the disk or the storage is told in the result, and what could go is gone."""
    gone, problems = Held(), list[str]()
    for url in urls(leaving):
        try:
            gone += stored_folders.remove(url)
        except Exception as error:  # what a store's own client raises is not known here
            problems.append(in_words(error))
    return Result(leaving, gone, problems[0] if problems else "")


def urls(leaving: Leaving) -> list[str]:
    """Return the files and folders to be removed."""
    if leaving.kind == "runs":
        return [*logs.folders(leaving.run_id), jobs.output_folder(leaving.run_id)]
    attempts = (leaving.attempts or {}).items()
    if leaving.kind == "logs":
        logs_of = [logs.places(leaving.run_id, int(owner), number) for owner, last in attempts for number in upto(last)]
        return [place for places in logs_of for place in places]
    folder = jobs.output_folder(leaving.run_id)
    return [f"{folder}/{name}/{number}" for name, last in attempts for number in upto(last)]


def upto(last: int) -> range:
    return range(1, last + 1)


def in_words(error: Exception) -> str:
    if isinstance(error, OSError) and error.strerror:
        return f"{error.filename or ''}: {error.strerror}".removeprefix(": ")
    return (str(error).strip() or type(error).__name__).splitlines()[0]
