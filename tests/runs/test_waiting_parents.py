"""Blocks that start runs and wait for them, with real workers: no worker is held, nothing is done twice."""

import os
import signal
import textwrap
import time
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from tests.runs.crowd import Crowd, Tree, gather, wait_until

pytestmark = pytest.mark.processes
NUMBERS = count()
HEAD = """
from mage_ai.orchestration.triggers.api import trigger_pipeline
from mage_ai.orchestration.run_status_checker import check_status
"""
BLOCKS = {
    # waits for a run of the pipeline named
    "waits": """
        @custom
        def wait(child, variables=None, **options):
            names = ('poll_timeout', 'poll_interval', 'error_on_failure', 'schedule_name')
            given = {name: options[name] for name in names if name in options}
            run = trigger_pipeline(child, variables=variables or {}, check_status=True, **given)
            print('saw', run.pipeline_uuid, run.status, run.completed)
            return run.id
        """,
    "waits_for_many": """
        from concurrent.futures import ThreadPoolExecutor
        @custom
        def wait(files, seconds, **_):
            def one(file):
                return trigger_pipeline('witnessed', variables={'file': file, 'seconds': seconds}, check_status=True)
            with ThreadPoolExecutor(8) as pool:
                runs = list(pool.map(one, files))
            print([run.variables['file'] for run in runs] == files, {run.status for run in runs})
        """,
    "starts": """
        @custom
        def start(child, variables, **_):
            run = trigger_pipeline(child, variables=variables)
            print('started', run.status)
        """,
    "looks_at": """
        @sensor
        def look(other, execution_date, **_):
            return check_status(other, execution_date, hours=1)
        """,
}
PIPELINES = {
    "waiting": "blocks:\n- {uuid: waits, type: custom}\n",
    "waiting_in_a_pool": "blocks:\n- {uuid: waits, type: custom, pool: one}\n",
    "in_the_same_pool": "blocks:\n- {uuid: parent, type: custom, pool: one}\n",
    "waiting_briefly": "blocks:\n- {uuid: waits, type: custom, timeout: 2}\n",
    "waiting_for_many": "blocks:\n- {uuid: waits_for_many, type: custom}\n",
    "starting": "blocks:\n- {uuid: starts, type: custom}\n",
    "looking": "blocks:\n- {uuid: looks_at, type: sensor, poke_interval: 1}\n",
    "alone": "concurrency_config: {pipeline_run_limit_all_triggers: 1}\nblocks:\n- {uuid: waits, type: custom}\n",
}


@pytest.fixture(scope="module", params=["sqlite", "postgres"])
def crowd(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Crowd]:
    with gather(request.param, tmp_path_factory.mktemp("waiting")) as made:
        project = Path(made.env["ORCHESTRATOR_PROJECT"])
        for name, code in BLOCKS.items():
            (project / "custom" / f"{name}.py").write_text(HEAD + textwrap.dedent(code))
        (project / "sensors").mkdir(exist_ok=True)
        (project / "sensors" / "looks_at.py").write_text(HEAD + textwrap.dedent(BLOCKS["looks_at"]))
        for name, text in PIPELINES.items():
            (project / "pipelines" / name).mkdir()
            (project / "pipelines" / name / "metadata.yaml").write_text(f"name: {name}\n{text}")
        yield made


@pytest.fixture
def plant(crowd: Crowd) -> Iterator[Callable[..., Tree]]:
    """Start trees, and leave nothing of them, nor of the runs that they did."""
    trees: list[Tree] = []

    def start(**environment: str) -> Tree:
        trees.append(Tree(crowd, **{"workers": 1, **environment}))
        return trees[-1]

    yield start
    crowd.ask("[lifecycle.cancel(r, moment=timezone.now(), reason='') for r in PipelineRun.objects.unfinished()] and 0")
    for tree in trees:
        tree.close()


def start(crowd: Crowd, pipeline: str, **variables: Any) -> int:
    return int(crowd.ask(f"start_from_disk({pipeline!r}, **{variables!r})"))


