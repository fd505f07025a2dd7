"""The admin site keeps to the rules of every other way of editing a schedule."""

from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from runs.models import PipelineRun
from schedules import scheduler
from schedules.backfilling import backfills
from schedules.models import PipelineSchedule
from tests.factories import NOON, make_backfill, make_pipeline, make_schedule

pytestmark = pytest.mark.django_db


@pytest.fixture
def admin(client: Client) -> Client:
    client.force_login(User.objects.create_superuser("root"))
    return client


def form(**fields: Any) -> dict[str, Any]:
    plain = {"name": "nightly", "schedule_type": "time", "schedule_interval": "@daily", "timezone": "UTC"}
    json = {"tags": "[]", "variables": "{}", "settings": "{}"}
    return {**plain, **json, "pipeline": make_pipeline().pk, "is_active": "on", **fields}


def test_a_schedule_made_here_is_planned_and_starts_nothing(admin: Client) -> None:
    answer = admin.post(reverse("admin:schedules_pipelineschedule_add"), form())

    assert answer.status_code == 302
    schedule = PipelineSchedule.objects.get()
    assert schedule.next_due_at is not None
    assert schedule.next_due_at > timezone.now()
    assert scheduler.tick(timezone.now()).fired == PipelineRun.objects.count() == 0


def test_switching_it_off_here_leaves_nothing_due(admin: Client) -> None:
    admin.post(reverse("admin:schedules_pipelineschedule_add"), fields := form())
    schedule = PipelineSchedule.objects.get()

    admin.post(reverse("admin:schedules_pipelineschedule_change", args=[schedule.pk]), {**fields, "is_active": ""})

    schedule.refresh_from_db()
    assert (schedule.is_active, schedule.next_due_at) == (False, None)


def test_a_new_interval_counts_from_now(admin: Client) -> None:
    admin.post(reverse("admin:schedules_pipelineschedule_add"), fields := form())
    schedule = PipelineSchedule.objects.get()
    enabled_at = schedule.last_enabled_at

    address = reverse("admin:schedules_pipelineschedule_change", args=[schedule.pk])
    admin.post(address, {**fields, "schedule_interval": "@yearly"})

    schedule.refresh_from_db()
    assert schedule.next_due_at is not None
    assert (schedule.next_due_at.month, schedule.last_enabled_at) == (1, enabled_at)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"schedule_interval": "never"}, "A cron expression has exactly 5 fields"),
        ({"schedule_interval": "99 * * * *"}, "Minute: 99 is outside"),
        ({"timezone": "Mars/Base"}, "time zone"),
        ({"settings": '{"overlap": "maybe"}'}, "overlap"),
        ({"name": "a/b"}, "Name: 1–100 letters"),
    ],
)
def test_what_the_pages_refuse_is_refused_here_too(admin: Client, wrong: dict[str, str], message: str) -> None:
    admin.post(reverse("admin:schedules_pipelineschedule_add"), fields := form())
    schedule = PipelineSchedule.objects.get()

    answer = admin.post(reverse("admin:schedules_pipelineschedule_change", args=[schedule.pk]), {**fields, **wrong})

    assert message in answer.content.decode()
    assert PipelineSchedule.objects.get().schedule_interval == "@daily"


def test_a_schedule_that_is_broken_already_can_be_switched_off(admin: Client) -> None:
    schedule = make_schedule(schedule_interval="never", problem="It means nothing.")
    plain = {"name": "daily", "schedule_type": "time", "schedule_interval": "never", "timezone": "UTC"}
    fields = {"pipeline": schedule.pipeline_id}
    json = {"tags": "[]", "variables": "{}", "settings": "{}"}

    admin.post(reverse("admin:schedules_pipelineschedule_change", args=[schedule.pk]), {**plain, **json, **fields})

    schedule.refresh_from_db()
    assert not schedule.is_active


def test_the_token_is_not_shown_and_the_ledger_cannot_be_written(admin: Client) -> None:
    schedule = make_schedule()
    schedule.rotate_token()

    page = admin.get(reverse("admin:schedules_pipelineschedule_change", args=[schedule.pk])).content.decode()

    assert schedule.token_hash not in page
    assert admin.get(reverse("admin:schedules_occurrence_changelist")).status_code == 200
    assert admin.get(reverse("admin:schedules_occurrence_add")).status_code == 403


def test_backfills_can_be_looked_at_and_not_written(admin: Client) -> None:
    backfill = make_backfill(name="May")
    backfills.start(backfill, NOON)

    page = admin.get(reverse("admin:schedules_backfill_changelist")).content.decode()

    assert "May" in page
    assert "running" in page
    assert admin.get(reverse("admin:schedules_backfill_change", args=[backfill.pk])).status_code == 200
    assert admin.get(reverse("admin:schedules_backfill_add")).status_code == 403
    assert admin.get(reverse("admin:schedules_occurrence_changelist")).status_code == 200
