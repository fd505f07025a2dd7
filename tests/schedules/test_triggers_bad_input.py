"""Every way to write triggers.yaml wrong: told with its line and what would be right, and nothing changes."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.test import override_settings

from schedules.files import triggers_yaml
from schedules.files.triggers_file import BrokenTriggers, read_triggers
from schedules.models import PipelineSchedule
from tests.factories import NOON
from tests.pipelines.project_on_disk import ProjectOnDisk
from tests.schedules.coded import FILE, PATH, Coded

ENTRY = "triggers:\n- name: night\n  schedule_interval: '@daily'\n"  # the next line is the fourth
LAUGHS = "a: &a [x, x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"{new}: &{new} [{', '.join([f'*{old}'] * 10)}]\n" for old, new in zip("abcdefgh", "bcdefghi", strict=True)
)


@pytest.fixture
def coded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Coded]:
    monkeypatch.setenv("WHAT", "Loads the day.")
    triggers_yaml.forget()
    with override_settings(PROJECT_DIR=tmp_path, ENV="dev"):
        yield Coded(tmp_path)
    triggers_yaml.forget()


MISTAKES: list[tuple[str | bytes, int | None, str, str]] = [
        (ENTRY + "  variables: {a: [1, 2}\n", 4, "Column 23: ", ""),
        (ENTRY + "\tstatus: active\n", 4, "Column 1: ", "Indent with spaces"),
        (ENTRY + "  variables:\n\t\ta: 1\n", 5, "Column 1: ", "Indent with spaces"),
        (ENTRY + "  description: a: b\n", 4, "Column 17: ", "Quote a text that contains a colon"),
        ("triggers: !!python/object/apply:os.system ['true']\n", 1, "Tags are not allowed (tag:yaml.org,2002:pyt", ""),
        (ENTRY + "  sla: !!int '60'\n", 4, "Tags are not allowed", "Write the plain value"),
        (ENTRY + "  !x sla: 60\n", 4, "Tags are not allowed", "Write the plain key"),
        (LAUGHS + ENTRY, 5, "There are more than 100,000 values.", "Make the file smaller."),
        (ENTRY + "  tags: [" + "[" * 100 + "]" * 100 + "]\n", 4, "Values are nested more than 32 deep.", ""),
        (ENTRY + "  variables: {a: &a 1, b: [" + "*a, " * 101 + "]}\n", 4, "There are more than 100 aliases.", ""),
        (ENTRY + "  variables: &a {b: *a}\n", 4, "The alias *a names nothing that is complete.", ""),
        (ENTRY + "#" * 2**20, None, "The file has 1,048,", ""),
        (ENTRY + "  shedule_type: time\n", 4, "unknown key 'shedule_type'.", "Did you mean schedule_type"),
        (ENTRY + "  status: yes\n", 4, "status: yes is read as true.", "Write active."),
        (ENTRY + "  status: off\n", 4, "status: off is read as false.", "Write inactive."),
        (ENTRY + "  status: on hold\n", 4, "status: 'on hold' is not known.", "Use one of: active, inactive."),
        (ENTRY + "  name: again\n", 4, "The key 'name' is here twice.", "Keep one of them."),
        (ENTRY.replace("'@daily'", "*/5 * * * *"), 3, "", "Quote"),
        (ENTRY.replace("'@daily'", "@daily"), 3, "", "Quote the expression, for example '*/5 * * * *' or '@daily'."),
        (ENTRY.replace("'@daily'", "0 12 * *"), 3, "A cron expression has exactly 5 fields", ""),
        (ENTRY.replace("'@daily'", "0 0 31 2 *"), 3, "This schedule never fires", ""),
        (
            ENTRY + "  start_time: 2025-03-30 02:30:00\n  timezone: Europe/Berlin\n",
            4,
            "start_time: 2025-03-30 02:30 does not exist in Europe/Berlin.",
            "Use 03:00.",
        ),
        (ENTRY + "  start_time: 2025-02-30\n", 4, "'2025-02-30' is not a value.", "Quote it if it is a text."),
        (ENTRY + "  start_time: 2025-03-02\n  end_time: 2025-03-01\n", 5, "Start must be before end.", ""),
        (ENTRY + "  sla: 010\n", 4, "sla: '010' is not a number of seconds.", "Write a whole number of seconds"),
        (ENTRY + "  sla: 12:30:00\n", 4, "sla: '12:30:00' is not a number of seconds.", "Write a whole number"),
        (ENTRY + "  sla: -5\n", 4, "sla: '-5' is not a number of seconds.", "Write a whole number of seconds"),
        (ENTRY + "  sla: .inf\n", 4, ".inf is not a finite number.", ""),
        (ENTRY + "  settings: {timeout: 010x}\n", 4, "timeout must be", ""),
        (ENTRY + "- name: night\n  schedule_type: api\n", 4, "There are two triggers named 'night'.", "Give each"),
        (ENTRY + "  id: 7\n- name: b\n  id: '7'\n  schedule_type: api\n", 6, "There are two triggers with the id", ""),
        (ENTRY + "<<<<<<< HEAD\n  sla: 1\n=======\n  sla: 2\n>>>>>>> b\n", 4, "This looks like an unresolved", ""),
        (ENTRY + "<<<<<<<\n", 4, "This looks like an unresolved merge.", "Resolve the conflict"),
        (ENTRY + "||||||| base\n", 4, "This looks like an unresolved merge.", "Resolve the conflict"),
        (ENTRY.encode("utf-16"), 1, "The file is not UTF-8 at byte 0.", "Save it as UTF-8."),
        (ENTRY.encode() + b"  description: \xe9t\xe9\n", 4, "The file is not UTF-8 at byte 69.", "Save it as UTF-8."),
        (ENTRY + "  description: a\0b\n", 4, "The file contains a NUL character.", ""),
        (ENTRY + '  description: "a\\0b"\n', 4, "This text contains a character that cannot be stored.", ""),
        (ENTRY + "  envs: [production]\n", 4, "envs: 'production' is not known.", "Use: dev, test, staging, prod."),
        (ENTRY + "  tags: {a: b}\n", 4, "tags must be a list of names.", "Write tags: [first, second]."),
        (ENTRY + "  variables: [a]\n", 4, "variables must have keys and values.", ""),
        (ENTRY + "  description: [a]\n", 4, "description must be a text.", ""),
        (ENTRY + "  description: {{ env_var('A') }}: b\n", 4, "", ""),
        (ENTRY + "  description: '{% if x %}'\n", 4, "{% … %} is not supported here.", "Use {{ … }}."),
        (ENTRY + "  token: \"{{ secret_var('nothing') }}\"\n", 4, "token: The secret 'nothing' is not stored.", ""),
        (ENTRY + "---\ntriggers: []\n", 4, "There is a second document (after ---).", ""),
        ("- name: night\n", 1, "The file must have keys and values.", ""),
        ("triggers: {name: night}\n", 1, "triggers must be a list.", ""),
        ("triggers: [night]\n", 1, "Entry 1 of triggers must have keys and values.", ""),
]  # fmt: skip


@pytest.mark.parametrize(("text", "line", "reason", "hint"), MISTAKES)
def test_a_mistake_is_told_with_its_line_and_what_would_be_right(
    tmp_path: Path, text: str | bytes, line: int | None, reason: str, hint: str
) -> None:
    ProjectOnDisk(tmp_path).write(PATH, text if isinstance(text, bytes) else text.encode())

    with pytest.raises(BrokenTriggers) as caught:
        read_triggers(tmp_path, "etl", secret=lambda name: None, env={})

    (found,) = caught.value.problems
    assert (found["file"], found["line"]) == (PATH, line)
    assert found["reason"].startswith(reason)
    assert found["hint"].startswith(hint)
    assert len(found["reason"]) < 300


@pytest.mark.django_db
def test_none_of_these_changes_a_row_and_each_is_shown(coded: Coded) -> None:
    before = list(PipelineSchedule.objects.order_by("pk").values())
    for text, line, *_ in MISTAKES:
        coded.file.write_bytes(text if isinstance(text, bytes) else text.encode())

        diffs = [
            triggers_yaml.sync(coded.project.root, NOON),
            triggers_yaml.apply(coded.project.root, NOON, prune=True),
        ]

        assert [[found["line"] for found in diff.problems] for diff in diffs] == [[line], [line]]
        assert coded.row().pipeline.trigger_problems == diffs[0].problems
        assert list(PipelineSchedule.objects.order_by("pk").values()) == before


@pytest.mark.django_db
@pytest.mark.parametrize(
    "change",
    [lambda text: b"\xef\xbb\xbf" + text, lambda text: text.replace(b"\n", b"\r\n"), lambda text: text.rstrip(b"\n")],
    ids=["byte order mark", "windows line ends", "no last line end"],
)
def test_what_editors_do_to_a_text_is_no_change(coded: Coded, change: Any) -> None:
    coded.file.write_bytes(change(FILE.encode()))

    diff = triggers_yaml.apply(coded.project.root, NOON)

    assert (diff, diff.unchanged) == (triggers_yaml.Diff(), 2)


@pytest.mark.django_db
def test_a_token_in_clear_text_is_taken_and_warned_about_without_being_shown(coded: Coded) -> None:
    (warning,) = coded.take_over(FILE + "  token: hush-hush\n").warnings

    assert (warning["line"], warning["reason"]) == (22, "The token is in clear text.")
    assert warning["hint"] == "Put the token in a secret: token: \"{{ secret_var('etl_token') }}\"."
    assert coded.row("call").token_matches("hush-hush")
