"""Lengths of time as people type them."""

import pytest
from hypothesis import given
from hypothesis import strategies as some

from schedules.spans import read_span, span_in_words, write_span


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("90", 90),
        (" 90 s ", 90),
        ("90 min", 5400),
        ("90min", 5400),
        ("2 h", 7200),
        ("2 Hours", 7200),
        ("1 h 30 min", 5400),
        ("1h30m", 5400),
        ("1.5 h", 5400),
        ("0.5 s", 0.5),
        ("3 days", 259_200),
        ("1 week", 604_800),
        ("0", 0),
        ("-5", -5),
    ],
)
def test_a_span_is_read_as_it_is_written(text: str, seconds: float) -> None:
    assert read_span(text) == seconds


@pytest.mark.parametrize(
    "text", ["", " ", "h", "2 x", "2 h and a bit", "min 2", "1e99", "٣ h", "2 h -3 min", "nan", "∞", "9" * 40]
)
def test_what_is_no_span_is_none(text: str) -> None:
    assert read_span(text) is None


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(5400, "90 min"), (7200, "2 h"), (86_400, "1 d"), (45, "45 s"), (0, "0 s"), (0.5, "0.5 s"), (90.0, "90 s")],
)
def test_a_span_is_written_in_the_largest_unit_that_fits(seconds: float, text: str) -> None:
    assert write_span(seconds) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(375, "6 min 15 s"), (840, "14 min"), (93_784, "1 d 2 h"), (3605, "1 h 5 s"), (0.4, "0 s"), (0, "0 s")],
)
def test_a_span_in_words_has_its_two_largest_units(seconds: float, text: str) -> None:
    assert span_in_words(seconds) == text


@given(some.integers(0, 31_536_000))
def test_what_is_written_is_read_as_the_same(seconds: int) -> None:
    assert read_span(write_span(seconds)) == seconds
