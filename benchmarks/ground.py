"""A database and a project of their own for measuring time, and the processes of ours that use them; no tree."""

import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from benchmarks.tree import ROOT, drop_database, scratch_database
from benchmarks.workloads import write_pipeline


class Ground:
    """`with Ground("sqlite") as ground`: migrated, with the pipeline `single`; everything is gone afterwards."""

    def __init__(self, database: str) -> None:
        self.database = database
        self.folder = Path(tempfile.mkdtemp(prefix="orchestrator-bench-"))
        self.env = {
            **os.environ,
            "ORCHESTRATOR_DATA_DIR": str(self.folder / "data"),
            "ORCHESTRATOR_PROJECT": str(self.folder / "project"),
            "BENCH_EVENTS": os.devnull,
            "LOG_LEVEL": "WARNING",
        }
        self.env.pop("REDIS_URL", None)
        if database == "postgres":
            self.env["DATABASE_URL"] = scratch_database("clock")

    def __enter__(self) -> "Ground":
        project = self.folder / "project"
        (project / "data_loaders").mkdir(parents=True)
        (project / "metadata.yaml").write_text("project_type: standalone\n")
        write_pipeline(project, "single", [("only", [])])
        self.run("manage.py", "migrate", "-v0")
        return self

    def __exit__(self, *_: object) -> None:
        if self.database == "postgres":
            drop_database(self.env["DATABASE_URL"])
        shutil.rmtree(self.folder, ignore_errors=True)

    def run(self, *words: str) -> str:
        command = [sys.executable, *words]
        return subprocess.run(command, cwd=ROOT, env=self.env, check=True, stdout=subprocess.PIPE, text=True).stdout

    def ask(self, name: str, **arguments: Any) -> Any:
        """Call a function of `benchmarks.clock_process` in a process of its own; return its answer."""
        return json.loads(self.run("-m", "benchmarks.clock_process", name, json.dumps(arguments)))

    def scheduler(self) -> "subprocess.Popen[bytes]":
        """Start a scheduler as users do, without workers."""
        command = [sys.executable, "manage.py", "run_scheduler", "--no-workers"]
        return subprocess.Popen(command, cwd=ROOT, env=self.env)
