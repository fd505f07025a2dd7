"""The one decision about a start, as a matrix: who asks, what the trigger and the pipeline allow, what goes on."""

from typing import Any

import pytest

from runs.limits import Answer, Limits, Ongoing, Start, decide, gates

START, WAIT, SKIP = Answer.START, Answer.WAIT, Answer.SKIP
LIVE = Ongoing(1, 7, None, True, {"customer": "acme"})
LATER = Ongoing(2, 7, None, True, {"customer": "other"})
WAITING = Ongoing(3, 7, None, False, {"customer": "acme"})
OF_ANOTHER_TRIGGER = Ongoing(4, 8, None, True, {"customer": "acme"})
OF_A_BACKFILL = Ongoing(5, 7, 1, True, {"customer": "acme"})


def asking(
    trigger: int | None = 7,
    backfill: int | None = None,
    customer: str = "acme",
    *,
    is_new: bool = True,
    **limits: Any,
) -> Start:
    return Start(trigger, backfill, {"customer": customer}, Limits(**limits), is_new)


@pytest.mark.parametrize(
    ("start", "config", "ongoing", "answer"),
    [
        # nothing is limited
        (asking(), {}, [LIVE, LATER], START),
        # overlap: only the trigger's own live runs count
        (asking(overlap="skip"), {}, [], START),
        (asking(overlap="skip"), {}, [LIVE], SKIP),
        (asking(overlap="skip"), {}, [WAITING], SKIP),
        (asking(overlap="skip"), {}, [OF_ANOTHER_TRIGGER, OF_A_BACKFILL], START),
        (asking(overlap="wait_one"), {}, [LIVE], WAIT),
        (asking(overlap="wait_one"), {}, [LIVE, WAITING], SKIP),
        (asking(overlap="wait_one", is_new=False), {}, [LIVE, WAITING], WAIT),
        (asking(overlap="wait_all"), {}, [LIVE], WAIT),
        (asking(overlap="wait_all"), {}, [LIVE, WAITING], WAIT),
        (asking(overlap="cancel_other"), {}, [LIVE, LATER], START),
        # what waits already does not wait for others that wait
        (asking(overlap="wait_all", is_new=False), {}, [WAITING], START),
        (asking(overlap="wait_all", is_new=False), {}, [LIVE], WAIT),
        # the trigger's limit
        (asking(run_limit=2), {}, [LIVE], START),
        (asking(run_limit=2), {}, [LIVE, LATER], SKIP),
        (asking(run_limit=2, on_limit="wait"), {}, [LIVE, LATER], WAIT),
        (asking(run_limit=1), {}, [OF_ANOTHER_TRIGGER], START),
        # the pipeline's limit for each trigger stands where the trigger has none
        (asking(), {"pipeline_run_limit": 1}, [LIVE], WAIT),
        (asking(), {"pipeline_run_limit": "1", "on_pipeline_run_limit_reached": "skip"}, [LIVE], SKIP),
        (asking(), {"pipeline_run_limit": 1}, [OF_ANOTHER_TRIGGER], START),
        (asking(run_limit=2), {"pipeline_run_limit": 1}, [LIVE], START),
        (asking(trigger=None), {"pipeline_run_limit": 1}, [LIVE], START),
        # the pipeline's limit for all of them
        (asking(), {"pipeline_run_limit_all_triggers": 1}, [OF_ANOTHER_TRIGGER], WAIT),
        (asking(), {"pipeline_run_limit_all_triggers": 1}, [OF_A_BACKFILL], WAIT),
        (asking(), {"pipeline_run_limit_all_triggers": 2}, [OF_A_BACKFILL], START),
        (asking(trigger=None), {"pipeline_run_limit_all_triggers": 1}, [LIVE], WAIT),
        # limits by a variable's value
        (asking(), {"run_limit_by_variable": {"customer": 1}}, [OF_ANOTHER_TRIGGER], WAIT),
        (asking(customer="third"), {"run_limit_by_variable": {"customer": 1}}, [LIVE, LATER], START),
        (asking(), {"run_limit_by_variable": {"region": 1}}, [LIVE], START),
        (asking(by_variable={"customer": 1}), {}, [OF_ANOTHER_TRIGGER], START),
        (asking(by_variable={"customer": 1}), {}, [LIVE], SKIP),
        (asking(by_variable={"customer": 1}, on_limit="wait"), {}, [LIVE], WAIT),
        # backfills have a limit of their own and don't mind live runs
        (asking(backfill=1, run_limit=2, on_limit="wait"), {}, [OF_A_BACKFILL, LIVE], START),
        (asking(backfill=1, run_limit=1, on_limit="wait"), {}, [OF_A_BACKFILL], WAIT),
        (asking(backfill=2, run_limit=1, on_limit="wait"), {}, [OF_A_BACKFILL], START),
        (asking(backfill=1), {"pipeline_run_limit": 1}, [OF_A_BACKFILL], START),
        (
            asking(backfill=1),
            {"pipeline_run_limit_all_triggers": 1, "on_pipeline_run_limit_reached": "skip"},
            [LIVE],
            WAIT,
        ),
        # what is to be cancelled makes room
        (asking(overlap="cancel_other"), {"pipeline_run_limit_all_triggers": 1}, [LIVE], START),
        (asking(overlap="cancel_other"), {"pipeline_run_limit_all_triggers": 1}, [LIVE, OF_ANOTHER_TRIGGER], WAIT),
    ],
)
def test_a_start_is_admitted_as_its_limits_say(
    start: Start, config: dict[str, Any], ongoing: list[Ongoing], answer: Answer
) -> None:
    assert decide(start, config, ongoing).answer is answer


def test_what_stands_in_the_way_is_named() -> None:
    overlap = decide(asking(overlap="skip"), {}, [LIVE, LATER])
    limit = decide(asking(run_limit=2), {}, [LIVE, LATER])
    by_variable = decide(asking(), {"run_limit_by_variable": {"customer": 1}}, [OF_ANOTHER_TRIGGER])

    assert (overlap.name, overlap.reason, overlap.blocker) == (
        "overlap",
        "The previous run, 2, was still running.",
        2,
    )
    assert (limit.reason, limit.blocker) == ("The limit was reached: 2 runs of this trigger at a time.", 1)
    assert (by_variable.reason, by_variable.blocker) == (
        "The limit was reached: 1 run with customer = acme at a time.",
        4,
    )


def test_only_an_open_start_says_whom_it_cancels() -> None:
    assert decide(asking(overlap="cancel_other"), {}, [LIVE, LATER]).cancels == (1, 2)


def test_every_gate_is_listed_in_order() -> None:
    config = {"pipeline_run_limit_all_triggers": 1, "run_limit_by_variable": {"customer": 1}}

    found = gates(asking(run_limit=5), config, [LIVE])

    assert [(gate.name, gate.is_open) for gate in found] == [
        ("overlap", True),
        ("limit of the trigger", True),
        ("limit of the pipeline", False),
        ("limit by customer", False),
    ]


def test_limits_are_carried_as_the_little_that_differs() -> None:
    limits = Limits(overlap="skip", run_limit=3)

    assert Limits().as_json() == {}
    assert limits.as_json() == {"overlap": "skip", "run_limit": 3}
    assert Limits.from_json(limits.as_json()) == limits
