"""Whether this process tree is stopping, known at once to every process forked from the one that decides."""

import multiprocessing

# 0: work. 1: claim no more. 2: give back what runs.
_phase = multiprocessing.RawValue("i", 0)


def begin() -> None:
    _phase.value = 1


def drain() -> None:
    _phase.value = 2


def is_stopping() -> bool:
    return bool(_phase.value >= 1)


def is_draining() -> bool:
    return bool(_phase.value >= 2)
