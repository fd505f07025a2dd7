"""Changes on the pages and in the API are written back into triggers.yaml, and nothing else in it is."""

import os
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from django.test import override_settings

from pipelines import catalog, secrets
from pipelines.refusal import Refusal
from schedules import triggers
from schedules.files import triggers_yaml
from schedules.models import PipelineSchedule, Source
from tests.factories import NOON
from tests.schedules.coded import FILE, PATH, Coded

pytestmark = pytest.mark.django_db


@pytest.fixture
def coded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Coded]:
    monkeypatch.setenv("WHAT", "Loads the day.")
    triggers_yaml.forget()
    with override_settings(PROJECT_DIR=tmp_path, ENV="dev"):
        yield Coded(tmp_path)
    triggers_yaml.forget()


@pytest.mark.parametrize(
    ("fields", "lines"),
    [
        (
            {"schedule_interval": "@daily"},
            ["-  schedule_interval: '0 6 * * 1-5'   # working days", "+  schedule_interval: '@daily'   # working days"],
        ),
        ({"sla": timedelta(minutes=10)}, ["+  sla: 600"]),
        ({"tags": ["a", "b"]}, ["+  tags: [a, b]"]),
        (
            {
                "start_time": datetime(2025, 7, 31, 22, tzinfo=UTC),
                "end_time": datetime(2025, 10, 26, 1, 30, tzinfo=UTC),
            },
            [
                "-  start_time: 2025-07-01 00:00:00",
                "+  start_time: 2025-08-01 00:00:00",
                "+  end_time: 2025-10-26 02:30:00+01:00",  # the second half past two of that night
            ],
        ),
        ({"start_time": None}, ["-  start_time: 2025-07-01 00:00:00", "+  start_time: null"]),
        (
            {"settings": {"timeout": 60, "skip_if_previous_running": True, "dst_missing": "skipped"}},
            [
                "-  settings: {timeout: 600, skip_if_previous_running: true}",
                "+  settings: {timeout: 60, skip_if_previous_running: true, dst_missing: skipped}",
            ],
        ),
        (
            {"settings": {"timeout": 600}},
            ["-  settings: {timeout: 600, skip_if_previous_running: true}", "+  settings: {timeout: 600}"],
        ),
    ],
)  # fmt: skip
def test_only_what_was_changed_is_written(coded: Coded, fields: dict[str, Any], lines: list[str]) -> None:
    coded.change(**fields)

    assert coded.difference() == lines
    assert coded.is_in_step()


def test_a_new_zone_keeps_the_moment_of_its_start(coded: Coded) -> None:
    coded.change(timezone="UTC")

    assert coded.difference() == [
        "-  timezone: Europe/Berlin",
        "-  start_time: 2025-07-01 00:00:00",
        "+  timezone: UTC",
        "+  start_time: 2025-06-30 22:00:00",
    ]
    assert coded.is_in_step()


def test_one_variable_changes_and_its_neighbours_stay(coded: Coded) -> None:
    row = coded.row()

    coded.change(variables={**row.variables, "country": "no", "depth": {"a": 1, "b": [1, 2], "c": True}})

    assert coded.difference() == [
        "-    country: DE   # see the list",
        "+    country: 'no'   # see the list",
        "-    depth: {a: 1, b: [1, 2]}",
        "+    depth: {a: 1, b: [1, 2], c: true}",
    ]
    assert coded.is_in_step()


def test_a_variable_is_taken_out(coded: Coded) -> None:
    row = coded.row()

    coded.change(variables={name: value for name, value in row.variables.items() if name != "country"})

    assert coded.difference() == ["-    country: DE   # see the list"]
    assert coded.is_in_step()


def test_a_rename_keeps_the_row_and_leaves_the_former_name_as_id(coded: Coded) -> None:
    before = coded.row().pk

    coded.change(name="early")

    assert coded.difference() == [
        '-- name:   "morning"   # not "daily"',
        '+- name:   "early"   # not "daily"',
        "+  id: morning",
    ]
    assert (coded.row("early").pk, coded.row("early").code_id) == (before, "morning")
    assert coded.is_in_step()
    coded.change("early", name="earlier")
    assert coded.row("earlier").code_id == "morning"


def test_another_host_keeps_the_history_when_it_gets_the_renamed_entry(coded: Coded) -> None:
    """Its rows still have the former name, and no id."""
    before = coded.row()
    coded.change(name="early")
    PipelineSchedule.objects.filter(pk=before.pk).update(name="morning", code_id="", source_hash=before.source_hash)

    triggers_yaml.apply(coded.project.root, NOON)

    assert coded.row("early").pk == before.pk


