from django.urls import path

from orchestrator_site.pipeline_list import pages as list_pages
from orchestrator_site.pipeline_views import (
    calendar_page,
    code_page,
    durations_page,
    graph_page,
    grid_page,
    landing_page,
    overview_page,
    settings_page,
    triggers_page,
    versions_page,
)

app_name = "pipelines"
urlpatterns = [
    path("", list_pages.index, name="list"),
    path("<str:uuid>/", overview_page.detail, name="detail"),
    path("<str:uuid>/run/", overview_page.start, name="start"),
    path("<str:uuid>/grid/", grid_page.grid, name="grid"),
    path("<str:uuid>/graph/", graph_page.graph, name="graph"),
    path("<str:uuid>/calendar/", calendar_page.calendar, name="calendar"),
    path("<str:uuid>/durations/", durations_page.durations, name="durations"),
    path("<str:uuid>/landing/", landing_page.landing, name="landing"),
    path("<str:uuid>/triggers/", triggers_page.triggers, name="triggers"),
    path("<str:uuid>/versions/", versions_page.versions, name="versions"),
    path("<str:uuid>/code/", code_page.code, name="code"),
    path("<str:uuid>/settings/", settings_page.settings, name="settings"),
]
