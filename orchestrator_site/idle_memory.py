"""A process looks through its memory for what nobody uses any more while nobody waits for it.

Left to itself Python does so whenever a quarter more has gathered, in the midst of a request: 100 to 250 ms of it.
"""

import asyncio
import gc
from collections.abc import Callable
from importlib import import_module

from django.conf import settings

EVERY = 10.0  # seconds between two looks whether it is time
LONGEST = 120.0  # seconds for which it waits for an idle moment
DUE = 50  # smaller collections since the last one: some hundred requests
NEVER = 10**9


def put_aside() -> None:
    """Leave what a process begins with out of every later look, and make none in the midst of something."""
    import_module(settings.ROOT_URLCONF)  # else it would be read, and stay, with the first request
    gc.collect()
    gc.freeze()
    young, middle, _ = gc.get_threshold()
    gc.set_threshold(young, middle, NEVER)


def is_due() -> bool:
    return gc.get_count()[2] >= DUE


async def look_when_idle(is_idle: Callable[[], bool]) -> None:
    """Look through the memory whenever that is due, as soon as the process is idle; at last also when it is not."""
    waited = 0.0
    while True:
        await asyncio.sleep(EVERY)
        waited = waited + EVERY if is_due() else 0.0
        if waited and (is_idle() or waited >= LONGEST):
            gc.collect()
            waited = 0.0