def status_of(crowd: Crowd, run_id: int) -> str:
    return str(crowd.ask(f"PipelineRun.objects.get(pk={run_id}).status"))


def block_of(crowd: Crowd, run_id: int) -> dict[str, Any]:
    fields = "'status', 'attempt', 'losses', 'worker__kind', 'worker__pid', 'error', 'pk'"
    found: dict[str, Any] = crowd.ask(f"BlockRun.objects.filter(pipeline_run={run_id}).values({fields}).get()")
    return found


def children_of(crowd: Crowd, run_id: int) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = crowd.ask(
        f"list(PipelineRun.objects.filter(parent_block_run__pipeline_run={run_id}).order_by('pk')"
        ".values('pk', 'status', 'origin', 'reason', 'is_awaited'))"
    )
    return found


def said(crowd: Crowd, run_id: int) -> list[str]:
    code = f"[line['m'] for line in logs.read(BlockRun.objects.get(pipeline_run={run_id})).lines]"
    found: list[str] = crowd.ask(code)
    return found


def wait_for(crowd: Crowd, run_id: int, status: str, seconds: float = 60) -> None:
    wait_until(lambda: status_of(crowd, run_id) == status, seconds)


def parked(crowd: Crowd) -> int:
    return int(crowd.ask("BlockRun.objects.filter(status='running', worker__kind='parked').count()"))


class Sleeper:
    """A parent that is parked: it waits for a run of one block that says in a file when it begins and ends."""

    def __init__(self, crowd: Crowd, seconds: float = 60, pipeline: str = "waiting", **variables: Any) -> None:
        self.crowd, self.file = crowd, crowd.folder / f"witness-{next(NUMBERS)}"
        given = {"file": str(self.file), "seconds": seconds}
        self.parent = start(crowd, pipeline, child="witnessed", variables=given, **variables)
        wait_until(lambda: self.text == "began\n", 60)
        (self.child,) = (child["pk"] for child in children_of(crowd, self.parent))

    @property
    def text(self) -> str:
        return self.file.read_text() if self.file.exists() else ""


# --- no worker is held ------------------------------------------------------------------------------------------------


def test_one_worker_does_the_run_that_its_own_block_waits_for(crowd: Crowd, plant: Callable[..., Tree]) -> None:
    plant()

    run_id = start(crowd, "waiting", child="chain")

    wait_for(crowd, run_id, "completed")
    (child,) = children_of(crowd, run_id)
    assert (child["status"], child["origin"], child["is_awaited"]) == ("completed", "pipeline", True)
    lines = said(crowd, run_id)
    assert lines[0].startswith(f"Started run {child['pk']} of chain: /runs/{child['pk']}")
    assert lines[1:] == [f"Run {child['pk']} of chain is completed", "saw chain completed True"]


def test_a_block_leaves_its_pool_to_the_run_that_it_waits_for(crowd: Crowd, plant: Callable[..., Tree]) -> None:
    crowd.ask("pools.Pool.objects.get_or_create(name='one', slots=1)[1]")
    plant()

    run_id = start(crowd, "waiting_in_a_pool", child="in_the_same_pool")

    wait_for(crowd, run_id, "completed")
    assert [child["status"] for child in children_of(crowd, run_id)] == ["completed"]


def test_three_runs_wait_for_each_other_with_one_worker(crowd: Crowd, plant: Callable[..., Tree]) -> None:
    plant()

    inner = {"child": "waiting", "variables": {"child": "chain"}}
    run_id = start(crowd, "waiting", child="waiting", variables=inner)

    wait_for(crowd, run_id, "completed")
    (below,) = children_of(crowd, run_id)
    (further,) = children_of(crowd, below["pk"])
    (last,) = children_of(crowd, further["pk"])
    assert last["status"] == "completed"


def test_twenty_parents_wait_at_once(crowd: Crowd, plant: Callable[..., Tree]) -> None:
    plant()
    runs = [start(crowd, "waiting", child="chain") for _ in range(20)]

    for run_id in runs:
        wait_for(crowd, run_id, "completed", 120)

    assert all(len(children_of(crowd, run_id)) == 1 for run_id in runs)
    wait_until(lambda: crowd.ask("Worker.objects.filter(kind='parked', stopped_at=None).count()") == 0)


