"""Where the files are authoritative, people change triggers.yaml and nothing else."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from django.contrib.auth.models import User
from django.test import Client, override_settings

from pipelines.files import FileFault
from pipelines.project import TriggerRules, read_project, trigger_rules
from pipelines.refusal import Refusal
from schedules import triggers
from schedules.files import triggers_yaml
from schedules.models import PipelineSchedule, Source
from tests.factories import NOON, make_client, make_schedule, text_of
from tests.schedules.coded import FILE, Coded

pytestmark = pytest.mark.django_db
SCHEDULES = "/api/v1/pipeline_schedules"


@pytest.fixture
def coded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Coded]:
    monkeypatch.setenv("WHAT", "Loads the day.")
    triggers_yaml.forget()
    with override_settings(PROJECT_DIR=tmp_path, ENV="dev"):
        coded = Coded(tmp_path)
        coded.project.write("metadata.yaml", "triggers: {files_are_authoritative: true}\n")
        yield coded
    triggers_yaml.forget()


def test_edits_are_refused_with_the_file_to_change(coded: Coded) -> None:
    before = list(PipelineSchedule.objects.values())

    for change in (lambda: coded.change(sla=None, tags=["x"]), lambda: triggers.delete(coded.row())):
        with pytest.raises(Refusal, match=r"written in pipelines/etl/triggers.yaml.*Change it in the file") as caught:
            change()
        assert caught.value.code == "conflict"
    assert list(PipelineSchedule.objects.values()) == before
    assert coded.text() == FILE


def test_new_triggers_are_not_made_by_hand(coded: Coded) -> None:
    fields = {"name": "evening", "schedule_interval": "@daily"}

    with pytest.raises(Refusal, match=r"New triggers are written in pipelines/etl/triggers.yaml"):
        triggers.create("etl", fields, is_active=True, source=Source.UI, moment=NOON)
    with pytest.raises(Refusal, match="by people"):
        triggers.save_in_code(make_schedule(coded.row().pipeline, name="by hand"))
    assert not PipelineSchedule.objects.filter(name="evening").exists()
    assert coded.text() == FILE


def test_a_pause_lasts_until_the_entry_changes_and_is_not_written(coded: Coded) -> None:
    note = triggers.pause(coded.row(), NOON)

    assert "it stays as it is: this lasts until its entry changes" in note
    assert (coded.row().is_active, coded.text()) == (False, FILE)
    coded.take_over(FILE)
    assert not coded.row().is_active
    coded.take_over(FILE.replace("0 6", "0 7"))
    assert coded.row().is_active


def test_what_has_no_entry_any_more_cannot_be_resumed_but_deleted(coded: Coded) -> None:
    coded.take_over(FILE[: FILE.index("# On demand.")])

    with pytest.raises(Refusal, match="The entry of 'call' is gone"):
        triggers.resume(coded.row("call"), NOON)
    assert not coded.row("call").is_active
    triggers.delete(coded.row("call"))
    assert not PipelineSchedule.objects.filter(name="call").exists()


def test_the_api_says_409_and_why(coded: Coded) -> None:
    path, client = f"{SCHEDULES}/{coded.row().pk}", make_client()

    answers = [
        client.patch(path, {"schedule_interval": "@hourly"}),
        client.delete(path),
        client.post(f"{path}/save_in_code"),
        client.post(SCHEDULES, {"pipeline_uuid": "etl", "name": "x", "schedule_interval": "@daily"}),
        client.post(f"{path}/pause"),
        client.patch(path, {"status": "active"}),
    ]

    assert [answer.status_code for answer in answers] == [409, 409, 409, 409, 200, 200]
    assert all("authoritative" in answer.json()["detail"] for answer in answers[:4])


def test_the_page_offers_what_is_possible(coded: Coded, page: Client) -> None:
    by_hand = make_schedule(coded.row().pipeline, name="by hand")

    text = text_of(page.get(f"/schedules/{coded.row().pk}/"))
    assert "change it there. Here it can be paused, resumed and run." in text
    assert f"/schedules/{coded.row().pk}/edit/" not in text
    assert "/code/" not in text

    text = text_of(page.get(f"/schedules/{by_hand.pk}/"))
    assert "Not in code" in text
    assert "/code/" not in text


def test_the_form_tells_why_it_is_refused(coded: Coded, page: Client) -> None:
    answer = page.post(
        "/schedules/new/",
        {
            "pipeline": "etl",
            "name": "x",
            "schedule_type": "time",
            "schedule_interval": "@daily",
            "timezone": "UTC",
        },
    )

    assert answer.status_code == 422
    assert "New triggers are written in pipelines/etl/triggers.yaml" in text_of(answer)


def test_the_admin_site_leaves_them_alone_too(coded: Coded, client: Client) -> None:
    client.force_login(User.objects.create_superuser("root"))

    assert client.get("/admin/schedules/pipelineschedule/add/").status_code == 403
    change = f"/admin/schedules/pipelineschedule/{coded.row().pk}/change/"
    assert client.post(change, {"name": "x"}).status_code == 403
    assert client.post(f"/admin/schedules/pipelineschedule/{coded.row().pk}/delete/").status_code == 403


# --- the settings -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("project", "pipeline", "rules"),
    [
        ("", "", TriggerRules()),
        ("triggers: {files_are_authoritative: yes}", "", TriggerRules(files_are_authoritative=True)),
        (
            "triggers: {files_are_authoritative: \"{{ env_var('STRICT') }}\"}",
            "",
            TriggerRules(files_are_authoritative=True),
        ),
        (
            "pipelines: {settings: {triggers: {save_in_code_automatically: true}}}",
            "settings: {triggers: {save_in_code_automatically: false}}",
            TriggerRules(),
        ),
        (
            "",
            "settings: {triggers: {save_in_code_automatically: true}, other: 1}",
            TriggerRules(save_in_code_automatically=True),
        ),
    ],
)
def test_what_the_metadata_says_is_read(coded: Coded, project: str, pipeline: str, rules: TriggerRules) -> None:
    coded.project.write("metadata.yaml", project)
    coded.project.pipeline(f"blocks: []\n{pipeline}\n")

    assert trigger_rules(coded.project.root, "etl", env={"STRICT": "true"}) == rules


def test_without_any_metadata_files_are_not_authoritative(tmp_path: Path) -> None:
    assert trigger_rules(tmp_path, "etl") == TriggerRules()


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("triggers: {files_are_authoritative: maybe}", "files_are_authoritative: 'maybe' is not a yes or no."),
        ("triggers: {authoritative: true}", "unknown key 'authoritative'."),
        ("triggers: [x]", "triggers must have keys and values."),
    ],
)
def test_a_mistake_there_is_a_problem_of_the_project(coded: Coded, text: str, reason: str) -> None:
    coded.project.write("metadata.yaml", f"{text}\n")

    assert [fault.message for fault in read_project(coded.project.root).problems] == [reason]
    with pytest.raises(FileFault, match=r"metadata.yaml line 1: "):
        coded.change(sla=None, tags=["x"])


def test_a_mistake_in_a_pipelines_settings_is_a_problem_of_it(coded: Coded) -> None:
    coded.project.pipeline("blocks: []\nsettings: {triggers: {save_in_code_automatically: 7}}\n")

    problem = coded.project.problems()[0]

    assert (problem["line"], problem["reason"]) == (2, "save_in_code_automatically: '7' is not a yes or no.")
