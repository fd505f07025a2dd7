"""When an @always_on schedule starts again: at once after a success, later and later after failures."""

from datetime import UTC, datetime, timedelta

import pytest

from schedules.backoff import Last, Trail, delay_after, trail_of

NOON = datetime(2025, 3, 2, 12, tzinfo=UTC)
SECOND, MINUTE = timedelta(seconds=1), timedelta(minutes=1)


def run(word: str) -> Last:
    return Last(NOON, NOON + MINUTE, word.startswith("failed"), is_by_hand=word.endswith("by hand"))


@pytest.mark.parametrize(
    ("failures", "seconds"), [(0, 0), (1, 10), (2, 20), (3, 40), (6, 320), (7, 600), (8, 600), (10_000, 600)]
)
def test_the_delay_doubles_from_ten_seconds_to_ten_minutes(failures: int, seconds: int) -> None:
    assert delay_after(failures) == seconds * SECOND


@pytest.mark.parametrize(
    ("newest_first", "failures"),
    [
        (["completed"], 0),
        (["failed"], 1),
        (["failed", "failed", "completed", "failed"], 2),
        (["completed", "failed"], 0),
        (["failed by hand", "failed", "failed"], 0),
        (["failed", "failed by hand", "failed", "failed"], 1),
        (["failed", "completed by hand", "failed"], 1),
    ],
)
def test_failures_count_back_to_a_success_or_a_start_by_hand(newest_first: list[str], failures: int) -> None:
    trail = trail_of(map(run, newest_first))

    assert trail == Trail(NOON, NOON + MINUTE, failures)


def test_without_a_run_there_is_nothing_to_wait_for() -> None:
    assert trail_of([]) is None


def test_after_a_long_success_the_next_starts_when_it_ended() -> None:
    assert Trail(NOON, NOON + MINUTE).next_try == NOON + MINUTE


def test_after_a_short_success_the_next_starts_ten_seconds_after_it_began() -> None:
    assert Trail(NOON, NOON + SECOND).next_try == NOON + 10 * SECOND


def test_after_failures_the_delay_counts_from_the_end_of_the_last() -> None:
    assert Trail(NOON, NOON + MINUTE, 3).next_try == NOON + MINUTE + 40 * SECOND
