"""Logs of a test lie in a folder of its own: numbers of runs come again."""

from pathlib import Path

import pytest
from pytest_django.fixtures import SettingsWrapper


@pytest.fixture(autouse=True)
def own_logs(settings: SettingsWrapper, tmp_path: Path) -> None:
    settings.LOGS_URL = str(tmp_path)
