"""When open pages may look again: at once while few want to, one after the other when many do.

A look is a request that the web process draws a page for. Two hundred pages that all look at the same change would
keep everybody else waiting for seconds; so looks are booked one behind the other, and take a share of the process.
"""

import random

SHARE = 0.4  # of the web process' time that looks of one kind may take
AT_ONCE = 0.6  # seconds: looks booked no further ahead than this need not wait
FIRST_GUESS = 0.05  # seconds that a look takes
LONGEST = 30.0  # seconds that a page waits at most: then it would look without being told
BESIDE = (
    3  # looks that may wait at a time for the database, or for a machine that has other work, for one that computes
)
WEIGHT = 0.1  # of the newest look in what a look is thought to take


class Pace:
    """What a look takes, as measured, and until when looks are booked."""

    def __init__(self) -> None:
        self.cost = FIRST_GUESS
        self.booked_until: dict[str, float] = {}

    def took(self, seconds: float, computed: float) -> None:
        """Note what a look took from begin to end, and what the process computed meanwhile, all threads together.

        Both are more when much goes on beside it, which spreads looks further.
        """
        self.cost += WEIGHT * (max(computed, seconds / BESIDE) - self.cost)

    def turn(self, kind: str, now: float) -> float:
        """Book a look; return in how many seconds it may be. Each kind has its own line, and its own share.

        More pages than can look within the longest wait are not booked: each looks at some moment in its second half.
        """
        begin = max(now, self.booked_until.get(kind, now))
        wait = max(0.0, begin - now - AT_ONCE)
        if wait > LONGEST:
            return random.uniform(LONGEST / 2, LONGEST)  # noqa: S311  # no secret
        self.booked_until[kind] = begin + self.cost / SHARE
        return wait


pace = Pace()
