"""Two transactions that meet at the same rows: one waits for the other at most, and neither is ended for it."""

import threading
import time
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection, transaction

from pipelines.graph import Block
from runs import lifecycle, recovery, slas
from runs.advancing import lock
from runs.models import BlockRun, Event, Origin, PipelineRun
from runs.states import BlockStatus
from tests.conftest import ON_POSTGRES
from tests.factories import NOON, make_pipeline

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.skipif(not ON_POSTGRES, reason="SQLite has one writer at a time"),
]
LATER = NOON + timedelta(minutes=2)


class Beside:
    """Something done in a session of its own, begun at once."""

    def __init__(self, action: Callable[[], Any]) -> None:
        self.action, self.trouble = action, ""
        self.thread = threading.Thread(target=self.act)
        self.thread.start()

    def act(self) -> None:
        try:
            self.action()
        except Exception as error:
            self.trouble = str(error)
        finally:
            connection.close()

    def goes_as_far_as_it_can(self) -> None:
        until = time.monotonic() + 20
        while self.thread.is_alive() and not somebody_waits() and time.monotonic() < until:
            time.sleep(0.01)

    def ends_well(self) -> bool:
        self.thread.join(20)
        return not self.thread.is_alive() and not self.trouble


def somebody_waits() -> bool:
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1 FROM pg_locks WHERE NOT granted LIMIT 1")
        return cursor.fetchone() is not None


def start(*names: str) -> PipelineRun:
    blocks = [Block(uuid=name, name=name, sla=60) for name in names]
    return lifecycle.create_run(make_pipeline("etl", blocks), moment=NOON, origin=Origin.MANUAL)


def test_a_block_may_end_while_somebody_says_that_it_is_late() -> None:
    run = start("load")
    with transaction.atomic():
        lock(run.pk)
        other = Beside(lambda: slas.note_passed(LATER))
        other.goes_as_far_as_it_can()
        assert run.block_runs.all().move_to(BlockStatus.QUEUED, BlockStatus.CANCELLED)
    assert other.ends_well(), other.trouble
    assert Event.objects.filter(kind="sla_passed").count() == 1


def test_a_run_may_end_while_timers_of_its_blocks_come() -> None:
    run = start("a", "b")
    BlockRun.objects.update(status=BlockStatus.WAITING, next_attempt_at=LATER)
    with transaction.atomic():
        lock(run.pk)
        blocks = run.block_runs.all()
        assert blocks.filter(block_uuid="b").move_to(BlockStatus.WAITING, BlockStatus.CANCELLED)
        other = Beside(lambda: recovery.due_timers(LATER))
        other.goes_as_far_as_it_can()
        blocks.filter(block_uuid="a").move_to(BlockStatus.WAITING, BlockStatus.CANCELLED)
    assert other.ends_well(), other.trouble
