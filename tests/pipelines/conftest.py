"""What the tests of pipelines share."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from pipelines import variables
from tests.pipelines.block_project import BlockProject


@pytest.fixture
def shop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[BlockProject]:
    """An empty project; what running its blocks does to this process is undone afterwards."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.setattr(sys, "meta_path", list(sys.meta_path))
    monkeypatch.setattr(variables, "_kept", {})
    before = set(sys.modules)
    yield BlockProject(tmp_path / "shop")
    for name in set(sys.modules) - before:
        if name.startswith("mage_ai") or str(tmp_path) in str(getattr(sys.modules[name], "__spec__", "")) + str(
            getattr(sys.modules[name], "__file__", "")
        ):
            del sys.modules[name]
