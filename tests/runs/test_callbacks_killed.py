"""Callbacks while workers are killed: each end has its one call, and none is forgotten."""

import random
import signal
import time
from collections import Counter
from collections.abc import Iterator

import pytest

from tests.runs.crowd import Crowd, Tree, gather, wait_until

pytestmark = pytest.mark.processes
RUNS, KILLS = 6, 4
CALLED = "BlockRun.objects.filter(role='callback')"


@pytest.fixture(scope="module", params=["sqlite", "postgres"])
def crowd(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Crowd]:
    with gather(request.param, tmp_path_factory.mktemp("callbacks")) as made:
        yield made


def test_killed_workers_lose_no_callback_and_double_none(crowd: Crowd) -> None:
    file, dice = crowd.folder / "told", random.Random(4)
    tree = Tree(crowd)
    try:
        given = f"file={str(file)!r}, seconds=0.3, pause=0.3"
        for _ in range(RUNS):
            crowd.ask(f"start_from_disk('called_back', {given})")
        for _ in range(KILLS):
            time.sleep(dice.uniform(0.5, 1.5))  # the moment is to be any
            if workers := tree.worker_processes():
                dice.choice(workers).send_signal(signal.SIGKILL)
        wait_until(lambda: crowd.ask("PipelineRun.objects.unfinished().count()") == 0, 90)
        wait_until(lambda: crowd.ask(f"{CALLED}.unfinished().count()") == 0, 90)
    finally:
        tree.close()

    rows = crowd.ask(f"list({CALLED}.values_list('pipeline_run', 'block_uuid', 'status', 'attempt', 'losses'))")
    ended = crowd.ask("BlockRun.objects.of_graph().filter(status__in=('completed', 'failed')).count()")
    assert len(rows) == len({(run, uuid) for run, uuid, *_ in rows}) == ended == 2 * RUNS
    assert all(status == "completed" or losses >= 2 for _, _, status, _, losses in rows)
    assert all(attempt == losses + 1 for _, _, status, attempt, losses in rows if status == "completed")
    times = Counter(line.split()[0] for line in file.read_text().splitlines())
    assert sum(times.values()) <= sum(attempt for *_, attempt, _ in rows)  # once for each attempt, at most
    assert min(times["numbers"], times["sleeps"]) >= RUNS - sum(status != "completed" for _, _, status, *_ in rows)
