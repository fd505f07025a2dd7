from django.apps import AppConfig


class AlertsConfig(AppConfig):
    name = "alerts"

    def ready(self) -> None:
        from datetime import timedelta

        from django.conf import settings

        from alerts import evaluating, heartbeat, scheduler_watch
        from runs import broker
        from schedules import scheduler

        duties = {
            evaluating.look: evaluating.EVERY,
            heartbeat.ping: timedelta(seconds=settings.HEARTBEAT_URL_SECONDS),
        }
        known = {call for call, _ in scheduler.FURTHER_DUTIES}
        scheduler.FURTHER_DUTIES.extend((call, every) for call, every in duties.items() if call not in known)
        if scheduler_watch.errand not in broker.ERRANDS:
            broker.ERRANDS.append(scheduler_watch.errand)
