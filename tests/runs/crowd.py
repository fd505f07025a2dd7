"""A database of its own and real processes of ours on it, told by line what to do."""

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

from tests.runs.small_project import write_project
from tests.schedules.scratch import ROOT, postgres_database

PRELUDE = "import django; django.setup(); from tests.runs.process import *; answer()"


class Member:
    """A process that evaluates expressions with the names of tests.runs.process."""

    def __init__(self, env: dict[str, str]) -> None:
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
        self.process = subprocess.Popen([sys.executable, "-c", PRELUDE], cwd=ROOT, env=env, text=True, **pipes)
        self.is_ready = False

    def tell(self, code: str) -> None:
        self.process.stdin.write(json.dumps(code) + "\n")
        self.process.stdin.flush()

    def hear(self) -> Any:
        """Return what the expression told last is, by way of JSON."""
        if not self.is_ready:
            assert self.process.stdout.readline() == "{}\n"
            self.is_ready = True
        found = json.loads(self.process.stdout.readline())
        assert "raised" not in found, found["raised"]
        return found["is"]

    def ask(self, code: str) -> Any:
        self.tell(code)
        return self.hear()

    def close(self) -> None:
        self.process.kill()
        self.process.communicate()


class Crowd:
    """`env` is the environment in which everything happens."""

    def __init__(self, folder: Path, url: str, size: int) -> None:
        self.folder = folder
        self.env = {
            "PATH": "/usr/bin:/bin",
            "HOME": str(folder),
            "DJANGO_SETTINGS_MODULE": "orchestrator_site.settings",
            "ORCHESTRATOR_DATA_DIR": str(folder / "data"),
            "ORCHESTRATOR_PROJECT": str(write_project(folder / "project")),
            "DATABASE_URL": url,
            "PYTHONPATH": str(ROOT),
        }
        command = [sys.executable, "manage.py", "migrate", "-v0"]
        subprocess.run(command, cwd=ROOT, env=self.env, check=True, stdout=subprocess.DEVNULL)
        self.members = [Member(self.env) for _ in range(size)]

    def ask(self, code: str) -> Any:
        return self.members[0].ask(code)

    def ask_all(self, *codes: str) -> list[Any]:
        """Have as many members as there are expressions evaluate them at the same time."""
        members = self.members[: len(codes)]
        for member, code in zip(members, codes, strict=True):
            member.tell(code)
        return [member.hear() for member in members]

    def close(self) -> None:
        for member in self.members:
            member.close()


@contextmanager
def gather(kind: str, folder: Path, size: int = 1) -> Iterator[Crowd]:
    with postgres_database() if kind == "postgres" else nullcontext("") as url:
        crowd = Crowd(folder, url, size)
        try:
            yield crowd
        finally:
            crowd.close()
