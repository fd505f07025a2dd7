"""Logs of a test lie in a folder of its own: numbers of runs come again."""

from pathlib import Path
from typing import Any

import pytest


@pytest.fixture(autouse=True)
def own_logs(settings: Any, tmp_path: Path) -> None:
    settings.LOGS_URL = str(tmp_path)
