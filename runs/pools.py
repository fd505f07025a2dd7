"""Pools: named slots that blocks of all runs share. A block takes its slots as it is claimed, while it runs."""

from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from django.conf import settings
from django.db import transaction
from django.db.models import QuerySet, Sum

from pipelines.files import Stamp, stamp_of
from pipelines.graph import nearest
from pipelines.project import PROJECT_FILE, read_project
from pipelines.refusal import Refusal
from runs import events
from runs.models import BlockRun, Pool
from runs.states import BlockStatus


def has_room(block_run: BlockRun) -> bool:
    """Tell whether the block run may be claimed now; its pool is held until the commit, so that claims take turns."""
    pool = Pool.objects.select_for_update(no_key=True).filter(name=block_run.pool).first()
    return pool is not None and used(pool.name) + block_run.pool_slots <= pool.slots


def step_aside(block_run: BlockRun) -> None:
    """Leave the pool to others while the block waits for another run, whose blocks may need it."""
    if block_run.pool and held(block_run).update(is_aside=True):
        events.publish_work()


def step_in(block_run: BlockRun) -> bool:
    """Take the pool's slots again; False while there is no room. A block that was taken away needs none."""
    if not block_run.pool:
        return True
    with transaction.atomic():
        aside = held(block_run).filter(is_aside=True)
        return not aside.exists() or (has_room(block_run) and bool(aside.update(is_aside=False)))


def held(block_run: BlockRun) -> QuerySet[BlockRun]:
    return BlockRun.objects.filter(pk=block_run.pk, status=BlockStatus.RUNNING, attempt=block_run.attempt)


def used(name: str) -> int:
    running = BlockRun.objects.filter(pool=name, status=BlockStatus.RUNNING, is_aside=False)
    return running.order_by().aggregate(sum=Sum("pool_slots"))["sum"] or 0


def ring() -> None:
    """Have workers look again: there may be room."""
    events.publish_work()


def unfinished_in(name: str) -> int:
    return BlockRun.objects.unfinished().filter(pool=name).count()


def why_full(block_run: BlockRun) -> str:
    """Say what keeps a queued block run from its pool's slots; "" when it has room."""
    pool = Pool.objects.with_use().filter(name=block_run.pool).first()
    if pool is None:
        return f"Its pool {block_run.pool!r} does not exist any more: add it in the admin, or cancel the run."
    taken: int = pool.used  # type: ignore[attr-defined]  # annotated
    if taken + block_run.pool_slots <= pool.slots:
        return ""
    needs = f"; it needs {block_run.pool_slots}" if block_run.pool_slots > 1 else ""
    return f"Its pool {pool.name} is full: {taken} of {pool.slots} slots are taken{needs}."


def check(entries: Iterable[Mapping[str, Any]]) -> None:
    """Refuse blocks whose pool does not exist or is smaller than what they take: they would wait for ever."""
    wanted = [entry for entry in entries if entry.get("pool")]
    if not wanted:  # as for nearly every run: no look
        return
    sync_with_file(settings.PROJECT_DIR)
    slots = dict(Pool.objects.values_list("name", "slots"))
    for entry in wanted:
        name, block, takes = entry["pool"], entry["uuid"], entry.get("pool_slots", 1)
        if name not in slots:
            hint = (
                nearest(name, slots)
                or "Write it under `pools:` of the project's metadata.yaml, or add it in the admin."
            )
            raise Refusal(f"Block {block!r}: there is no pool {name!r}.", field="pool", hint=hint, code="unknown_pool")
        if takes > slots[name]:
            message = f"Block {block!r} takes {takes} slots of pool {name!r}, which has {slots[name]}."
            raise Refusal(message, field="pool_slots", hint="Give the pool more slots.", code="pool_too_small")


def sync_with_file(root: Path) -> None:
    """Make the pools that the project's metadata.yaml writes down what it says by now; reads it when it has changed.

    Pools of a file with a mistake stay as they are: its pipelines tell the mistake.
    """
    stamp = stamp_of(root / PROJECT_FILE)
    if root in _seen and _seen[root] == stamp:
        return
    with suppress(Refusal):
        project = read_project(root)
        if not project.problems:
            sync(project.pools)
            transaction.on_commit(lambda: _seen.update({root: stamp}))


_seen: dict[Path, Stamp | None] = {}  # by project: its file when this process last took its pools over


def sync(wanted: Mapping[str, tuple[int, str]]) -> None:
    """Make the pools that the project's file writes down what it says: name → slots, description.

    One that was in the file and is no more stays as it is while it is used or waited for, as a pool made by hand.
    """
    with transaction.atomic():
        known = {pool.name: pool for pool in Pool.objects.select_for_update()}
        for name, (slots, description) in wanted.items():
            says = {"slots": slots, "description": description, "from_file": True}
            pool = known.get(name)
            if pool is None:
                Pool.objects.create(name=name, **says)
            elif any(getattr(pool, field) != value for field, value in says.items()):
                Pool.objects.filter(pk=pool.pk).update(**says)
        gone = [pool for pool in known.values() if pool.from_file and pool.name not in wanted]
        if gone:
            let_go(gone)


def let_go(pools: Sequence[Pool]) -> None:
    wanting = BlockRun.objects.unfinished().filter(pool__in=[pool.name for pool in pools]).values("pool")
    of_file = Pool.objects.filter(pk__in=[pool.pk for pool in pools])
    of_file.filter(name__in=wanting).update(from_file=False)
    of_file.exclude(name__in=wanting).delete()
