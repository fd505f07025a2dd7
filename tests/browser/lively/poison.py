"""Hostile words in every place where people or programs may put words; nothing may come of them but text."""

import json
from typing import Any

from django.db import models

from alerts.models import AlertRule, Breach, Change, Channel, Delivery, Incident
from orchestrator_site.models import ApiToken, SavedView
from pipelines.models import Pipeline, PipelineVersion
from runs import logs
from runs.models import Attempt, BlockRun, Event, PipelineRun, Pool, Worker
from schedules.models import Backfill, Calendar, MaintenanceWindow, Occurrence, PipelineSchedule

POISON = (
    "\"'><img src=x onerror=alert(1)><script>alert(2)</script><svg onload=alert(3)>"
    "</title></textarea></style>{{7*7}}{% now %}\u202etfel ot thgir\x1b[31m\x07<a href=javascript:alert(4)>"
)
LONG = "W" * 3000
WORDS: dict[type[models.Model], tuple[str, ...]] = {
    AlertRule: ("name", "tag", "created_by"),
    ApiToken: ("name",),
    Attempt: ("reason", "host", "external_id"),
    Backfill: ("name", "created_by"),
    BlockRun: ("name", "reason", "external_id"),
    Breach: ("message", "muted_by"),
    Calendar: ("description",),
    Change: ("message", "by"),
    Channel: ("name", "shown_address", "problem"),
    Delivery: ("title", "body", "last_error", "service"),
    Event: ("message",),
    Incident: ("title", "detail", "acknowledged_by", "close_reason"),
    MaintenanceWindow: ("name", "reason"),
    Occurrence: ("reason",),
    Pipeline: ("name", "description", "owner"),
    PipelineRun: ("trigger_name", "started_by", "reason"),
    PipelineSchedule: ("name", "description", "problem"),
    Pool: ("name", "description"),
    SavedView: ("name",),
    Worker: ("host",),
}
LINES = (POISON, LONG, "x" * 1_000_000, "a\x00b\x08c", "\u202e\u2066" + POISON, "\x1b]8;;https://evil\x07x\x1b]8;;\x07")
NEWEST = 300  # rows of each kind that are shown anywhere


def fill() -> None:
    for model, names in WORDS.items():
        rows = list(model._default_manager.order_by("-pk")[:NEWEST])
        for row in rows:
            for name in names:
                most = getattr(model._meta.get_field(name), "max_length", None) or 5000
                setattr(row, name, f"{row.pk} {POISON} {LONG}"[:most])
        model._default_manager.bulk_update(rows, names, batch_size=100)
    Pipeline.objects.update(tags=[POISON, LONG[:100]])
    PipelineSchedule.objects.update(tags=[POISON], variables={POISON: POISON})
    PipelineVersion.objects.update(files={f"custom/{POISON}.py": {"sha256": "", "text": f"# {POISON}\n{LONG}\n"}})
    told: dict[str, Any] = {POISON: POISON, "deep": {POISON: [POISON, LONG, None, "a\x00b"]}}
    PipelineRun.objects.update(variables=told, variable_origins=dict.fromkeys(told, "run"))
    error = {"type": POISON, "message": f"{POISON} {LONG}", "traceback": f"{POISON}\n{LONG}\n", "line": 7}
    BlockRun.objects.filter(status="failed").update(error=error)
    Event.objects.update(data=told)
    Delivery.objects.update(data=told)
    BlockRun.objects.filter(status="completed").update(output=[output("text"), output("table")])
    began = BlockRun.objects.exclude(started_at=None).order_by("-pk")
    for block in [*began[:60], *began.filter(status="failed")]:
        write(block)


def output(kind: str) -> dict[str, Any]:
    table = {"kind": "table", "columns": [POISON, "b"], "rows": [[POISON, LONG], [None, "a\x00b"]]}
    preview = table if kind == "table" else {"kind": "text", "text": f"{POISON}\n{LONG}"}
    return {"name": f"output_{kind}", "type": "json", "rows": 2, "bytes": 9, "url": POISON, "container": None} | {
        "preview": preview
    }


def write(block: BlockRun) -> None:
    file = logs.path(block.pipeline_run_id, block.pk, block.attempt)
    file.parent.mkdir(parents=True, exist_ok=True)
    lines = LINES if block.status == "failed" else LINES[:2]
    at = "2026-01-01T00:00:00.000+00:00"
    file.write_text("".join(json.dumps({"t": at, "s": "stderr", "l": "ERROR", "m": text}) + "\n" for text in lines))
