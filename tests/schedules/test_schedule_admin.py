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

    admin.post(
        reverse("admin:schedules_pipelineschedule_change", args=[schedule.pk]), {**fields, "schedule_interval": "never"}
    )

    schedule.refresh_from_db()
    assert schedule.problem.startswith("A cron expression has exactly 5 fields")
    assert (schedule.next_due_at, schedule.last_enabled_at) == (None, enabled_at)


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
