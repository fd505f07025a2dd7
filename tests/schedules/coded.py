"""A pipeline whose triggers are in code: its file, taken over, and changes of it by people."""

import difflib
from pathlib import Path
from typing import Any

from pipelines import catalog
from schedules import triggers
from schedules.files import triggers_yaml
from schedules.models import PipelineSchedule
from tests.factories import NOON
from tests.pipelines.project_on_disk import ProjectOnDisk

PATH = "pipelines/etl/triggers.yaml"
FILE = """\
# When the day is loaded. Ask Ada before you change it.

triggers:
# Every morning.
- name:   "morning"   # not "daily"
  schedule_interval: '0 6 * * 1-5'   # working days
  timezone: Europe/Berlin
  start_time: 2025-07-01 00:00:00
  status: active
  description: "{{ env_var('WHAT') }}"
  variables:
    country: DE   # see the list
    secret: "{{ secret_var('nobody_has_it') }}"
    depth: {a: 1, b: [1, 2]}
  settings: {timeout: 600, skip_if_previous_running: true}
# On demand.
- name: call
  schedule_type: api
  status: inactive
  envs: [dev, test]
# The end.
"""


class Coded:
    """The project, with the rows that its file made; `settings.PROJECT_DIR` is it."""

    def __init__(self, root: Path) -> None:
        self.project = ProjectOnDisk(root)
        self.project.chain("load")
        catalog.refresh(root)
        self.file = root / PATH
        self.take_over(FILE)

    def take_over(self, text: str | bytes) -> triggers_yaml.Diff:
        self.project.write(PATH, text)
        return triggers_yaml.apply(self.project.root, NOON)

    def row(self, name: str = "morning") -> PipelineSchedule:
        return PipelineSchedule.objects.select_related("pipeline").get(name=name)

    def change(self, which: str = "morning", /, is_active: bool | None = None, **fields: Any) -> PipelineSchedule:
        row = self.row(which)
        triggers.change(row, fields, is_active=is_active, moment=NOON)
        return row

    def text(self) -> str:
        return self.file.read_text(encoding="utf-8")

    def difference(self, before: str = FILE) -> list[str]:
        """The lines of the file taken out (-) and put in (+)."""
        lines = difflib.unified_diff(before.splitlines(), self.text().splitlines(), n=0, lineterm="")
        return [line for line in lines if line[:1] in "-+" and line[:3] not in ("---", "+++")]

    def is_in_step(self) -> bool:
        """Whether reading the file again changes no row: what was written is what is stored."""
        before = list(PipelineSchedule.objects.order_by("pk").values())
        diff = triggers_yaml.apply(self.project.root, NOON)
        assert diff.problems == []
        return diff == triggers_yaml.Diff() and before == list(PipelineSchedule.objects.order_by("pk").values())
