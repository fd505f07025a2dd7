"""What a block gets of other pipelines, given a worker's answers."""

import threading
from collections.abc import Iterator, Mapping
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pytest

from pipelines import questions, triggering
from pipelines.questions import Refused
from pipelines.triggering import PipelineRunFailed, PipelineRunTimeout, check_status, plain_variables, trigger_pipeline

RUN = {
    "id": 17,
    "pipeline_uuid": "child",
    "status": "running",
    "execution_date": "2025-03-02T12:00:00+00:00",
    "variables": {"day": "2025-03-02"},
    "pipeline_schedule_id": None,
    "pipeline_schedule_name": "",
    "created_at": "2025-03-02T12:00:00+00:00",
    "started_at": "2025-03-02T12:00:01+00:00",
    "completed_at": None,
    "reason": "",
    "url": "/runs/17/",
    "is_new": True,
}


class Worker:
    """Answers each verb with the next of its answers, the last one again and again."""

    def __init__(self) -> None:
        self.asked: list[Mapping[str, Any]] = []
        self.answers: dict[str, list[Mapping[str, Any]]] = {"trigger_pipeline": [{"value": RUN}]}

    def ask(self, request: Mapping[str, Any]) -> Mapping[str, Any]:
        self.asked.append(request)
        answers = self.answers[request["verb"]]
        return answers.pop(0) if len(answers) > 1 else answers[0]

    def ends(self, *statuses: str, **fields: Any) -> None:
        self.answers["wait_for_run"] = [{"value": {**RUN, "status": status, **fields}} for status in statuses]


@pytest.fixture
def worker(monkeypatch: pytest.MonkeyPatch) -> Iterator[Worker]:
    made = Worker()
    monkeypatch.setattr(questions, "_ask", made.ask)
    triggering.begin()
    yield made
    triggering.begin()


def test_a_run_that_was_started_is_told_with_its_moments(worker: Worker) -> None:
    run = trigger_pipeline("child", variables={"day": date(2025, 3, 2)})

    assert (run.id, run.status, run.completed, run.is_finished) == (17, "running", False, False)
    assert run.execution_date == datetime(2025, 3, 2, 12, tzinfo=UTC)
    assert run.to_dict()["variables"] == {"day": "2025-03-02"}
    (asked,) = worker.asked
    assert asked == {
        "verb": "trigger_pipeline",
        "pipeline_uuid": "child",
        "variables": {"day": "2025-03-02"},
        "schedule_name": None,
        "waits": False,
        "call": ":1",
    }


def test_waiting_ends_when_the_run_is_finished(worker: Worker) -> None:
    worker.ends("running", "completed", completed_at="2025-03-02T12:05:00+00:00")

    run = trigger_pipeline("child", check_status=True, poll_interval=30)

    assert run.completed
    assert run.completed_at == datetime(2025, 3, 2, 12, 5, tzinfo=UTC)
    assert [asked.get("seconds") for asked in worker.asked[1:]] == [30, 30]


def test_without_words_there_is_nothing_to_wake_up_for(worker: Worker) -> None:
    worker.ends("completed")

    trigger_pipeline("child", check_status=True, verbose=False)

    assert worker.asked[1]["seconds"] is None


def test_a_failure_is_raised_if_so_asked(worker: Worker) -> None:
    worker.ends("failed", reason="load: KeyError: 'day'")

    assert trigger_pipeline("child", check_status=True).failed
    with pytest.raises(PipelineRunFailed, match=r"run 17 of child failed: load: KeyError: 'day' \(/runs/17/\)"):
        trigger_pipeline("child", check_status=True, error_on_failure=True)


def test_a_cancelled_run_is_no_success(worker: Worker) -> None:
    worker.ends("cancelled")

    with pytest.raises(PipelineRunFailed, match="run 17 of child was cancelled"):
        trigger_pipeline("child", check_status=True, error_on_failure=True)


def test_a_run_that_takes_too_long_is_left_to_itself(worker: Worker) -> None:
    worker.ends("running")
    worker.answers["leave_run"] = [{"value": None}]

    with pytest.raises(PipelineRunTimeout, match="still running after 0 s"):
        trigger_pipeline("child", check_status=True, poll_timeout=0)

    assert worker.asked[-1] == {"verb": "leave_run", "run_id": 17}


