"""The drawing of a run in time: three parts of each attempt, and the chain that decided how long it took."""

from datetime import UTC, datetime, timedelta

import pytest

from runs.drawing.gantt import RUNNING, STARTING, WAITING, Try, Work, gantt

NOON = datetime(2025, 3, 3, 12, tzinfo=UTC)


def at(seconds: float) -> datetime:
    return NOON + timedelta(seconds=seconds)


def tried(queued: float, started: float | None, ended: float | None, *, starting: float = 0, as_: str = "") -> Try:
    moments = [None if each is None else at(each) for each in (queued, started, ended)]
    return Try(queued_at=moments[0], started_at=moments[1], ended_at=moments[2], starting=starting, ended_as=as_)


def work(uuid: str, *tries: Try, upstream: tuple[str, ...] = (), status: str = "completed") -> Work:
    return Work(
        uuid=uuid, status=status, upstream=upstream, tries=tries, ended_at=tries[-1].ended_at if tries else None
    )


def test_a_bar_has_three_parts() -> None:
    (row,) = gantt([work("a", tried(0, 10, 50, starting=5, as_="completed"))], NOON, at(100)).rows

    assert [(part.kind, part.x, part.width) for part in row.parts] == [
        (WAITING, 0, 10),
        (STARTING, 10, 5),
        (RUNNING, 15, 35),
    ]
    assert (row.waited, row.started, row.ran) == (10, 5, 35)


def test_what_goes_on_reaches_to_now() -> None:
    (row,) = gantt([work("a", tried(0, 10, None), status="running")], NOON, at(40)).rows

    assert [(part.kind, part.x + part.width) for part in row.parts] == [(WAITING, 25), (RUNNING, 100)]


def test_what_was_never_ready_has_no_bar() -> None:
    (row,) = gantt([work("a", status="upstream_failed")], NOON, at(40)).rows

    assert row.parts == []


def test_each_retry_is_a_part_and_its_end_is_marked() -> None:
    tries = (tried(0, 0, 20, as_="failed"), tried(40, 50, 100, as_="completed"))

    (row,) = gantt([work("a", *tries)], NOON, at(100)).rows

    assert [(part.kind, part.number) for part in row.parts] == [(WAITING, 0), (RUNNING, 0), (WAITING, 1), (RUNNING, 1)]
    assert row.failed_ends == [20]


def test_what_ended_in_an_earlier_attempt_at_the_run_is_not_drawn() -> None:
    (row,) = gantt([work("a", tried(-500, -490, -400, as_="completed"))], NOON, at(100)).rows

    assert row.parts == []


def test_a_starting_longer_than_the_whole_is_all_of_it() -> None:
    (row,) = gantt([work("a", tried(0, 0, 10, starting=99))], NOON, at(100)).rows

    assert (row.started, row.ran) == (10, 0)


def test_a_short_block_at_the_end_is_seen_within_the_drawing() -> None:
    (row,) = gantt([work("a", tried(100, 100, 100))], NOON, at(100)).rows

    assert row.parts[-1].width > 0
    assert row.parts[-1].x + row.parts[-1].width <= 100


def test_the_chain_that_decided_goes_back_by_what_ended_last() -> None:
    works = [
        work("quick", tried(0, 1, 5)),
        work("slow", tried(0, 2, 30, starting=1)),
        work("join", tried(30, 31, 40), upstream=("quick", "slow")),
        work("beside", tried(5, 6, 12), upstream=("quick",)),
    ]

    drawn = gantt(works, NOON, at(42))

    assert drawn.path.blocks == ["slow", "join"]
    assert [row.is_critical for row in drawn.rows] == [False, True, True, False]
    assert (drawn.path.waiting, drawn.path.starting, drawn.path.running, drawn.path.between) == (3, 1, 36, 2)


def test_a_skipped_block_hands_the_chain_on() -> None:
    skipped = Work(uuid="skipped", status="condition_failed", upstream=("slow",), ended_at=at(30))
    works = [work("slow", tried(0, 2, 30)), skipped, work("last", tried(30, 31, 40), upstream=("skipped",))]

    assert gantt(works, NOON, at(40)).path.blocks == ["slow", "last"]


def test_while_it_goes_on_the_chain_ends_at_what_is_longest_at_it() -> None:
    works = [
        work("done", tried(0, 1, 5)),
        work("long", tried(5, 6, None), upstream=("done",), status="running"),
        work("later", tried(9, 9, None), upstream=("done",), status="running"),
    ]

    assert gantt(works, NOON, at(20)).path.blocks == ["done", "long"]


def test_nothing_begun_has_no_chain() -> None:
    assert gantt([work("a")], NOON, at(3)).path.blocks == []


@pytest.mark.parametrize(
    ("seconds", "labels"),
    [
        (1, ["0.2 s", "0.4 s", "0.6 s", "0.8 s"]),
        (45, ["10 s", "20 s", "30 s", "40 s"]),
        (600, ["2 min", "4 min", "6 min", "8 min"]),
        (5 * 3600, ["1 h", "2 h", "3 h", "4 h"]),
        (0, []),
    ],
)
def test_marks_stand_at_round_spans_since_the_start(seconds: int, labels: list[str]) -> None:
    assert [tick.label for tick in gantt([], NOON, at(seconds)).ticks] == labels
