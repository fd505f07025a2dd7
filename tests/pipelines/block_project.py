"""A project on disk whose blocks a test writes and runs, in this process or each in its own."""

import json
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

FOLDERS = {
    "data_loader": "data_loaders",
    "transformer": "transformers",
    "data_exporter": "data_exporters",
    "custom": "custom",
    "sensor": "sensors",
}
CHILD = """
import json, sys
from pipelines.runtime import run_block
result = run_block(json.load(sys.stdin))
print()
print(json.dumps(result))
"""


class BlockProject:
    def __init__(self, root: Path) -> None:
        self.root = root
        self.outputs = root.parent / "outputs"
        self.runs = 0
        root.mkdir(exist_ok=True)

    def write(self, file: str, code: str) -> Path:
        path = self.root / file
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(textwrap.dedent(code).lstrip("\n"), encoding="utf-8")
        return path

    def job(
        self, code: str | None = None, *, uuid: str = "load", kind: str = "data_loader", **changes: Any
    ) -> dict[str, Any]:
        """The least job that is valid; `changes` go to its block or context where they are keys of these."""
        block = {
            "uuid": uuid,
            "name": uuid,
            "type": kind,
            "language": "python",
            "file": f"{FOLDERS.get(kind, kind)}/{uuid}.py",
            "upstream": [],
            "configuration": {},
            "trigger_rule": "all_success",
            "unsupported": "",
            "conditions": [],
            "callbacks": [],
            "dynamic": False,
        }
        context = {
            "execution_date": "2025-03-02T12:00:00+00:00",
            "interval_start_datetime": "2025-03-02T12:00:00+00:00",
            "interval_end_datetime": None,
            "interval_seconds": None,
            "interval_start_datetime_previous": None,
            "execution_partition": "1/20250302T120000",
            "pipeline_run_id": 7,
            "block_run_id": 70,
            "trigger_name": "daily",
            "event": {},
            "env": "dev",
            "retry": {"attempts": 1},
            "ds": "2025-03-02",
            "hr": "12",
        }
        self.runs += 1
        job: dict[str, Any] = {
            "project": str(self.root),
            "pipeline_uuid": "sales",
            "block": block,
            "run_tests": True,
            "skip_sensor": False,
            "upstream": [],
            "variables": {},
            "context": context,
            "output_url": str(self.outputs / str(self.runs)),
            "secrets": {},
        }
        for name, value in changes.items():
            owner = next((part for part in (block, context) if name in part and name != "upstream"), job)
            owner[name] = value
        block["upstream"] = [upstream["block"] for upstream in job["upstream"]]
        if code is not None and block["file"]:
            self.write(block["file"], code)
        return job

    def run(self, code: str | None = None, **changes: Any) -> dict[str, Any]:
        from pipelines.runtime import run_block

        result = run_block(self.job(code, **changes))
        json.dumps(result, allow_nan=False)  # a result is always plain JSON
        return result

    def run_apart(self, job: dict[str, Any], **options: Any) -> dict[str, Any]:
        """Run one job in a process of its own."""
        done = subprocess.run(
            [sys.executable, "-c", CHILD],
            input=json.dumps(job),
            capture_output=True,
            text=True,
            cwd=Path(__file__).parents[2],
            timeout=60,
            check=True,
            **options,
        )
        return json.loads(done.stdout.splitlines()[-1])


def value_of(result: dict[str, Any]) -> Any:
    """What a block returned, read back from where it was stored."""
    from pipelines.variables import load_output

    assert result["failure"] is None, result["failure"]
    return load_output(result["outputs"], unpickle=True)


def upstream_of(**results: dict[str, Any]) -> list[dict[str, Any]]:
    """The `upstream` of a job, from the results of the blocks before it."""
    return [{"block": name, "outputs": result["outputs"]} for name, result in results.items()]
