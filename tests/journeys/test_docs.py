"""What the documentation shows is read by the product as it stands, and leads where it says."""

import re
import tomllib
from pathlib import Path

import pandas as pd
import pytest
from django.conf import settings
from django.core.management import get_commands, load_command_class
from django.core.management.base import BaseCommand

from pipelines import block_code, calls, decorators, project
from schedules.files.triggers_file import read_triggers

ROOT = Path(__file__).resolve().parents[2]
PROJECTS = (ROOT / "docs" / "projects.md").read_text()
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/*.md"), ROOT / "demo_project" / "README.md"])


@pytest.fixture
def documented(tmp_path: Path) -> Path:
    """A project made of what docs/projects.md shows."""
    metadata, trigger = examples("yaml")[0], examples("yaml")[-1]
    code = {
        "data_loaders/load_generation.py": "@data_loader\ndef load_generation():\n    return None\n",
        "transformers/energy/total_by_year.py": examples("python")[0],
        "pipelines/energy_mix/metadata.yaml": metadata,
        "pipelines/energy_mix/triggers.yaml": trigger,
    }
    for name, text in code.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    return tmp_path


def test_the_pipeline_in_the_docs_is_valid(documented: Path) -> None:
    definition = project.read_pipeline(project.read_project(documented), "energy_mix")

    assert [block.uuid for block in definition.graph.blocks] == ["load_generation", "total_by_year"]
    assert definition.settings["variables"] == {"first_year": 2001}


def test_the_trigger_in_the_docs_is_valid(documented: Path) -> None:
    found = read_triggers(documented, "energy_mix", secret=lambda name: None)

    assert [(entry.name, entry.is_active, entry.sla) for entry in found.entries] == [("morning", True, 600)]
    assert found.warnings == []


def test_the_retries_in_the_docs_are_valid(documented: Path) -> None:
    metadata = documented / "pipelines" / "energy_mix" / "metadata.yaml"
    metadata.write_text(metadata.read_text() + next(each for each in examples("yaml") if "retry_config:" in each))

    block = project.read_pipeline(project.read_project(documented), "energy_mix").graph.get("total_by_year")

    assert block.retry_config == {"retries": 3, "delay": 5, "max_delay": 60, "exponential_backoff": True}


def test_the_block_in_the_docs_passes_its_test(documented: Path) -> None:
    namespace = block_code.execute(str(documented), "transformers/energy/total_by_year.py")
    generation = pd.DataFrame({"year": [2001, 2001], "net_generation": [1, 2]})

    totals = calls.call(decorators.marked(namespace, "transformer")[0], [generation], {})
    calls.call(decorators.marked(namespace, "test")[0], [totals], {})

    assert totals.to_dict("records") == [{"year": 2001, "total": 3}]


def test_each_dependency_has_a_line() -> None:
    described = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    groups = [described["dependencies"], *described["optional-dependencies"].values()]
    names = {match[0] for group in groups for each in group if (match := re.match(r"[\w-]+", each))}
    page = (ROOT / "docs" / "dependencies.md").read_text()

    missing = {name for name in names if not re.search(rf"[| ]{re.escape(name)}[ ,]", page)}

    assert {name for name in missing if not name.startswith("types-")} == set()


def test_each_setting_has_a_row_and_each_row_is_a_setting() -> None:
    read = set(
        re.findall(r'(?:env\w+|kept_secret)\(\s*"([A-Z_]+)"', (ROOT / "orchestrator_site" / "settings.py").read_text())
    )
    page = (ROOT / "docs" / "settings.md").read_text()

    assert set(re.findall(r"^\| `([A-Z_]+)` \|", page, re.MULTILINE)) == read


def test_the_fixed_promises_are_those_of_the_settings() -> None:
    said = " ".join((ROOT / "docs" / "settings.md").read_text().partition("Fixed, and shown")[2].split())

    assert f"lease lasts {settings.LEASE_SECONDS} s and is renewed every {settings.HEARTBEAT_SECONDS} s" in said
    assert f"cannot renew for {settings.SELF_FENCE_SECONDS} s" in said
    assert f"SIGKILL after {settings.KILL_GRACE_SECONDS} s" in said
    assert f"a log keeps {settings.LOG_CAP_BYTES // 1024**2} MB" in said
    assert settings.LOST_WORKER_ATTEMPTS == 3
    assert "three workers lost" in said


def shown_commands() -> list[tuple[str, str]]:
    """Each `manage.py NAME …` of the documentation: its name and the rest of its line."""
    text = "\n".join(page.read_text() for page in PAGES)
    return sorted(set(re.findall(r"manage\.py ([a-z_]+)([^`\n|)#]*)", text)))


@pytest.mark.parametrize(("name", "rest"), shown_commands())
def test_a_command_in_the_docs_exists_with_its_options(name: str, rest: str) -> None:
    app = get_commands()[name]
    command = app if isinstance(app, BaseCommand) else load_command_class(app, name)
    known = command.create_parser("manage.py", name)._option_string_actions

    assert {option for option in re.findall(r"(?<=\s)--[a-z-]+", rest) if option not in known} == set()


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_each_link_to_a_file_leads_somewhere(page: Path) -> None:
    links = [link for link in re.findall(r"\]\(([^)#\s]+)[^)]*\)", page.read_text()) if "://" not in link]

    assert [link for link in links if not (page.parent / link).exists()] == []


def examples(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", PROJECTS, re.DOTALL)
