from django.urls import path

from schedules.days import calendar_pages

app_name = "calendars"
urlpatterns = [
    path("", calendar_pages.index, name="list"),
    path("new/", calendar_pages.create, name="create"),
    path("preview/", calendar_pages.preview, name="preview"),
    path("<int:calendar_id>/", calendar_pages.edit, name="edit"),
    path("<int:calendar_id>/preview/", calendar_pages.preview, name="preview"),
    path("<int:calendar_id>/delete/", calendar_pages.delete, name="delete"),
    path("windows/new/", calendar_pages.create_window, name="create_window"),
    path("windows/preview/", calendar_pages.preview_window, name="preview_window"),
    path("windows/<int:window_id>/", calendar_pages.edit_window, name="edit_window"),
    path("windows/<int:window_id>/preview/", calendar_pages.preview_window, name="preview_window"),
    path("windows/<int:window_id>/delete/", calendar_pages.delete_window, name="delete_window"),
]
