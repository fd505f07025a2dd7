"""Which ends of runs fire a chained schedule."""

from datetime import timedelta

import pytest

from schedules.chaining import End, firings, loop_of
from schedules.policies import After, Ending, Match
from tests.factories import NOON


def end(run_id: int, uuid: str, minute: int, status: str = "completed") -> End:
    return End(run_id, uuid, NOON + timedelta(minutes=minute), status)


ENDS = [
    end(1, "a", 0),
    end(2, "a", 1, "failed"),
    end(3, "b", 2),
    end(4, "c", 3),
    end(5, "b", 4),
    end(6, "a", 5),
]


@pytest.mark.parametrize(
    ("after", "runs"),
    [
        (After(("a",)), [1, 6]),
        (After(("a",), on=Ending.FAILED), [2]),
        (After(("a",), on=Ending.FINISHED), [1, 2, 6]),
        (After(("a", "b")), [1, 3, 5, 6]),
        (After(("a", "b"), Match.ALL), [3, 6]),
        (After(("a", "b", "c"), Match.ALL), [4]),
        (After(("a", "d"), Match.ALL), []),
    ],
)
def test_a_schedule_follows_the_ends_it_asks_for(after: After, runs: list[int]) -> None:
    assert [each.run_id for each in firings(ENDS, after)] == runs


def test_the_order_in_which_ends_are_seen_makes_no_difference() -> None:
    after = After(("a", "b"), Match.ALL)

    assert firings(ENDS[::-1], after) == firings(ENDS, after)


@pytest.mark.parametrize(
    ("uuid", "follows", "loop"),
    [
        ("a", ("a",), ["a", "a"]),
        ("a", ("c",), ["a", "b", "c", "a"]),
        ("c", ("b",), []),
        ("d", ("c",), []),
    ],
)
def test_a_chain_that_bites_its_tail_is_found(uuid: str, follows: tuple[str, ...], loop: list[str]) -> None:
    followers = {"a": {"b"}, "b": {"c"}}

    assert loop_of(uuid, After(follows), followers) == loop
