from datetime import timedelta
from typing import Any

import pytest

from runs.retries import delay_before_next, objection


@pytest.mark.parametrize(
    ("config", "used", "seconds"),
    [
        ({}, 0, None),
        ({"retries": 0}, 0, None),
        ({"retries": 3}, 0, 5),
        ({"retries": 3}, 1, 10),
        ({"retries": 3}, 3, None),
        ({"retries": 9}, 8, 60),
        ({"retries": 3, "delay": 2, "exponential_backoff": False}, 2, 2),
        ({"retries": 3, "delay": 100, "max_delay": 30}, 0, 30),
        ({"retries": 3, "max_delay": 0}, 1, 10),
        ({"retries": 10**6, "max_delay": None, "delay": 0}, 5000, 0),
    ],
)
def test_the_delay_grows_up_to_its_cap_until_retries_are_used_up(
    config: dict[str, Any], used: int, seconds: float | None
) -> None:
    expected = None if seconds is None else timedelta(seconds=seconds)

    assert delay_before_next(config, used) == expected


@pytest.mark.parametrize("jitter", [0.2, 1])
def test_jitter_spreads_the_delay_both_ways_and_not_further(jitter: float) -> None:
    config = {"retries": 1, "delay": 10, "jitter": jitter, "max_delay": 0}
    delays = [delay_before_next(config, 0, str(seed)).total_seconds() for seed in range(200)]  # type: ignore[union-attr]
    low, high = 10 * (1 - jitter), 10 * (1 + jitter)
    assert all(low <= delay <= high for delay in delays)
    assert min(delays) < low + 0.1 * (high - low)
    assert max(delays) > high - 0.1 * (high - low)


def test_the_jitter_of_a_try_is_always_the_same_and_another_one_of_the_next() -> None:
    config = {"retries": 9, "jitter": 0.5, "exponential_backoff": False}
    first = delay_before_next(config, 0, "7")
    assert first == delay_before_next(config, 0, "7")
    assert len({delay_before_next(config, used, seed) for used in range(3) for seed in "789"}) == 9


def test_jitter_does_not_go_beyond_the_longest_delay() -> None:
    config = {"retries": 1, "delay": 100, "max_delay": 60, "jitter": 1}
    assert max(delay_before_next(config, 0, str(seed)) for seed in range(50)) == timedelta(seconds=60)  # type: ignore[type-var]


NAMES = ["requests.exceptions.ReadTimeout", "requests.exceptions.Timeout", "builtins.OSError", "builtins.Exception"]


@pytest.mark.parametrize(
    "wanted", ["ReadTimeout", "Timeout", "OSError", "requests.Timeout", "exceptions.Timeout", "builtins.OSError"]
)
def test_an_exception_goes_by_its_class_its_bases_and_their_packages(wanted: str) -> None:
    assert objection({"give_up_on": ["KeyError", wanted]}, NAMES) == f"not tried again: give_up_on names {wanted}"
    assert objection({"retry_on": ["KeyError", wanted]}, NAMES) == ""


@pytest.mark.parametrize("wanted", ["KeyError", "httpx.Timeout", "request.Timeout", "imeout", "Timeout.requests"])
def test_another_exception_goes_by_another_name(wanted: str) -> None:
    assert objection({"give_up_on": wanted}, NAMES) == ""
    assert objection({"retry_on": wanted}, NAMES) == f"not tried again: retry_on names {wanted}"


@pytest.mark.parametrize("name", ["Timeout", "ProcessKilled", "ProcessExit"])
def test_ends_without_an_exception_go_by_their_name(name: str) -> None:
    assert objection({"retry_on": [name]}, [name]) == ""
    assert objection({"give_up_on": [name]}, [name]) != ""


def test_giving_up_wins_over_trying_again() -> None:
    assert objection({"retry_on": ["OSError"], "give_up_on": ["ReadTimeout"]}, NAMES) != ""


@pytest.mark.parametrize("config", [{}, {"retry_on": []}, {"give_up_on": None, "retry_on": None}])
def test_without_names_every_failure_is_tried_again(config: dict[str, Any]) -> None:
    assert objection(config, NAMES) == ""
