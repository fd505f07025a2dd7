"""Reading triggers.yaml: Mage's format is taken, each mistake has its line."""

from datetime import UTC, datetime
from typing import Any

import pytest

from schedules.files.triggers_file import BrokenTriggers, Entry, read_triggers
from tests.pipelines.project_on_disk import ProjectOnDisk

MAGES_OWN = """
    triggers:
    - description: Loads the day
      envs: []
      last_enabled_at: 2024-05-01 12:34:56.789012
      name: Daily load (v2)
      pipeline_uuid: etl
      schedule_interval: 0 12 * * *
      schedule_type: time
      settings:
        skip_if_previous_running: true
        allow_blocks_to_fail: false
        invalid_schedule_interval: false
      sla: 3600
      start_time: 2024-05-01 00:00:00
      status: active
      token: 0123456789abcdef
      variables:
        day: monday
        limit: 10
    - name: on demand
      pipeline_uuid: etl
      schedule_interval: null
      schedule_type: api
      settings: null
      sla: null
      start_time: null
      status: inactive
      variables: {}
"""

GAP = "start_time: 2025-03-30 02:30:00\n  timezone: Europe/Berlin"


@pytest.fixture
def project(tmp_path: Any) -> ProjectOnDisk:
    return ProjectOnDisk(tmp_path)


def read(project: ProjectOnDisk, text: str | bytes, **env: str) -> list[Entry]:
    project.write("pipelines/etl/triggers.yaml", text)
    return read_triggers(project.root, "etl", secret={"key": "hush"}.get, env=env).entries


def problems(project: ProjectOnDisk, text: str | bytes) -> list[dict[str, Any]]:
    with pytest.raises(BrokenTriggers) as caught:
        read(project, text)
    return caught.value.problems


def one(line: str) -> str:
    """A file with one otherwise valid time trigger; the given line is its fifth."""
    return f"triggers:\n- name: daily\n  schedule_type: time\n  status: active\n  {line}\n" + (
        "" if line.startswith("schedule_interval") else "  schedule_interval: '@daily'\n"
    )


def test_a_file_that_mage_wrote_is_read(project: ProjectOnDisk) -> None:
    daily, on_demand = read(project, MAGES_OWN)

    assert (daily.name, daily.schedule_interval, daily.timezone, daily.is_active) == (
        "Daily load (v2)", "0 12 * * *", "UTC", True,
    )  # fmt: skip
    assert daily.start_time == datetime(2024, 5, 1, tzinfo=UTC)
    assert (daily.sla, daily.variables) == (3600, {"day": "monday", "limit": 10})
    assert daily.settings["skip_if_previous_running"] is True
    assert (on_demand.schedule_type, on_demand.is_active, on_demand.sla) == ("api", False, None)


def test_a_time_without_offset_is_the_wall_clock_of_the_triggers_zone(project: ProjectOnDisk) -> None:
    (entry,) = read(project, one("start_time: 2025-07-01 06:00:00\n  timezone: Europe/Berlin"))

    assert entry.start_time == datetime(2025, 7, 1, 4, tzinfo=UTC)


def test_an_offset_that_is_written_counts(project: ProjectOnDisk) -> None:
    (entry,) = read(project, one("end_time: 2025-07-01T06:00:00+09:00\n  timezone: Europe/Berlin"))

    assert entry.end_time == datetime(2025, 6, 30, 21, tzinfo=UTC)


def test_a_token_may_come_from_a_secret_or_the_environment(project: ProjectOnDisk) -> None:
    (entry,) = read(project, one("token: \"{{ secret_var('key') }}\""))
    (other,) = read(project, one("token: \"{{ env_var('TOKEN') }}\""), TOKEN="from outside")

    assert (entry.token, other.token) == ("hush", "from outside")


def test_a_token_in_clear_text_and_a_strange_owner_are_warned_about(project: ProjectOnDisk) -> None:
    project.write("pipelines/etl/triggers.yaml", one("token: abc\n  pipeline_uuid: other"))

    warnings = read_triggers(project.root, "etl", secret=lambda name: None, env={}).warnings

    assert [(warning["line"], warning["reason"]) for warning in warnings] == [
        (6, "pipeline_uuid is 'other', but the file is that of etl."),
        (5, "The token is in clear text."),
    ]


def test_a_misspelt_setting_is_warned_about_and_one_of_others_is_not(project: ProjectOnDisk) -> None:
    project.write("pipelines/etl/triggers.yaml", one("settings: {catch_up: all, team_channel: data}"))

    (warning,) = read_triggers(project.root, "etl", secret=lambda name: None, env={}).warnings

    assert warning["reason"] == "Unknown setting: catch_up."
    assert warning["hint"] == "Did you mean catchup?"


@pytest.mark.parametrize("text", ["", "triggers:\n", "triggers: []\n", "# nothing yet\n"])
def test_an_empty_file_has_no_triggers(project: ProjectOnDisk, text: str) -> None:
    assert read(project, text) == []


def test_byte_order_mark_and_windows_line_ends_are_accepted(project: ProjectOnDisk) -> None:
    (entry,) = read(project, b"\xef\xbb\xbf" + one("description: x").replace("\n", "\r\n").encode())

    assert entry.description == "x"


