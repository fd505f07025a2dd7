"""What check_status answers: completed or not, and in words what was found."""

from datetime import timedelta
from typing import Any

import pytest

from runs import asking
from runs.models import BlockRun
from runs.states import BlockStatus, RunStatus
from tests.factories import NOON, make_pipeline, make_run

pytestmark = pytest.mark.django_db
HOUR = timedelta(hours=1)


def check(**details: Any) -> dict[str, Any]:
    given = {"pipeline_uuid": "etl", "execution_date": NOON.isoformat(), "hours": 24}
    reply = asking.reply_to(BlockRun(pk=1), {"verb": "check_status", **given, **details}, NOON)
    assert isinstance(reply, dict)
    return reply


def value(**details: Any) -> dict[str, Any]:
    found: dict[str, Any] = check(**details)["value"]
    return found


def test_a_completed_run_is_completed_and_named() -> None:
    run = make_run(status=RunStatus.COMPLETED)

    text = f"run {run.pk} of etl, for 2025-03-02 12:00:00, is completed"
    assert value() == {"completed": True, "level": "INFO", "text": text}


@pytest.mark.parametrize("status", [RunStatus.INITIAL, RunStatus.RUNNING, RunStatus.FAILED, RunStatus.CANCELLED])
def test_any_other_run_is_not_and_nothing_is_raised(status: RunStatus) -> None:
    make_run(status=status)

    assert value()["completed"] is False
    assert value()["text"].endswith(f"is {status}")


def test_the_latest_run_of_the_time_counts() -> None:
    make_run(status=RunStatus.COMPLETED, execution_date=NOON - HOUR)
    make_run(status=RunStatus.FAILED, execution_date=NOON - HOUR / 2)
    make_run(status=RunStatus.COMPLETED, execution_date=NOON + HOUR)

    assert value()["text"].endswith("is failed")


def test_a_run_of_one_block_alone_does_not_stand_for_the_pipeline() -> None:
    whole = make_run(status=RunStatus.FAILED)
    alone = make_run(whole.pipeline, status=RunStatus.COMPLETED)
    alone.block_runs.exclude(block_uuid="load").delete()

    assert value()["text"].startswith(f"run {whole.pk} of etl")
    assert value(block_uuid="load")["text"].startswith(f"load in run {alone.pk} of etl")


@pytest.mark.parametrize(("hours", "completed"), [(1, True), (0.99, False), (0, False)])
def test_runs_before_the_hours_do_not_count(hours: float, completed: bool) -> None:
    make_run(status=RunStatus.COMPLETED, execution_date=NOON - HOUR)

    assert value(hours=hours)["completed"] is completed


def test_without_a_run_the_time_is_told() -> None:
    make_pipeline()

    text = "etl has no run for 2025-03-02 10:00:00 to 2025-03-02 12:00:00"
    assert value(hours=2) == {"completed": False, "level": "INFO", "text": text}


def test_a_block_may_be_completed_in_a_run_that_goes_on() -> None:
    run = make_run(blocks={"load": BlockStatus.COMPLETED, "clean": BlockStatus.RUNNING})

    assert value(block_uuid="load")["completed"] is True
    assert value(block_uuid="clean")["text"] == f"clean in run {run.pk} of etl, for 2025-03-02 12:00:00, is running"


def test_unknown_names_are_a_warning_with_the_nearest() -> None:
    make_run()

    pipeline, block = value(pipeline_uuid="elt"), value(block_uuid="laod")

    assert (pipeline["completed"], pipeline["level"], block["level"]) == (False, "WARNING", "WARNING")
    assert pipeline["text"] == "there is no pipeline 'elt'. Did you mean etl?"
    assert block["text"] == "pipeline etl has no block 'laod'. Did you mean load?"


def test_a_moment_without_an_offset_is_utc() -> None:
    make_run(status=RunStatus.COMPLETED)

    assert value(execution_date="2025-03-02 12:00", hours=0)["completed"] is True


@pytest.mark.parametrize(
    "details", [{"execution_date": "yesterday"}, {"hours": -1}, {"hours": "1"}, {"hours": True}, {"block_uuid": 7}]
)
def test_what_makes_no_sense_is_refused(details: dict[str, Any]) -> None:
    make_run()

    assert check(**details)["error"]["type"] == "Refused"
