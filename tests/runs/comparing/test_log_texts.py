"""Where two logs begin to say something else."""

from typing import Any

import pytest

from runs.comparing.log_texts import SHOWN, Divergence, Said, first_difference


def lines(*texts: str, **more: str) -> list[dict[str, Any]]:
    return [{"o": place * 100, "s": "stdout", "l": "INFO", "m": text, **more} for place, text in enumerate(texts)]


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("at 2025-03-02T12:00:00.123Z done", "at 2025-03-03T06:30:01Z done"),
        ("2025-03-02 12:00:00,123 INFO done", "2025-03-03 06:30:01,9 INFO done"),
        ("12:00:01 done", "13:59:59.5 done"),
        ("<Frame object at 0x7f3a>", "<Frame object at 0x7f99>"),
        ("request 0b7e9a3c-1111-4222-8333-abcdefabcdef", "request 1c7e9a3c-1111-4222-8333-abcdefabcdef"),
    ],
)
def test_times_and_addresses_are_no_difference(old: str, new: str) -> None:
    assert first_difference(lines(old), lines(new), numbers=True) is None


def test_numbers_are_a_difference_only_where_they_count() -> None:
    old, new = lines("read 1,204 rows in 0.8 s"), lines("read 99 rows in 12.75 s")

    assert first_difference(old, new, numbers=False) is None
    assert first_difference(old, new, numbers=True) is not None


def test_the_first_line_that_differs_is_told_with_its_place_in_both() -> None:
    found = first_difference(lines("a", "b", "c"), lines("a", "x", "y"), numbers=True)

    assert found == Divergence(2, Said("b", 100), Said("x", 100))


def test_a_log_that_ends_earlier_differs_there() -> None:
    assert first_difference(lines("a"), lines("a", "b"), numbers=True) == Divergence(2, None, Said("b", 100))
    assert first_difference(lines("a", "b"), lines("a"), numbers=True) == Divergence(2, Said("b", 100), None)


def test_another_level_is_a_difference() -> None:
    assert first_difference(lines("a"), lines("a", l="ERROR"), numbers=True) is not None


def test_what_the_orchestrator_wrote_does_not_count() -> None:
    old = [*lines("left out here", s="system"), *lines("a")]

    assert first_difference(old, lines("a"), numbers=True) is None


def test_a_long_line_is_cut_where_it_is_shown() -> None:
    found = first_difference(lines("x" * 1000), lines("y"), numbers=True)

    assert found is not None
    assert found.old is not None
    assert found.old.text == "x" * SHOWN + "…"


def test_lines_are_shown_without_the_colors_of_terminals() -> None:
    found = first_difference(lines("\x1b[32mgreen\x1b[0m"), lines("red\x07"), numbers=True)

    assert found == Divergence(1, Said("green", 0), Said("red", 0))
