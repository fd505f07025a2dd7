"""A look costs what happened, not what exists; and every breach is written once, however looks overlap."""

import contextlib
import re
from datetime import timedelta
from typing import Any

import pytest
from django.db import OperationalError, connection, transaction
from django.test import override_settings
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra.django import TestCase

from alerts import evaluating
from alerts.evaluating import Evaluator
from alerts.models import AlertRule, Breach, Delivery, Incident, Kind
from alerts.watching import health
from runs.models import BlockRun, Event, Origin, PipelineRun, Worker
from runs.states import RunStatus
from tests.alerts.rules import begun, ends, happens, make_incident, make_rule
from tests.alerts.telling import make_channel
from tests.conftest import ON_POSTGRES
from tests.factories import NOON, make_pipeline, make_run

SECOND = timedelta(seconds=1)
BIG = "runs_blockrun|runs_pipelinerun|runs_event|schedules_occurrence|alerts_delivery|alerts_breach|alerts_incident"
WHOLE = re.compile(rf"Seq Scan on ({BIG})\b|SCAN ({BIG})(?! USING)")
EVERY_KIND: dict[str, dict[str, Any]] = {
    Kind.CONSECUTIVE_FAILURES: {"count": 3},
    Kind.DEADLINE: {"seconds": 3600},
    Kind.SLOWER: {},
    Kind.QUEUE_TIME: {"seconds": 600},
    Kind.OCCURRENCE_MISSED: {"decisions": ["missed", "skipped"]},
    Kind.LOG_PATTERN: {"pattern": "Traceback"},
}


@pytest.fixture
def quiet(db: None, monkeypatch: pytest.MonkeyPatch) -> None:
    AlertRule.objects.all().delete()
    monkeypatch.setattr(health.storage, "problems", lambda host: [])


