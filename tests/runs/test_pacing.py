"""When open pages may look again: at once while they are few, spread when they are many."""

import itertools

import pytest

from runs.pacing import AT_ONCE, LONGEST, SHARE, Pace


def waits(pace: Pace, many: int, now: float = 0.0, kind: str = "events") -> list[float]:
    return [pace.turn(kind, now) for _ in range(many)]


def test_a_few_pages_look_at_once() -> None:
    assert waits(Pace(), 5) == [0.0] * 5


def test_many_pages_look_one_after_the_other_and_take_their_share_of_the_time() -> None:
    pace = Pace()

    found = waits(pace, 200)

    assert found == sorted(found)
    assert found[-1] == pytest.approx(199 * pace.cost / SHARE - AT_ONCE)
    assert max(b - a for a, b in itertools.pairwise(found)) == pytest.approx(pace.cost / SHARE)


def test_once_they_have_looked_the_next_need_not_wait() -> None:
    pace = Pace()
    waits(pace, 200)

    assert pace.turn("events", 60.0) == 0.0


def test_looks_that_take_longer_are_spread_further() -> None:
    slow, quick = Pace(), Pace()
    for _ in range(50):
        slow.took(0.6, 0.5)
        quick.took(0.006, 0.005)

    assert waits(slow, 5)[-1] > 3
    assert waits(quick, 40)[-1] == 0.0


def test_looks_that_wait_for_the_database_are_spread_too_but_less() -> None:
    waiting, computing = Pace(), Pace()
    for _ in range(50):
        waiting.took(1.5, 0.01)
        computing.took(1.5, 1.5)

    assert 2 < waits(waiting, 5)[-1] < waits(computing, 5)[-1] / 2


def test_no_page_waits_longer_than_it_would_without_being_told() -> None:
    pace = Pace()
    for _ in range(50):
        pace.took(2.0, 2.0)

    assert max(waits(pace, 200)) <= LONGEST
    assert pace.turn("events", 60.0) == 0.0  # they are not booked for minutes to come


def test_the_page_of_a_run_does_not_wait_for_two_hundred_lists() -> None:
    pace = Pace()
    waits(pace, 200)

    assert pace.turn("run", 0.0) == 0.0
