"""What broke a run: the block that failed first and the line of the user's code."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from django.conf import settings

from runs.models import BlockRun, PipelineRun, Role
from runs.states import BlockStatus

FRAME = re.compile(r'^ *File "([^"\n]+)", line (\d+)(?:, in ([^\n]+))?\n(?: +([^\n]+)\n?)?', re.MULTILINE)


@dataclass(frozen=True)
class Frame:
    """A line of code: the file relative to the project where it lies in it."""

    file: str
    line: int
    function: str = ""
    code: str = ""


@dataclass(frozen=True)
class Fault:
    """The first block (or member) that failed in a run; `others` failed, too."""

    block_run: BlockRun
    frame: Frame | None
    others: int
    is_block_file: bool = False  # the frame is in the code of a block, which the version keeps

    @property
    def type(self) -> str:
        return str(self.block_run.error.get("type", "")) or "Failure"

    @property
    def message(self) -> str:
        return str(self.block_run.error.get("message", "")) or self.block_run.reason


def fault_of(run: PipelineRun, block_runs: Sequence[BlockRun]) -> Fault | None:
    """Return what failed first in a run; None if nothing did. One query at most."""
    failed = sorted((row for row in block_runs if row.status == BlockStatus.FAILED), key=by_end)
    if not failed:
        return None
    first = failed[0]
    if first.members_total is not None:
        members = run.block_runs.filter(parent=first.pk, role=Role.MEMBER, status=BlockStatus.FAILED)
        first = members.defer("config", "fanout", "output").order_by("completed_at", "id").first() or first
    frame = frame_of(first.error)
    files = {entry.get("file") for entry in run.version.graph["blocks"]}
    return Fault(first, frame, len(failed) - 1, frame is not None and frame.file in files)


def by_end(row: BlockRun) -> tuple[bool, Any, int]:
    return row.completed_at is None, row.completed_at or 0, row.pk


def frame_of(error: Mapping[str, Any]) -> Frame | None:
    """Return the innermost line of the traceback, which was trimmed to the user's code."""
    found = list(FRAME.finditer(str(error.get("traceback", ""))))
    if not found:
        return None
    file, line, function, code = found[-1].groups()
    return Frame(file.removeprefix(f"{settings.PROJECT_DIR}/"), int(line), function or "", (code or "").strip(" ^~"))
