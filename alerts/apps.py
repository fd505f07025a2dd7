from datetime import timedelta
from typing import Any

from django.apps import AppConfig


class AlertsConfig(AppConfig):
    name = "alerts"

    def ready(self) -> None:
        """Have the scheduler's loop and the workers do what is ours, once each."""
        from django.conf import settings

        from alerts import courier, evaluating, forgetting, heartbeat, notification_config, scheduler_watch, unalerted
        from runs.broker import ERRANDS
        from runs.retaining import retention_preview
        from schedules.reasons.invariants import FURTHER
        from schedules.scheduler import FURTHER_DUTIES

        add(
            FURTHER_DUTIES,
            (evaluating.look, evaluating.EVERY),
            (heartbeat.ping, timedelta(seconds=settings.HEARTBEAT_URL_SECONDS)),
            (notification_config.follow, timedelta(seconds=2)),
            (courier.stand_in, timedelta(seconds=5)),
            (forgetting.forget, timedelta(hours=1)),
        )
        add(ERRANDS, scheduler_watch.errand, courier.look)
        add(FURTHER, unalerted.find)
        add(retention_preview.BESIDE, forgetting.preview)


def add(to: list[Any], *what: Any) -> None:
    to.extend(each for each in what if each not in to)
