"""Websocket addresses."""

from typing import Any

from django.urls import path

from runs.consumers import EventsConsumer, LogConsumer, RunConsumer
from runs.page_consumer import PageConsumer


def route(address: str, consumer: Any) -> Any:
    return path(address, consumer.as_asgi())  # channels routes by Django's patterns, to applications and not views


websocket_urlpatterns: list[Any] = [
    route("ws/events/", EventsConsumer),
    route("ws/pages/", PageConsumer),
    route("ws/runs/<int:run_id>/", RunConsumer),
    route("ws/block_runs/<int:block_run_id>/logs/", LogConsumer),
]
