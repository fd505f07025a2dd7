"""Folders become rows: what changed is read again, what broke keeps its version, what went is marked."""

import json
import os
from pathlib import Path

import pytest
from django.test.utils import CaptureQueriesContext
from pytest_django.fixtures import DjangoAssertNumQueries

from pipelines import catalog
from pipelines.models import Pipeline, PipelineVersion
from pipelines.refusal import Refusal
from tests.pipelines.project_on_disk import ProjectOnDisk

pytestmark = pytest.mark.django_db


@pytest.fixture
def disk(tmp_path: Path) -> ProjectOnDisk:
    disk = ProjectOnDisk(tmp_path / "shop")
    disk.chain("load", "clean")
    return disk


def row(uuid: str = "etl") -> Pipeline:
    return Pipeline.objects.select_related("current_version").get(uuid=uuid)


def as_a_new_process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(catalog, "_known", {})


def touch(path: Path) -> None:
    """Make the file as new as if it had been written again a second later."""
    found = path.stat()
    os.utime(path, ns=(found.st_atime_ns, found.st_mtime_ns + 10**9))


def test_the_owner_of_a_pipeline_is_taken_over_and_taken_away(disk: ProjectOnDisk) -> None:
    before = (disk.root / "pipelines/etl/metadata.yaml").read_text()
    disk.write("pipelines/etl/metadata.yaml", before + "owner: data team\n")
    catalog.refresh(disk.root)
    assert row().owner == "data team"

    disk.write("pipelines/etl/metadata.yaml", before)
    catalog.refresh(disk.root)

    assert row().owner == ""


def test_a_new_pipeline_gets_a_row_and_a_version(disk: ProjectOnDisk) -> None:
    disk.write(
        "pipelines/etl/metadata.yaml", (disk.root / "pipelines/etl/metadata.yaml").read_text() + "tags: [a]\nname: N\n"
    )

    changes = catalog.refresh(disk.root)

    version = row().current_version
    assert version is not None
    assert (changes.changed, changes.removed) == (["etl"], [])
    assert (row().name, row().tags, row().is_valid, row().is_present, row().problems) == ("N", ["a"], True, True, [])
    assert [entry["uuid"] for entry in version.graph["blocks"]] == ["load", "clean"]
    assert version.files["custom/load.py"]["text"] == (disk.root / "custom/load.py").read_text()
    assert version.settings["variables"] == {}


def test_nothing_is_read_again_when_nothing_changed(disk: ProjectOnDisk, monkeypatch: pytest.MonkeyPatch) -> None:
    catalog.refresh(disk.root)
    monkeypatch.delattr(catalog, "read_project")

    assert catalog.refresh(disk.root) == catalog.Changes()


def test_a_new_process_need_not_read_the_project_either(disk: ProjectOnDisk, monkeypatch: pytest.MonkeyPatch) -> None:
    catalog.refresh(disk.root)
    as_a_new_process(monkeypatch)
    monkeypatch.delattr(catalog, "read_project")

    assert catalog.refresh(disk.root) == catalog.Changes()


def test_a_refresh_of_nothing_new_is_one_query(
    disk: ProjectOnDisk, django_assert_num_queries: type[CaptureQueriesContext]
) -> None:
    for number in range(20):
        disk.chain("load", "clean", uuid=f"etl_{number}")
    catalog.refresh(disk.root)

    with django_assert_num_queries(1):  # type: ignore[operator]
        catalog.refresh(disk.root)


def test_a_changed_definition_makes_a_version_and_the_old_one_stays(disk: ProjectOnDisk) -> None:
    catalog.refresh(disk.root)
    before = row().current_version
    disk.chain("load", "clean", "save")

    changes = catalog.refresh(disk.root)

    after = row().current_version
    assert changes.changed == ["etl"]
    assert after is not None
    assert after != before
    assert len(after.graph["blocks"]) == 3
    assert PipelineVersion.objects.filter(pipeline=row()).count() == 2


@pytest.mark.parametrize("path", ["custom/clean.py", "metadata.yaml", "pipelines/etl/metadata.yaml"])
def test_a_change_in_any_file_of_the_pipeline_is_seen(disk: ProjectOnDisk, path: str) -> None:
    catalog.refresh(disk.root)
    before = row().current_version
    with (disk.root / path).open("a") as file:
        file.write("variables: {x: 1}\n" if path.endswith("yaml") else "# changed\n")

    assert catalog.refresh(disk.root).changed == ["etl"]
    assert row().current_version != before


def test_a_file_that_was_only_touched_makes_no_version_and_is_no_change(disk: ProjectOnDisk) -> None:
    catalog.refresh(disk.root)
    before = row()
    touch(disk.root / "custom/load.py")

    changes = catalog.refresh(disk.root)

    assert changes.changed == []
    assert row().fingerprint != before.fingerprint
    assert row().current_version == before.current_version


