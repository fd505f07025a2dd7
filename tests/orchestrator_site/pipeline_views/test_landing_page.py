"""The view of when a trigger's runs are finished."""

from datetime import timedelta
from typing import Any

import pytest
from django.test import Client

from orchestrator_site.templatetags.history import landed
from runs.models import Origin, PipelineRun
from runs.states import RunStatus
from schedules.models import PipelineSchedule
from tests.factories import NOON, make_pipeline, make_run, make_schedule, text_of

pytestmark = pytest.mark.django_db
HOUR = timedelta(hours=1)


def ran(schedule: PipelineSchedule, minutes: float, **fields: Any) -> PipelineRun:
    """A run for noon of the second of March that took so many minutes."""
    given = {"status": RunStatus.COMPLETED, "origin": Origin.SCHEDULE, "trigger_id": schedule.pk, "sla_at": NOON + HOUR}
    return make_run(schedule.pipeline, completed_at=NOON + timedelta(minutes=minutes), **given | fields)


def show(page: Client, **query: Any) -> Any:
    return page.get("/pipelines/etl/landing/", query)


def test_runs_are_drawn_at_the_time_of_day_at_which_they_ended(page: Client) -> None:
    schedule = make_schedule(timezone="Europe/Berlin", sla=HOUR)
    on_time, late = ran(schedule, 30), ran(schedule, 90)

    answer = show(page)
    text = text_of(answer)

    assert [dot.kind for dot in answer.context["chart"].dots] == ["on_time", "late"]
    assert f"run #{on_time.pk}: in time, 13:30" in text
    assert f"run #{late.pk}: late, 14:30" in text
    assert "<b>1 of 2</b>" in text


def test_they_can_be_drawn_by_their_delay(page: Client) -> None:
    ran(make_schedule(), 30)

    assert "in time, 30 min 00 s" in text_of(show(page, by="delay"))


def test_the_trigger_that_is_active_and_has_an_sla_comes_first(page: Client) -> None:
    make_schedule(name="a", is_active=False)
    make_schedule(name="b")
    first = make_schedule(name="c", sla=HOUR)
    make_schedule(name="api", schedule_type="api")

    answer = show(page)

    assert answer.context["trigger"] == first
    assert [each.name for each in answer.context["triggers"]] == ["c", "b", "a"]


def test_another_trigger_can_be_chosen(page: Client) -> None:
    make_schedule(name="a")
    other = make_schedule(name="b")
    run = ran(other, 30)

    answer = show(page, trigger=other.pk)

    assert answer.context["chart"].dots[0].run == run.pk
    assert "Clear" in text_of(answer)


@pytest.mark.parametrize("query", [{"trigger": "999"}, {"trigger": "x"}, {"by": "mood"}])
def test_what_is_not_there_is_told(page: Client, query: dict[str, str]) -> None:
    make_schedule()

    answer = show(page, **query)

    assert answer.status_code == 200
    assert "is not known; one of" in text_of(answer)


def test_a_trigger_of_another_pipeline_cannot_be_chosen(page: Client) -> None:
    make_schedule()
    other = make_schedule(make_pipeline("other"), name="theirs")

    assert "is not known" in text_of(show(page, trigger=other.pk))


def test_a_trigger_that_lands_is_measured_by_its_moments(page: Client) -> None:
    schedule = make_schedule(settings={"landing_time_enabled": True})
    ran(schedule, -10, sla_at=None)

    answer = show(page)

    assert answer.context["in_time"] == 1
    assert "by its moments" in text_of(answer)


def test_without_an_sla_nothing_is_asked(page: Client) -> None:
    ran(make_schedule(), 30, sla_at=None)

    assert "nothing is asked: it has no SLA" in text_of(show(page))


def test_a_trigger_with_settings_that_make_no_sense_still_has_its_landings(page: Client) -> None:
    ran(make_schedule(settings={"landing_time_enabled": "maybe"}, timezone="Nowhere"), 30)

    assert len(show(page).context["chart"].dots) == 1


def test_a_pipeline_without_a_clock_says_how_it_gets_one(page: Client) -> None:
    make_pipeline()

    assert "this pipeline has none" in text_of(show(page))


@pytest.mark.parametrize(
    ("value", "by", "words"),
    [
        (None, "clock", "–"),
        (22_320.0, "clock", "06:12"),
        (88_200.0, "clock", "00:30 +1 d"),
        (-1800.0, "clock", "23:30 -1 d"),
        (90.0, "delay", "1 min 30 s"),
        (-90.0, "delay", "−1 min 30 s"),
    ],
)
def test_a_landing_is_written_as_people_say_it(value: float | None, by: str, words: str) -> None:
    assert landed(value, by) == words
