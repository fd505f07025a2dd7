from datetime import timedelta
from typing import Any

import pytest

from runs.retries import delay_before_next


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
