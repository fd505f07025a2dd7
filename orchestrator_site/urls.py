"""The whole URL map."""

from django.contrib import admin
from django.contrib.auth import views as auth
from django.urls import include, path

from orchestrator_site import account_pages, saved_views, system_pages
from orchestrator_site.dashboard import pages as dashboard_pages
from orchestrator_site.pipeline_list import bulk_pages as pipeline_bulk_pages
from orchestrator_site.timeline import pages as timeline_pages
from runs.retaining import retention_pages
from runs.searching import across_pages
from schedules.simulating import load_pages

admin.site.site_title = admin.site.site_header = "Orchestrator"
admin.site.index_title = "Administration"

handler500 = "orchestrator_site.fault_pages.fault"

account = [
    path("login/", auth.LoginView.as_view(redirect_authenticated_user=True), name="login"),
    path("logout/", auth.LogoutView.as_view(), name="logout"),
    path("account/", account_pages.index, name="account"),
    path("account/tokens/<int:token_id>/revoke/", account_pages.revoke, name="revoke_token"),
    path("account/password/", auth.PasswordChangeView.as_view(success_url="/account/"), name="password_change"),
]

urlpatterns = [
    path("", dashboard_pages.index, name="dashboard"),
    path("pipelines/", include("orchestrator_site.pipeline_views.pipeline_urls")),
    path("pause-or-resume/", pipeline_bulk_pages.decide, name="bulk_pipelines"),  # any name may be a pipeline's
    path("runs/", include("runs.urls")),
    path("logs/", across_pages.index, name="logs"),
    path("schedules/", include("schedules.urls")),
    path("backfills/", include("schedules.backfilling.backfill_urls")),
    path("calendars/", include("schedules.days.calendar_urls")),
    path("incidents/", include("alerts.urls")),
    path("views/save/", saved_views.save, name="save_view"),
    path("views/<int:view_id>/forget/", saved_views.forget, name="forget_view"),
    path("timeline/", timeline_pages.index, name="timeline"),
    path("load/", load_pages.index, name="load"),
    path("system/", system_pages.index, name="system"),
    path("system/retention/", retention_pages.index, name="retention"),
    *account,
    path("", include("orchestrator_site.api_urls")),
    path("admin/", admin.site.urls),
]
