from django.urls import path

from runs import views

app_name = "runs"
urlpatterns = [
    path("", views.index, name="list"),
    path("<int:run_id>/", views.detail, name="detail"),
    path("<int:run_id>/cancel/", views.cancel, name="cancel"),
    path("<int:run_id>/retry/", views.retry, name="retry"),
    path("<int:run_id>/callbacks/<int:block_run_id>/stop/", views.stop_callback, name="stop_callback"),
    path("<int:run_id>/blocks/<int:block_run_id>/log/<int:attempt>/", views.log, name="log"),
]