def test_a_block_waits_for_many_runs_from_its_threads(crowd: Crowd, plant: Callable[..., Tree]) -> None:
    plant()
    files = [str(crowd.folder / f"witness-{next(NUMBERS)}") for _ in range(6)]

    run_id = start(crowd, "waiting_for_many", files=files, seconds=0)

    wait_for(crowd, run_id, "completed")
    assert said(crowd, run_id)[-1] == "True {'completed'}"
    assert len(children_of(crowd, run_id)) == 6


def test_where_there_is_no_place_to_park_the_block_keeps_its_worker(crowd: Crowd, plant: Callable[..., Tree]) -> None:
    plant(PARKED_BLOCKS_PER_WORKER="0", workers=2)

    run_id = start(crowd, "waiting", child="chain")

    wait_for(crowd, run_id, "completed")
    assert block_of(crowd, run_id)["worker__kind"] == "worker"
    assert any("PARKED_BLOCKS_PER_WORKER" in line for line in said(crowd, run_id))


# --- ends -------------------------------------------------------------------------------------------------------------


def test_a_parent_that_is_cancelled_takes_along_what_it_waits_for(crowd: Crowd, plant: Callable[..., Tree]) -> None:
    plant()
    sleeper = Sleeper(crowd)
    wait_until(lambda: parked(crowd) == 1)

    crowd.ask(f"lifecycle.cancel(PipelineRun.objects.get(pk={sleeper.parent}), moment=timezone.now(), reason='enough')")

    (child,) = children_of(crowd, sleeper.parent)
    assert child["status"] == "cancelled"
    assert child["reason"] == f"run {sleeper.parent}, which waited for it, has ended"
    wait_until(lambda: crowd.ask("Worker.objects.filter(kind='parked', stopped_at=None).count()") == 0)
    assert sleeper.text == "began\n"


def test_a_parked_block_that_is_over_its_time_fails_with_its_run(crowd: Crowd, plant: Callable[..., Tree]) -> None:
    plant()
    sleeper = Sleeper(crowd, pipeline="waiting_briefly")

    wait_for(crowd, sleeper.parent, "failed")

    assert block_of(crowd, sleeper.parent)["error"]["type"] == "Timeout"
    wait_for(crowd, sleeper.child, "cancelled")


def test_a_parent_that_has_waited_long_enough_leaves_the_run_to_itself(
    crowd: Crowd, plant: Callable[..., Tree]
) -> None:
    plant()
    sleeper = Sleeper(crowd, 3, poll_timeout=1, poll_interval=0.1)

    wait_for(crowd, sleeper.parent, "failed")
    error = block_of(crowd, sleeper.parent)["error"]
    wait_for(crowd, sleeper.child, "completed")

    assert error["type"] == "PipelineRunTimeout"
    assert f"run {sleeper.child} of witnessed was still running after 1 s" in error["message"]
    assert sleeper.text == "began\nended\n"


def test_the_failure_of_a_child_is_the_parents_with_its_reason(crowd: Crowd, plant: Callable[..., Tree]) -> None:
    plant()

    run_id = start(crowd, "waiting", child="failing", error_on_failure=True)

    wait_for(crowd, run_id, "failed")
    (child,) = children_of(crowd, run_id)
    error = block_of(crowd, run_id)["error"]
    assert error["type"] == "PipelineRunFailed"
    assert f"run {child['pk']} of failing failed: raises: ValueError: the sky is green" in error["message"]


def test_what_cannot_be_started_fails_the_block_with_what_would_be_right(
    crowd: Crowd, plant: Callable[..., Tree]
) -> None:
    plant()

    unknown = start(crowd, "waiting", child="chian")
    circle = start(crowd, "alone", child="alone", variables={"child": "chain"})

    wait_for(crowd, unknown, "failed")
    wait_for(crowd, circle, "failed")
    assert "Did you mean chain?" in block_of(crowd, unknown)["error"]["message"]
    assert "alone → alone" in block_of(crowd, circle)["error"]["message"]
    assert children_of(crowd, circle) == []


