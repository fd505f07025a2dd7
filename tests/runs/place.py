"""A project on disk and a worker of this very process, for tests that run blocks."""

import textwrap
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

from django.utils import timezone

from executors.local import LocalExecutor
from pipelines import catalog
from runs import lifecycle, logs, recovery
from runs.lifecycle import RunSettings
from runs.models import BlockRun, Origin, PipelineRun
from runs.working.process import WorkerProcess


class Place:
    """A project on disk, a worker of this very process, and runs."""

    def __init__(self, folder: Path, executor: LocalExecutor) -> None:
        self.folder, self.executor = folder, executor
        self.told_to_stop = False
        self.at_each_look: Callable[[], Any] = lambda: False
        self.hired: list[WorkerProcess] = []
        self.worker = self.hire()

    def hire(self) -> WorkerProcess:
        made = WorkerProcess(timezone.now, lambda: self.told_to_stop, lambda: bool(self.at_each_look()))
        made.executors["local_python"] = self.executor
        self.hired.append(made)
        return made

    def close(self) -> None:
        for worker in self.hired:
            worker.ear.close()

    def write(self, uuid: str, settings: str, **blocks: str) -> str:
        """Write a pipeline; each block is its code, and named for its function: load, double, …"""
        for name, code in blocks.items():
            path = self.folder / "custom" / f"{name}.py"
            path.write_text(textwrap.dedent(code))
        path = self.folder / "pipelines" / uuid / "metadata.yaml"
        path.parent.mkdir(exist_ok=True)
        path.write_text(f"name: {uuid}\n" + textwrap.dedent(settings))
        return uuid

    def start(self, uuid: str, *, settings: RunSettings | None = None, **variables: Any) -> PipelineRun:
        catalog.refresh(self.folder)
        return lifecycle.create_run(
            catalog.find(uuid), moment=timezone.now(), origin=Origin.MANUAL, variables=variables, settings=settings
        )

    def run(self, uuid: str, *, settings: RunSettings | None = None, **variables: Any) -> PipelineRun:
        """Start a run, do all that can be done of it now, and return it as it is then."""
        run = self.start(uuid, settings=settings, **variables)
        self.worker.work_on_anything()
        run.refresh_from_db()
        return run

    def go_on(self, run: PipelineRun, *, after: timedelta = timedelta()) -> PipelineRun:
        """Let the time pass that waiting blocks wait, and work on."""
        moment = timezone.now() + after
        recovery.due_timers(moment)
        recovery.sweep(timezone.now())
        self.worker.work_on_anything()
        run.refresh_from_db()
        return run


def block(run: PipelineRun, uuid: str) -> BlockRun:
    return run.block_runs.get(block_uuid=uuid)


def said(block_run: BlockRun, attempt: int | None = None) -> list[str]:
    return [line["m"] for line in logs.read(block_run, attempt).lines]


def at_second_look(action: Callable[[], Any]) -> Callable[[], Any]:
    """Do something while a block runs."""
    looks = []

    def look() -> Any:
        looks.append(1)
        return action() if len(looks) == 2 else None

    return look
