"""An installation after a busy year: 1,000,000 runs, 5,000,000 block runs and all that hangs on them, or a small one.

`python -m benchmarks.crowd make` writes the large one into a Postgres database of its own (some minutes, 15 GB), which
P1 then finds; `drop` removes it.
"""

import json
import os
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from benchmarks.tree import POSTGRES, ROOT, drop_database, execute

DATABASE = "orchestrator_crowd"
URL = POSTGRES.rsplit("/", 1)[0] + f"/{DATABASE}"
PROJECT = Path(tempfile.gettempdir()) / "orchestrator-crowd-project"


@dataclass(frozen=True)
class Size:
    pipelines: int
    schedules: int
    days: int
    pace: int  # minutes between two moments of the busiest schedule
    slots: int  # of each of three backfills
    wide: int  # blocks of the widest pipeline
    members: int  # of a dynamic block
    incidents: int
    workers: int


BIG = Size(
    pipelines=400, schedules=2000, days=365, pace=5, slots=500, wide=300, members=1000, incidents=500, workers=200
)
SMALL = Size(pipelines=6, schedules=20, days=6, pace=30, slots=20, wide=20, members=20, incidents=12, workers=6)

LENGTHS = (7, 5, 3, 4, 6)
OWNERS = ("ingest", "finance", "search", "mobile", "science")
KINDS = ("data_loader", "transformer", "transformer", "data_exporter")
CODE = """if '{kind}' not in globals():
    from mage_ai.data_preparation.decorators import {kind}


@{kind}
def run(*args, **kwargs):
    # {comment}
    return {{"rows": 1200}}
"""


# --- the project ----------------------------------------------------------------------------------------------------


def write_project(root: Path, size: Size) -> None:
    """Pipelines of three to seven blocks in chains, `wide`, which has many, and `fanout`."""
    for kind in set(KINDS):
        (root / f"{kind}s").mkdir(parents=True, exist_ok=True)
        (root / f"{kind}s" / "work.py").write_text(CODE.format(kind=kind, comment="what a block does; " * 30))
    (root / "metadata.yaml").write_text("project_type: standalone\n")
    for number in range(size.pipelines):
        write_pipeline(root, uuid_of(number), LENGTHS[number % len(LENGTHS)], OWNERS[number % len(OWNERS)])
    write_pipeline(root, "wide", size.wide, "science", span=10)
    write_pipeline(root, "fanout", 3, "science")


def write_pipeline(root: Path, uuid: str, length: int, owner: str, span: int = 1) -> None:
    """Each block follows the one that is `span` places before it."""
    lines = [f"uuid: {uuid}\nname: Load of {uuid}\ntype: python\ntags: [{owner}, nightly]\nblocks:\n"]
    for number in range(length):
        kind = KINDS[min(number, 1) + 2 * (number == length - 1 > 0)]
        before = f"step_{number - span}" if number >= span else ""
        lines.append(
            f"- uuid: step_{number}\n  name: Step {number}\n  type: {kind}\n  language: python\n"
            f"  upstream_blocks: [{before}]\n  configuration: {{file_source: {{path: {kind}s/work.py}}}}\n"
        )
    folder = root / "pipelines" / uuid
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "metadata.yaml").write_text("".join(lines))


def uuid_of(number: int) -> str:
    return f"load_{number:03}"


# --- the database ---------------------------------------------------------------------------------------------------


