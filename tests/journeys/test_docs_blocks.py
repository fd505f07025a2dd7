"""What docs/blocks.md shows is read and run by the product as it stands."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from pipelines import block_code, decorators, fanouts, project

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "blocks.md").read_text()
CODE = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
METADATA, RETRIES, POOLS, REPLICA = re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL)
FILES = {
    "data_loaders/list_shops.py": CODE[0],
    "conditionals/is_workday.py": CODE[1],
    "callbacks/tell_ada.py": CODE[2],
    "callbacks/page_ada.py": CODE[2],
    "transformers/load_sales.py": "@transformer\ndef load_sales(shop): ...\n",
    "transformers/load_more.py": "@transformer\ndef load_more(): ...\n",
    "transformers/sales/clean.py": "@transformer\ndef clean(): ...\n",
    "data_exporters/total.py": "@data_exporter\ndef total(all_sales): ...\n",
}


@pytest.fixture
def documented(tmp_path: Path) -> Path:
    more = "- {uuid: load_more, type: transformer}\n"
    files = {
        **FILES,
        "metadata.yaml": POOLS,
        "pipelines/sales/metadata.yaml": METADATA + more + REPLICA + RETRIES,
    }
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    return tmp_path


def test_the_pipeline_with_everything_is_valid(documented: Path) -> None:
    definition = project.read_pipeline(project.read_project(documented), "sales")

    shops, sales, total = (definition.graph.get(uuid) for uuid in ("list_shops", "load_sales", "total"))
    assert (shops.dynamic, shops.conditions) == (True, ("is_workday",))
    assert (sales.reduce_output, sales.pool, sales.pool_slots, sales.timeout) == (True, "warehouse", 2, 600)
    assert sales.retry_config == {"retries": 5, "jitter": 0.2, "give_up_on": ["PermissionError"]}
    assert (total.trigger_rule, total.callbacks, total.sla, total.priority) == ("all_done", ("tell_ada",), 1800, -5)
    assert definition.graph.get("tell_ada").outcomes == ("success", "failure")
    assert [entry["uuid"] for entry in definition.settings["callbacks"]["failure"]] == ["page_ada"]
    assert definition.graph.get("clean_again").file == "transformers/sales/clean.py"


def test_the_retries_are_taken_as_they_stand(documented: Path) -> None:
    settings = project.read_pipeline(project.read_project(documented), "sales").settings
    assert settings["retry_config"] == yaml.safe_load(RETRIES)["retry_config"]


def test_the_pools_are_those_of_the_project(documented: Path) -> None:
    assert project.read_project(documented).pools == {"warehouse": (4, ""), "partner_api": (1, "One call at a time")}


def test_the_dynamic_block_returns_what_it_should(documented: Path) -> None:
    namespace: dict[str, Any] = block_code.execute(str(documented), "data_loaders/list_shops.py")
    (function,) = decorators.marked(namespace, "data_loader")
    assert fanouts.checked(function(), "list_shops") == fanouts.Items(["Berlin", "Lyon"], ["berlin", "lyon"])
