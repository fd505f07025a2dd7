"""A place to run blocks in: see tests/runs/place.py."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from executors.local import LocalExecutor
from tests.runs.place import Place
from tests.runs.small_project import write_project


@pytest.fixture(scope="session")
def executor() -> Iterator[LocalExecutor]:
    made = LocalExecutor()
    yield made
    made.close()


@pytest.fixture
def place(tmp_path: Path, settings: Any, executor: LocalExecutor) -> Iterator[Place]:
    settings.PROJECT_DIR = write_project(tmp_path / "project")
    settings.LOGS_URL = str(tmp_path / "logs")
    settings.VARIABLES_URL = str(tmp_path / "variables")
    made = Place(settings.PROJECT_DIR, executor)
    yield made
    made.close()
