"""One verb for many runs: first told which they are, then done to exactly those.

The token of a preview is a signature of what was asked and of every run that it was for: when it no longer fits,
nothing is done.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from django.db.models import QuerySet
from django.utils.crypto import constant_time_compare, salted_hmac

from pipelines.refusal import Refusal
from runs import lifecycle
from runs.models import PipelineRun
from runs.retrying import repeating
from runs.retrying.repeat_plans import Version
from runs.states import RUN_FINISHED, RunStatus

VERBS = ("cancel", "retry", "keep", "unkeep")
MOST = 1000
MOST_COUNTED = 10_000
SAMPLE = 20
INCOMPLETE = (RunStatus.FAILED, RunStatus.CANCELLED)


@dataclass(frozen=True, kw_only=True)
class Order:
    """What shall be done. `whole` and `version` are for a retry, `reason` for a cancel."""

    verb: str
    whole: bool = False
    version: Version = "pinned"
    reason: str = ""


@dataclass(frozen=True)
class Preview:
    """The runs for which the verb has a meaning, oldest first; `token` stands for exactly these."""

    ids: Sequence[int]
    sample: Sequence[PipelineRun]
    token: str

    @property
    def count(self) -> int:
        return len(self.ids)


@dataclass(frozen=True)
class Result:
    """What became of one run; `reason` says why not, "" if it was done."""

    id: int
    reason: str = ""

    @property
    def done(self) -> bool:
        return not self.reason


def preview(runs: QuerySet[PipelineRun], order: Order, asked: Mapping[str, Any]) -> Preview:
    """Tell which of the runs the order is for. `asked` is how they were chosen: it is signed along.

    Raises Refusal when there is none, or more than 1,000.
    """
    found = meant(runs, order).order_by("id")
    ids = list(found.values_list("id", flat=True)[: MOST + 1])
    if len(ids) > MOST:
        count = found[: MOST_COUNTED + 1].count()
        said = f"{count:,}" if count <= MOST_COUNTED else f"More than {MOST_COUNTED:,}"
        raise Refusal(f"{said} runs match; the limit is {MOST:,}.", field="filter", hint="Narrow the filter.")
    if not ids:
        raise Refusal(
            f"None of these runs can be {PAST[order.verb]}.",
            field="filter",
            hint=WHEN[order.verb],
            code="nothing_to_do",
        )
    sample = list(PipelineRun.objects.for_list().filter(pk__in=ids[:SAMPLE]).order_by("id"))
    return Preview(ids, sample, signature(order, asked, ids))


def perform(
    runs: QuerySet[PipelineRun], order: Order, asked: Mapping[str, Any], token: str, *, moment: datetime, by: str
) -> list[Result]:
    """Do what was previewed, run by run, each in a transaction of its own; say of each what became of it.

    Raises Refusal, having done nothing, when other runs match by now than the token stands for.
    """
    told = preview(runs, order, asked)
    if not constant_time_compare(told.token, token):
        raise Refusal(
            f"What matches has changed since the preview, or the request has: {told.count:,} run"
            f"{'' if told.count == 1 else 's'} by now.",
            field="token",
            hint="Look at a new preview, then confirm that, with the same verb and settings.",
            code="conflict",
        )
    if order.verb in ("keep", "unkeep"):
        PipelineRun.objects.filter(pk__in=told.ids).update(is_kept=order.verb == "keep")
        return [Result(run_id) for run_id in told.ids]
    return [Result(run.pk, do(run, order, moment, by)) for run in read(told.ids)]


def read(ids: Sequence[int]) -> list[PipelineRun]:
    runs = PipelineRun.objects.select_related("pipeline", "version").defer("version__files", "version__graph")
    return list(runs.filter(pk__in=ids).order_by("id"))


def do(run: PipelineRun, order: Order, moment: datetime, by: str) -> str:
    """Do it to one run; return "" or why not."""
    if order.verb == "cancel":
        reason = order.reason or f"cancelled by {by}"
        return "" if lifecycle.cancel(run, moment=moment, reason=reason, by=by) else "it is finished already"
    try:
        goes_on = repeating.retry(run, moment=moment, by=by, incomplete=not order.whole, version=order.version)
        return "" if goes_on else "it goes on already"
    except Refusal as refusal:
        return str(refusal)


def meant(runs: QuerySet[PipelineRun], order: Order) -> QuerySet[PipelineRun]:
    """Return those among the runs for which the verb has a meaning."""
    match order.verb:
        case "cancel":
            return runs.exclude(status__in=RUN_FINISHED)
        case "retry":
            with_completed = order.whole or order.version == "current"
            return runs.filter(status__in=RUN_FINISHED if with_completed else INCOMPLETE)
        case "keep" | "unkeep":
            return runs.filter(is_kept=order.verb == "unkeep")
    raise Refusal(f"{order.verb[:80]!r} is no verb for runs.", field="verb", hint=f"Allowed: {', '.join(VERBS)}.")


PAST = {"cancel": "cancelled", "retry": "retried", "keep": "kept", "unkeep": "left to retention"}
WHEN = {
    "cancel": "Only runs that are not finished can be.",
    "retry": "Only failed and cancelled runs can be; completed ones as a whole.",
    "keep": "They are kept already.",
    "unkeep": "They are not kept.",
}


def signature(order: Order, asked: Mapping[str, Any], ids: Sequence[int]) -> str:
    said = json.dumps([asdict(order), dict(asked), list(ids)], sort_keys=True)
    return salted_hmac("runs.bulk", said, algorithm="sha256").hexdigest()
