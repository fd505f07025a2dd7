"""What is told about a change of an incident, as rows to be sent."""

from datetime import datetime

from alerts.models import Change


def write_for(change: Change, moment: datetime) -> int:
    """Write a Delivery for each active channel of the incident's rule; return how many."""
    return 0
