"""A whole tree of scheduler and workers, and what becomes of it when parts of it are killed or it is told to stop."""

import os
import signal
import time
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from tests.runs.crowd import Crowd, Tree, gather, wait_until

pytestmark = pytest.mark.processes
NUMBERS = count()


@pytest.fixture(scope="module", params=["sqlite", "postgres"])
def crowd(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Crowd]:
    with gather(request.param, tmp_path_factory.mktemp("cluster")) as made:
        yield made


@pytest.fixture
def plant(crowd: Crowd) -> Iterator[Callable[..., Tree]]:
    """Start trees, and leave nothing of them."""
    trees: list[Tree] = []

    def start(**environment: str) -> Tree:
        trees.append(Tree(crowd, **environment))
        return trees[-1]

    yield start
    for tree in trees:
        tree.close()


class Witness:
    """A run of one block that says in a file when it begins and when it has ended."""

    def __init__(self, crowd: Crowd, seconds: float) -> None:
        self.crowd = crowd
        self.file = crowd.folder / f"witness-{next(NUMBERS)}"
        self.number = crowd.ask(f"start_from_disk('witnessed', file={str(self.file)!r}, seconds={seconds})")
        wait_until(lambda: self.text == "began\n")

    @property
    def text(self) -> str:
        return self.file.read_text() if self.file.exists() else ""

    @property
    def row(self) -> dict[str, Any]:
        fields = "'status', 'attempt', 'losses', 'retries', 'worker__pid', 'pipeline_run__status'"
        found: dict[str, Any] = self.crowd.ask(
            f"BlockRun.objects.filter(pipeline_run={self.number}).values({fields}).get()"
        )
        return found


def status_of(crowd: Crowd, run_id: int) -> str:
    return str(crowd.ask(f"PipelineRun.objects.get(pk={run_id}).status"))


def test_killed_idle_workers_are_replaced_and_runs_go_on(crowd: Crowd, plant: Callable[..., Tree]) -> None:
    tree = plant()
    for _ in range(2):
        killed = tree.worker_processes()
        for worker in killed:  # one of them was next in line for the queue
            worker.send_signal(signal.SIGKILL)

        run_id = crowd.ask("start_from_disk('chain')")

        wait_until(lambda number=run_id: status_of(crowd, number) == "completed")
        wait_until(lambda before=killed: len(set(tree.worker_processes()) - set(before)) == tree.workers)


def test_the_block_of_a_killed_worker_is_taken_up_again(crowd: Crowd, plant: Callable[..., Tree]) -> None:
    tree = plant()
    witness = Witness(crowd, 1.5)
    held_by = witness.row["worker__pid"]
    assert held_by in {worker.pid for worker in tree.worker_processes()}

    os.kill(held_by, signal.SIGKILL)

    wait_until(lambda: status_of(crowd, witness.number) == "completed")
    row = witness.row
    assert (row["attempt"], row["losses"], row["retries"]) == (2, 1, 0)
    assert row["worker__pid"] != held_by
    assert witness.text == "began\nbegan\nended\n"


def test_nothing_of_a_tree_outlives_its_killed_parent(crowd: Crowd, plant: Callable[..., Tree]) -> None:
    tree = plant()
    witness = Witness(crowd, 30)
    assert len(tree.processes()) >= 8  # parent, sentinel, pusher, monitor, two workers with a fork server each, a child

    tree.process.kill()
    tree.process.wait()

    wait_until(lambda: not tree.processes(), 2)
    assert witness.text == "began\n"
    crowd.ask(f"lifecycle.cancel(PipelineRun.objects.get(pk={witness.number}), moment=timezone.now(), reason='')")


def test_a_stop_of_the_whole_group_is_bounded_and_charges_nothing(crowd: Crowd, plant: Callable[..., Tree]) -> None:
    tree = plant(DRAIN_SECONDS="1")
    witness = Witness(crowd, 60)
    began = time.monotonic()

    tree.signal_all(signal.SIGTERM)

    assert tree.process.wait(30) == 0
    assert time.monotonic() - began < 1 + 4
    row = witness.row
    assert (row["status"], row["attempt"], row["losses"], row["retries"]) == ("queued", 2, 0, 0)
    assert row["worker__pid"] is None
    wait_until(lambda: not tree.processes(), 2)
    crowd.ask(f"lifecycle.cancel(PipelineRun.objects.get(pk={witness.number}), moment=timezone.now(), reason='')")


def test_a_block_that_ends_while_its_worker_drains_is_completed(crowd: Crowd, plant: Callable[..., Tree]) -> None:
    tree = plant(DRAIN_SECONDS="20")
    witness = Witness(crowd, 1.5)

    tree.process.send_signal(signal.SIGTERM)

    assert tree.process.wait(15) == 0
    row = witness.row
    assert (row["status"], row["attempt"], row["pipeline_run__status"]) == ("completed", 1, "completed")
    workers = crowd.ask("list(Worker.objects.filter(kind='worker', stopped_at=None).values_list('pid', flat=True))")
    assert row["worker__pid"] not in workers


def test_a_block_that_kills_its_worker_is_given_up_after_three(crowd: Crowd, plant: Callable[..., Tree]) -> None:
    if crowd.kind == "postgres":
        pytest.skip("takes its time, and is the same on every database")
    plant()
    path = Path(crowd.env["ORCHESTRATOR_PROJECT"]) / "custom" / "witness.py"
    before = path.read_text()
    path.write_text(
        "import os, signal\n@custom\ndef poison(**_):\n"
        "    server = os.getppid()\n"
        "    worker = int(open(f'/proc/{server}/stat').read().rsplit(')')[1].split()[1])\n"
        "    os.kill(worker, signal.SIGKILL)\n"
    )
    try:
        run_id = crowd.ask("start_from_disk('witnessed')")
        wait_until(lambda: status_of(crowd, run_id) == "failed", 60)
    finally:
        path.write_text(before)

    assert "its worker died 3 times" in crowd.ask(f"BlockRun.objects.get(pipeline_run={run_id}).error['message']")
    healthy = crowd.ask("start_from_disk('chain')")
    wait_until(lambda: status_of(crowd, healthy) == "completed")
