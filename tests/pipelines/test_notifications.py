"""What a notification_config asks for, and that addresses are read from the files alone."""

from pathlib import Path
from typing import Any

import pytest

from pipelines.files import FileFault
from pipelines.notifications import addresses_of, asked_for
from pipelines.project import notification_config

HOOK = {"webhook_url": "https://hooks.example.org/x"}


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "pipelines/etl").mkdir(parents=True)
    write(tmp_path / "pipelines/etl", "name: etl\n")
    return tmp_path


def write(folder: Path, text: str) -> None:
    (folder / "metadata.yaml").write_text(text)


@pytest.mark.parametrize(
    ("config", "asked"),
    [
        ({}, {}),
        ({"alert_on": ["trigger_success"]}, {}),
        ({"slack_config": {"webhook_url": ""}, "teams_config": {"webhook_url": None}, "email_config": None}, {}),
        ({"slack_config": "x", "opsgenie_config": {"url": "https://x"}}, {}),
        (
            {"slack_config": HOOK},
            {"alert_on": ["trigger_failure", "trigger_passed_sla"], "services": {"slack_config": 1}},
        ),
        (
            {"alert_on": "trigger_success", "teams_config": {"webhook_url": ["https://a", "", "https://b"]}},
            {"alert_on": ["trigger_success"], "services": {"teams_config": 2}},
        ),
        (
            {"alert_on": None, "email_config": {"smtp_host": "mail", "to_emails": ["a@b.c"]}, "unknown_config": HOOK},
            {"alert_on": [], "services": {"email_config": 1}},
        ),
        ({"alert_on": [], "opsgenie_config": {"api_key": "k"}}, {"alert_on": [], "services": {"opsgenie_config": 1}}),
    ],
)
def test_it_is_known_on_what_and_through_which_services(config: dict[str, Any], asked: dict[str, Any]) -> None:
    assert asked_for(config) == asked


def test_an_address_may_be_one_of_many() -> None:
    assert addresses_of("teams_config", {"teams_config": {"webhook_url": ["https://a", "https://b"]}}) == [
        "https://a",
        "https://b",
    ]


def test_a_pipeline_says_it_over_its_project(root: Path) -> None:
    write(root, "notification_config: {alert_on: [trigger_failure], slack_config: {webhook_url: 'https://a'}}\n")
    write(root / "pipelines/etl", "notification_config: {slack_config: {webhook_url: \"{{ env_var('HOOK') }}\"}}\n")

    config = notification_config(root, "etl", env={"HOOK": "https://b"})

    assert config == {"alert_on": ["trigger_failure"], "slack_config": {"webhook_url": "https://b"}}


def test_overrides_of_a_pipeline_count_as_the_projects(root: Path) -> None:
    write(root, "notification_config: {alert_on: [trigger_failure]}\n")
    write(root / "pipelines/etl", "overrides: {notification_config: {alert_on: [trigger_success]}}\n")

    assert notification_config(root, "etl", env={}) == {"alert_on": ["trigger_success"]}


def test_a_project_without_a_file_of_its_own_has_none(root: Path) -> None:
    assert notification_config(root, "etl", env={}) == {}


def test_files_that_cannot_be_read_say_why(root: Path) -> None:
    write(root / "pipelines/etl", "name: [\n")

    with pytest.raises(FileFault):
        notification_config(root, "etl", env={})