def test_pause_and_resume_are_written_too(coded: Coded) -> None:
    assert triggers.pause(coded.row(), NOON) == ""
    assert coded.difference() == ["-  status: active", "+  status: inactive"]
    assert not coded.row().is_active
    assert coded.is_in_step()

    assert triggers.resume(coded.row(), NOON) == ""
    assert coded.text() == FILE
    assert coded.row().is_active
    assert coded.is_in_step()


def test_an_edit_and_a_pause_are_one_change(coded: Coded) -> None:
    coded.change(is_active=False, schedule_interval="@daily")

    assert len(coded.difference()) == 4
    assert not coded.row().is_active
    assert coded.is_in_step()


def test_deleting_takes_the_entry_out_and_leaves_the_comments_of_others(coded: Coded) -> None:
    triggers.delete(coded.row())

    assert coded.text() == FILE[: FILE.index("- name:   ")] + FILE[FILE.index("# On demand.") :]
    assert coded.is_in_step()
    triggers.delete(coded.row("call"))
    assert coded.is_in_step()
    assert not PipelineSchedule.objects.exists()


def test_mode_line_ends_and_byte_order_mark_stay(coded: Coded) -> None:
    coded.take_over(b"\xef\xbb\xbf" + FILE.replace("\n", "\r\n").encode())
    coded.file.chmod(0o640)

    coded.change(schedule_interval="@daily")

    raw = coded.file.read_bytes()
    assert raw == b"\xef\xbb\xbf" + FILE.replace("0 6 * * 1-5", "@daily").replace("\n", "\r\n").encode()
    assert coded.file.stat().st_mode & 0o777 == 0o640


def test_a_form_that_changes_nothing_writes_nothing(coded: Coded) -> None:
    before = coded.file.stat()

    coded.change(description=coded.row().description, is_active=True)

    assert coded.file.stat() == before


# --- refused ----------------------------------------------------------------------------------------------------------


def refusal_of(change: Callable[[], object]) -> str:
    """Why a change is refused; nothing may have changed."""
    before = list(PipelineSchedule.objects.order_by("pk").values())
    with pytest.raises(Refusal) as caught:
        change()
    assert list(PipelineSchedule.objects.order_by("pk").values()) == before
    assert caught.value.code in ("conflict", "duplicate_name", "invalid_name")
    return str(caught.value)


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"description": "Typed."}, "description comes from a {{ … }}."),
        ({"tags": ["{{ env_var('HOME') }}"]}, "tags: {{ … }} is only read in the file itself."),
        ({"schedule_type": "api", "schedule_interval": "{% x %}"}, "A trigger of type api has no interval."),
        ({"name": "call"}, "There are two triggers named 'call'."),
        ({"name": "../x"}, "Name: 1–100 letters"),
    ],
)
def test_what_cannot_be_written_is_refused(coded: Coded, fields: dict[str, Any], reason: str) -> None:
    if "schedule_type" in fields:
        with pytest.raises(Refusal, match="has no interval"):
            coded.change(**fields)
    else:
        assert reason in refusal_of(lambda: coded.change(**fields))
    assert coded.text() == FILE


def test_a_value_that_comes_from_a_secret_is_not_written_over(coded: Coded) -> None:
    row = coded.row()

    assert "secret comes from a {{ … }}" in refusal_of(lambda: coded.change(variables={**row.variables, "secret": "x"}))
    assert "is only read in the file" in refusal_of(
        lambda: coded.change(variables={**row.variables, "other": "{{ secret_var('nobody_has_it') }}"})
    )
    assert coded.text() == FILE


CHANGES: dict[str, Callable[[Coded], object]] = {
    "change": lambda coded: coded.change(schedule_interval="@daily"),
    "delete": lambda coded: triggers.delete(coded.row()),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (FILE.replace("0 6", "61 6"), "triggers.yaml line 6: Hour: 61 is outside 0–23."),
        (FILE.replace("0 6", "0 7"), "was changed meanwhile"),
        (FILE.replace('"morning"', '"early"'), "was changed meanwhile"),
        ("", "was changed meanwhile"),
        (FILE + "\tx", "Indent with spaces"),
    ],
)
def test_a_file_that_is_not_what_was_taken_over_is_left_alone(
    coded: Coded, change: Callable[[Coded], object], text: str, reason: str
) -> None:
    coded.file.write_text(text.replace("61 6", "0 61"))

    assert reason in refusal_of(lambda: change(coded))
    assert coded.text() == text.replace("61 6", "0 61")


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_a_read_only_file_is_left_alone(coded: Coded, change: Callable[[Coded], object]) -> None:
    coded.file.chmod(0o444)

    assert f"{PATH} cannot be written (it is read-only)." in refusal_of(lambda: change(coded))
    assert coded.text() == FILE


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_a_link_out_of_the_project_is_left_alone(
    coded: Coded, change: Callable[[Coded], object], tmp_path_factory: pytest.TempPathFactory
) -> None:
    outside = tmp_path_factory.mktemp("outside") / "triggers.yaml"
    os.rename(coded.file, outside)
    coded.file.symlink_to(outside)

    assert "lies outside the project" in refusal_of(lambda: change(coded))
    assert outside.read_text() == FILE