def settle(size: Size, root: Path, now: datetime) -> None:
    """Fill an empty, migrated database as if the project in `root` had been at work for `size.days`."""
    from benchmarks import crowd_alerts, crowd_rows
    from benchmarks.loading import load, reset_sequences
    from pipelines import catalog
    from runs.models import Attempt, BlockRun, Event, PipelineRun
    from schedules.models import Occurrence

    write_project(root, size)
    catalog.refresh(root)
    rhythms = [*make_schedules(size, now), *make_backfills(size, now)]
    workers = make_workers(size, now)
    turns = crowd_rows.moments(rhythms, now - crowd_rows.DAY * size.days, now, size.slots)
    found = crowd_rows.facts(shapes_of(size), turns)
    load(PipelineRun, crowd_rows.RUN, crowd_rows.run_rows(found))
    load(BlockRun, crowd_rows.BLOCK_RUN, crowd_rows.block_rows(found, workers))
    load(BlockRun, crowd_rows.MEMBER, crowd_rows.member_rows(found, size.members), role="member")
    BlockRun.objects.filter(pk=crowd_rows.fanned(found)[1]).update(members_total=size.members)
    load(Event, crowd_rows.EVENT, crowd_rows.event_rows(found))
    load(Attempt, crowd_rows.ATTEMPT, crowd_rows.attempt_rows(found), number=1, ended_as="failed")
    load(Occurrence, crowd_rows.OCCURRENCE, crowd_rows.occurrence_rows(found))
    reset_sequences(PipelineRun, BlockRun)
    crowd_alerts.make(size.incidents, found, now)


def shapes_of(size: Size) -> list[Any]:
    """What runs of each pipeline are made of, in the order of `uuid_of`; then those of `wide` and `fanout`."""
    from benchmarks.crowd_rows import Shape
    from pipelines.models import Pipeline, PipelineVersion

    pipelines = {each.uuid: each for each in Pipeline.objects.select_related("current_version")}
    found = []
    for number, uuid in enumerate([*map(uuid_of, range(size.pipelines)), "wide", "fanout"]):
        pipeline = pipelines[uuid]
        version = pipeline.current_version
        assert version is not None
        found.append(Shape(pipeline.pk, version.pk, version.graph["blocks"], 1.5 + number * 7 % 40))
        for earlier in range(number % 3):
            PipelineVersion.objects.create(
                pipeline=pipeline, content_hash=f"{earlier:064}", graph=version.graph, files=version.files
            )
    return found


def make_schedules(size: Size, now: datetime) -> list[Any]:
    """One that fires all the time, a few each hour, most each day, the others each week; some are paused."""
    from benchmarks.crowd_rows import DAY, HOUR, Rhythm
    from pipelines.models import Pipeline
    from schedules.models import PipelineSchedule

    keys = dict(Pipeline.objects.values_list("uuid", "pk"))
    rhythms, rows = [], []
    for number in range(size.schedules):
        cron, period = f"{number % 60} {number % 24} * * {number % 7}", 7 * DAY
        if number == 0:
            cron, period = f"*/{size.pace} * * * *", HOUR * size.pace / 60
        elif number <= size.schedules * 0.04:
            cron, period = f"{number % 60} * * * *", HOUR
        elif number <= size.schedules * 0.64 or number >= size.schedules - 2:
            cron, period = f"{number % 60} {number % 24} * * *", DAY
        place = number % size.pipelines if number < size.schedules - 2 else size.pipelines + number - size.schedules + 2
        uuid = uuid_of(place) if place < size.pipelines else ("wide", "fanout")[place - size.pipelines]
        rhythms.append(Rhythm(number + 1, f"every {period} {number}", place, period))
        rows.append(
            PipelineSchedule(
                id=number + 1,
                pipeline_id=keys[uuid],
                name=rhythms[-1].name,
                schedule_interval=cron,
                timezone=("UTC", "Europe/Berlin", "America/New_York")[number % 3],
                is_active=number % 20 != 19,
                last_enabled_at=now - DAY * size.days,
                decided_until=now,
                tags=[OWNERS[number % len(OWNERS)]],
            )
        )
    for row in rows:
        row.plan_next(now)
    rows[3].problem = "The calendar holidays is not there."
    PipelineSchedule.objects.bulk_create(rows, batch_size=500)
    restart_keys(PipelineSchedule)
    return rhythms


