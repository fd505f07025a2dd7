"""Which maintenance windows are open, what they hold or mute, and when that changes."""

import logging
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TypeVar

from pipelines.refusal import Refusal
from schedules.days.maintenance import Effect, MaintenanceWindow, Scope

logger = logging.getLogger(__name__)
Found = TypeVar("Found")


@dataclass(frozen=True)
class OpenWindow:
    """A window that is open now, and until when (UTC)."""

    id: int
    name: str
    reason: str
    until: datetime
    scope: str = Scope.ALL
    value: str = ""
    effect: str = Effect.BOTH

    def covers(self, *, pipeline: str, tags: Collection[str], executor: str) -> bool:
        match self.scope:
            case Scope.ALL:
                return True
            case Scope.TAG:
                return self.value in tags
            case Scope.PIPELINE:
                return self.value == pipeline
            case Scope.EXECUTOR:
                return self.value == executor
        return False


def open_windows(moment: datetime) -> list[OpenWindow]:
    """Return the windows that are open at a moment; one query."""
    found = []
    for window in MaintenanceWindow.objects.possible(moment):
        if span := read(window, lambda each: each.opening_at(moment)):
            found.append(
                OpenWindow(window.pk, window.name, window.reason, span[1], window.scope, window.value, window.effect)
            )
    return found


def holding(windows: Sequence[OpenWindow], *, pipeline: str, tags: Iterable[str], executor: str) -> OpenWindow | None:
    """Return the window that keeps a run from starting; of several, the one that ends last.

    `pipeline` is its uuid, `tags` are those of the pipeline and of the schedule together.
    """
    return last_of(windows, Effect.HOLD_STARTS, pipeline, tags, executor)


def muting(windows: Sequence[OpenWindow], *, pipeline: str, tags: Iterable[str], executor: str) -> OpenWindow | None:
    """Return the window that keeps alerts about a run from being sent; of several, the one that ends last."""
    return last_of(windows, Effect.MUTE_ALERTS, pipeline, tags, executor)


def last_of(
    windows: Sequence[OpenWindow], effect: Effect, pipeline: str, tags: Iterable[str], executor: str
) -> OpenWindow | None:
    own = frozenset(tags)
    matching = [
        window
        for window in windows
        if window.effect in (effect, Effect.BOTH) and window.covers(pipeline=pipeline, tags=own, executor=executor)
    ]
    return max(matching, key=lambda window: window.until, default=None)


def read(window: MaintenanceWindow, ask: Callable[[MaintenanceWindow], Found]) -> Found | None:
    """Ask a window; one that cannot be read, for example after a change of zone data, holds nothing up."""
    try:
        return ask(window)
    except Refusal as refusal:
        logger.warning("the maintenance window %s cannot be read: %s", window.name, refusal)
        return None