def test_a_change_that_others_would_follow_is_refused(coded: Coded) -> None:
    text = (
        "triggers:\n- name: morning\n  schedule_interval: '@daily'\n  variables: &shared {a: 1}\n"
        "- name: call\n  schedule_type: api\n  variables: *shared\n"
    )
    coded.take_over(text)

    assert "Other values there would change with it." in refusal_of(lambda: coded.change(variables={"a": 2}))
    assert "It is written with an alias." in refusal_of(lambda: coded.change("call", variables={"a": 2}))
    assert "line 2" in refusal_of(lambda: triggers.delete(coded.row()))
    assert coded.text() == text


@pytest.mark.parametrize("obstacle", ["read-only", "broken", "gone"])
def test_a_pause_is_possible_whatever_has_become_of_the_file(coded: Coded, obstacle: str) -> None:
    if obstacle == "read-only":
        coded.file.chmod(0o444)
    elif obstacle == "gone":
        coded.file.unlink()
    else:
        coded.file.write_text("{")

    note = triggers.pause(coded.row(), NOON)

    assert note.startswith("This lasts until its entry changes. ")
    assert not coded.row().is_active


def test_a_pause_that_is_not_in_the_file_survives_an_edit_that_is(coded: Coded) -> None:
    coded.file.chmod(0o444)
    triggers.pause(coded.row(), NOON)
    coded.file.chmod(0o644)

    coded.change(schedule_interval="@daily")

    assert "status: active" in coded.text()
    assert coded.is_in_step()
    assert not coded.row().is_active


# --- tokens -----------------------------------------------------------------------------------------------------------


def test_a_new_token_is_kept_in_the_database_and_stays_across_deploys(coded: Coded) -> None:
    token = triggers.rotate_token(coded.row("call"))
    coded.change("call", description="By call.")

    assert coded.difference() == ["+  description: By call."]
    assert token not in coded.text()
    assert coded.row("call").token_matches(token)
    assert coded.is_in_step()


def test_a_token_that_the_file_names_is_changed_where_it_comes_from(coded: Coded) -> None:
    secrets.put("etl_token", "hush-hush")
    coded.take_over(FILE.replace("  envs: [dev", "  token: \"{{ secret_var('etl_token') }}\"\n  envs: [dev"))

    assert "The token of 'call' comes from" in refusal_of(lambda: triggers.rotate_token(coded.row("call")))
    coded.change("call", description="By call.")
    assert "secret_var('etl_token')" in coded.text()
    assert "hush-hush" not in coded.text()
    assert coded.row("call").token_matches("hush-hush")


# --- saved in code ----------------------------------------------------------------------------------------------------

BY_HAND: dict[str, Any] = {
    "name": "evening",
    "schedule_interval": "*/5 * * * *",
    "timezone": "Europe/Berlin",
    "start_time": datetime(2025, 6, 30, 22, tzinfo=UTC),
    "description": "Two\nlines: of # text",
    "tags": ["night", "010"],
    "variables": {"country": "no", "list": [1, 2.5, None, True]},
    "sla": timedelta(seconds=90),
    "settings": {"timeout": 60, "retry_config": {"retries": 3}},
}
WRITTEN = """\
- name: evening
  schedule_type: time
  schedule_interval: '*/5 * * * *'
  timezone: Europe/Berlin
  start_time: 2025-07-01 00:00:00
  status: active
  description: "Two\\nlines: of # text"
  tags: [night, '010']
  variables: {country: 'no', list: [1, 2.5, null, true]}
  sla: 90
  settings: {timeout: 60, retry_config: {retries: 3}}
"""


def by_hand(**fields: Any) -> PipelineSchedule:
    schedule, _ = triggers.create("etl", BY_HAND | fields, is_active=True, source=Source.UI, moment=NOON)
    return schedule


