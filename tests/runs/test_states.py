import pytest

from runs.states import (
    BLOCK_FINISHED,
    BLOCK_MOVES,
    RUN_FINISHED,
    RUN_MOVES,
    BlockStatus,
    IllegalMove,
    RunStatus,
    check_block_move,
    check_run_move,
)


def test_every_unfinished_block_can_be_cancelled() -> None:
    for status in set(BlockStatus) - BLOCK_FINISHED:
        check_block_move(status, BlockStatus.CANCELLED)


def test_every_state_has_a_way_to_an_end() -> None:
    for moves, finished in ((BLOCK_MOVES, BLOCK_FINISHED), (RUN_MOVES, RUN_FINISHED)):
        for start in moves:
            seen, todo = {start}, [start]
            while todo:
                new = set(moves[todo.pop()]) - seen  # type: ignore[index]
                seen |= new
                todo += new
            assert seen & finished, start


def test_a_finished_run_is_only_left_to_run_again() -> None:
    with pytest.raises(IllegalMove, match="from completed to failed"):
        check_run_move(RunStatus.COMPLETED, RunStatus.FAILED)
    for status in RUN_FINISHED:
        check_run_move(status, RunStatus.RUNNING)


def test_a_queued_block_cannot_complete_without_running() -> None:
    with pytest.raises(IllegalMove):
        check_block_move(BlockStatus.QUEUED, BlockStatus.COMPLETED)
