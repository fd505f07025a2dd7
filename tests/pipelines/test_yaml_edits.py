"""Edits of a yaml text: what is meant changes, every other character stays."""

import difflib
from datetime import datetime
from typing import Any

import pytest
import yaml

from pipelines.yaml_edits import CannotEdit, append, remove, set_value, text_at

FILE = """\
# Triggers of the night. \u00fc\U0001f600

triggers:   # two of them
# the first
- name:   "every night"   # quoted
  schedule_interval: '30 2 * * *'
  sla:   # none yet
  description: |
    Loads the night.

    All of it.

  # about variables
  variables: {country: DE, days: [1, 2],}
  settings:
    timeout: 60        # seconds
    # retries are dear
    retry_config: {retries: 1}
# the second
-   name: other
    tags:
    - x
    - y   # why
    status: inactive
# the end
"""
FIRST, SECOND = ("triggers", 0), ("triggers", 1)


def difference(before: str, after: str) -> list[str]:
    """The lines taken out (-) and put in (+)."""
    lines = difflib.ndiff(before.splitlines(), after.splitlines())
    return [line for line in lines if line.startswith(("- ", "+ "))]


def at(text: str, *path: str | int) -> Any:
    found = yaml.safe_load(text)
    for step in path:
        found = found[step]
    return found


@pytest.mark.parametrize(
    ("path", "value", "lines"),
    [
        (
            (*FIRST, "name"),
            "each night",
            ['- - name:   "every night"   # quoted', '+ - name:   "each night"   # quoted'],
        ),
        (
            (*FIRST, "schedule_interval"),
            "@daily",
            ["-   schedule_interval: '30 2 * * *'", "+   schedule_interval: '@daily'"],
        ),
        ((*FIRST, "sla"), 600, ["-   sla:   # none yet", "+   sla: 600   # none yet"]),
        ((*SECOND, "status"), "active", ["-     status: inactive", "+     status: active"]),
        ((*SECOND, "tags"), ["z"], ["-     - x", "-     - y   # why", "+     - z   # why"]),
        ((*SECOND, "tags"), [], ["-     tags:", "-     - x", "-     - y   # why", "+     tags: []   # why"]),
        (
            (*FIRST, "settings", "timeout"),
            90,
            ["-     timeout: 60        # seconds", "+     timeout: 90        # seconds"],
        ),
        ((*FIRST, "settings", "skip"), True, ["+     skip: true"]),
        (
            (*FIRST, "settings"),
            None,
            [
                "-   settings:",
                "-     timeout: 60        # seconds",
                "-     # retries are dear",
                "-     retry_config: {retries: 1}",
                "+   settings: null",
            ],
        ),
        (
            (*FIRST, "variables", "country"),
            "no",
            [
                "-   variables: {country: DE, days: [1, 2],}",
                "+   variables: {country: 'no', days: [1, 2],}",
            ],
        ),
        (
            (*FIRST, "start_time"),
            datetime(2025, 3, 1, 6),
            ["+   start_time: 2025-03-01 06:00:00"],
        ),
        (
            (*FIRST, "description"),
            "Short.",
            [
                "-   description: |",
                "+   description: |-",
                "-     Loads the night.",
                "- ",
                "-     All of it.",
                "+     Short.",
            ],
        ),
    ],
)
def test_only_the_value_changes(path: tuple[str | int, ...], value: Any, lines: list[str]) -> None:
    after = set_value(FILE, path, value)

    assert at(after, *path) == value
    assert sorted(difference(FILE, after)) == sorted(lines)


@pytest.mark.parametrize(
    "text",
    [
        "yes",
        "010",
        "12:30:00",
        "2025-03-01",
        "null",
        "*/5 * * * *",
        "@daily",
        "a: b",
        "x # y",
        "",
        " ",
        "- a",
        "{a}",
        'it\'s "so"',
        "two\nlines",
        "a\r\nb\t",
        "ende ü😀",
        "x" * 300,
        "&a",
        "!b",
        "%c",
        "~",
        "1e3",
        "a, b]",
    ],
)
@pytest.mark.parametrize(
    "path",
    [
        (*FIRST, "name"),
        (*FIRST, "description"),
        (*FIRST, "variables", "country"),
        (*SECOND, "description"),
        (*FIRST, "sla"),
    ],
)
def test_a_text_is_read_back_as_the_same_text(path: tuple[str | int, ...], text: str) -> None:
    after = set_value(FILE, path, text)

    assert at(after, *path) == text
    expected = yaml.safe_load(FILE)
    expected["triggers"][path[1]] = at(after, *path[:2])
    assert yaml.safe_load(after) == expected


