from django.urls import path

from alerts.pages import acting, bulk, channels, deliveries, incidents, rules

app_name = "incidents"
urlpatterns = [
    path("", incidents.index, name="list"),
    path("bulk/", bulk.decide, name="bulk"),
    path("rules/", rules.index, name="rules"),
    path("rules/new/", rules.create, name="new_rule"),
    path("rules/preview/", rules.preview, name="preview_rule"),
    path("rules/<int:rule_id>/", rules.edit, name="rule"),
    path("rules/<int:rule_id>/switch/", rules.switch, name="switch_rule"),
    path("rules/<int:rule_id>/delete/", rules.delete, name="delete_rule"),
    path("channels/", channels.index, name="channels"),
    path("channels/new/", channels.create, name="new_channel"),
    path("channels/<int:channel_id>/", channels.detail, name="channel"),
    path("channels/<int:channel_id>/edit/", channels.edit, name="edit_channel"),
    path("channels/<int:channel_id>/test/", channels.test, name="test_channel"),
    path("channels/<int:channel_id>/rotate/", channels.rotate, name="rotate_key"),
    path("channels/<int:channel_id>/retire/", channels.retire, name="retire_key"),
    path("channels/<int:channel_id>/delete/", channels.delete, name="delete_channel"),
    path("deliveries/", deliveries.index, name="deliveries"),
    path("deliveries/<int:delivery_id>/resend/", deliveries.resend, name="resend"),
    path("<int:incident_id>/", incidents.detail, name="detail"),
    path("<int:incident_id>/retry/", acting.retry, name="retry"),
    path("<int:incident_id>/<slug:verb>/", acting.act, name="act"),
]
