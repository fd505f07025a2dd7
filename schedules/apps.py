from django.apps import AppConfig


class SchedulesConfig(AppConfig):
    name = "schedules"

    def ready(self) -> None:
        from runs import admission
        from schedules.days import window_holds

        if window_holds.hold not in admission.HOLDS:
            admission.HOLDS.append(window_holds.hold)
