"""Why something runs or does not, as a list of conditions in their order: each passed or not, and who is in the way."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.urls import reverse
from django.utils.http import urlencode


@dataclass(frozen=True)
class Link:
    """Something that stands in the way. `kind`: run, block, schedule, occurrence, backfill or pipeline."""

    kind: str
    id: int | str
    label: str
    url: str

    def as_dict(self) -> dict[str, Any]:
        return vars(self)


@dataclass(frozen=True, kw_only=True)
class Check:
    """One condition. `passed` is None where it is not known or is not what decides; `clears_at` is when it should
    be passed, as far as that is known or can be expected."""

    name: str
    passed: bool | None
    detail: str
    blockers: tuple[Link, ...] = ()
    clears_at: datetime | None = None

    def as_dict(self) -> dict[str, Any]:
        return {**vars(self), "blockers": [link.as_dict() for link in self.blockers]}


@dataclass(frozen=True, kw_only=True)
class Explanation:
    """The answer in one sentence, and the conditions it was found by. `is_running`: nothing keeps it from its work."""

    summary: str
    checks: tuple[Check, ...]
    is_running: bool = False

    @property
    def shut(self) -> Check | None:
        """The first condition that is not met."""
        return first_shut(self.checks)

    def as_dict(self) -> dict[str, Any]:
        return {
            "summary": self.summary,
            "is_running": self.is_running,
            "checks": [check.as_dict() for check in self.checks],
        }


def first_shut(checks: Iterable[Check]) -> Check | None:
    return next((check for check in checks if check.passed is False), None)


def run_link(run_id: int) -> Link:
    return Link("run", run_id, f"run {run_id}", reverse("runs:detail", args=[run_id]))


def block_link(run_id: int, uuid: str, label: str = "") -> Link:
    url = f"{reverse('runs:detail', args=[run_id])}?{urlencode({'block': uuid})}"
    return Link("block", uuid, label or uuid, url)


def pipeline_link(uuid: str) -> Link:
    return Link("pipeline", uuid, uuid, reverse("pipelines:detail", args=[uuid]))


def listed(names: Sequence[str], most: int = 5) -> str:
    """Return "a, b and 3 more"."""
    more = len(names) - most
    return ", ".join(names[:most]) + (f" and {more} more" if more > 0 else "")


def counted(number: int, what: str) -> str:
    """Return "1 block" or "3 blocks"."""
    return f"{number} {what}{'' if number == 1 else 's'}"


def at(moment: datetime) -> str:
    """Return a moment as it is written within sentences."""
    return f"{moment:%Y-%m-%d %H:%M:%S} UTC"
