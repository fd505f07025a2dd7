"""What metadata.yaml may say about a block's features: dynamic, callbacks, conditions, pool, retries."""

from pathlib import Path

import pytest

from tests.pipelines.project_on_disk import ProjectOnDisk


@pytest.fixture
def disk(tmp_path: Path) -> ProjectOnDisk:
    return ProjectOnDisk(tmp_path / "shop")


def test_a_sensor_cannot_be_dynamic(disk: ProjectOnDisk) -> None:
    disk.code("sensors/wait.py", "sensor")
    disk.pipeline("blocks:\n- uuid: wait\n  type: sensor\n  configuration:\n    dynamic: true\n")

    problem = disk.problem()

    assert (problem["line"], problem["reason"]) == (5, "dynamic: a sensor returns no items to fan out over.")
    assert problem["hint"] == "Types that can be dynamic: data_loader, transformer, data_exporter, custom."
