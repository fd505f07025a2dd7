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


def test_retry_config_is_merged_key_by_key_and_what_is_left_empty_says_nothing(disk: ProjectOnDisk) -> None:
    disk.chain("a")
    disk.write("metadata.yaml", "retry_config: {retries: 2, delay: 7, jitter: 0.1, give_up_on: ValueError}\n")
    text = (disk.root / "pipelines/etl/metadata.yaml").read_text()
    disk.pipeline(text + "retry_config:\n  delay:\n  jitter: '0.5'\n  retry_on: [requests.Timeout, OSError]\n")

    assert disk.read().settings["retry_config"] == {
        "retries": 2,
        "delay": 7.0,
        "jitter": 0.5,
        "give_up_on": ["ValueError"],
        "retry_on": ["requests.Timeout", "OSError"],
    }


def test_a_list_may_be_emptied_nearer(disk: ProjectOnDisk) -> None:
    disk.chain("a")
    disk.write("metadata.yaml", "retry_config: {give_up_on: [ValueError]}\n")
    text = (disk.root / "pipelines/etl/metadata.yaml").read_text()
    disk.pipeline(text + "retry_config: {give_up_on: []}\n")

    assert disk.read().settings["retry_config"] == {"give_up_on": []}


@pytest.mark.parametrize(
    ("config", "reason"),
    [
        ("jitter: 2", "jitter: '2' is not a number that is allowed."),
        ("retry_on: {a: b}", "retry_on must be a list of names."),
        ("retry_on: [no name]", "retry_on: 'no name' cannot be the name of an exception."),
        ("give_up_on: [ValueError, 7]", "give_up_on: '7' cannot be the name of an exception."),
    ],
)
@pytest.mark.parametrize("level", ["project", "pipeline", "block"])
def test_a_mistake_in_retry_config_is_told_at_its_level(
    disk: ProjectOnDisk, level: str, config: str, reason: str
) -> None:
    disk.chain("a")
    if level == "project":
        disk.write("metadata.yaml", f"retry_config:\n  {config}\n")
    elif level == "pipeline":
        disk.pipeline(f"blocks: [{{uuid: a, type: custom}}]\nretry_config:\n  {config}\n")
    else:
        disk.pipeline(f"blocks:\n- uuid: a\n  type: custom\n  retry_config:\n    {config}\n")

    problem = disk.problem()

    assert problem["reason"] == reason
    assert problem["file"] == ("metadata.yaml" if level == "project" else "pipelines/etl/metadata.yaml")
    assert problem["line"] == {"project": 2, "pipeline": 3, "block": 5}[level]
