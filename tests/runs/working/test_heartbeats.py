"""Whether a long-lived block is well, as its beats tell, and what of them is written down."""

from typing import Any

import pytest

from runs.working.heartbeats import LARGEST, Health, figures_of, health_of


def beat(batches: int = 0, *, handling: bool = False) -> dict[str, Any]:
    return {"verb": "beat", "batches": batches, "messages": 10 * batches, "handling": handling}


def test_a_stream_that_waits_for_messages_is_well_as_long_as_it_beats() -> None:
    health = Health(30.0, 0.0)
    for now in range(0, 600, 5):
        health.take(beat(), float(now))

    assert not health.is_silent(600.0)
    assert health.is_silent(626.0)


def test_a_batch_that_hangs_is_no_health_though_the_stream_beats() -> None:
    health = Health(30.0, 0.0)
    for now in range(0, 40, 5):
        health.take(beat(7, handling=now > 0), float(now))

    assert health.is_silent(40.0)


def test_batches_one_after_the_other_are_health_though_each_beat_meets_one() -> None:
    health = Health(30.0, 0.0)
    for now in range(0, 600, 5):
        health.take(beat(now, handling=True), float(now))

    assert not health.is_silent(600.0)


def test_without_a_timeout_nothing_is_too_silent() -> None:
    assert not Health(None, 0.0).is_silent(1e9)


def test_figures_are_written_down_at_most_every_five_seconds() -> None:
    health = Health(None, 0.0)
    written = []
    for second in range(20):
        health.take(beat(second), float(second))
        written += [second] if health.news(float(second)) else []

    assert written == [0, 5, 10, 15]


def test_what_was_written_down_is_not_written_again() -> None:
    health = Health(None, 0.0)
    health.take(beat(3), 0.0)

    assert health.news(0.0) is not None
    assert health.news(100.0) is None


@pytest.mark.parametrize(
    ("config", "timeout"),
    [
        ({"stream": [{"uuid": "a"}]}, None),
        ({"stream": [{"heartbeat_timeout": 90}, {"heartbeat_timeout": 60}, {"heartbeat_timeout": None}]}, 60),
    ],
)
def test_the_shortest_timeout_of_the_blocks_counts(config: dict[str, Any], timeout: float | None) -> None:
    health = health_of(config, 0.0)

    assert health is not None
    assert health.timeout == timeout


def test_other_blocks_have_no_health_to_be_watched() -> None:
    assert health_of({"heartbeat_timeout": 5}, 0.0) is None


def test_nonsense_in_a_beat_is_left_out() -> None:
    told = {"messages": "many", "bytes": -5, "batches": 10**30, "blocks": {"a": 3, "b": []}, "since": "x" * 1000}

    assert figures_of(told) == {
        "messages": 0,
        "bytes": 0,
        "batches": LARGEST,
        "since": "x" * 40,
        "blocks": {"a": 3, "b": 0},
        "handling": False,
    }
