"""What never started passes its SLA too: moments that wait, are held, were missed or expired; each is told of once."""

from datetime import timedelta
from typing import Any

import pytest

from alerts import unalerted
from alerts.models import Breach, Kind
from pipelines.models import PipelineVersion
from runs.models import Origin
from runs.states import RunStatus
from schedules.models import Decision, Occurrence, PipelineSchedule
from tests.alerts.rules import begun, ends, happens, make_rule, open_incidents
from tests.factories import NOON, make_backfill, make_run, make_schedule

pytestmark = pytest.mark.django_db
MINUTE, HOUR = timedelta(minutes=1), timedelta(hours=1)


def make_moment(
    decision: Decision, *, sla: timedelta | None = HOUR, own: float | None = None, name: str = "daily", **more: Any
) -> Occurrence:
    schedule = make_schedule(name=name)
    PipelineSchedule.objects.filter(pk=schedule.pk).update(sla=sla)
    PipelineVersion.objects.update(settings={"sla": own} if own else {})
    given = {"scheduled_for": NOON, "decided_at": NOON, "reason": "the limit is reached"} | more
    return Occurrence.objects.create(pipeline=schedule.pipeline, schedule=schedule, decision=decision, **given)


@pytest.mark.parametrize("decision", [Decision.WAITING, Decision.HELD])
@pytest.mark.parametrize(("sla", "own"), [(HOUR, None), (None, 3600), (HOUR, 60)])
def test_a_moment_that_does_not_start_passes_the_sla(decision: Decision, sla: timedelta | None, own: float) -> None:
    make_rule(Kind.SLA)
    evaluator, moment = begun(), make_moment(decision, sla=sla, own=own)
    evaluator.look(NOON + HOUR - MINUTE)
    assert not Breach.objects.exists()
    for minute in (1, 2):
        evaluator.look(NOON + HOUR + minute * MINUTE)
    breach = Breach.objects.get()
    assert (breach.key, breach.happened_at) == (f"sla of occurrence {moment.pk}", NOON + HOUR)
    assert breach.message.endswith(f"by 2025-03-02 13:00:00 UTC; it is {decision}: the limit is reached")


@pytest.mark.parametrize(("decision", "count"), [(Decision.MISSED, 1), (Decision.EXPIRED, 1), (Decision.SKIPPED, 0)])
def test_a_moment_that_will_not_start_passes_it_as_soon_as_that_is_known(decision: Decision, count: int) -> None:
    make_rule(Kind.SLA)
    evaluator = begun()
    make_moment(decision, decided_at=NOON + MINUTE)
    evaluator.look(NOON + 2 * MINUTE)
    assert Breach.objects.count() == count


def test_a_moment_without_an_sla_and_one_of_a_backfill_have_their_time() -> None:
    make_rule(Kind.SLA)
    evaluator = begun()
    backfill = make_backfill(created_at=NOON)
    backfill.save()
    for decision in (Decision.WAITING, Decision.EXPIRED):
        make_moment(decision, sla=None, name=decision)
        make_moment(decision, name=f"filled {decision}", backfill=backfill, scheduled_for=NOON + MINUTE)
    evaluator.look(NOON + 3 * HOUR)
    assert not Breach.objects.exists()


def test_a_moment_that_waited_and_then_ran_late_is_told_of_once_and_closed_by_one_in_time() -> None:
    make_rule(Kind.SLA)
    evaluator, moment = begun(), make_moment(Decision.WAITING)
    evaluator.look(NOON + HOUR + MINUTE)
    daily: dict[str, Any] = {"trigger_id": moment.schedule_id, "trigger_name": "daily", "origin": Origin.SCHEDULE}
    run = make_run(**daily, passed_sla=True, created_at=NOON + HOUR + 2 * MINUTE)
    Occurrence.objects.filter(pk=moment.pk).update(decision=Decision.STARTED, pipeline_run=run)
    happens(run, "sla_passed", NOON + HOUR + 2 * MINUTE)
    ends(run, RunStatus.COMPLETED, NOON + HOUR + 3 * MINUTE)
    evaluator.look(NOON + HOUR + 4 * MINUTE)
    assert Breach.objects.count() == 1
    assert open_incidents() == ["etl (daily) passed its SLA"]
    assert unalerted.find(NOON + HOUR + 5 * MINUTE) == []
    in_time = make_run(**daily, created_at=NOON + 2 * HOUR, execution_date=NOON + 2 * HOUR)
    ends(in_time, RunStatus.COMPLETED, NOON + 2 * HOUR + MINUTE)
    evaluator.look(NOON + 2 * HOUR + 2 * MINUTE)
    assert open_incidents() == []


def test_a_run_that_passes_it_again_when_it_is_repeated_is_told_of_again() -> None:
    make_rule(Kind.SLA)
    evaluator, moment = begun(), make_moment(Decision.STARTED)
    run = make_run(trigger_id=moment.schedule_id, origin=Origin.SCHEDULE)
    Occurrence.objects.filter(pk=moment.pk).update(pipeline_run=run)
    for hour in (1, 2):
        happens(run, "sla_passed", NOON + hour * HOUR)
    evaluator.look(NOON + 3 * HOUR)
    assert Breach.objects.count() == 2
