"""Every address of the API and of the probes. Each resource is at one path; a slash at its end is optional."""

from typing import Any

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import include, path, re_path
from drf_spectacular.renderers import (
    OpenApiJsonRenderer,
    OpenApiJsonRenderer2,
    OpenApiYamlRenderer,
    OpenApiYamlRenderer2,
)
from drf_spectacular.utils import extend_schema
from drf_spectacular.views import SpectacularAPIView
from rest_framework.exceptions import NotFound
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.routers import SimpleRouter
from rest_framework.views import APIView

from alerts.channel_resource import ChannelViewSet, DeliveryViewSet
from alerts.rule_resource import AlertRuleViewSet
from alerts.viewsets import IncidentViewSet
from orchestrator_site.health import SystemView, healthz, readyz
from orchestrator_site.token_resource import TokenViewSet
from pipelines.viewsets import NUMBER, PIPELINE_UUID, PipelineViewSet
from runs.figures.history_resource import BlockHistoryView
from runs.pool_resource import PoolViewSet
from runs.retaining.retention_resource import RetentionViewSet
from runs.searching.across_resource import LogSearchView
from runs.viewsets import BlockRunViewSet, PipelineRunViewSet, RunsOfPipelineViewSet
from schedules.backfilling.backfill_viewsets import BackfillViewSet
from schedules.days.calendar_viewsets import CalendarViewSet, MaintenanceWindowViewSet
from schedules.mage_trigger import MageTrigger
from schedules.simulating.load_resource import LoadView
from schedules.viewsets import OccurrenceViewSet, PipelineScheduleViewSet, RunsOfScheduleViewSet


class Router(SimpleRouter):
    """Takes a path with and without the slash at its end; links are made without."""

    def __init__(self) -> None:
        super().__init__()
        self.trailing_slash = "/?"


class SchemaView(SpectacularAPIView):
    """JSON unless YAML is asked for: it is both."""

    renderer_classes = [OpenApiJsonRenderer2, OpenApiJsonRenderer, OpenApiYamlRenderer, OpenApiYamlRenderer2]


class NothingHere(APIView):
    """Everything else under /api/: a problem like any other, and none at all for strangers."""

    @extend_schema(exclude=True)
    def get(self, request: Request) -> Response:
        raise NotFound("There is nothing at this address.")

    post = put = patch = delete = get


def docs(request: HttpRequest) -> HttpResponse:
    """The API to read and to try, from files of ours."""
    return render(request, "orchestrator_site/api_docs.html")


router = Router()
router.register(rf"pipelines/(?P<pipeline_uuid>{PIPELINE_UUID})/pipeline_runs", RunsOfPipelineViewSet, "pipeline-runs")
router.register("pipelines", PipelineViewSet, "pipelines")
router.register(rf"pipeline_schedules/(?P<schedule_id>{NUMBER})/pipeline_runs", RunsOfScheduleViewSet, "schedule-runs")
router.register("pipeline_schedules", PipelineScheduleViewSet, "pipeline_schedules")
router.register("backfills", BackfillViewSet, "backfills")
router.register("calendars", CalendarViewSet, "calendars")
router.register("maintenance_windows", MaintenanceWindowViewSet, "maintenance_windows")
router.register("occurrences", OccurrenceViewSet, "occurrences")
router.register("pipeline_runs", PipelineRunViewSet, "pipeline_runs")
router.register("block_runs", BlockRunViewSet, "block_runs")
router.register("incidents", IncidentViewSet, "incidents")
router.register("alert_rules", AlertRuleViewSet, "alert_rules")
router.register("alert_channels", ChannelViewSet, "alert_channels")
router.register("alert_deliveries", DeliveryViewSet, "alert_deliveries")
router.register("pools", PoolViewSet, "pools")
router.register("retention", RetentionViewSet, "retention")
router.register("tokens", TokenViewSet, "tokens")

MAGE = rf"^api/pipeline_schedules/(?P<schedule_id>{NUMBER})"
app_name = "api"
urlpatterns: list[Any] = [
    path("healthz", healthz, name="healthz"),
    path("readyz", readyz, name="readyz"),
    path("api/v1/", include(router.urls)),
    re_path(
        rf"^api/v1/pipelines/(?P<pipeline_uuid>{PIPELINE_UUID})/block_history/?$",
        BlockHistoryView.as_view(),
        name="block-history",
    ),
    re_path(r"^api/v1/system/?$", SystemView.as_view(), name="system"),
    re_path(r"^api/v1/logs/?$", LogSearchView.as_view(), name="logs"),
    re_path(r"^api/v1/load/?$", LoadView.as_view(), name="load"),
    re_path(rf"{MAGE}/pipeline_runs(?:/(?P<token>[^/]{{1,200}}))?/?$", MageTrigger.as_view(), name="mage-trigger"),
    re_path(rf"{MAGE}/api_trigger/?$", MageTrigger.as_view(), name="mage-api-trigger"),
    path("api/schema/", SchemaView.as_view(), name="schema"),
    path("api/docs/", docs, name="docs"),
    re_path(r"^api/", NothingHere.as_view()),
]
