"""When a chained schedule is due: after the runs of other pipelines. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from schedules.policies import After, Ending, Match


@dataclass(frozen=True)
class End:
    """A run of another pipeline that has ended."""

    run_id: int
    pipeline_uuid: str
    completed_at: datetime
    status: str


def counts(end: End, after: After) -> bool:
    """Is this an end that the schedule waits for?"""
    return end.pipeline_uuid in after.pipelines and (after.on is Ending.FINISHED or end.status == after.on.value)


def firings(ends: Sequence[End], after: After) -> list[End]:
    """Return the ends that fire the schedule: each that counts, or each that completes the set once more.

    `ends` are those since it was switched on, or, where all of a set are wanted, since it fired last.
    """
    found: list[End] = []
    missing = set(after.pipelines)
    for end in sorted(ends, key=lambda end: (end.completed_at, end.run_id)):
        if not counts(end, after):
            continue
        missing.discard(end.pipeline_uuid)
        if after.match is Match.ANY or not missing:
            found.append(end)
            missing = set(after.pipelines)
    return found


def loop_of(uuid: str, after: After, followers: dict[str, set[str]]) -> list[str]:
    """Return the loop that a schedule of pipeline `uuid` would close, as uuids, or [].

    `followers`: pipeline → pipelines that are started after it.
    """
    paths = [[uuid]]
    seen = {uuid}
    while paths:
        path = paths.pop()
        if path[-1] in after.pipelines:
            return [*path, uuid]
        for name in sorted(followers.get(path[-1], set()) - seen):
            seen.add(name)
            paths.append([*path, name])
    return []
