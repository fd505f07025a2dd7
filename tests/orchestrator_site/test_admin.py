"""The administration: every model that people may see, searched and filtered, history only to be looked at."""

from datetime import timedelta
from typing import Any

import pytest
from django.apps import apps
from django.contrib import admin
from django.contrib.auth.models import Permission, User
from django.db.models import Model
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from orchestrator_site.models import ApiToken, SavedView
from pipelines.admin import ReadOnlyAdmin
from pipelines.refusal import Refusal
from runs.models import PipelineRun
from runs.states import RunStatus
from schedules import triggers
from schedules.models import PipelineSchedule
from tests.factories import make_run, make_schedule, make_user, text_of

pytestmark = pytest.mark.django_db
NOT_SHOWN = {
    # django-q2's: reading a result unpickles it
    *("Task", "Success", "Failure", "Schedule", "OrmQ"),
    # Django's own, and how far the evaluator has read
    *("Permission", "ContentType", "Session", "Bookmark"),
}
SHOWN = sorted(admin.site._registry, key=lambda model: model._meta.label)
HISTORY = [model for model in SHOWN if isinstance(admin.site._registry[model], ReadOnlyAdmin)]


def label(model: type[Model]) -> str:
    return model._meta.label


def address(model: type[Model], what: str, *args: Any) -> str:
    return reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_{what}", args=args)


@pytest.fixture
def boss(client: Client) -> Client:
    client.force_login(User.objects.create_superuser("boss", password="correct horse"))
    return client


def act(boss: Client, rows: list[Any], action: str) -> str:
    model = type(rows[0])
    data = {"action": action, "_selected_action": [row.pk for row in rows]}
    return text_of(boss.post(address(model, "changelist"), data, follow=True))


def test_every_model_is_shown_but_those_that_are_named_here() -> None:
    missing = {model.__name__ for model in apps.get_models() if not admin.site.is_registered(model)}

    assert missing <= NOT_SHOWN


def test_what_would_unpickle_is_not_shown() -> None:
    assert not any(model._meta.app_label == "django_q" for model in admin.site._registry)


@pytest.mark.parametrize("model", SHOWN, ids=label)
def test_every_list_opens_and_is_searched(boss: Client, model: type[Model]) -> None:
    assert boss.get(address(model, "changelist")).status_code == 200
    if admin.site._registry[model].search_fields:
        assert boss.get(address(model, "changelist"), {"q": "nothing of that name"}).status_code == 200


@pytest.mark.parametrize("model", [model for model in SHOWN if model not in (User,)], ids=label)
def test_every_list_of_more_than_a_few_can_be_searched(model: type[Model]) -> None:
    assert admin.site._registry[model].search_fields


@pytest.mark.parametrize("model", HISTORY, ids=label)
def test_history_is_not_written_by_hand(boss: Client, model: type[Model]) -> None:
    assert boss.get(address(model, "add")).status_code == 403


def test_a_run_is_looked_at_and_not_changed(boss: Client) -> None:
    run = make_run()

    assert boss.get(address(PipelineRun, "change", run.pk)).status_code == 200
    assert boss.post(address(PipelineRun, "change", run.pk), {"status": "completed"}).status_code == 403
    assert boss.post(address(PipelineRun, "delete", run.pk), {"post": "yes"}).status_code == 403
    assert PipelineRun.objects.get().status == RunStatus.RUNNING


def test_what_was_changed_here_is_written_down(boss: Client) -> None:
    view = SavedView.objects.create(
        user=User.objects.get(), page="runs:list", name="old", query="", created_at=timezone.now()
    )
    boss.post(address(SavedView, "change", view.pk), {"user": view.user_id, "page": view.page, "name": "new"})

    assert "Changed Name" in text_of(boss.get(address(SavedView, "history", view.pk)))


def test_selected_runs_are_cancelled(boss: Client) -> None:
    going, done = make_run(), make_run(status=RunStatus.COMPLETED)

    said = act(boss, [going, done], "cancel")

    going.refresh_from_db()
    done.refresh_from_db()
    assert "1 cancelled" in said
    assert (going.status, done.status) == (RunStatus.CANCELLED, RunStatus.COMPLETED)
    assert going.reason == "cancelled by boss in the administration"


def test_selected_runs_are_kept_and_left(boss: Client) -> None:
    run = make_run(status=RunStatus.COMPLETED)

    act(boss, [run], "keep")
    assert PipelineRun.objects.get().is_kept
    act(boss, [run], "leave")
    assert not PipelineRun.objects.get().is_kept


def test_who_may_only_look_cannot_cancel(client: Client) -> None:
    viewer = make_user("viewer", is_staff=True)
    viewer.user_permissions.add(Permission.objects.get(codename="view_pipelinerun"))
    client.force_login(viewer)
    run = make_run()

    act(client, [run], "cancel")

    assert PipelineRun.objects.get().status == RunStatus.RUNNING


def test_selected_triggers_are_paused_and_resumed(boss: Client) -> None:
    schedule = make_schedule(next_due_at=timezone.now() + timedelta(hours=1))

    act(boss, [schedule], "pause")
    assert not PipelineSchedule.objects.get().is_active
    act(boss, [schedule], "resume")
    assert PipelineSchedule.objects.get().is_active


def test_a_trigger_that_refuses_says_why_and_the_others_go_on(boss: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    good, bad = make_schedule(name="good"), make_schedule(name="bad")
    pause = triggers.pause

    def refuse(schedule: PipelineSchedule, *args: Any) -> str:
        if schedule.name == "bad":
            raise Refusal("The file is authoritative.", field="status")
        return pause(schedule, *args)

    monkeypatch.setattr(triggers, "pause", refuse)
    said = act(boss, [good, bad], "pause")

    assert "The trigger bad: The file is authoritative." in said
    assert "1 paused." in said


def test_the_hash_of_a_token_is_not_shown(boss: Client) -> None:
    token = ApiToken.objects.create(user=User.objects.get(), name="deploy", key_id="abcdefgh", key_hash="f" * 64)

    assert "f" * 64 not in text_of(boss.get(address(ApiToken, "change", token.pk)))


def test_who_is_no_staff_is_kept_out(page: Client) -> None:
    assert page.get("/admin/")["Location"].startswith("/admin/login/")
