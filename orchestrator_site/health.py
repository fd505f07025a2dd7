"""Is this process alive, can it serve, and what do the others do: for probes, load balancers and people."""

from datetime import datetime
from typing import Any

from django.conf import settings
from django.contrib.auth.decorators import login_not_required
from django.db import DatabaseError, connection
from django.db.models import Count, Max, Min, Q
from django.http import HttpRequest, JsonResponse
from django.utils import timezone
from django.views.decorators.http import require_safe
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from pipelines.filters import check_parameters
from pipelines.refusal import Refusal
from pipelines.serializers import StrictSerializer
from runs import tables
from runs.models import BlockRun, Worker, WorkerKind
from runs.reasons.presence import OLD_LOOP, ago
from runs.states import BlockStatus
from schedules.reasons import invariants


@login_not_required
@require_safe
def healthz(request: HttpRequest) -> JsonResponse:
    """The process answers; nothing else is asked."""
    return JsonResponse({"status": "ok"})


@login_not_required
@require_safe
def readyz(request: HttpRequest) -> JsonResponse:
    """200 when the database answers and has all tables, and time is kept; else 503 with what is missing."""
    checks = readiness(timezone.now())
    is_ready = all(said in READY for said in checks.values())
    return JsonResponse({"status": "ok" if is_ready else "not ready", **checks}, status=200 if is_ready else 503)


READY = ("ok", "none yet")


def readiness(moment: datetime) -> dict[str, str]:
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
        is_migrated = migrations_are_applied()
        scheduler = loop_of_schedulers(moment) if is_migrated else "unknown"
    except (DatabaseError, Refusal):
        return {"database": "does not answer", "migrations": "unknown", "scheduler": "unknown"}
    migrations = "ok" if is_migrated else "not applied: run manage.py migrate"
    return {"database": "ok", "migrations": migrations, "scheduler": scheduler}


def loop_of_schedulers(moment: datetime) -> str:
    """Say whether a scheduler comes round its loop. Before there was ever one, pages are served all the same."""
    last = Worker.objects.filter(kind=WorkerKind.SCHEDULER).aggregate(last=Max("last_loop_at"))["last"]
    if last is None:
        return "none yet"
    return "ok" if moment - last <= OLD_LOOP else f"late: the last loop was completed {ago(moment - last)} ago"


found_migrated = False  # once this process has seen it, nobody undoes it under a running server


def migrations_are_applied() -> bool:
    global found_migrated
    if not found_migrated:
        found_migrated = not tables.unapplied()
    return found_migrated


class SchedulerSerializer(StrictSerializer):
    """A scheduler process. Ages and lags are in seconds."""

    host = serializers.CharField(read_only=True)
    pid = serializers.IntegerField(read_only=True)
    started_at = serializers.DateTimeField(read_only=True)
    last_loop_at = serializers.DateTimeField(allow_null=True, read_only=True)
    last_loop_age = serializers.FloatField(allow_null=True, read_only=True)
    lag = serializers.FloatField(allow_null=True, read_only=True)


class TroubleSerializer(StrictSerializer):
    """Why a worker can start nothing, and takes nothing."""

    executor = serializers.CharField(read_only=True)
    reason = serializers.CharField(read_only=True)
    since = serializers.DateTimeField(read_only=True)


class WorkerSerializer(StrictSerializer):
    host = serializers.CharField(read_only=True)
    pid = serializers.IntegerField(read_only=True)
    started_at = serializers.DateTimeField(read_only=True)
    seen_at = serializers.DateTimeField(read_only=True)
    running = serializers.IntegerField(read_only=True)
    trouble = TroubleSerializer(allow_null=True, read_only=True)

    def to_representation(self, instance: Worker) -> dict[str, Any]:
        return {**super().to_representation(instance), "trouble": instance.trouble or None}


class QueueSerializer(StrictSerializer):
    """Block runs that wait for a worker, run, or wait for their time. Age in seconds."""

    depth = serializers.IntegerField(read_only=True)
    oldest_age = serializers.FloatField(allow_null=True, read_only=True)
    running = serializers.IntegerField(read_only=True)
    waiting = serializers.IntegerField(read_only=True)


class FindingSerializer(StrictSerializer):
    """Something that must never be; `subject` (schedule, run or occurrence) and `id` say of what."""

    kind = serializers.CharField(read_only=True)
    subject = serializers.CharField(read_only=True)
    id = serializers.IntegerField(read_only=True)
    detail = serializers.CharField(read_only=True)


class SystemSerializer(StrictSerializer):
    version = serializers.CharField(read_only=True)
    now = serializers.DateTimeField(read_only=True)
    schedulers = SchedulerSerializer(many=True, read_only=True)
    workers = WorkerSerializer(many=True, read_only=True)
    queue = QueueSerializer(read_only=True)
    findings = FindingSerializer(many=True, read_only=True)


class SystemView(APIView):
    @extend_schema(tags=["system"], responses=SystemSerializer, operation_id="system_retrieve")
    def get(self, request: Request) -> Response:
        """The schedulers and workers that are alive, the queue, and what is wrong though it must never be."""
        check_parameters(request, ())
        return Response(SystemSerializer(system(timezone.now())).data)


def system(moment: datetime) -> dict[str, Any]:
    """Everything the system page and the API tell, in three queries."""
    alive = Worker.objects.alive(moment).order_by("id")
    schedulers = list(alive.filter(kind=WorkerKind.SCHEDULER))
    return {
        "version": settings.VERSION,
        "now": moment,
        "schedulers": [told(worker, moment) for worker in schedulers],
        "workers": list(alive.filter(kind=WorkerKind.WORKER).with_held("running")),
        "queue": queue(moment),
        "findings": invariants.told_by(schedulers),
    }


def told(scheduler: Worker, moment: datetime) -> dict[str, Any]:
    return {
        "host": scheduler.host,
        "pid": scheduler.pid,
        "started_at": scheduler.started_at,
        "last_loop_at": scheduler.last_loop_at,
        "last_loop_age": seconds(moment, scheduler.last_loop_at),
        "lag": scheduler.lag.total_seconds() if scheduler.lag is not None else None,
    }


def queue(moment: datetime) -> dict[str, Any]:
    unfinished = BlockRun.objects.at_work().aggregate(
        depth=Count("id", filter=Q(status=BlockStatus.QUEUED)),
        oldest=Min("queued_at", filter=Q(status=BlockStatus.QUEUED)),
        running=Count("id", filter=Q(status=BlockStatus.RUNNING)),
        waiting=Count("id", filter=Q(status=BlockStatus.WAITING, members_total=None)),
    )
    return {**unfinished, "oldest_age": seconds(moment, unfinished["oldest"])}


def seconds(moment: datetime, earlier: datetime | None) -> float | None:
    return round((moment - earlier).total_seconds(), 3) if earlier else None
