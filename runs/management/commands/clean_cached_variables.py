"""Old outputs of blocks, by hand."""

from runs.retaining.cleaning import CleaningCommand


class Command(CleaningCommand):
    help = (
        "Remove what the blocks of old finished runs returned; the runs stay, with the previews of their outputs. "
        "Try --dry-run first: manage.py clean_cached_variables --retention-period 30d --dry-run"
    )
    kind = "outputs"
