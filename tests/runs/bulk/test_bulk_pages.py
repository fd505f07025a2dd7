"""Many runs at once, from their list."""

import re
from typing import Any

import pytest
from django.test import Client

from runs.models import PipelineRun
from runs.states import BlockStatus, RunStatus
from tests.factories import make_pipeline, make_run, text_of

pytestmark = pytest.mark.django_db


def failed(count: int = 2, **fields: Any) -> list[PipelineRun]:
    return [make_run(status=RunStatus.FAILED, blocks={"load": BlockStatus.FAILED}, **fields) for _ in range(count)]


def ask(page: Client, **sent: Any) -> str:
    return text_of(page.post("/runs/bulk/", sent, follow=True))


def confirm(page: Client, **sent: Any) -> str:
    """Press the button of the page that asks whether to."""
    hidden = re.findall(r'<input type="hidden" name="(?!csrf)(\w+)" value="([^"]*)"', ask(page, **sent))
    found: dict[str, list[str]] = {}
    for name, value in hidden:
        found.setdefault(name, []).append(value)
    return ask(page, **found)


def test_the_list_offers_verbs_for_what_matches(page: Client) -> None:
    failed(3)

    text = text_of(page.get("/runs/?status=failed"))

    assert "all 3 that match" in text
    assert '<input type="hidden" name="status" value="failed">' in text
    assert text.count('name="ids"') == 3


def test_it_is_asked_first_with_the_runs_it_would_be(page: Client) -> None:
    first, second = failed()

    text = ask(page, which="all", status="failed", verb="retry")

    assert "Retry 2 runs?" in text
    assert f"#{first.pk}" in text
    assert set(PipelineRun.objects.values_list("status", flat=True)) == {"failed"}


def test_confirmed_it_is_done_to_all_that_matched(page: Client) -> None:
    failed()
    other = make_run(make_pipeline("other"), status=RunStatus.FAILED, blocks={"load": BlockStatus.FAILED})

    text = confirm(page, which="all", pipeline="etl", verb="retry")

    assert "2 runs retried." in text
    other.refresh_from_db()
    assert other.status == RunStatus.FAILED


def test_ticked_runs_only(page: Client) -> None:
    running, other = make_run(), make_run()

    confirm(page, which="ticked", ids=[running.pk], verb="cancel")

    running.refresh_from_db()
    other.refresh_from_db()
    assert (running.status, running.reason, other.status) == ("cancelled", "cancelled by ada", "running")


def test_what_could_not_be_done_is_said_with_the_reason(page: Client) -> None:
    failed(2, pipeline=make_pipeline(concurrency_config={"pipeline_run_limit": 1}))

    text = confirm(page, which="all", verb="retry")

    assert "1 run retried." in text
    assert "1 run of each trigger at a time" in text


def test_other_runs_since_the_question_stop_it(page: Client) -> None:
    failed()
    token = re.findall(r'name="token" value="([^"]*)"', ask(page, which="all", verb="retry"))[0]
    failed(1)

    text = ask(page, which="all", verb="retry", token=token)

    assert "What matches has changed" in text
    assert not PipelineRun.objects.unfinished().exists()


@pytest.mark.parametrize(
    "sent",
    [
        {"which": "ticked", "verb": "retry"},
        {"which": "ticked", "ids": ["x", "-1"], "verb": "retry"},
        {"which": "all", "verb": "delete"},
        {"which": "all", "verb": "retry", "status": "bad"},
        {"which": "all", "verb": "retry", "q": "\x00"},
        {"which": "all", "verb": "cancel"},
        {},
    ],
)
def test_what_is_not_understood_is_said_and_does_nothing(page: Client, sent: dict[str, Any]) -> None:
    failed()

    assert "note-error" in ask(page, **sent)
    assert not PipelineRun.objects.unfinished().exists()
