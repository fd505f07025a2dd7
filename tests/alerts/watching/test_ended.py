"""What runs and blocks say as they end: it opens incidents, and later runs close them."""

from datetime import timedelta
from typing import Any

import pytest

from alerts.models import Breach, Incident, Kind, Severity
from runs.models import Origin, PipelineRun
from runs.states import BlockStatus, RunStatus
from tests.alerts.rules import begun, ends, happens, make_rule, open_incidents
from tests.factories import NOON, make_pipeline, make_run

pytestmark = pytest.mark.django_db
MINUTE = timedelta(minutes=1)
DAILY: dict[str, Any] = {"trigger_id": 5, "trigger_name": "daily", "origin": Origin.SCHEDULE}


def test_what_failed_before_the_first_look_is_no_news() -> None:
    make_rule()
    ends(make_run(), RunStatus.FAILED, NOON)
    evaluator = begun()
    evaluator.look(NOON + MINUTE)
    assert not Breach.objects.exists()


def test_a_failed_run_opens_an_incident_and_the_next_completed_one_closes_it() -> None:
    rule, evaluator = make_rule(severity="critical"), begun()
    run = make_run(**DAILY)
    ends(run, RunStatus.FAILED, NOON + MINUTE, "failed: load")
    evaluator.look(NOON + 2 * MINUTE)
    incident = Incident.objects.get()
    assert (incident.title, incident.detail) == ("etl (daily) failed", f"Run {run.pk}: failed: load")
    assert (incident.rule, incident.run_id, incident.opened_at) == (rule, run.pk, NOON + MINUTE)
    later = make_run(**DAILY)
    ends(later, RunStatus.COMPLETED, NOON + 5 * MINUTE)
    evaluator.look(NOON + 6 * MINUTE)
    incident.refresh_from_db()
    assert (incident.closed_at, incident.close_reason) == (NOON + 5 * MINUTE, f"Run {later.pk} completed")


def test_looking_again_writes_nothing_again() -> None:
    make_rule()
    first, second = begun(), begun()
    ends(make_run(), RunStatus.FAILED, NOON + MINUTE)
    for evaluator in (first, second, first, second, begun()):
        evaluator.look(NOON + 2 * MINUTE)
    assert (Breach.objects.count(), Incident.objects.count()) == (1, 1)


def test_a_retry_that_completes_closes_what_the_run_broke() -> None:
    make_rule()
    evaluator, run = begun(), make_run(**DAILY)
    ends(run, RunStatus.FAILED, NOON + MINUTE)
    assert run.move_to(RunStatus.RUNNING, started_at=NOON + 2 * MINUTE, completed_at=None, attempt=2)
    ends(run, RunStatus.COMPLETED, NOON + 3 * MINUTE)
    evaluator.look(NOON + 4 * MINUTE)
    assert Incident.objects.get().state == "closed"


def test_neither_an_older_run_nor_one_of_another_trigger_closes_it() -> None:
    make_rule()
    evaluator, older, failing = begun(), make_run(**DAILY), make_run(**DAILY)
    ends(failing, RunStatus.FAILED, NOON + MINUTE)
    ends(older, RunStatus.COMPLETED, NOON + 2 * MINUTE)
    ends(make_run(**DAILY | {"trigger_id": 6}), RunStatus.COMPLETED, NOON + 2 * MINUTE)
    ends(make_run(make_pipeline("other"), **DAILY), RunStatus.COMPLETED, NOON + 2 * MINUTE)
    evaluator.look(NOON + 3 * MINUTE)
    assert open_incidents() == ["etl (daily) failed"]


def test_only_what_is_in_the_scope_of_a_rule_breaks_it() -> None:
    etl, other = make_pipeline(), make_pipeline("other")
    other.tags = ["nightly"]
    other.save()
    make_rule(name="of etl", pipeline=etl)
    make_rule(name="of nightly ones", tag="nightly")
    make_rule(name="of trigger 5", trigger_id=5)
    make_rule(name="switched off", is_active=False)
    evaluator = begun()
    ends(make_run(other), RunStatus.FAILED, NOON + MINUTE)
    evaluator.look(NOON + 2 * MINUTE)
    assert [each.rule.name for each in Breach.objects.all()] == ["of nightly ones"]
    ends(make_run(etl, **DAILY), RunStatus.FAILED, NOON + 3 * MINUTE)
    evaluator.look(NOON + 4 * MINUTE)
    assert {each.rule.name for each in Breach.objects.all()} == {"of nightly ones", "of etl", "of trigger 5"}


