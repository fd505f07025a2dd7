"""Whether something takes longer than it did."""

import pytest

from runs.figures.trends import LEAST, change_of


@pytest.mark.parametrize(
    ("older", "newer", "change"), [(10, 13, 0.3), (10, 5, -0.5), (10, 11, None), (10, 10, None), (0, 5, None)]
)
def test_the_newer_half_is_set_against_the_older(older: float, newer: float, change: float | None) -> None:
    assert change_of([older] * LEAST + [newer] * LEAST) == change


def test_few_values_say_nothing() -> None:
    assert change_of([1.0] * (LEAST - 1) + [9.0] * LEAST) is None
    assert change_of([]) is None


def test_one_outlier_is_no_trend() -> None:
    assert change_of([10.0] * LEAST + [10.0] * (LEAST - 1) + [1000.0]) is None
