"""One project to a data folder at a time: workers take the code of blocks from the project that they serve."""

from datetime import datetime
from pathlib import Path

from django.conf import settings

from pipelines.refusal import Refusal
from runs.models import Worker, WorkerKind
from runs.working import workers


def note(project: Path) -> None:
    """Say, to commands beside us, which project this data folder's scheduler and workers serve."""
    marker().write_text(str(project.resolve()))


def refuse_another(project: Path, moment: datetime) -> None:
    """Raise Refusal while a scheduler of this host serves another project from this data folder."""
    try:
        served = Path(marker().read_text())
    except OSError:  # nobody has served any
        return
    if served == project.resolve():
        return
    workers.tidy_this_host(moment)
    schedulers = Worker.objects.alive(moment).filter(kind=WorkerKind.SCHEDULER, host=workers.this_host())
    if schedulers.exists():
        raise Refusal(
            f"The server that runs with the data folder {settings.DATA_DIR} serves another project, {served}.",
            field="project",
            hint=f"Stop it, or give {project} a data folder of its own: ORCHESTRATOR_DATA_DIR=~/.{project.name}.",
            code="conflict",
        )


def marker() -> Path:
    return Path(settings.DATA_DIR) / "project"
