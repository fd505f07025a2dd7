"""What a process loads to start, and what it does not."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from orchestrator_site.apps import hidden

ROOT = Path(__file__).resolve().parents[2]
ASK = """
import django, gc, json, sys
django.setup()
print(json.dumps([sorted({"requests", "markdown", "apprise", "pandas", "pyarrow"} & {*sys.modules}), gc.isenabled()]))
import apprise, markdown, requests
"""


def test_a_process_starts_without_what_it_rarely_needs_and_can_load_it_later() -> None:
    env = {**os.environ, "DJANGO_SETTINGS_MODULE": "tests.settings"}
    asked = subprocess.run([sys.executable, "-c", ASK], cwd=ROOT, env=env, check=True, capture_output=True, text=True)

    loaded, collects_garbage = json.loads(asked.stdout)
    assert loaded == []
    assert collects_garbage


def test_a_hidden_module_can_be_imported_afterwards(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "this", raising=False)

    with hidden("this"), pytest.raises(ImportError):
        import this  # noqa: F401

    assert "this" not in sys.modules


def test_a_module_that_is_loaded_stays_as_it_is() -> None:
    with hidden("json"):
        assert sys.modules["json"] is json

    assert sys.modules["json"] is json
