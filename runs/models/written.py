"""How the states and the empty values of runs are written in statements and columns."""

from typing import Any

from django.db import models
from django.db.models import Q, Value

from runs.states import BLOCK_UNFINISHED, RUN_UNFINISHED, BlockStatus, RunStatus

NOTHING = Value({}, models.JSONField())
NO_ITEMS = Value([], models.JSONField())


def choices(states: type[RunStatus] | type[BlockStatus]) -> list[tuple[str, str]]:
    return [(state.value, state.value.replace("_", " ")) for state in states]


class Written(Value):
    """A status that stands in the statement itself, quoted: a parameter in a list keeps SQLite from a partial index."""

    def as_sql(self, compiler: Any, connection: Any) -> tuple[str, tuple[str | int, ...]]:
        return f"'{self.value}'", ()


OPEN_RUNS = tuple(Written(status.value) for status in RUN_UNFINISHED)
OPEN_BLOCKS = tuple(Written(status.value) for status in BLOCK_UNFINISHED)
QUEUED, RUNNING, WAITING = (
    Q(status=Written(status.value)) for status in (BlockStatus.QUEUED, BlockStatus.RUNNING, BlockStatus.WAITING)
)
