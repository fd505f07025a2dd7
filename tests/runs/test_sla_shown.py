"""Where the pages say that something is past its SLA."""

from datetime import timedelta

import pytest
from django.test import Client

from runs.models import PipelineRun
from runs.states import BlockStatus
from tests.factories import NOON, make_run, make_user, text_of

SAID = ">past its SLA</span>"
LATE = {"sla_at": NOON + timedelta(minutes=5), "passed_sla": True}


@pytest.fixture
def page(client: Client, db: None) -> Client:
    client.force_login(make_user())
    return client


def said_on(page: Client, run: PipelineRun, query: str = "") -> int:
    return text_of(page.get(f"/runs/{run.pk}/{query}")).count(SAID)


def test_a_late_run_says_so_beside_its_state(page: Client) -> None:
    run = make_run(**LATE)

    text = text_of(page.get(f"/runs/{run.pk}/"))

    assert text.count(SAID) == 1
    assert "It should have been finished by 2025-03-02 12:05:00 UTC" in text


def test_a_late_run_says_so_in_each_list(page: Client) -> None:
    run = make_run(**LATE)

    for address in ("/runs/", "/", f"/pipelines/{run.pipeline.uuid}/"):
        assert text_of(page.get(address)).count(SAID) == 1, address


def test_a_late_block_says_so_in_its_row_and_its_panel(page: Client) -> None:
    run = make_run(blocks={"load": BlockStatus.RUNNING})
    run.block_runs.filter(block_uuid="load").update(**LATE)

    assert said_on(page, run, "?block=load") == 2


def test_what_still_has_time_is_not_called_late(page: Client) -> None:
    run = make_run(sla_at=NOON + timedelta(days=9999))

    text = text_of(page.get(f"/runs/{run.pk}/"))

    assert SAID not in text
    assert "<dt>SLA</dt>" in text