# --- trouble ----------------------------------------------------------------------------------------------------------


def test_a_parent_whose_worker_is_killed_goes_on_with_the_same_child(crowd: Crowd, plant: Callable[..., Tree]) -> None:
    plant(workers=2)
    sleeper = Sleeper(crowd, 4)
    wait_until(lambda: parked(crowd) == 1)
    holder = block_of(crowd, sleeper.parent)["worker__pid"]

    os.kill(holder, signal.SIGKILL)

    wait_for(crowd, sleeper.parent, "completed")
    row = block_of(crowd, sleeper.parent)
    assert (row["attempt"], row["losses"]) == (2, 1)
    assert [child["pk"] for child in children_of(crowd, sleeper.parent)] == [sleeper.child]
    assert sleeper.text.count("ended") == 1
    assert any(line.startswith("Goes on with what it started before") for line in said(crowd, sleeper.parent))


def test_a_parked_block_is_handed_back_when_everything_stops(crowd: Crowd, plant: Callable[..., Tree]) -> None:
    tree = plant(DRAIN_SECONDS="1")
    sleeper = Sleeper(crowd)
    wait_until(lambda: parked(crowd) == 1)
    began = time.monotonic()

    tree.signal_all(signal.SIGTERM)

    assert tree.process.wait(30) == 0
    assert time.monotonic() - began < 1 + 4
    row = block_of(crowd, sleeper.parent)
    assert (row["status"], row["attempt"], row["losses"], row["worker__pid"]) == ("queued", 2, 0, None)
    assert crowd.ask("Worker.objects.filter(stopped_at=None).exclude(kind='scheduler').count()") == 0
    wait_until(lambda: not tree.processes(), 2)


def test_a_parent_that_was_handed_back_goes_on_with_the_same_child(crowd: Crowd, plant: Callable[..., Tree]) -> None:
    tree = plant(DRAIN_SECONDS="1")
    sleeper = Sleeper(crowd, 3)
    tree.signal_all(signal.SIGTERM)
    tree.process.wait(30)

    plant()

    wait_for(crowd, sleeper.parent, "completed")
    assert [child["pk"] for child in children_of(crowd, sleeper.parent)] == [sleeper.child]


def test_nothing_parked_outlives_its_killed_tree(crowd: Crowd, plant: Callable[..., Tree]) -> None:
    tree = plant()
    Sleeper(crowd)
    wait_until(lambda: parked(crowd) == 1)
    tree.processes()

    tree.process.kill()
    tree.process.wait()

    wait_until(lambda: not tree.processes(), 3)


# --- without waiting --------------------------------------------------------------------------------------------------


def test_a_run_that_nobody_waits_for_outlives_its_parents_end(crowd: Crowd, plant: Callable[..., Tree]) -> None:
    plant()
    file = crowd.folder / f"witness-{next(NUMBERS)}"

    run_id = start(crowd, "starting", child="witnessed", variables={"file": str(file), "seconds": 1})

    wait_for(crowd, run_id, "completed")
    (child,) = children_of(crowd, run_id)
    wait_for(crowd, child["pk"], "completed")
    assert not child["is_awaited"]
    assert said(crowd, run_id)[-1] in ("started running", "started initial")


def test_a_sensor_waits_for_a_run_of_another_pipeline(crowd: Crowd, plant: Callable[..., Tree]) -> None:
    plant(workers=2)
    file = crowd.folder / f"witness-{next(NUMBERS)}"
    other = start(crowd, "witnessed", file=str(file), seconds=3)

    run_id = start(crowd, "looking", other="witnessed")

    wait_for(crowd, run_id, "completed")
    lines = said(crowd, run_id)
    assert any(f"run {other} of witnessed" in line and line.endswith("is running") for line in lines)
    assert lines[-1].endswith("is completed")
