from django.urls import path

from schedules import views

app_name = "schedules"
urlpatterns = [
    path("", views.index, name="list"),
    path("new/", views.create, name="create"),
    path("preview/", views.preview, name="preview"),
    path("<int:schedule_id>/", views.detail, name="detail"),
    path("<int:schedule_id>/edit/", views.edit, name="edit"),
    path("<int:schedule_id>/pause/", views.pause, name="pause"),
    path("<int:schedule_id>/resume/", views.resume, name="resume"),
    path("<int:schedule_id>/run/", views.start, name="start"),
    path("<int:schedule_id>/token/", views.rotate, name="rotate"),
    path("<int:schedule_id>/delete/", views.delete, name="delete"),
]
