from django.apps import AppConfig


class SchedulesConfig(AppConfig):
    name = "schedules"

    def ready(self) -> None:
        from runs import admission, children
        from runs.retaining import removing, retention
        from schedules import asked, removed_runs
        from schedules.days import window_holds

        if window_holds.hold not in admission.HOLDS:
            admission.HOLDS.append(window_holds.hold)
        if asked.start not in children.BY_TRIGGER:
            children.BY_TRIGGER.append(asked.start)
        if removed_runs.forget not in removing.FORGET:
            removing.FORGET.append(removed_runs.forget)
        if removed_runs.counted_by_backfills not in retention.SHIELDS:
            retention.SHIELDS.append(removed_runs.counted_by_backfills)
