"""Whether something takes longer than it did. Pure."""

from collections.abc import Sequence
from statistics import median

LEAST = 8  # values in each half; fewer say nothing
TOLD = 0.15  # a smaller change is noise


def change_of(values: Sequence[float]) -> float | None:
    """Return by what share the newer half's median differs from the older's (0.3: 30 % longer); None if it hardly does.

    The values are given with the oldest first.
    """
    half = len(values) // 2
    if half < LEAST:
        return None
    older, newer = median(values[:half]), median(values[half:])
    if older <= 0:
        return None
    change = newer / older - 1
    return round(change, 3) if abs(change) >= TOLD else None