@pytest.mark.parametrize(
    ("path", "lines"),
    [
        ((*FIRST, "settings", "timeout"), ["-     timeout: 60        # seconds"]),
        ((*FIRST, "settings", "retry_config"), ["-     retry_config: {retries: 1}"]),
        ((*FIRST, "description"), ["-   description: |", "-     Loads the night.", "- ", "-     All of it."]),
        (
            (*FIRST, "variables", "country"),
            ["-   variables: {country: DE, days: [1, 2],}", "+   variables: {days: [1, 2],}"],
        ),
        (
            (*FIRST, "variables", "days"),
            ["-   variables: {country: DE, days: [1, 2],}", "+   variables: {country: DE,}"],
        ),
        (SECOND, ["- -   name: other", "-     tags:", "-     - x", "-     - y   # why", "-     status: inactive"]),
    ],
)
def test_only_what_is_removed_goes_and_comments_around_it_stay(path: tuple[str | int, ...], lines: list[str]) -> None:
    after = remove(FILE, path)

    assert difference(FILE, after) == lines
    assert yaml.safe_load(after)


def test_an_entry_leaves_the_comment_of_the_next_one_alone() -> None:
    after = remove(FILE, FIRST)

    assert [entry["name"] for entry in at(after, "triggers")] == ["other"]
    assert "# the second\n-   name: other\n" in after
    assert "# the first\n" in after


def test_the_first_key_after_a_dash_becomes_empty() -> None:
    assert at(remove(FILE, (*FIRST, "name")), *FIRST, "name") is None


ENTRY = {"name": "new", "schedule_interval": "*/5 * * * *", "variables": {"a": "b"}}
NEW = ["- name: new", "  schedule_interval: '*/5 * * * *'", "  variables: {a: b}"]


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("", ["triggers:", *NEW]),
        ("# nothing yet\n", ["# nothing yet", "triggers:", *NEW]),
        ("triggers:\n", ["triggers:", *NEW]),
        ("triggers:  # none\n# end\n", ["triggers:  # none", *NEW, "# end"]),
        ("triggers: []  # none\n", ["triggers:  # none", *NEW]),
        ("triggers: null", ["triggers:", *NEW]),
        (
            "---\ntriggers:\n  - name: a # x\n\n# end",
            ["---", "triggers:", "  - name: a # x", *[f"  {line}" for line in NEW], "", "# end"],
        ),
        ("triggers:\n- {name: a}", ["triggers:", "- {name: a}", *NEW]),
        (
            "triggers: [{name: a}]  # b\n",
            ["triggers: [{name: a}, {name: new, schedule_interval: '*/5 * * * *', variables: {a: b}}]  # b"],
        ),
        ("x: 1\n", ["x: 1", "triggers:", *NEW]),
    ],
)
def test_an_entry_is_put_at_the_end_of_the_list(before: str, after: list[str]) -> None:
    text = append(before, "triggers", ENTRY)

    assert text.splitlines() == after
    assert at(text, "triggers")[-1] == ENTRY


def test_a_long_mapping_is_put_on_several_lines() -> None:
    entry = {"name": "new", "settings": {"retry_config": {"retries": 3}, "reason": "x" * 100}}

    text = append("", "triggers", entry)

    assert text.splitlines()[2:] == ["  settings:", "    retry_config: {retries: 3}", f"    reason: {'x' * 100}"]
    assert at(text, "triggers") == [entry]


ALIASED = "triggers:\n- name: a\n  variables: &v {a: 1}\n- name: b\n  variables: *v\n- <<: {sla: 1}\n  name: c\n"


def test_what_is_written_with_an_alias_is_refused() -> None:
    for change in (
        lambda: set_value(ALIASED, (*SECOND, "variables", "a"), 2),
        lambda: set_value(ALIASED, (*SECOND, "variables"), {}),
        lambda: remove(ALIASED, (*SECOND, "variables")),
        lambda: remove(ALIASED, ("triggers", 2, "sla")),
    ):
        with pytest.raises(CannotEdit):
            change()


def test_a_key_beside_an_alias_or_a_merge_is_added() -> None:
    assert at(set_value(ALIASED, (*SECOND, "sla"), 5), *SECOND) == {"name": "b", "variables": {"a": 1}, "sla": 5}
    assert at(set_value(ALIASED, ("triggers", 2, "sla"), 5), "triggers", 2) == {"name": "c", "sla": 5}


def test_what_is_written_at_a_path_can_be_looked_at() -> None:
    assert text_at(FILE, (*FIRST, "schedule_interval")) == "'30 2 * * *'"
    assert text_at(FILE, (*FIRST, "end_time")) == text_at(FILE, (*FIRST, "sla")) == ""
