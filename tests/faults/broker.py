"""Nemeses N14 and N15: hints that come ten times, or not at all."""

import random
from pathlib import Path
from typing import Any

from django.conf import settings
from django_q.conf import Conf

from runs.broker import BlockRunBroker

TIMES = 10
LOST = 0.3


class UnreliableBroker(BlockRunBroker):
    """Does what the file `hints` beside the data folder says: "multiply", "lose", or anything else for neither."""

    def look(self) -> list[tuple[Any, str]]:
        hints = super().look()
        match mode():
            case "multiply":
                return (hints * TIMES)[: max(TIMES, 2 * Conf.WORKERS)]
            case "lose":
                return [hint for hint in hints if random.random() > LOST]
        return hints


def mode() -> str:
    try:
        return (Path(settings.DATA_DIR).parent / "hints").read_text().strip()
    except OSError:
        return ""
