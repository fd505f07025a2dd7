"""Two evaluators at the same time, in two connections: each breach once, each trouble one incident."""

import contextlib
import threading
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection

from alerts import incidents
from alerts.evaluating import Evaluator
from alerts.models import AlertRule, Breach, Change, Delivery, Incident, Kind, Step
from alerts.watching import health
from pipelines.refusal import Refusal
from runs.states import RunStatus
from tests.alerts.rules import begun, ends, happens, make_rule
from tests.alerts.telling import make_channel
from tests.conftest import ON_POSTGRES
from tests.factories import NOON, make_pipeline, make_run

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.skipif(not ON_POSTGRES, reason="on SQLite one writes at a time"),
]
LATER = NOON + timedelta(minutes=1)


@pytest.fixture(autouse=True)
def quiet(transactional_db: None, monkeypatch: pytest.MonkeyPatch) -> None:
    AlertRule.objects.all().delete()
    monkeypatch.setattr(health.storage, "problems", lambda host: [])


def at_once(*calls: Callable[[], Any]) -> None:
    """Call each in a thread of its own, begun together; raise what any raises."""
    gate, errors = threading.Barrier(len(calls)), list[BaseException]()

    def run(call: Callable[[], Any]) -> None:
        try:
            gate.wait(10)
            call()
        except BaseException as error:
            errors.append(error)
        finally:
            connection.close()

    threads = [threading.Thread(target=run, args=(call,)) for call in calls]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    if errors:
        raise errors[0]


def test_two_that_read_the_same_events_write_each_breach_once() -> None:
    rules = [make_rule(), make_rule(Kind.SLA)]
    evaluators = [begun(), begun()]
    for number in range(20):
        run = make_run()
        ends(run, RunStatus.FAILED if number % 2 else RunStatus.COMPLETED, LATER)
        happens(run, "sla_passed", LATER)
    at_once(*(lambda each=each: each.look(LATER) for each in evaluators))
    assert Breach.objects.filter(rule=rules[0]).count() == 10
    assert Breach.objects.filter(rule=rules[1]).count() == 20
    assert Incident.objects.open().filter(rule=rules[0]).count() == 1
    assert sum(each.breaches_count for each in Incident.objects.all()) == 30
    opened = Change.objects.filter(step=Step.OPENED).count()
    assert opened == Incident.objects.count()


def test_many_that_find_different_breaches_of_one_trouble_open_one_incident() -> None:
    rule = make_rule()

    def find(number: int) -> None:
        incidents.record(rule, f"run {number}", LATER, fingerprint="one trouble", title="etl failed")

    at_once(*(lambda number=number: find(number) for number in range(6)))
    incident = Incident.objects.get()
    assert (incident.breaches_count, incident.breaches.count()) == (6, 6)
    assert incident.changes.filter(step=Step.OPENED).count() == 1


def test_a_snooze_ends_once_though_two_see_its_end() -> None:
    incident = incidents.record(make_rule(), "run 1", NOON, fingerprint="one trouble", title="etl failed")
    assert incident is not None
    incidents.snooze(incident, NOON, "ada", LATER)
    evaluators = [Evaluator(), Evaluator()]
    at_once(*(lambda each=each: each.look(LATER) for each in evaluators))
    assert incident.changes.filter(step=Step.WOKEN).count() == 1


def test_an_event_that_is_committed_late_is_not_passed_over() -> None:
    rule, evaluator = make_rule(), begun()
    held, go = threading.Event(), threading.Event()

    def commit_late() -> None:
        from django.db import transaction

        with transaction.atomic():
            ends(make_run(), RunStatus.FAILED, LATER)
            held.set()
            go.wait(10)

    def commit_and_look() -> None:
        held.wait(10)
        ends(make_run(), RunStatus.FAILED, LATER)
        evaluator.look(LATER)
        go.set()

    make_run()
    at_once(commit_late, commit_and_look)
    assert Breach.objects.filter(rule=rule).count() == 1
    evaluator.look(LATER + timedelta(seconds=3))
    assert Breach.objects.filter(rule=rule).count() == 2


def test_many_pipelines_that_failed_are_one_trouble_though_all_look_at_once() -> None:
    rule = make_rule()
    rule.channels.add(make_channel())
    evaluators = [begun(), begun(), begun()]
    for number in range(30):
        ends(make_run(make_pipeline(f"load_{number}")), RunStatus.FAILED, LATER)

    at_once(*(lambda each=each: each.look(LATER) for each in evaluators))

    incident = Incident.objects.get(members_count__gt=0)
    assert (incident.members_count, incident.members.count(), Incident.objects.count()) == (30, 30, 31)
    assert [each.title for each in Delivery.objects.all()] == ["Warning: 30 pipelines failed since 12:01 UTC"]
    assert incident.changes.filter(step=Step.OPENED).count() == 1


def test_it_is_over_once_though_its_members_recover_at_once_while_somebody_acknowledges_it() -> None:
    rule = make_rule()
    runs = [make_run(make_pipeline(f"load_{number}")) for number in range(12)]
    evaluators = [begun(), begun()]
    for run in runs:
        ends(run, RunStatus.FAILED, LATER)
    evaluators[0].look(LATER)
    evaluators[1].look(LATER)
    incident = Incident.objects.get(rule=rule, members_count=12)
    for run in runs:
        ends(make_run(run.pipeline), RunStatus.COMPLETED, LATER + timedelta(seconds=1))

    def acknowledge() -> None:
        with contextlib.suppress(Refusal):  # it is over already
            incidents.acknowledge(incident, LATER, "ada")

    later = LATER + timedelta(seconds=3)
    at_once(acknowledge, *(lambda each=each: each.look(later) for each in evaluators))

    assert not Incident.objects.open().exists()
    assert incident.changes.filter(step=Step.CLOSED).count() == 1