def test_a_rule_that_cannot_be_read_is_left_out_and_named_once(caplog: pytest.LogCaptureFixture) -> None:
    make_rule(Kind.CONSECUTIVE_FAILURES, name="written by hand", settings={"count": "three"})
    make_rule(name="fine")
    evaluator = begun()
    ends(make_run(), RunStatus.FAILED, NOON + MINUTE)
    evaluator.look(NOON + 2 * MINUTE)
    assert caplog.text.count("the alert rule written by hand is not evaluated") == 1
    assert Breach.objects.get().rule.name == "fine"


def test_a_run_that_timed_out_has_failed_where_its_trigger_says_so() -> None:
    make_rule()
    evaluator = begun()
    for status in (RunStatus.FAILED, RunStatus.COMPLETED):
        run = make_run(timeout_status=status)
        assert run.move_to(status, completed_at=NOON + MINUTE)
        happens(run, "timed_out", NOON + MINUTE, "did not finish within 0:10:00")
    evaluator.look(NOON + 2 * MINUTE)
    assert Breach.objects.count() == 1


def test_a_failed_block_is_an_incident_of_that_block() -> None:
    make_rule(Kind.BLOCK_FAILED)
    make_rule(Kind.BLOCK_FAILED, block_uuid="save")
    evaluator, run = begun(), make_run()
    happens(run, "block_failed", NOON + MINUTE, "clean: ValueError: no rows", block="clean")
    evaluator.look(NOON + 2 * MINUTE)
    incident = Incident.objects.get()
    assert (incident.title, incident.block_uuid) == ("clean of etl failed", "clean")
    assert incident.detail == f"Run {run.pk}: clean: ValueError: no rows"


@pytest.mark.parametrize("scope", [{}, {"trigger_id": 5}])
def test_so_many_failures_in_a_row_are_needed(scope: dict[str, Any]) -> None:
    make_rule(Kind.CONSECUTIVE_FAILURES, settings={"count": 3}, **scope)
    evaluator = begun()
    ways = [RunStatus.FAILED, RunStatus.FAILED, RunStatus.COMPLETED, RunStatus.FAILED, RunStatus.CANCELLED]
    for minute, status in enumerate([*ways, RunStatus.FAILED]):
        ends(make_run(**DAILY), status, NOON + minute * MINUTE)
        evaluator.look(NOON + minute * MINUTE)
    assert not Breach.objects.exists()
    ends(make_run(**DAILY), RunStatus.FAILED, NOON + 10 * MINUTE)
    evaluator.look(NOON + 10 * MINUTE)
    assert open_incidents() == ["etl (daily) has failed 3 times in a row"]
    ends(make_run(**DAILY), RunStatus.COMPLETED, NOON + 11 * MINUTE)
    evaluator.look(NOON + 11 * MINUTE)
    assert open_incidents() == []


def test_a_passed_sla_is_closed_by_the_next_run_that_is_in_time() -> None:
    make_rule(Kind.SLA)
    evaluator, late = begun(), make_run(**DAILY, passed_sla=True)
    happens(late, "sla_passed", NOON + MINUTE, "the run is not finished; it should have been by noon")
    evaluator.look(NOON + MINUTE)
    ends(late, RunStatus.COMPLETED, NOON + 2 * MINUTE)
    evaluator.look(NOON + 2 * MINUTE)
    assert open_incidents() == ["etl (daily) passed its SLA"]
    ends(make_run(**DAILY), RunStatus.COMPLETED, NOON + 3 * MINUTE)
    evaluator.look(NOON + 3 * MINUTE)
    assert open_incidents() == []


def test_a_lost_worker_is_a_warning_until_none_was_lost_for_a_while() -> None:
    make_rule(Kind.UNHEALTHY, severity=Severity.CRITICAL)
    evaluator, run = begun(), make_run(blocks={"load": BlockStatus.QUEUED})
    happens(run, "worker_lost", NOON + MINUTE, "load", block="load")
    evaluator.look(NOON + 2 * MINUTE)
    incident = Incident.objects.get()
    assert (incident.severity, incident.run_id) == (Severity.WARNING, run.pk)
    evaluator.look(NOON + 20 * MINUTE)
    incident.refresh_from_db()
    assert incident.close_reason == "No worker was lost for 15 min"


def test_an_event_that_cannot_be_dealt_with_does_not_stop_the_others(monkeypatch: pytest.MonkeyPatch) -> None:
    from alerts.watching import ended

    make_rule()
    evaluator, poison, fine = begun(), make_run(), make_run()
    take = ended.take

    def fail(look: Any, event: Any) -> None:
        if event.pipeline_run_id == poison.pk:
            raise ValueError("odd")
        take(look, event)

    monkeypatch.setattr(ended, "take", fail)
    for run in (poison, fine):
        ends(run, RunStatus.FAILED, NOON + MINUTE)
    evaluator.look(NOON + 2 * MINUTE)
    assert Breach.objects.get().run_id == fine.pk
    assert PipelineRun.objects.count() == 2
