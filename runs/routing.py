"""Websocket addresses."""

from django.urls import path

from runs.consumers import EventsConsumer, LogConsumer, RunConsumer

websocket_urlpatterns = [
    path("ws/events/", EventsConsumer.as_asgi()),
    path("ws/runs/<int:run_id>/", RunConsumer.as_asgi()),
    path("ws/block_runs/<int:block_run_id>/logs/", LogConsumer.as_asgi()),
]
