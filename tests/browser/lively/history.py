"""Five days of the demo project's runs, as rows: failures, missed moments, runs under way, logs, a backfill."""

import json
import random
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

from croniter import croniter

from benchmarks import crowd_rows
from benchmarks.crowd_rows import Fact, Moment, Rhythm, Shape
from benchmarks.loading import load, reset_sequences
from pipelines import catalog
from pipelines.models import Pipeline, PipelineVersion
from runs import logs
from runs.models import Attempt, BlockRun, Event, PipelineRun, Pool, Worker, WorkerKind
from schedules.files import triggers_yaml
from schedules.models import Backfill, Decision, IntervalType, Occurrence, PipelineSchedule

DEMO = Path(__file__).resolve().parents[3] / "demo_project"
DAYS, DAY, HOUR, SECOND = 5, timedelta(days=1), timedelta(hours=1), timedelta(seconds=1)
CALMER = {  # what the demo does every few minutes, at a pace of working days
    "'3-59/10 * * * *'": ("every ten minutes", "'0 */6 * * *'", "every six hours"),
    "'*/3 * * * *'": ("every three minutes", "'0 */2 * * *'", "every two hours"),
    "'*/10 * * * *'": ("every ten minutes", "'15 */4 * * *'", "every four hours"),
    "'2-59/5 * * * *'": ("every five minutes", "'20 * * * *'", "twenty past"),
    "'*/5 * * * *'": ("every five minutes", "'5 */3 * * *'", "every three hours"),
    "'*/2 * * * *'": ("every two minutes", "'*/30 * * * *'", "every half hour"),
    "'* * * * *'": ("every minute", "'*/15 * * * *'", "every quarter"),
    "'1-59/5 * * * *'": ("every five minutes", "'40 * * * *'", "twenty to"),
}
USUAL = {"station_heartbeat": 9.0, "weather_bulletin": 21.0, "daily_report": 6.0, "climate_by_month": 14.0}
FAULTS = (
    ("ConnectionError", "The service of the Bureau of Labor Statistics does not answer (attempt 1 of 3)."),
    ("ValueError", "Expected 1440 rows for 2015-03-02, found 0: the file is empty."),
    ("KeyError", "'precipitation'"),
    ("TimeoutError", "The station sent nothing for 30 seconds."),
)


def write_project(folder: Path) -> None:
    """Copy the demo, whose triggers fire less often here."""
    shutil.copytree(DEMO, folder, ignore=shutil.ignore_patterns(".state", "__pycache__"))
    for file in folder.glob("pipelines/*/triggers.yaml"):
        text = file.read_text()
        for cron, (name, calmer, said) in CALMER.items():
            if f" {cron}\n" in text:
                text = text.replace(f" {cron}\n", f" {calmer}\n").replace(f"- name: {name}\n", f"- name: {said}\n")
        file.write_text(text.replace("    create_initial_pipeline_run: true\n", ""))


def fill(project: Path, now: datetime) -> list[Fact]:
    """Write the project and all that has happened to it into an empty database; return what happened."""
    write_project(project)
    catalog.refresh(project)
    triggers_yaml.sync(project, now)
    crowd_rows.STARTED, crowd_rows.UNDER_WAY, crowd_rows.QUEUED_UP = 0.96, 5, 2
    pipelines = list(Pipeline.objects.select_related("current_version").order_by("uuid"))
    rhythms = [*rhythms_of_schedules(pipelines), make_backfill(pipelines, now)]
    turns = sorted((turn for rhythm in rhythms for turn in turns_of(rhythm, now)), key=lambda turn: turn.at)
    found = crowd_rows.facts([shape_of(each) for each in pipelines], turns)
    store(found, make_workers(now))
    PipelineSchedule.objects.update(decided_until=now, last_enabled_at=now - DAYS * DAY)
    for schedule in PipelineSchedule.objects.all():
        schedule.plan_next(now)
        schedule.save()
    give_faults()
    write_logs(BlockRun.objects.order_by("-id").exclude(started_at=None)[:160])
    hold_some(pipelines, now)
    return found


def shape_of(pipeline: Pipeline) -> Shape:
    version = pipeline.current_version
    assert version is not None
    earlier = PipelineVersion.objects.create(
        pipeline=pipeline,
        content_hash=f"{pipeline.pk * 7919:06x}c0ffee{pipeline.pk:052x}",
        graph=version.graph,
        settings={**version.settings, "variables": {"units": "imperial"}},
        files=version.files,
    )
    PipelineVersion.objects.filter(pk=earlier.pk).update(created_at=version.created_at - 12 * DAY)
    blocks = [block for block in version.graph["blocks"] if block["executable"]]
    return Shape(pipeline.pk, version.pk, blocks, USUAL.get(pipeline.uuid, 3.5))


def rhythms_of_schedules(pipelines: Sequence[Pipeline]) -> Iterator[Rhythm]:
    places = {pipeline.pk: place for place, pipeline in enumerate(pipelines)}
    for schedule in PipelineSchedule.objects.exclude(schedule_interval="").filter(is_active=True).order_by("id"):
        yield Rhythm(schedule.pk, schedule.name, places[schedule.pipeline_id], HOUR)