def test_a_change_taken_back_brings_the_old_version_back(disk: ProjectOnDisk) -> None:
    catalog.refresh(disk.root)
    first = row().current_version
    original = (disk.root / "custom/load.py").read_text()
    disk.write("custom/load.py", original + "# for a moment\n")
    catalog.refresh(disk.root)
    disk.write("custom/load.py", original)
    touch(disk.root / "custom/load.py")

    catalog.refresh(disk.root)

    assert row().current_version == first
    assert PipelineVersion.objects.count() == 2


def test_a_file_that_a_change_does_not_concern_is_not_a_change(disk: ProjectOnDisk) -> None:
    disk.chain("other", uuid="second")
    catalog.refresh(disk.root)
    with (disk.root / "custom/other.py").open("a") as file:
        file.write("# changed\n")

    assert catalog.refresh(disk.root).changed == ["second"]


def test_a_broken_pipeline_keeps_its_version_and_says_why(disk: ProjectOnDisk) -> None:
    catalog.refresh(disk.root)
    before = row().current_version
    disk.write("custom/load.py", "def broken(:\n")

    changes = catalog.refresh(disk.root)

    assert changes.changed == ["etl"]
    assert row().is_valid is False
    assert row().current_version == before
    assert [(each["file"], each["line"]) for each in row().problems] == [("custom/load.py", 1)]


def test_a_broken_pipeline_that_is_mended_is_valid_again(disk: ProjectOnDisk) -> None:
    original = (disk.root / "custom/load.py").read_text()
    (disk.root / "custom/load.py").unlink()
    catalog.refresh(disk.root)
    assert row().is_valid is False
    disk.write("custom/load.py", original)

    changes = catalog.refresh(disk.root)

    assert changes.changed == ["etl"]
    assert (row().is_valid, row().problems) == (True, [])


def test_a_pipeline_that_stays_broken_is_not_read_again(disk: ProjectOnDisk, monkeypatch: pytest.MonkeyPatch) -> None:
    disk.write("custom/load.py", "def broken(:\n")
    catalog.refresh(disk.root)
    monkeypatch.delattr(catalog, "read_project")

    assert catalog.refresh(disk.root) == catalog.Changes()


def test_one_broken_pipeline_harms_no_other(disk: ProjectOnDisk) -> None:
    disk.pipeline("blocks: [{{{\n", "bad")
    disk.chain("x", uuid="con")
    disk.chain("x", uuid="zzz")

    assert catalog.refresh(disk.root).changed == ["bad", "con", "etl", "zzz"]
    assert set(Pipeline.objects.filter(is_valid=True).values_list("uuid", flat=True)) == {"etl", "zzz"}


def test_a_broken_project_file_makes_all_invalid_until_it_is_mended(disk: ProjectOnDisk) -> None:
    catalog.refresh(disk.root)
    disk.write("metadata.yaml", "a: [\n")
    catalog.refresh(disk.root)
    assert row().problems[0]["file"] == "metadata.yaml"
    disk.write("metadata.yaml", "project_type: standalone\n")

    catalog.refresh(disk.root)

    assert row().is_valid


def test_a_pipeline_whose_folder_went_is_marked_and_kept(disk: ProjectOnDisk) -> None:
    catalog.refresh(disk.root)
    (disk.root / "pipelines/etl/metadata.yaml").unlink()

    changes = catalog.refresh(disk.root)

    assert changes.removed == ["etl"]
    assert row().is_present is False
    assert row().current_version is not None
    assert catalog.refresh(disk.root).removed == []


def test_a_pipeline_that_comes_back_is_present_with_its_old_version(disk: ProjectOnDisk) -> None:
    catalog.refresh(disk.root)
    before = row()
    folder = disk.root / "pipelines/etl"
    folder.rename(disk.root / "away")
    catalog.refresh(disk.root)
    (disk.root / "away").rename(folder)

    changes = catalog.refresh(disk.root)

    assert changes.changed == ["etl"]
    assert row().is_present
    assert (row().pk, row().current_version) == (before.pk, before.current_version)


def test_a_project_that_is_gone_changes_nothing(disk: ProjectOnDisk) -> None:
    catalog.refresh(disk.root)
    disk.root.rename(disk.root.parent / "elsewhere")

    with pytest.raises(Refusal) as caught:
        catalog.refresh(disk.root)

    assert caught.value.code == "unknown_project"
    assert row().is_present


