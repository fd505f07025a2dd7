"""Who goes before whom among those that wait, and what does not overtake."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

import pytest

from runs.limits import Answer, Limits
from schedules.policies import Overlap, Settings
from schedules.queueing import behind, in_turn, in_turn_of, keeps_a_queue
from tests.factories import NOON


@dataclass(frozen=True)
class Row:
    hour: int
    priority: int = 0
    backfill: bool = False

    @property
    def scheduled_for(self) -> datetime:
        return NOON + timedelta(hours=self.hour)


def test_the_most_urgent_goes_first_then_the_oldest_of_whatever_schedule() -> None:
    groups = [[Row(9, priority=-5)], [Row(1), Row(3)], [Row(0, priority=50)]]

    assert list(in_turn_of(groups)) == [Row(9, priority=-5), Row(1), Row(3), Row(0, priority=50)]

    assert in_turn([row for group in groups for row in group]) == list(in_turn_of(groups))


def test_a_backfill_may_begin_with_its_newest_slot_after_what_is_as_urgent() -> None:
    groups = [[Row(2, backfill=True), Row(1, backfill=True)], [Row(4), Row(5)]]

    assert [row.hour for row in in_turn_of(groups, lambda row: row.backfill)] == [4, 5, 2, 1]


def test_a_group_is_asked_for_its_next_row_only_when_the_one_before_was_dealt_with() -> None:
    asked: list[int] = []

    def group() -> Iterator[Row]:
        for hour in (1, 2):
            asked.append(hour)
            yield Row(hour)

    rows = in_turn_of([group()])
    assert next(rows) == Row(1)
    assert asked == [1]


@pytest.mark.parametrize(
    ("limits", "waiting", "answer"),
    [
        (Limits(), 5, None),
        (Limits(overlap=Overlap.WAIT_ALL), 0, None),
        (Limits(overlap=Overlap.WAIT_ALL), 1, Answer.WAIT),
        (Limits(overlap=Overlap.WAIT_ONE), 1, Answer.SKIP),
        (Limits(run_limit=1, on_limit="wait"), 1, Answer.WAIT),
        (Limits(run_limit=1, on_limit="skip"), 1, None),
    ],
)
def test_a_new_moment_does_not_overtake_those_that_wait(limits: Limits, waiting: int, answer: Answer | None) -> None:
    gate = behind(limits, waiting)

    assert (gate.answer if gate else None) == answer


def test_schedules_without_limits_keep_no_queue() -> None:
    assert not keeps_a_queue(Settings())
    assert keeps_a_queue(Settings(overlap=Overlap.WAIT_ALL))
    assert keeps_a_queue(Settings(pipeline_run_limit=2))
