"""`id` in triggers.yaml: a trigger may be renamed and keeps its row, and so its history."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from schedules.files import triggers_yaml
from schedules.files.triggers_file import BrokenTriggers, read_triggers
from schedules.models import PipelineSchedule, Source
from tests.factories import NOON, make_pipeline, make_schedule
from tests.pipelines.project_on_disk import ProjectOnDisk

pytestmark = pytest.mark.django_db
PATH = "pipelines/etl/triggers.yaml"


@pytest.fixture
def project(tmp_path: Path) -> Iterator[ProjectOnDisk]:
    triggers_yaml.forget()
    make_pipeline("etl")
    project = ProjectOnDisk(tmp_path)
    project.pipeline("blocks: []\n")
    yield project
    triggers_yaml.forget()


def take_over(project: ProjectOnDisk, *entries: str) -> triggers_yaml.Diff:
    """Write a file with these entries ("name" or "name id") and take it over."""
    lines = ["triggers:"]
    for entry in entries:
        name, _, key = entry.partition(" ")
        lines += [f"- name: {name}", "  schedule_interval: '@daily'", *([f"  id: {key}"] if key else [])]
    project.write(PATH, "\n".join(lines) + "\n")
    return triggers_yaml.apply(project.root, NOON)


def rows() -> dict[str, int]:
    return dict(PipelineSchedule.objects.values_list("name", "pk"))


def test_a_rename_with_the_same_id_keeps_the_row(project: ProjectOnDisk) -> None:
    take_over(project, "night load")
    before = rows()["night"]

    diff = take_over(project, "evening load")

    assert rows() == {"evening": before}
    assert (diff.updated, diff.removed) == (["etl/evening"], [])
    assert diff.changes == {"etl/evening": {"name": ("night", "evening")}}


def test_an_id_that_is_the_former_name_keeps_the_row_of_a_trigger_that_had_none(project: ProjectOnDisk) -> None:
    take_over(project, "night")
    before = rows()["night"]

    take_over(project, "evening night")
    take_over(project, "noon night")

    assert rows() == {"noon": before}


def test_without_an_id_a_rename_is_another_trigger(project: ProjectOnDisk) -> None:
    take_over(project, "night")

    diff = take_over(project, "evening")

    assert (diff.created, diff.removed) == (["etl/evening"], ["etl/night"])


def test_an_id_may_be_added_changed_and_dropped_while_the_name_stays(project: ProjectOnDisk) -> None:
    take_over(project, "night")
    before = rows()

    for entry in ("night a", "night b", "night"):
        diff = take_over(project, entry)
        assert (rows(), diff.updated) == (before, ["etl/night"])
    assert PipelineSchedule.objects.get().code_id == ""


def test_two_triggers_may_swap_their_names(project: ProjectOnDisk) -> None:
    take_over(project, "a 1", "b 2")
    before = rows()

    take_over(project, "b 1", "a 2")

    assert rows() == {"b": before["a"], "a": before["b"]}


def test_a_new_trigger_may_take_the_name_that_another_gave_up(project: ProjectOnDisk) -> None:
    take_over(project, "night load")
    before = rows()["night"]

    diff = take_over(project, "night", "evening load")

    assert rows()["evening"] == before != rows()["night"]
    assert diff.created == ["etl/night"]


def test_a_trigger_may_be_renamed_to_one_whose_entry_is_gone(project: ProjectOnDisk) -> None:
    take_over(project, "night load", "evening")
    before = rows()

    take_over(project, "evening load")

    assert rows()["evening"] == before["night"]
    old = PipelineSchedule.objects.get(pk=before["evening"])
    assert (old.name, old.is_active) == (f"evening (removed, {old.pk})", False)


def test_a_trigger_cannot_be_renamed_to_one_that_was_made_by_hand(project: ProjectOnDisk) -> None:
    take_over(project, "night load")
    make_schedule(name="evening")
    before = rows()

    (problem,) = take_over(project, "other", "evening load").problems

    assert (problem["line"], problem["reason"]) == (4, "A trigger named 'evening' was made by hand.")
    assert rows() == before
    assert PipelineSchedule.objects.get(name="evening").source == Source.UI


def test_an_entry_that_comes_back_under_another_name_finds_its_row_by_its_id(project: ProjectOnDisk) -> None:
    take_over(project, "night load")
    before = rows()["night"]
    take_over(project)

    take_over(project, "evening load")

    assert rows() == {"evening": before}


@pytest.mark.parametrize(("written", "read"), [("42", "42"), ("'42'", "42"), ("load-1", "load-1"), ("", "")])
def test_texts_and_whole_numbers_are_ids(project: ProjectOnDisk, written: str, read: str) -> None:
    take_over(project, f"night {written}")

    assert PipelineSchedule.objects.get().code_id == read


@pytest.mark.parametrize("written", ["1.5", "true", "[a]", "{a: b}", '"a\\tb"', "' a'", "x" * 101])
def test_anything_else_is_not_an_id(project: ProjectOnDisk, written: str) -> None:
    diff = take_over(project, f"night {written}")

    assert [problem["line"] for problem in diff.problems] == [4]
    assert rows() == {}


def test_an_id_that_is_there_twice_is_refused_with_its_line(project: ProjectOnDisk) -> None:
    (problem,) = take_over(project, "night 1", "evening 1").problems

    assert (problem["line"], problem["reason"]) == (7, "There are two triggers with the id '1'.")
    assert problem["hint"] == "An id stays with one trigger."


def test_an_entry_without_id_is_told_from_its_former_self_as_before(project: ProjectOnDisk) -> None:
    """Rows of an earlier release must not count as changed: a pause by hand would end."""
    project.write(PATH, "triggers:\n- name: night\n  schedule_interval: '@daily'\n")

    (entry,) = read_triggers(project.root, "etl", secret=lambda name: None, env={}).entries

    assert entry.digest() == "db859e39fb82f962a990f924d1c12f809ba9b452d5857b4e2168c877e32fc16a"


def test_a_broken_id_is_refused_by_the_reader_too(project: ProjectOnDisk) -> None:
    project.write(PATH, "triggers:\n- name: night\n  schedule_interval: '@daily'\n  id: 1.5\n")

    with pytest.raises(BrokenTriggers, match="id must be a text"):
        read_triggers(project.root, "etl", secret=lambda name: None, env={})