def test_what_the_worker_refuses_is_raised_with_its_words(worker: Worker) -> None:
    worker.answers["trigger_pipeline"] = [{"error": {"type": "Refused", "message": "There is no pipeline 'chold'."}}]

    with pytest.raises(Refused, match="There is no pipeline 'chold'"):
        trigger_pipeline("chold")


def test_a_question_that_comes_at_a_bad_time_is_asked_again(worker: Worker) -> None:
    worker.answers["trigger_pipeline"] = [{"again": 0}, {"again": 0}, {"value": RUN}]

    assert trigger_pipeline("child").id == 17
    assert [asked["call"] for asked in worker.asked] == [":1"] * 3


def test_calls_are_told_apart_by_their_order(worker: Worker) -> None:
    for _ in range(2):
        trigger_pipeline("child")
    triggering.begin()
    trigger_pipeline("child")

    assert [asked["call"] for asked in worker.asked] == [":1", ":2", ":1"]


def test_calls_of_other_threads_are_told_apart_by_what_they_ask_for(worker: Worker) -> None:
    def names(*days: int) -> set[str]:
        triggering.begin()
        worker.asked.clear()
        for day in days:
            thread = threading.Thread(target=trigger_pipeline, args=("child",), kwargs={"variables": {"day": day}})
            thread.start()
            thread.join()
        return {asked["call"] for asked in worker.asked}

    first = names(1, 2, 2)

    assert len(first) == 3
    assert names(2, 1, 2) == first


@pytest.mark.parametrize(
    ("given", "taken"),
    [
        (datetime(2025, 3, 2, 12, tzinfo=UTC), "2025-03-02T12:00:00+00:00"),
        (Decimal("1.10"), "1.10"),
        ([1, {"a": None}], [1, {"a": None}]),
    ],
)
def test_variables_become_plain_json(given: Any, taken: Any) -> None:
    assert plain_variables({"name": given}) == {"name": taken}


@pytest.mark.parametrize("given", [{"a": float("nan")}, {"a": {1, 2}}, {"a": object()}, [1], "text"])
def test_variables_that_are_no_json_are_refused(given: Any) -> None:
    with pytest.raises(TypeError, match="variables must be"):
        plain_variables(given)


def test_numbers_of_numpy_are_numbers() -> None:
    numpy = pytest.importorskip("numpy")

    assert plain_variables({"a": numpy.int64(3), "b": numpy.float32(0.5)}) == {"a": 3, "b": 0.5}


@pytest.mark.parametrize("options", [{"remote_blocks": [1]}, {"return_remote_blocks": True}, {"repo_path": "/tmp/x"}])
def test_what_is_not_available_is_refused(worker: Worker, options: dict[str, Any]) -> None:
    with pytest.raises(Refused):
        trigger_pipeline("child", **options)
    assert worker.asked == []


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"variable": {"day": 1}}, "unexpected keyword argument 'variable'"),
        ({"poll_timeout": "60"}, "poll_timeout must be a number of seconds, not str"),
        ({"poll_timeout": -1}, "poll_timeout must be 0 seconds or more, not -1"),
        ({"poll_interval": None}, "poll_interval must be a number of seconds, not NoneType"),
        ({"poll_interval": float("nan")}, "poll_interval must be 0 seconds or more, not nan"),
    ],
)
def test_a_call_that_is_not_understood_starts_nothing(worker: Worker, options: dict[str, Any], told: str) -> None:
    with pytest.raises((TypeError, ValueError), match=told):
        trigger_pipeline("child", check_status=True, **options)
    assert worker.asked == []


def test_what_mage_hands_to_itself_is_let_pass(worker: Worker) -> None:
    assert trigger_pipeline("child", _should_schedule=True, poll_timeout=5.5).id == 17


@pytest.mark.parametrize("level", ["INFO", "WARNING"])
def test_a_check_says_in_the_log_what_was_found(worker: Worker, level: str, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    worker.answers["check_status"] = [{"value": {"completed": False, "level": level, "text": "run 3 is running"}}]

    assert check_status("child", datetime(2025, 3, 2, tzinfo=UTC), hours=2) is False

    assert (caplog.records[0].levelname, caplog.messages) == (level, ["check_status: run 3 is running"])
    assert worker.asked[0]["execution_date"] == "2025-03-02T00:00:00+00:00"
