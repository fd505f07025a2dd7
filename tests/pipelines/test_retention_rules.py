"""What metadata.yaml says about how long things are kept."""

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from pipelines import retention_rules
from pipelines.project import BrokenPipeline
from pipelines.refusal import Refusal
from tests.pipelines.project_on_disk import ProjectOnDisk


@pytest.fixture
def disk(tmp_path: Path) -> ProjectOnDisk:
    return ProjectOnDisk(tmp_path / "shop")


def rules(disk: ProjectOnDisk, project: str, pipeline: str = "") -> Any:
    disk.write("metadata.yaml", project)
    disk.chain("a")
    file = disk.root / "pipelines/etl/metadata.yaml"
    file.write_text(f"{file.read_text()}{pipeline}\n")
    return disk.read().settings.get("retention")


def problems(disk: ProjectOnDisk, project: str) -> list[dict[str, Any]]:
    with pytest.raises(BrokenPipeline) as caught:
        rules(disk, project)
    return [problem for problem in caught.value.problems if problem["file"] == "metadata.yaml"]


def test_without_a_word_about_it_nothing_is_ever_let_go(disk: ProjectOnDisk) -> None:
    assert rules(disk, "name: shop") is None


def test_ages_and_counts_are_read_for_each_kind(disk: ProjectOnDisk) -> None:
    found = rules(disk, "retention: {runs: {age: 90d, count: 1000}, logs: {age: 12h}, outputs: {age: 4w}}")

    assert found == {"runs": {"age": 2160, "count": 1000}, "logs": {"age": 12}, "outputs": {"age": 672}}


def test_the_pipeline_wins_key_by_key(disk: ProjectOnDisk) -> None:
    found = rules(disk, "retention: {runs: {age: 90d, count: 1000}}", "retention: {runs: {count: 5}, logs: {age: 1d}}")

    assert found == {"runs": {"age": 2160, "count": 5}, "logs": {"age": 24}}


def test_a_pipeline_may_keep_for_ever_what_the_project_lets_go(disk: ProjectOnDisk) -> None:
    project = "retention: {runs: {age: 90d, count: 1000}, logs: {age: 30d}}"

    assert rules(disk, project, "retention: {runs: {age: forever}, logs: {age: forever}}") == {"runs": {"count": 1000}}
    assert rules(disk, project, "retention: {runs: {age: forever, count: all}}") == {"logs": {"age": 720}}


def test_mages_own_keys_are_understood(disk: ProjectOnDisk) -> None:
    found = rules(disk, "variables_retention_period: 90d\nlogging_config: {retention_period: 30d}")

    assert found == {"outputs": {"age": 2160}, "logs": {"age": 720}}


def test_our_key_goes_before_mages_of_the_same_file(disk: ProjectOnDisk) -> None:
    assert rules(disk, "variables_retention_period: 90d\nretention: {outputs: {age: 1d}}") == {"outputs": {"age": 24}}


@pytest.mark.parametrize("age", ["30", "soon", "0d", "1.5d", "30m", "-1d", "999999w", "[1]", "true"])
def test_what_is_no_age_is_told_with_its_line(disk: ProjectOnDisk, age: str) -> None:
    (problem,) = problems(disk, f"name: shop\nretention:\n  runs:\n    age: {age}\n")

    assert (problem["file"], problem["line"]) == ("metadata.yaml", 4)
    assert "age" in problem["reason"]


@pytest.mark.parametrize("count", ["0", "-1", "1.5", "many", "100001"])
def test_what_is_no_count_is_told_with_its_line(disk: ProjectOnDisk, count: str) -> None:
    (problem,) = problems(disk, f"retention:\n  runs:\n    count: {count}\n")

    assert problem["line"] == 3


@pytest.mark.parametrize(
    ("text", "hint"),
    [("retention: {run: {age: 1d}}", "runs"), ("retention: {runs: {ages: 1d}}", "age")],
)
def test_an_unknown_key_is_told_with_the_nearest_one(disk: ProjectOnDisk, text: str, hint: str) -> None:
    (problem,) = problems(disk, text)

    assert "unknown key" in problem["reason"]
    assert hint in problem["hint"]


def test_an_age_on_the_command_line_is_read_alike() -> None:
    assert retention_rules.read_age(" 30D ") == timedelta(days=30)
    with pytest.raises(Refusal, match="'soon' is not an age"):
        retention_rules.read_age("soon")


@pytest.mark.parametrize(
    ("rule", "words"),
    [
        ({"age": 720}, "older than 30 d"),
        ({"age": 12, "count": 5}, "older than 12 h or beyond the newest 5"),
        ({}, "kept for ever"),
    ],
)
def test_a_rule_is_put_in_words(rule: dict[str, int], words: str) -> None:
    assert retention_rules.in_words(rule) == words
