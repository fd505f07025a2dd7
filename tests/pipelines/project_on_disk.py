"""A Mage project in a folder, for tests to write and break."""

import os
import textwrap
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pipelines.project import BrokenPipeline, Definition, read_pipeline, read_project

CODE = """
if '{kind}' not in globals():
    from mage_ai.data_preparation.decorators import {kind}


@{kind}
def run(*args, **kwargs):
    return 1
"""


class ProjectOnDisk:
    def __init__(self, root: Path) -> None:
        self.root = root
        self.write("metadata.yaml", "project_type: standalone\n")

    def write(self, path: str, text: str | bytes) -> Path:
        file = self.root / path
        file.parent.mkdir(parents=True, exist_ok=True)
        if isinstance(text, bytes):
            file.write_bytes(text)
        else:
            file.write_text(textwrap.dedent(text).lstrip("\n"), encoding="utf-8")
        return file

    def code(self, path: str, kind: str = "custom") -> Path:
        """Write a block's file with one function marked @kind."""
        return self.write(path, CODE.format(kind=kind))

    def pipeline(self, text: str, uuid: str = "etl") -> Path:
        return self.write(f"pipelines/{uuid}/metadata.yaml", text)

    def chain(self, *uuids: str, uuid: str = "etl") -> None:
        """Write a valid pipeline of custom blocks, one after the other."""
        lines = ["blocks:"]
        for before, block in zip((None, *uuids), uuids, strict=False):
            lines += [f"- uuid: {block}", "  type: custom", f"  upstream_blocks: [{before or ''}]"]
            self.code(f"custom/{block}.py")
        self.pipeline("\n".join(lines) + "\n", uuid)

    def read(self, uuid: str = "etl", env: Mapping[str, str] | None = None) -> Definition:
        return read_pipeline(read_project(self.root, env=os.environ if env is None else env), uuid)

    def problems(self, uuid: str = "etl", env: Mapping[str, str] | None = None) -> list[dict[str, Any]]:
        """Read a pipeline that is broken and return what is told of it."""
        try:
            self.read(uuid, env)
        except BrokenPipeline as broken:
            return broken.problems
        raise AssertionError(f"{uuid} was read without a complaint")

    def problem(self, uuid: str = "etl", env: Mapping[str, str] | None = None) -> dict[str, Any]:
        """Read a pipeline that has one problem and return it."""
        problems = self.problems(uuid, env)
        assert len(problems) == 1, problems
        return problems[0]