def asked_by(evaluator: Evaluator, seconds: int) -> list[tuple[str, Any]]:
    """Return what a look asks the database."""
    asked: list[tuple[str, Any]] = []

    def note(execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
        asked.append((sql, params))
        return execute(sql, params, many, context)

    with connection.execute_wrapper(note):
        evaluator.look(NOON + seconds * SECOND)
    return asked


def plan_of(sql: str, params: Any) -> str:
    with transaction.atomic(), connection.cursor() as cursor:
        if ON_POSTGRES:
            cursor.execute("SET LOCAL enable_seqscan = off")  # the tables of a test are so small that it would
        cursor.execute(f"EXPLAIN {'' if ON_POSTGRES else 'QUERY PLAN '}{sql}", params)
        return "\n".join(str(line[-1]) for line in cursor.fetchall())


@pytest.mark.django_db
def test_a_look_at_nothing_new_asks_little(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(health.storage, "problems", lambda host: [])
    evaluator = begun()  # with the first rules of every installation
    assert len(asked_by(evaluator, 3)) <= 5
    assert len(asked_by(evaluator, 6)) <= 5
    assert len(asked_by(evaluator, 20)) <= 13  # health too, every ten seconds


@pytest.mark.django_db
def test_whatever_is_asked_is_answered_by_indexes(quiet: None) -> None:
    for kind in Kind.values:
        scope: dict[str, Any] = {"pipeline": make_pipeline(kind)} if kind == Kind.FRESHNESS else {}
        given_settings = EVERY_KIND.get(kind, {"seconds": 3600} if kind == Kind.FRESHNESS else {})
        make_rule(kind, settings=given_settings | ({"low": 1} if kind == Kind.ROW_COUNT else {}), **scope)
    evaluator, run = begun(), make_run(trigger_id=5, origin=Origin.SCHEDULE)
    make_incident(AlertRule.objects.get(kind=Kind.DELIVERY_FAILED))
    happens(run, "block_failed", NOON + SECOND, block="load")
    ends(run, RunStatus.FAILED, NOON + SECOND)
    ends(make_run(trigger_id=5), RunStatus.COMPLETED, NOON + 2 * SECOND)
    asked = asked_by(evaluator, 7200) + asked_by(evaluator, 7203)
    # (The newest 200 of a table are read from its end.)
    selects = [(sql, params) for sql, params in asked if sql.startswith("SELECT") and '"id" DESC LIMIT' not in sql]
    assert len(selects) > 20
    assert [sql for sql, params in selects if WHOLE.search(plan_of(sql, params))] == []


@pytest.mark.django_db
def test_whether_a_worker_took_anything_lately_is_told_by_an_index_however_much_it_has_done(quiet: None) -> None:
    held = BlockRun.objects.filter(worker__in=Worker.objects.alive(NOON), started_at__gte=NOON).order_by()

    assert "block_of_worker" in plan_of(*held.values("pk").query.sql_with_params())


@pytest.mark.django_db
def test_a_burst_is_dealt_with_in_turns_that_leave_the_loop_to_others(
    quiet: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    rule, evaluator = make_rule(), begun()
    runs = [make_run() for _ in range(7)]
    for run in runs:
        ends(run, RunStatus.FAILED, NOON + SECOND)
    monkeypatch.setattr("alerts.watching.look.TURN", -1)
    for turn in (1, 2, 3):
        assert evaluator.look(NOON + SECOND) == NOON + SECOND + evaluating.SOON
        assert Breach.objects.count() == turn
    monkeypatch.setattr("alerts.watching.look.TURN", 60)
    evaluator.look(NOON + 3 * SECOND)
    assert Breach.objects.filter(rule=rule).count() == 7
    incident = Incident.objects.get()
    assert incident.breaches_count == 7
    assert incident.changes.first().message == "etl failed"  # type: ignore[union-attr]


@pytest.mark.django_db
@pytest.mark.parametrize("after", range(1, 26, 2))
def test_a_database_that_goes_away_in_the_middle_of_a_look_loses_nothing(quiet: None, after: int) -> None:
    make_rule()
    make_rule(Kind.DEADLINE, settings={"seconds": 60})
    evaluator = begun()
    ends(make_run(), RunStatus.FAILED, NOON + SECOND)
    make_run(origin=Origin.SCHEDULE)
    asked = 0

    def fail(execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
        nonlocal asked
        asked += not sql.startswith(("SAVEPOINT", "RELEASE", "ROLLBACK"))
        if asked == after and not sql.startswith(("SAVEPOINT", "RELEASE", "ROLLBACK")):
            raise OperationalError("the server closed the connection")
        return execute(sql, params, many, context)

    with contextlib.suppress(OperationalError), connection.execute_wrapper(fail):
        evaluator.look(NOON + 120 * SECOND)
    transaction.set_rollback(False)  # of the test's own transaction: what failed never came to the database
    evaluator.look(NOON + 123 * SECOND)
    assert Breach.objects.count() == 2


STEP = st.one_of(
    st.tuples(st.just("ends"), st.sampled_from([RunStatus.FAILED, RunStatus.FAILED, RunStatus.COMPLETED])),
    st.tuples(st.sampled_from(["look", "sla", "anew"]), st.integers(0, 2)),
)


GATHERING_STEP = st.one_of(
    st.tuples(st.sampled_from(["fails", "fails", "completes"]), st.integers(0, 3)),
    st.tuples(st.just("look"), st.integers(0, 1)),
)


class Overlapping(TestCase):
    """Three evaluators look when they like, and may be replaced by one that knows nothing."""

    @settings(max_examples=15, suppress_health_check=[HealthCheck.differing_executors])
    @given(st.lists(STEP, max_size=14))
    def test_every_breach_is_written_once_and_what_is_well_is_closed(self, steps: list[tuple[str, Any]]) -> None:
        AlertRule.objects.all().delete()
        rules = [make_rule(), make_rule(Kind.SLA)]
        evaluators = [begun() for _ in range(3)]
        runs: list[PipelineRun] = []
        for second, (what, value) in enumerate([*steps, ("look", 0), ("look", 1)], 1):
            moment = NOON + second * SECOND
            if what == "ends":
                runs.append(make_run())
                ends(runs[-1], value, moment)
            elif what == "sla":
                happens(make_run(), "sla_passed", moment)
            elif what == "anew":
                evaluators[value] = Evaluator()
            else:
                evaluators[value].look(moment)
        for rule, kind in zip(rules, ("failed", "sla_passed"), strict=True):
            happened = Event.objects.filter(kind=kind).order_by("id").values_list("pk", flat=True)
            keys = Breach.objects.filter(rule=rule).values_list("key", flat=True)
            assert sorted(keys) == sorted(f"event {pk}" for pk in happened)
        last = [run.status for run in runs][-1:]
        failing = Incident.objects.open().filter(rule=rules[0])
        assert failing.count() == (1 if last == [RunStatus.FAILED] else 0)
        assert sum(each.breaches_count for each in Incident.objects.all()) == Breach.objects.count()

    @settings(max_examples=15, suppress_health_check=[HealthCheck.differing_executors])
    @given(st.lists(GATHERING_STEP, max_size=20))
    def test_whatever_is_gathered_each_is_told_by_one_and_what_is_well_is_closed(
        self, steps: list[tuple[str, Any]]
    ) -> None:
        AlertRule.objects.all().delete()
        rule = make_rule()
        rule.channels.add(make_channel())
        evaluators = [begun() for _ in range(2)]
        pipelines = [make_pipeline(f"load_{number}") for number in range(4)]
        failing: dict[int, bool] = {}
        with override_settings(ALERTS_GATHER_ABOVE=1):
            for number, (what, value) in enumerate([*steps, ("look", 0), ("look", 1)], 1):
                moment = NOON + 10 * number * SECOND
                if what == "look":
                    evaluators[value].look(moment)
                else:
                    failing[value] = what == "fails"
                    status = RunStatus.FAILED if what == "fails" else RunStatus.COMPLETED
                    ends(make_run(pipelines[value]), status, moment)
        happened = Event.objects.filter(kind="failed").count()
        alone = Incident.objects.filter(members_count=0)
        assert sum(each.breaches_count for each in alone) == Breach.objects.count() == happened
        still = sorted(number for number, is_failing in failing.items() if is_failing)
        assert sorted(alone.open().values_list("pipeline__uuid", flat=True)) == [f"load_{number}" for number in still]
        for many in Incident.objects.filter(members_count__gt=0):
            assert many.members_count == many.members.count()
            assert bool(many.closed_at) == (not many.members.open().exists())
        heard = Delivery.objects.filter(event_type="incident.opened").values_list("change__incident", flat=True)
        assert sorted(heard) == sorted(Incident.objects.ungathered().values_list("pk", flat=True))
