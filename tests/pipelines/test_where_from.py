"""Where a version has each of its settings from."""

from typing import Any

import pytest

from pipelines.where_from import Sources, settings_of, sources_of

PATH = "pipelines/etl/metadata.yaml"


def sources(text: str | None, **env: str) -> Sources | None:
    return sources_of(PATH, {PATH: {"text": text}}, env)


def origins(settings: dict[str, Any], text: str) -> dict[str, str]:
    return {each.name: each.origin for each in settings_of(settings, sources(text))}


def test_what_the_pipelines_file_says_is_the_pipelines() -> None:
    settings = {"variables": {"day": 1, "units": "metric"}, "executor_type": "k8s"}

    found = origins(settings, "variables: {day: 1}\nexecutor_type: k8s\n")

    assert found == {"variables.day": "pipeline", "variables.units": "project", "executor_type": "pipeline"}


def test_what_it_says_in_place_of_the_project_is_told_apart() -> None:
    found = origins({"retry_config": {"retries": 3}}, "overrides: {retry_config: {retries: 3}}\n")

    assert found == {"retry_config.retries": "pipeline (overrides)"}


def test_settings_that_say_nothing_are_left_out() -> None:
    assert origins({"executor_type": None, "run_pipeline_in_one_process": False, "retry_config": {}}, "") == {}


def test_zero_and_no_under_a_section_are_told() -> None:
    assert origins({"retry_config": {"retries": 0, "exponential_backoff": False}}, "") == {
        "retry_config.retries": "project",
        "retry_config.exponential_backoff": "project",
    }


@pytest.mark.parametrize("text", [None, "a: [", "{{ env_var('X') }}: {", "{{ nonsense( }}"])
def test_a_file_that_cannot_be_read_leaves_the_origin_open(text: str | None) -> None:
    found = sources(text)

    assert found is None
    assert [each.origin for each in settings_of({"executor_type": "k8s"}, found)] == [""]


@pytest.mark.parametrize("text", ["", "- a list\n", "just text\n", "overrides: 3\nvariables: [x]\n"])
def test_a_file_of_another_shape_is_the_word_of_nobody(text: str) -> None:
    assert origins({"variables": {"x": 1}}, text) == {"variables.x": "project"}
