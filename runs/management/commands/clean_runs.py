"""Old runs, by hand."""

from runs.retaining.cleaning import CleaningCommand


class Command(CleaningCommand):
    help = (
        "Remove old finished runs with their block runs, attempts, events, logs and outputs. Try --dry-run first: "
        "manage.py clean_runs --retention-period 90d --dry-run"
    )
    kind = "runs"
