"""A grid of runs and blocks."""

from runs.drawing.grid import LOW, MOST_ROWS, TALL, Cell, Run, lay_out

RUNS = [Run(1, "completed", 10.0, 7), Run(2, "failed", 20.0, 7), Run(3, "running", None, 8)]


def test_rows_are_in_the_order_of_the_graph_and_cells_in_that_of_the_runs() -> None:
    cells = [Cell(2, "load", "failed"), Cell(1, "load", "completed"), Cell(1, "save", "completed")]

    grid = lay_out(RUNS, cells, ["load", "save"])

    assert [row.block for row in grid.rows] == ["load", "save"]
    assert [cell and cell.status for cell in grid.rows[0].cells] == ["completed", "failed", None]
    assert [cell and cell.status for cell in grid.rows[1].cells] == ["completed", None, None]


def test_the_longest_run_has_the_highest_bar() -> None:
    columns = lay_out(RUNS, [], []).columns

    assert columns[1].height == TALL
    assert columns[0].height == LOW + (TALL - LOW) / 2
    assert columns[2].height == LOW
    assert all(column.y + column.height == TALL for column in columns)


def test_the_first_run_of_another_version_is_marked_with_the_one_before() -> None:
    grid = lay_out(RUNS, [], [])

    assert [column.before for column in grid.columns] == [None, None, 7]
    assert grid.changes == 1


def test_a_block_that_came_with_a_version_is_new() -> None:
    cells = [Cell(1, "load", "completed"), Cell(3, "load", "running"), Cell(3, "check", "initial")]

    kinds = {row.block: row.kind for row in lay_out(RUNS, cells, ["load", "check"]).rows}

    assert kinds == {"load": "", "check": "new"}


def test_a_block_that_only_the_oldest_run_left_out_is_not_new() -> None:
    assert lay_out(RUNS, [Cell(2, "load", "failed")], ["load"]).rows[0].kind == ""


def test_blocks_that_went_come_last_in_the_order_they_had() -> None:
    cells = [Cell(1, "b", "completed", position=1), Cell(1, "a", "completed", position=2), Cell(3, "load", "running")]

    rows = lay_out(RUNS, cells, ["load"]).rows

    assert [(row.block, row.kind) for row in rows] == [("load", "new"), ("b", "gone"), ("a", "gone")]


def test_no_more_rows_than_anyone_can_look_at() -> None:
    grid = lay_out(RUNS, [], [f"b{number}" for number in range(MOST_ROWS + 5)])

    assert (len(grid.rows), grid.left_out) == (MOST_ROWS, 5)


def test_a_pipeline_that_never_ran_is_a_grid_without_columns() -> None:
    grid = lay_out([], [], ["load"])

    assert (grid.columns, grid.longest, grid.rows[0].cells) == ([], 0.0, [])
