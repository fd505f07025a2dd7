from django.urls import path

from alerts.pages import incidents

app_name = "incidents"
urlpatterns = [
    path("", incidents.index, name="list"),
]
