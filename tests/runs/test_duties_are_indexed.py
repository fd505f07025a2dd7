"""What schedulers and workers ask again and again never reads a table of runs from one end to the other."""

import re
from collections.abc import Callable
from datetime import datetime
from typing import Any

import pytest
from django.db import connection, transaction

from runs import lifecycle, recovery
from runs.broker import BlockRunBroker
from runs.models import Origin
from tests.conftest import ON_POSTGRES
from tests.factories import NOON, make_pipeline

pytestmark = pytest.mark.django_db
WHOLE = re.compile(r"Seq Scan on (runs_blockrun|runs_pipelinerun)\b|SCAN (runs_blockrun|runs_pipelinerun)(?! USING)")


def look(moment: datetime) -> None:
    BlockRunBroker("orchestrator").look()


def whole_reads(duty: Callable[[datetime], Any]) -> list[str]:
    """Return what the duty asks that no index answers."""
    asked: list[tuple[str, Any]] = []

    def note(execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
        asked.append((sql, params))
        return execute(sql, params, many, context)

    with connection.execute_wrapper(note):
        duty(NOON)
    return [sql for sql, params in asked if sql.startswith("SELECT") and WHOLE.search(plan_of(sql, params))]


def plan_of(sql: str, params: Any) -> str:
    """As the database makes it for parameters, of which SQLite knows nothing when it chooses a partial index."""
    with transaction.atomic(), connection.cursor() as cursor:
        if ON_POSTGRES:
            cursor.execute("SET LOCAL enable_seqscan = off")  # the tables of a test are so small that it would
        cursor.execute(f"EXPLAIN {'' if ON_POSTGRES else 'QUERY PLAN '}{sql}", params)
        return "\n".join(str(line[-1]) for line in cursor.fetchall())


@pytest.mark.parametrize("duty", [recovery.due_timers, recovery.sweep, look])
def test_a_duty_is_answered_by_indexes(duty: Callable[[datetime], Any]) -> None:
    lifecycle.create_run(make_pipeline(), moment=NOON, origin=Origin.MANUAL)
    assert whole_reads(duty) == []
