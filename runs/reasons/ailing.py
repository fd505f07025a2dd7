"""Executors that cannot start blocks somewhere, as the workers there say of themselves. Pure."""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass

from runs.models import Worker


@dataclass(frozen=True)
class Ailing:
    """An executor that so many workers of a host cannot start blocks with; `since` is ISO 8601."""

    executor: str
    host: str
    workers: int
    reason: str
    since: str

    @property
    def sentence(self) -> str:
        who = "a worker" if self.workers == 1 else f"{self.workers} workers"
        return f"{who} on {self.host} cannot start blocks: {self.reason}"


def ailing(alive: Iterable[Worker]) -> list[Ailing]:
    """Return what workers say is wrong, one for each executor and host: the latest reason, the earliest time."""
    found: dict[tuple[str, str], list[dict[str, str]]] = defaultdict(list)
    for worker in alive:
        if worker.trouble:
            found[worker.trouble["executor"], worker.host].append(worker.trouble)
    return [
        Ailing(
            executor,
            host,
            len(told),
            max(told, key=lambda each: each["since"])["reason"],
            min(each["since"] for each in told),
        )
        for (executor, host), told in sorted(found.items())
    ]
