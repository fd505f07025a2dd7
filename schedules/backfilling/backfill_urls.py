from django.urls import path

from schedules.backfilling import backfill_views as views

app_name = "backfills"
urlpatterns = [
    path("", views.index, name="list"),
    path("new/", views.create, name="create"),
    path("plan/", views.plan, name="plan"),
    path("<int:backfill_id>/", views.detail, name="detail"),
    path("<int:backfill_id>/change/", views.change, name="change"),
    path("<int:backfill_id>/<str:verb>/", views.steer, name="steer"),
]
