from django.urls import path

from alerts.pages import acting, bulk, deliveries, incidents

app_name = "incidents"
urlpatterns = [
    path("", incidents.index, name="list"),
    path("bulk/", bulk.decide, name="bulk"),
    path("deliveries/", deliveries.index, name="deliveries"),
    path("<int:incident_id>/", incidents.detail, name="detail"),
    path("<int:incident_id>/retry/", acting.retry, name="retry"),
    path("<int:incident_id>/<slug:verb>/", acting.act, name="act"),
]
