"""Old logs, by hand."""

from runs.retaining.cleaning import CleaningCommand


class Command(CleaningCommand):
    help = (
        "Remove the logs of old finished runs; the runs stay, and say that their logs were removed. Try --dry-run "
        "first: manage.py clean_old_logs --retention-period 30d --dry-run"
    )
    kind = "logs"