@pytest.mark.parametrize(
    ("line", "reason", "hint"),
    [
        ("shedule_type: time", "unknown key 'shedule_type'.", "Did you mean schedule_type"),
        ("schedule_interval: 61 * * * *", "Minute: 61 is outside 0–59.", ""),
        ("schedule_interval: '@every 5m'", "'@every 5m' is not known.", "Write */5 * * * *."),
        ("schedule_interval: every 5", "The unit is missing after '5'.", "Write every 90 minutes"),
        ("schedule_interval: RRULE:FREQ=SECONDLY", "RRULE: FREQ=SECONDLY is not supported", "Use YEARLY"),
        ("schedule_interval: on monday", "'monday' is not a date and time.", "Write dates such as"),
        ("settings: {dst_missing: later}", 'dst_missing must be "at_next_valid" or "skipped"', ""),
        ("timezone: Europe/Berln", "Unknown time zone.", "Did you mean Europe/Berlin?"),
        (GAP, "start_time: 2025-03-30 02:30 does not exist in Europe/Berlin.", "Use 03:00."),
        ("start_time: tomorrow", "start_time: 'tomorrow' is not a date and time.", "Write 2025-03-01 06:00:00."),
        ("end_time: 2025-01-01\n  start_time: 2025-01-02", "Start must be before end.", ""),
        ("sla: 010", "sla: '010' is not a number of seconds.", "Write a whole number"),
        ("sla: 12:30:00", "sla: '12:30:00' is not a number of seconds.", "Write a whole number"),
        ("sla: -5", "sla: '-5' is not a number of seconds.", "Write a whole number"),
        ("sla: 1e99", "sla: '1e99' is not a number of seconds.", "Write a whole number"),
        ("sla: 31536001", "sla: '31536001' is not a number of seconds.", "Write a whole number"),
        ("variables: [1, 2]", "variables must have keys and values.", ""),
        ("settings: {timeout: soon}", "timeout must be a number of seconds", ""),
        ("settings: {retry_config: {retries: -1}}", "retry_config.retries must be a whole number", ""),
        ("envs: [prd]", "envs: 'prd' is not known.", "Did you mean prod?"),
        ("tags: {a: b}", "tags must be a list of names.", ""),
        ("token: \"{{ secret_var('missing') }}\"", "token: The secret 'missing' is not stored.", ""),
    ],
)  # fmt: skip
def test_a_wrong_value_is_told_with_its_line(project: ProjectOnDisk, line: str, reason: str, hint: str) -> None:
    (problem,) = problems(project, one(line))

    assert problem["file"] == "pipelines/etl/triggers.yaml"
    assert problem["line"] == 5
    assert problem["reason"].startswith(reason)
    assert problem["hint"].startswith(hint)


def test_yes_is_not_a_status(project: ProjectOnDisk) -> None:
    (problem,) = problems(project, "triggers:\n- name: daily\n  schedule_interval: '@daily'\n  status: yes\n")

    assert (problem["line"], problem["reason"], problem["hint"]) == (4, "status: yes is read as true.", "Write active.")


@pytest.mark.parametrize("name", ["", "   ", "x" * 101, '"a\\nb"'])
def test_a_name_must_be_there_and_short(project: ProjectOnDisk, name: str) -> None:
    (problem,) = problems(project, f"triggers:\n- name: {name}\n  schedule_interval: '@daily'\n")

    assert (problem["line"], problem["reason"]) == (2, "name must have 1–100 characters.")


def test_a_time_trigger_needs_an_interval(project: ProjectOnDisk) -> None:
    (problem,) = problems(project, "triggers:\n- name: daily\n  status: active\n")

    assert (problem["line"], problem["reason"]) == (2, "A schedule interval is required.")


def test_a_name_that_is_there_twice_is_refused(project: ProjectOnDisk) -> None:
    entry = "- name: daily\n  schedule_interval: '@daily'\n"

    (problem,) = problems(project, f"triggers:\n{entry}{entry}")

    assert (problem["line"], problem["reason"]) == (4, "There are two triggers named 'daily'.")


def test_all_mistakes_are_told_at_once(project: ProjectOnDisk) -> None:
    found = problems(
        project, "triggers:\n- name: a\n  schedule_interval: never\n- name: b\n  schedule_type: tme\n  sla: x\n"
    )

    assert [problem["line"] for problem in found] == [3, 5, 6]


@pytest.mark.parametrize(
    ("text", "line", "words"),
    [
        ("triggers:\n- name: x\n  schedule_interval: */5 * * * *\n", 3, "'*/5 * * * *'"),
        ("triggers:\n- name: x\n\tstatus: active\n", 3, "tab"),
        ("triggers:\n<<<<<<< HEAD\n- name: x\n", 2, "unresolved merge"),
        ("triggers: !!python/object/apply:os.system ['true']\n", 1, "Tags are not allowed"),
        ("- name: x\n", 1, "keys and values"),
        ("triggers: {name: x}\n", 1, "triggers must be a list"),
        ("triggers:\n- just a text\n", 2, "Entry 1 of triggers"),
    ],
)
def test_a_file_that_is_no_list_of_triggers_is_refused(
    project: ProjectOnDisk, text: str, line: int, words: str
) -> None:
    (problem,) = problems(project, text)

    assert problem["line"] == line
    assert words in f"{problem['reason']} {problem['hint']}"
