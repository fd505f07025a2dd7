from django.urls import path, re_path

from runs import views
from runs.bulk import pages as bulk_pages
from runs.comparing import pages as compare_pages
from runs.outputs import pages as output_pages
from runs.retrying import retry_pages
from runs.searching import log_pages

app_name = "runs"
urlpatterns = [
    path("", views.index, name="list"),
    path("bulk/", bulk_pages.decide, name="bulk"),
    path("<int:run_id>/", views.detail, name="detail"),
    path("<int:run_id>/cancel/", views.cancel, name="cancel"),
    path("<int:run_id>/compare/", compare_pages.with_last_good, name="compare"),
    path("<int:run_id>/compare/<int:other_id>/", compare_pages.two, name="compare_with"),
    path("<int:run_id>/retry/", retry_pages.retry, name="retry"),
    path("<int:run_id>/keep/", retry_pages.keep, name="keep"),
    path("<int:run_id>/blocks/<int:block_run_id>/mark/", retry_pages.mark, name="mark"),
    path("<int:run_id>/callbacks/<int:block_run_id>/stop/", views.stop_callback, name="stop_callback"),
    path("<int:run_id>/blocks/<int:block_run_id>/log/<int:attempt>/", log_pages.page, name="log"),
    re_path(
        r"^(?P<run_id>\d+)/blocks/(?P<block_run_id>\d+)/log/(?P<attempt>\d+)\.(?P<kind>log|jsonl)$",
        log_pages.file,
        name="log_file",
    ),
    re_path(
        r"^(?P<run_id>[0-9]{1,18})/blocks/(?P<block_run_id>[0-9]{1,18})/outputs/(?P<name>[A-Za-z0-9_]{1,64})\.(?P<form>[a-z]{1,10})$",
        output_pages.output,
        name="output",
    ),
]
