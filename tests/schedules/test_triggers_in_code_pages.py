"""Triggers in code on the pages and in the API: saved there, changed there, and what is wrong with the file."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from django.contrib.auth.models import User
from django.test import Client, override_settings

from schedules.files import triggers_yaml
from schedules.models import PipelineSchedule, Source
from tests.factories import make_client, make_schedule, text_of
from tests.schedules.coded import FILE, PATH, Coded

pytestmark = pytest.mark.django_db
SCHEDULES = "/api/v1/pipeline_schedules"


@pytest.fixture
def coded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Coded]:
    monkeypatch.setenv("WHAT", "Loads the day.")
    triggers_yaml.forget()
    with override_settings(PROJECT_DIR=tmp_path, ENV="dev"):
        yield Coded(tmp_path)
    triggers_yaml.forget()


def test_the_button_saves_a_trigger_in_code(coded: Coded, page: Client) -> None:
    schedule = make_schedule(coded.row().pipeline, name="by hand")
    assert f"/schedules/{schedule.pk}/code/" in text_of(page.get(f"/schedules/{schedule.pk}/"))

    answer = page.post(f"/schedules/{schedule.pk}/code/", follow=True)

    assert f"The trigger by hand is written in {PATH}." in text_of(answer)
    assert "what is changed here is written there" in text_of(answer)
    assert f"/schedules/{schedule.pk}/code/" not in text_of(answer)
    assert "- name: by hand\n" in coded.text()


def test_the_button_tells_why_it_could_not(coded: Coded, page: Client) -> None:
    schedule = make_schedule(coded.row().pipeline, name="by hand")
    coded.file.chmod(0o444)

    answer = page.post(f"/schedules/{schedule.pk}/code/", follow=True)

    assert "cannot be written (it is read-only)" in text_of(answer)
    assert PipelineSchedule.objects.get(pk=schedule.pk).source == Source.UI


def test_the_form_of_a_trigger_in_code_writes_the_file(coded: Coded, page: Client) -> None:
    row = coded.row()
    form = page.get(f"/schedules/{row.pk}/edit/").context["form"]
    typed = {name: form[name].value() for name in form.fields if form[name].value() not in (None, False, "")}

    answer = page.post(
        f"/schedules/{row.pk}/edit/", typed | {"schedule_interval": "@daily", "start_time": "2025-07-01T00:00:00"}
    )

    assert answer.status_code == 302, answer.context["form"].errors
    assert coded.difference() == [
        "-  schedule_interval: '0 6 * * 1-5'   # working days",
        "+  schedule_interval: '@daily'   # working days",
    ]


def test_the_form_tells_why_the_file_cannot_be_changed(coded: Coded, page: Client) -> None:
    row = coded.row()
    coded.file.write_text(FILE.replace("0 6 *", "0 66 *"))

    answer = page.post(
        f"/schedules/{row.pk}/edit/",
        {
            "pipeline": "etl",
            "name": "morning",
            "schedule_type": "time",
            "schedule_interval": "@daily",
            "timezone": "UTC",
        },
    )

    assert answer.status_code == 422
    assert f"{PATH} line 6: " in text_of(answer)


def test_pause_and_resume_on_the_page_are_written(coded: Coded, page: Client) -> None:
    page.post(f"/schedules/{coded.row().pk}/pause/")
    assert coded.difference() == ["-  status: active", "+  status: inactive"]

    page.post(f"/schedules/{coded.row().pk}/resume/")
    assert coded.text() == FILE


def test_a_pause_that_could_not_be_written_says_how_long_it_lasts(coded: Coded, page: Client) -> None:
    coded.file.chmod(0o444)

    text = text_of(page.post(f"/schedules/{coded.row().pk}/pause/", follow=True))

    assert "is paused; runs under way go on. This lasts until its entry changes." in text


def test_a_token_from_the_file_is_not_replaced_on_the_page(
    coded: Coded, page: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TOKEN", "from-outside")
    coded.take_over(FILE.replace("  envs: [dev", "  token: \"{{ env_var('TOKEN') }}\"\n  envs: [dev"))

    text = text_of(page.post(f"/schedules/{coded.row('call').pk}/token/", follow=True))

    assert "The token of &#x27;call&#x27; comes from" in text
    assert coded.row("call").token_matches("from-outside")


def test_the_api_changes_saves_and_deletes_in_the_file(coded: Coded) -> None:
    client, path = make_client(), f"{SCHEDULES}/{coded.row().pk}"

    assert client.patch(path, {"sla": 60, "name": "early"}).json()["code_id"] == "morning"
    assert "  sla: 60\n" in coded.text()
    assert client.patch(path, {"status": "inactive"}).status_code == 200
    assert "status: active" not in coded.text()
    assert client.delete(path).status_code == 204
    assert "early" not in coded.text()

    made = client.post(SCHEDULES, {"pipeline_uuid": "etl", "name": "new", "schedule_interval": "@daily"}).json()
    saved = client.post(f"{SCHEDULES}/{made['id']}/save_in_code")
    assert (saved.status_code, saved.json()["source"]) == (200, "code")
    assert coded.text().endswith(
        "- name: new\n  schedule_type: time\n  schedule_interval: '@daily'\n  timezone: UTC\n  status: inactive\n"
        "# The end.\n"
    )
    assert client.post(f"{SCHEDULES}/{made['id']}/save_in_code").status_code == 409
    assert coded.is_in_step()


def test_the_api_tells_why_the_file_cannot_be_changed(coded: Coded) -> None:
    coded.file.write_text("triggers: [")

    answer = make_client().patch(f"{SCHEDULES}/{coded.row().pk}", {"sla": 60})

    assert answer.status_code == 409
    assert f"{PATH} line " in answer.json()["detail"]
    assert coded.row().sla is None


def test_a_broken_file_is_shown_with_line_and_reason_until_it_is_right(coded: Coded, page: Client) -> None:
    pages = ["/schedules/", "/pipelines/etl/", f"/schedules/{coded.row().pk}/"]
    coded.take_over(FILE.replace("0 6 *", "0 66 *"))

    for address in pages:
        text = text_of(page.get(address))
        assert "A triggers.yaml is broken" in text
        assert f"{PATH}:6" in text
        assert "Hour: 66 is outside 0–23." in text
    assert coded.row().schedule_interval == "0 6 * * 1-5"

    coded.take_over(FILE)
    assert not any("is broken" in text_of(page.get(address)) for address in pages)


def test_the_admin_site_does_not_change_what_is_in_code(coded: Coded, client: Client) -> None:
    client.force_login(User.objects.create_superuser("root"))
    row, other = coded.row(), make_schedule(coded.row().pipeline, name="by hand")

    client.post(
        "/admin/schedules/pipelineschedule/",
        {"action": "delete_selected", "_selected_action": [row.pk, other.pk], "post": "yes"},
    )

    assert client.post(f"/admin/schedules/pipelineschedule/{row.pk}/change/", {"name": "x"}).status_code == 403
    assert PipelineSchedule.objects.filter(pk=row.pk).exists()
