"""Freshness: whoever has not completed for too long is told of once, until it completes again."""

from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from alerts import incidents
from alerts.models import Breach, Incident, Kind
from alerts.watching.fresh import Freshness
from alerts.watching.look import Look
from runs.states import RunStatus
from tests.alerts.rules import begun, ends, make_rule, open_incidents
from tests.factories import NOON, make_pipeline, make_run, make_schedule

pytestmark = pytest.mark.django_db
HOUR = timedelta(hours=1)
SIX: dict[str, Any] = {"settings": {"seconds": 6 * 3600}}


def test_a_pipeline_that_has_not_completed_for_so_long_is_stale_until_it_does() -> None:
    etl = make_pipeline()
    make_rule(Kind.FRESHNESS, pipeline=etl, **SIX)
    evaluator, run = begun(), make_run()
    ends(run, RunStatus.COMPLETED, NOON + HOUR)
    ends(make_run(), RunStatus.FAILED, NOON + 2 * HOUR)
    evaluator.look(NOON + 6.5 * HOUR)
    assert not Breach.objects.exists()
    for hours in (7, 8, 9):
        evaluator.look(NOON + hours * HOUR)
    breach = Breach.objects.get()
    assert (breach.message, breach.happened_at) == (f"The last: run {run.pk} at 2025-03-02 13:00 UTC.", NOON + 7 * HOUR)
    assert open_incidents() == ["etl has had no completed run for 6 h"]
    ends(make_run(), RunStatus.COMPLETED, NOON + 10 * HOUR)
    evaluator.look(NOON + 10 * HOUR)
    assert Incident.objects.get().state == "closed"
    evaluator.look(NOON + 17 * HOUR)
    assert Breach.objects.count() == 2


def test_what_never_ran_is_stale_so_long_after_the_rule_was_made() -> None:
    make_rule(Kind.FRESHNESS, pipeline=make_pipeline(), **SIX)
    evaluator = begun()
    evaluator.look(NOON + 5 * HOUR)
    assert not Breach.objects.exists()
    evaluator.look(NOON + 7 * HOUR)
    assert Breach.objects.get().message == "The last: none ever."


def test_a_tag_means_each_pipeline_that_has_it_and_a_trigger_its_own_runs() -> None:
    for name, tags in (("a", ["nightly"]), ("b", ["nightly"]), ("c", [])):
        pipeline = make_pipeline(name)
        pipeline.tags = tags
        pipeline.save()
    schedule = make_schedule(pipeline)
    make_rule(Kind.FRESHNESS, tag="nightly", **SIX)
    make_rule(Kind.FRESHNESS, trigger_id=schedule.pk, **SIX)
    evaluator = begun()
    ends(make_run(pipeline, trigger_id=schedule.pk + 1), RunStatus.COMPLETED, NOON + 6 * HOUR)
    evaluator.look(NOON + 7 * HOUR)
    stale = ["a", "b", "c (daily)"]
    assert open_incidents() == [f"{name} has had no completed run for 6 h" for name in stale]


def test_what_is_closed_by_hand_stays_closed_until_it_was_fresh_again() -> None:
    make_rule(Kind.FRESHNESS, pipeline=make_pipeline(), **SIX)
    evaluator = begun()
    evaluator.look(NOON + 7 * HOUR)
    incidents.close(Incident.objects.get(), NOON + 8 * HOUR, "ada", "known")
    begun(NOON + 9 * HOUR).look(NOON + 10 * HOUR)
    assert open_incidents() == []


def test_nothing_is_asked_while_nothing_can_be_stale() -> None:
    make_rule(Kind.FRESHNESS, pipeline=make_pipeline(), **SIX)
    freshness, look = Freshness(), Look(NOON)
    freshness.look_at(look)
    look = Look(NOON + timedelta(seconds=3))
    with CaptureQueriesContext(
        connection,
    ) as asked:
        freshness.look_at(look)
    assert len(asked) == 0
