from django.apps import AppConfig


class RunsConfig(AppConfig):
    name = "runs"

    def ready(self) -> None:
        from runs import asking, broker, children, status_checks
        from runs.storing import keeping
        from runs.working import cluster

        cluster.install_guards()
        if keeping.errand not in broker.ERRANDS:
            broker.ERRANDS.append(keeping.errand)
        asking.VERBS.update(
            trigger_pipeline=children.trigger,
            wait_for_run=children.wait,
            leave_run=children.leave,
            check_status=status_checks.check_status,
        )
