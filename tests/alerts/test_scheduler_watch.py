"""Clusters of workers watch the schedulers: what keeps time cannot tell of its own end."""

from datetime import timedelta
from typing import Any

import pytest

from alerts.models import AlertRule, Breach, Incident, Kind
from alerts.scheduler_watch import Watch, errand
from runs import broker
from runs.models import WorkerKind
from tests.alerts.rules import begun, make_rule, open_incidents
from tests.factories import NOON, make_worker

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def rule(db: None, monkeypatch: pytest.MonkeyPatch) -> AlertRule:
    AlertRule.objects.all().delete()
    monkeypatch.setattr("alerts.watching.health.storage.problems", lambda host: [])
    return make_rule(Kind.UNHEALTHY)


def watch_for(seconds: int, watch: Watch | None = None) -> Watch:
    watch = watch or Watch()
    for second in range(0, seconds + 1, 10):
        watch.look(NOON + timedelta(seconds=second))
    return watch


def test_a_scheduler_that_is_silent_for_a_minute_is_told_of_once_by_all_clusters() -> None:
    make_worker(WorkerKind.SCHEDULER, last_loop_at=NOON)
    watches = [watch_for(60), watch_for(60)]
    assert not Breach.objects.exists()
    for watch in watches:
        watch_for(120, watch)
    assert Breach.objects.count() == 1
    assert open_incidents() == ["No scheduler is at work"]
    assert "The last loop was completed 80 s ago, at 2025-03-02 12:00:00 UTC" in Incident.objects.get().detail


def test_it_is_over_when_a_scheduler_evaluates_again() -> None:
    make_worker(WorkerKind.SCHEDULER, last_loop_at=NOON)
    watch_for(120)
    begun(NOON + timedelta(seconds=130))
    assert open_incidents() == []


def test_an_old_silence_is_given_a_minute_to_end_when_a_cluster_starts() -> None:
    make_worker(WorkerKind.SCHEDULER, last_loop_at=NOON - timedelta(hours=8))
    watch_for(60)
    assert not Breach.objects.exists()


def test_a_machine_that_woke_up_is_looked_at_twice() -> None:
    scheduler = make_worker(WorkerKind.SCHEDULER, last_loop_at=NOON)
    watch = watch_for(30)
    watch.look(NOON + timedelta(hours=8))
    scheduler.last_loop_at = NOON + timedelta(hours=8)
    scheduler.save()
    watch.look(NOON + timedelta(hours=8, seconds=10))
    assert not Breach.objects.exists()


def test_where_there_was_never_a_scheduler_none_is_missed() -> None:
    watch_for(300)
    assert not Breach.objects.exists()


def test_the_broker_runs_the_errand_and_it_never_raises(monkeypatch: pytest.MonkeyPatch) -> None:
    assert broker.ERRANDS.count(errand) == 1

    def fail(*args: Any) -> None:
        raise ValueError("odd")

    watch, looks = Watch(), []
    monkeypatch.setattr(watch, "look", lambda moment: looks.append(moment))
    watch.look_if_due()
    watch.look_if_due()
    assert len(looks) == 1
    monkeypatch.setattr(watch, "look", fail)
    watch.looked_at = None
    watch.look_if_due()
