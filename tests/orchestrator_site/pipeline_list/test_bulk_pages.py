"""Pausing and resuming all triggers of many pipelines."""

import pytest
from django.test import Client
from django.utils import timezone

from pipelines.models import Pipeline
from schedules.models import PipelineSchedule
from tests.factories import make_pipeline, make_schedule, text_of

pytestmark = pytest.mark.django_db
ADDRESS = "/pause-or-resume/"


@pytest.fixture
def pipelines() -> list[Pipeline]:
    """Three pipelines with two triggers each, one of them paused."""
    made = [make_pipeline(uuid) for uuid in ("a", "b", "c")]
    for pipeline in made:
        make_schedule(pipeline, name="on", last_enabled_at=timezone.now())
        make_schedule(pipeline, name="off", is_active=False)
    return made


def active() -> set[str]:
    return {f"{each.pipeline.uuid}.{each.name}" for each in PipelineSchedule.objects.active().for_list()}


def test_it_is_first_said_how_many_triggers_it_would_be(page: Client, pipelines: list[Pipeline]) -> None:
    text = text_of(page.post(ADDRESS, {"verb": "pause", "ids": [pipelines[0].pk, pipelines[1].pk]}))

    assert "Pause 2 triggers of 2 pipelines?" in text
    assert f'<input type="hidden" name="ids" value="{pipelines[0].pk}">' in text
    assert active() == {"a.on", "b.on", "c.on"}


def test_confirmed_the_triggers_of_the_ticked_pipelines_are_paused(page: Client, pipelines: list[Pipeline]) -> None:
    sent = {"verb": "pause", "ids": [pipelines[0].pk, pipelines[1].pk], "confirmed": "yes"}

    answer = page.post(ADDRESS, sent, follow=True)

    assert "2 triggers paused." in text_of(answer)
    assert active() == {"c.on"}


def test_all_that_fit_the_filter_are_resumed_and_the_list_is_shown_as_it_was(
    page: Client, pipelines: list[Pipeline]
) -> None:
    Pipeline.objects.filter(uuid__in="ac").update(owner="ada")

    answer = page.post(ADDRESS, {"verb": "resume", "which": "all", "owner": "ada", "confirmed": "yes"})

    assert answer["Location"] == "/pipelines/?owner=ada"
    assert active() == {"a.on", "a.off", "b.on", "c.on", "c.off"}


@pytest.mark.parametrize(
    ("sent", "said"),
    [
        ({"verb": "pause"}, "No pipeline is ticked."),
        ({"verb": "pause", "ids": ["x", "9" * 30, "-1"]}, "No pipeline is ticked."),
        ({"verb": "eat", "which": "all"}, "Choose whether to pause or to resume them."),
        ({"verb": "pause", "which": "all", "q": "zzz"}, "None of these triggers would change."),
        ({"verb": "pause", "which": "all", "state": "eaten"}, "The filter is not understood."),
        ({"verb": "pause", "which": "all", "how": "time", "until": "soon", "confirmed": "1"}, "until"),
    ],
)
def test_what_makes_no_sense_is_told_and_changes_nothing(
    page: Client, pipelines: list[Pipeline], sent: dict[str, str], said: str
) -> None:
    answer = page.post(ADDRESS, sent, follow=True)

    assert said.lower() in text_of(answer).lower()
    assert active() == {"a.on", "b.on", "c.on"}


def test_a_stranger_changes_nothing(client: Client, pipelines: list[Pipeline]) -> None:
    answer = client.post(ADDRESS, {"verb": "pause", "which": "all", "confirmed": "yes"})

    assert "/login/" in answer["Location"]
    assert active() == {"a.on", "b.on", "c.on"}