def make_backfills(size: Size, now: datetime) -> list[Any]:
    from benchmarks.crowd_rows import DAY, HOUR, Rhythm
    from pipelines.models import Pipeline
    from schedules.models import Backfill

    begin = now - DAY * size.days
    rhythms = [Rhythm(n, f"backfill {n}", n, HOUR, is_backfill=True) for n in (1, 2, 3)]
    Backfill.objects.bulk_create(
        Backfill(
            id=each.number,
            name=each.name,
            pipeline=Pipeline.objects.get(uuid=uuid_of(each.pipeline)),
            interval_type="hour",
            start_at=begin,
            end_at=begin + size.slots * HOUR,
            created_at=now - DAY,
            started_at=now - DAY,
            completed_at=now if each.number > 1 else None,
        )
        for each in rhythms
    )
    restart_keys(Backfill)
    return rhythms


def make_workers(size: Size, now: datetime) -> list[int]:
    """Some are alive, among them a scheduler, and will be for a day, however long is looked; most stopped long ago."""
    from benchmarks.crowd_rows import DAY
    from runs.models import Pool, Worker

    rows = []
    for number in range(size.workers):
        is_alive = number >= size.workers - 12
        rows.append(
            Worker(
                kind="scheduler" if number % 12 == 11 else "worker",
                host=f"host{number % 4}",
                pid=1000 + number,
                started_at=now - 30 * DAY,
                seen_at=now + DAY if is_alive else now - 20 * DAY,
                lease_until=now + DAY if is_alive else None,
                stopped_at=None if is_alive else now - 20 * DAY,
                last_loop_at=now + DAY if number % 12 == 11 else None,
            )
        )
    Pool.objects.bulk_create(Pool(name=f"pool {n}", slots=n + 1) for n in range(4))
    return [row.pk for row in Worker.objects.bulk_create(rows) if row.kind == "worker"]


def restart_keys(*of: Any) -> None:
    from benchmarks.loading import reset_sequences

    reset_sequences(*of)


# --- the command ----------------------------------------------------------------------------------------------------


def environment() -> dict[str, str]:
    """Of processes that look at the large crowd."""
    data = Path(tempfile.gettempdir()) / "orchestrator-crowd-data"
    data.mkdir(exist_ok=True)
    PROJECT.mkdir(exist_ok=True)
    return {
        "DATABASE_URL": URL,
        "ORCHESTRATOR_DATA_DIR": str(data),
        "ORCHESTRATOR_PROJECT": str(PROJECT),
        "DJANGO_SETTINGS_MODULE": "orchestrator_site.settings",
        "LOG_LEVEL": "WARNING",
    }


def make(size: Size = BIG) -> None:
    """Make the large crowd anew."""
    execute(f"DROP DATABASE IF EXISTS {DATABASE} WITH (FORCE)", f"CREATE DATABASE {DATABASE}")
    os.environ |= environment()
    import django

    django.setup()
    from django.core.management import call_command
    from django.db import connection
    from django.utils import timezone

    call_command("migrate", verbosity=0)
    with connection.cursor() as cursor:  # foreign keys would be looked up one by one
        cursor.execute(
            "SET session_replication_role = replica; SET synchronous_commit = off; SET statement_timeout = 0"
        )
        cursor.execute("SET maintenance_work_mem = '512MB'")
        settle(size, PROJECT, timezone.now())
        cursor.execute("VACUUM ANALYZE")


def main(words: Sequence[str]) -> None:
    os.chdir(ROOT)
    began = time.monotonic()
    if words == ["drop"]:
        drop_database(URL)
    elif words[:1] == ["make"]:
        make(SMALL if words[1:] == ["small"] else BIG)
    else:
        sys.exit("python -m benchmarks.crowd make|drop")
    print(json.dumps({"seconds": round(time.monotonic() - began)}))


if __name__ == "__main__":
    main(sys.argv[1:])