def test_a_trigger_made_by_hand_is_saved_in_code(coded: Coded) -> None:
    schedule = by_hand()

    triggers.save_in_code(schedule)

    assert coded.text() == FILE.replace("# The end.\n", WRITTEN + "# The end.\n")
    schedule.refresh_from_db()
    assert (schedule.source, schedule.is_active) == (Source.CODE, True)
    assert coded.is_in_step()
    coded.change("evening", sla=None)
    assert "  sla: null\n" in coded.text()


@pytest.mark.parametrize("text", [None, "", "# nothing yet\n", "triggers: []\n"])
def test_the_first_trigger_in_code_makes_the_file(coded: Coded, text: str | None) -> None:
    coded.take_over("")
    coded.file.unlink() if text is None else coded.file.write_text(text)

    triggers.save_in_code(by_hand())

    assert coded.text() == ("# nothing yet\n" if text and "#" in text else "") + "triggers:\n" + WRITTEN
    assert coded.is_in_step()


def test_a_token_is_not_written_and_goes_on_to_work(coded: Coded) -> None:
    fields = {"name": "by api", "schedule_type": "api"}
    schedule, token = triggers.create("etl", fields, is_active=True, source=Source.API, moment=NOON)

    triggers.save_in_code(schedule)

    assert coded.difference()[:2] == ["+- name: by api", "+  schedule_type: api"]
    assert "token" not in "".join(coded.difference())
    assert coded.row("by api").token_matches(token)
    assert coded.is_in_step()


def test_a_name_that_is_in_the_file_for_another_environment_is_refused(coded: Coded) -> None:
    coded.take_over(FILE + "- {name: evening, schedule_interval: '@daily', envs: [prod]}\n")

    schedule = by_hand()

    assert "There are two triggers named 'evening'." in refusal_of(lambda: triggers.save_in_code(schedule))


def test_a_text_that_the_file_would_fill_in_is_refused(coded: Coded) -> None:
    schedule = by_hand(variables={"home": "{{ env_var('HOME') }}"})

    assert "{{ … }} is only read in the file" in refusal_of(lambda: triggers.save_in_code(schedule))
    assert coded.text() == FILE


def test_what_is_in_code_is_not_saved_again(coded: Coded) -> None:
    assert "is in pipelines/etl/triggers.yaml already" in refusal_of(lambda: triggers.save_in_code(coded.row()))


AUTOMATIC = "settings: {triggers: {save_in_code_automatically: true}}\n"


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("pipelines/etl/metadata.yaml", f"blocks: []\n{AUTOMATIC}"),
        ("metadata.yaml", f"pipelines:\n  {AUTOMATIC}"),
    ],
)
def test_a_pipeline_may_ask_for_every_new_trigger_in_code(coded: Coded, path: str, text: str) -> None:
    coded.project.write(path, text)

    schedule = by_hand()

    assert coded.text().endswith(WRITTEN + "# The end.\n")
    assert schedule.source == Source.CODE
    assert coded.is_in_step()


def test_a_new_trigger_that_cannot_be_written_where_that_is_asked_for_is_refused(coded: Coded) -> None:
    coded.project.pipeline(f"blocks: []\n{AUTOMATIC}")
    coded.file.chmod(0o444)

    assert "read-only" in refusal_of(by_hand)


# --- without an entry -------------------------------------------------------------------------------------------------


def test_what_has_no_entry_any_more_is_a_trigger_like_those_made_by_hand(coded: Coded) -> None:
    text = FILE[: FILE.index("# On demand.")]
    coded.take_over(text)

    coded.change("call", description="Kept.")
    assert (coded.row("call").source, coded.text()) == (Source.UI, text)
    triggers.delete(coded.row("call"))
    assert coded.text() == text


def test_resuming_what_has_no_entry_any_more_keeps_it_from_being_pruned(coded: Coded) -> None:
    coded.take_over(FILE[: FILE.index("# On demand.")])

    assert triggers.resume(coded.row("call"), NOON) == ""

    assert triggers_yaml.apply(coded.project.root, NOON, prune=True).removed == []
    assert (coded.row("call").is_active, coded.row("call").source) == (True, Source.UI)


def test_a_trigger_in_code_of_a_pipeline_that_is_gone_can_be_deleted(coded: Coded) -> None:
    (coded.project.root / "pipelines/etl/metadata.yaml").unlink()
    catalog.refresh(coded.project.root)

    triggers.delete(coded.row())

    assert coded.text() == FILE