def turns_of(rhythm: Rhythm, now: datetime) -> Iterator[Moment]:
    """Every moment of a schedule up to now; of a backfill twelve days, one after the other this morning."""
    if rhythm.is_backfill:
        for number in range(12):
            yield Moment(now - 3 * HOUR + number * 900 * SECOND, now - (30 - number) * DAY, rhythm)
        return
    schedule = PipelineSchedule.objects.get(pk=rhythm.number)
    times = croniter(schedule.schedule_interval, (now - DAYS * DAY).astimezone(ZoneInfo(schedule.timezone)))
    at = times.get_next(datetime)
    while at < now:
        following = times.get_next(datetime)
        yield Moment(at, at, replace(rhythm, period=following - at))
        at = following


def make_backfill(pipelines: Sequence[Pipeline], now: datetime) -> Rhythm:
    place = next(number for number, each in enumerate(pipelines) if each.uuid == "energy_mix")
    backfill = Backfill.objects.create(
        name="January again, with the new sources",
        pipeline=pipelines[place],
        interval_type=IntervalType.DAY,
        start_at=now - 30 * DAY,
        end_at=now - 10 * DAY,
        run_limit=2,
        created_by="ada",
        created_at=now - 3 * HOUR,
        started_at=now - 3 * HOUR,
    )
    return Rhythm(backfill.pk, "", place, DAY, is_backfill=True)


def make_workers(now: datetime) -> list[int]:
    Pool.objects.create(name="warehouse", slots=4, description="Connections to the warehouse")
    Pool.objects.create(name="bls", slots=1, description="The Bureau's service takes one caller at a time")
    rows = [
        Worker(kind=kind, host="atlas", pid=4200 + number, started_at=now - 3 * DAY, seen_at=now, last_loop_at=looped)
        for number, (kind, looped) in enumerate([(WorkerKind.SCHEDULER, now), *[(WorkerKind.WORKER, None)] * 4])
    ]
    for row in rows:
        row.lease_until = now + DAY
    return [row.pk for row in Worker.objects.bulk_create(rows) if row.kind == WorkerKind.WORKER]


def store(found: Sequence[Fact], workers: Sequence[int]) -> None:
    load(PipelineRun, crowd_rows.RUN, crowd_rows.run_rows(found))
    load(BlockRun, crowd_rows.BLOCK_RUN, crowd_rows.block_rows(found, workers))
    load(Event, crowd_rows.EVENT, crowd_rows.event_rows(found))
    load(Attempt, crowd_rows.ATTEMPT, crowd_rows.attempt_rows(found), number=1, ended_as="failed")
    load(Occurrence, crowd_rows.OCCURRENCE, crowd_rows.occurrence_rows(found))
    reset_sequences(PipelineRun, BlockRun)
    Occurrence.objects.filter(decision="cancelled").update(decision=Decision.SKIPPED)
    Occurrence.objects.filter(decision__in=("missed", "expired")).update(
        reason="No scheduler looked within the start deadline of 10 minutes."
    )


def give_faults() -> None:
    """What broke is told as Python does, and the run says so as well."""
    dice = random.Random(7)
    for block in BlockRun.objects.filter(status="failed").select_related("pipeline_run"):
        kind, message = dice.choice(FAULTS)
        place = f'  File "{block.type}s/{block.block_uuid}.py", line 31, in {block.block_uuid}\n'
        block.error = {
            "type": kind,
            "message": message,
            "traceback": f"Traceback (most recent call last):\n{place}    rows = read(day)\n{kind}: {message}\n",
            "line": 31,
        }
        block.reason = f"{kind}: {message}"[:500]
        block.save(update_fields=["error", "reason"])
        PipelineRun.objects.filter(pk=block.pipeline_run_id).update(
            reason=f"Block {block.block_uuid} failed: {kind}: {message}"[:500]
        )


def write_logs(blocks: Sequence[BlockRun]) -> None:
    for block in blocks:
        assert block.started_at is not None
        file = logs.path(block.pipeline_run_id, block.pk, block.attempt)
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text("".join(f"{json.dumps(line)}\n" for line in lines_of(block, block.started_at)))


def lines_of(block: BlockRun, began: datetime) -> Iterator[dict[str, str]]:
    dice = random.Random(block.pk)

    def line(number: float, source: str, level: str, text: str) -> dict[str, str]:
        at = (began + SECOND * number / 4).isoformat(timespec="milliseconds")
        return {"t": at, "s": source, "l": level, "m": text}

    yield line(0, "system", "INFO", f"{block.block_uuid} begins, attempt {block.attempt}")
    for number in range(1, 15):
        if number == 9:
            yield line(number, "log", "WARNING", "Two readings at 04:00 differ; the later one is kept.")
        yield line(
            number,
            "stdout",
            "INFO",
            f"day {number:2}: {dice.randrange(900, 1440):,} rows, "
            f"\x1b[36m{dice.uniform(3, 21):.1f} °C\x1b[0m on average",
        )
    if block.status == "failed":
        for text in str(block.error.get("traceback", "")).splitlines():
            yield line(15, "stderr", "ERROR", text)
    elif block.status == "completed":
        yield line(15, "log", "INFO", "\x1b[32mdone\x1b[0m: 14 days, 16,408 rows")


def hold_some(pipelines: Sequence[Pipeline], now: datetime) -> None:
    """A few moments wait for a person to decide."""
    schedule = PipelineSchedule.objects.filter(name="every half hour").get()
    held = Occurrence.objects.filter(schedule=schedule, decision=Decision.STARTED).order_by("-scheduled_for")[6:9]
    for each in held:
        each.decision, each.pipeline_run, each.reason = Decision.HELD, None, "Missed while nothing ran; it asks first."
        each.save()