def test_a_copy_with_other_times_is_read_once_and_then_left_alone(
    disk: ProjectOnDisk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two hosts with a clone each: neither makes the other read again and again."""
    copy = ProjectOnDisk(tmp_path / "clone")
    copy.chain("load", "clean")
    touch(copy.root / "custom/load.py")
    catalog.refresh(disk.root)
    assert catalog.refresh(copy.root).changed == []
    monkeypatch.delattr(catalog, "read_project")

    catalog.refresh(disk.root)
    catalog.refresh(copy.root)

    assert PipelineVersion.objects.count() == 1


def test_what_a_version_holds_is_what_was_read(disk: ProjectOnDisk) -> None:
    catalog.refresh(disk.root)

    version = row().current_version
    found = disk.read()

    assert version is not None
    assert version.content_hash == found.content_hash
    assert version.graph == json.loads(json.dumps(found.graph.as_dict()))
    assert version.settings == found.settings
    assert version.files == found.files


def test_find_returns_a_pipeline_that_is_there(disk: ProjectOnDisk) -> None:
    catalog.refresh(disk.root)

    assert catalog.find("etl") == row()


@pytest.mark.parametrize(
    ("uuid", "hint"),
    [("etk", "Did you mean etl?"), ("something else", "Pipelines: etl."), ("x" * 5000, "Pipelines: etl.")],
)
def test_find_refuses_an_unknown_pipeline_with_what_there_is(disk: ProjectOnDisk, uuid: str, hint: str) -> None:
    catalog.refresh(disk.root)

    with pytest.raises(Refusal) as caught:
        catalog.find(uuid)

    assert (caught.value.code, caught.value.field, caught.value.hint) == ("unknown_pipeline", "pipeline", hint)
    assert len(caught.value.message) < 200


def test_find_refuses_a_pipeline_whose_folder_went(disk: ProjectOnDisk) -> None:
    catalog.refresh(disk.root)
    Pipeline.objects.update(is_present=False)

    with pytest.raises(Refusal) as caught:
        catalog.find("etl")

    assert caught.value.hint == "The project has none yet."


def test_a_valid_pipeline_gives_the_version_for_a_run(disk: ProjectOnDisk) -> None:
    catalog.refresh(disk.root)

    assert catalog.runnable_version(row()) == row().current_version


def test_an_invalid_pipeline_gives_no_version_but_file_line_and_reason(disk: ProjectOnDisk) -> None:
    catalog.refresh(disk.root)
    disk.write("custom/load.py", "def broken(:\n")
    catalog.refresh(disk.root)

    with pytest.raises(Refusal) as caught:
        catalog.runnable_version(row())

    assert caught.value.code == "invalid_pipeline"
    assert (
        caught.value.message
        == "Pipeline etl is invalid: custom/load.py line 1: Syntax error at column 12: invalid syntax."
    )
    assert caught.value.hint == "The line is: def broken(:"


def test_a_pipeline_that_was_never_read_cannot_run() -> None:
    pipeline = Pipeline.objects.create(uuid="new", name="new")

    with pytest.raises(Refusal) as caught:
        catalog.runnable_version(pipeline)

    assert caught.value.message == "Pipeline new is invalid: pipelines/new/metadata.yaml: it has not been read yet."


@pytest.mark.parametrize("text", ['name: "\\x07 <b>\'🙂"\n', 'description: "a\\tb"\n', "tags: ['{{ x }}', 'ß']\n"])
def test_odd_texts_are_stored_as_they_are(disk: ProjectOnDisk, text: str) -> None:
    with (disk.root / "pipelines/etl/metadata.yaml").open("a") as file:
        file.write(text)

    catalog.refresh(disk.root)

    assert row().is_valid, row().problems


def test_what_was_saved_a_moment_ago_is_what_a_start_by_hand_gets(disk: ProjectOnDisk) -> None:
    catalog.refresh(disk.root)
    before = row()
    touch(disk.write("custom/load.py", "@custom\ndef load():\n    return 'new'\n"))

    after = catalog.as_saved(disk.root, before)

    assert after.current_version_id != before.current_version_id
    assert "return 'new'" in row().current_version.files["custom/load.py"]["text"]
    assert catalog.refresh(disk.root).changed == []


def test_looking_whether_something_was_saved_costs_no_query(
    disk: ProjectOnDisk, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    catalog.refresh(disk.root)
    pipeline = row()

    with django_assert_num_queries(0):
        assert catalog.as_saved(disk.root, pipeline) is pipeline


def test_a_new_process_learns_what_the_database_knows(disk: ProjectOnDisk, monkeypatch: pytest.MonkeyPatch) -> None:
    catalog.refresh(disk.root)
    as_a_new_process(monkeypatch)
    pipeline = row()

    assert catalog.as_saved(disk.root, pipeline) is pipeline


def test_a_mistake_saved_a_moment_ago_is_told_rather_than_run(disk: ProjectOnDisk) -> None:
    catalog.refresh(disk.root)
    touch(disk.write("custom/load.py", "@custom\ndef load(:\n"))

    with pytest.raises(Refusal, match=r"custom/load.py line 2: Syntax error"):
        catalog.runnable_version(catalog.as_saved(disk.root, row()))


def test_a_pipeline_that_is_not_on_this_disk_is_taken_as_it_is(disk: ProjectOnDisk, tmp_path: Path) -> None:
    catalog.refresh(disk.root)
    pipeline = row()

    assert catalog.as_saved(tmp_path / "elsewhere", pipeline) is pipeline
