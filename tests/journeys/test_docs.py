"""What the documentation shows is read by the product as it stands, and leads where it says."""

import re
import tomllib
from pathlib import Path

import pandas as pd
import pytest

from pipelines import block_code, calls, decorators, project
from schedules.triggers_file import read_triggers

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
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    groups = [settings["dependencies"], *settings["optional-dependencies"].values()]
    names = {match[0] for group in groups for each in group if (match := re.match(r"[\w-]+", each))}
    page = (ROOT / "docs" / "dependencies.md").read_text()

    missing = {name for name in names if not re.search(rf"[| ]{re.escape(name)}[ ,]", page)}

    assert {name for name in missing if not name.startswith("types-")} == set()


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_each_link_to_a_file_leads_somewhere(page: Path) -> None:
    links = [link for link in re.findall(r"\]\(([^)#\s]+)[^)]*\)", page.read_text()) if "://" not in link]

    assert [link for link in links if not (page.parent / link).exists()] == []


def examples(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", PROJECTS, re.DOTALL)
