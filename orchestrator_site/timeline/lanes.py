"""Which pipelines the timeline shows, in which groups and order."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from itertools import groupby

from executors import registry
from pipelines.models import Pipeline
from runs.models import PipelineRun
from runs.states import RunStatus
from schedules.models import Occurrence

NO_TAG, NO_OWNER = "without a tag", "without an owner"


@dataclass(frozen=True)
class Row:
    """A pipeline as far as the timeline must know it. A tag groups only if it is the first."""

    pk: int
    uuid: str
    name: str
    tags: tuple[str, ...]
    owner: str
    executor: str
    is_valid: bool = True

    def group(self, by: str) -> str:
        match by:
            case "owner":
                return self.owner or NO_OWNER
            case "executor":
                return self.executor
            case "none":
                return ""
        return self.tags[0] if self.tags else NO_TAG


@dataclass
class Group:
    name: str
    rows: list[Row] = field(default_factory=list)


def all_rows() -> list[Row]:
    """Return every pipeline that is present; one query, without what makes versions heavy."""
    fields = ("pk", "uuid", "name", "tags", "owner", "current_version__settings__executor_type", "is_valid")
    rows = Pipeline.objects.present().order_by("uuid").values_list(*fields)
    return [
        Row(pk, uuid, name, tuple(map(str, tags)), owner, executor_of(executor), is_valid)
        for pk, uuid, name, tags, owner, executor, is_valid in rows
    ]


def executor_of(name: object) -> str:
    """Return the executor's own name, or what is written where there is none of that name."""
    text = name if isinstance(name, str) else ""
    return registry.LOCAL if text in registry.ALIASES else text


def narrowed(rows: Iterable[Row], *, text: str = "", tag: str = "", owner: str = "") -> list[Row]:
    wanted = text.casefold()
    return [
        row
        for row in rows
        if wanted in "\n".join([row.uuid, row.name, *row.tags]).casefold()
        and (not tag or tag in row.tags)
        and (not owner or owner == row.owner)
    ]


def in_state(rows: Iterable[Row], state: str, begin: datetime, end: datetime) -> list[Row]:
    """Keep the pipelines that have a run, or a missed moment, of this state in the window; one query."""
    if not state:
        return list(rows)
    if state == "missed":
        found = Occurrence.objects.lost().filter(scheduled_for__gte=begin, scheduled_for__lte=end)
        pks = set(found.order_by().values_list("pipeline_id", flat=True).distinct())
    elif state in (RunStatus.RUNNING, RunStatus.INITIAL):
        runs = PipelineRun.objects.unfinished().filter(status=state, created_at__lte=end)
        pks = set(runs.order_by().values_list("pipeline_id", flat=True).distinct())
    else:
        ended = PipelineRun.objects.filter(status=state, completed_at__gte=begin, completed_at__lte=end)
        pks = set(ended.order_by().values_list("pipeline_id", flat=True).distinct())
    return [row for row in rows if row.pk in pks]


def in_order(rows: Iterable[Row], by: str) -> list[Row]:
    """Sort by group, those without one last, then by name."""
    return sorted(rows, key=lambda row: (row.group(by) in (NO_TAG, NO_OWNER), row.group(by).casefold(), row.uuid))


def grouped(rows: Sequence[Row], by: str) -> list[Group]:
    """Gather rows that are in order."""
    return [Group(name, list(own)) for name, own in groupby(rows, key=lambda row: row.group(by))]
