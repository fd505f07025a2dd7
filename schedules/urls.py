from django.urls import path

from schedules import views
from schedules.pages import bulk_pages, form_pages, held_pages, missed_pages
from schedules.reasons import why_pages

app_name = "schedules"
urlpatterns = [
    path("", views.index, name="list"),
    path("new/", form_pages.create, name="create"),
    path("preview/", form_pages.preview, name="preview"),
    path("bulk/", bulk_pages.decide, name="bulk"),
    path("held/", held_pages.index, name="held"),
    path("missed/", missed_pages.index, name="missed"),
    path("held/decide/", held_pages.decide, name="decide_held"),
    path("<int:schedule_id>/", views.detail, name="detail"),
    path("<int:schedule_id>/occurrences/<int:occurrence_id>/", why_pages.occurrence, name="occurrence"),
    path("<int:schedule_id>/edit/", form_pages.edit, name="edit"),
    path("<int:schedule_id>/preview/", form_pages.preview, name="preview"),
    path("<int:schedule_id>/pause/", views.pause, name="pause"),
    path("<int:schedule_id>/resume/", views.resume, name="resume"),
    path("<int:schedule_id>/run/", views.start, name="start"),
    path("<int:schedule_id>/token/", views.rotate, name="rotate"),
    path("<int:schedule_id>/code/", views.save_in_code, name="save_in_code"),
    path("<int:schedule_id>/delete/", views.delete, name="delete"),
]
