"""What differs between two versions of a pipeline."""

from typing import Any

from pipelines.differences import (
    LONGEST_COMPARED,
    MOST_LINES,
    Definition,
    Setting,
    differences,
    file_differences,
    pipeline_differences,
)
from pipelines.graph import Block, build


def version(*blocks: Block, **texts: str) -> Definition:
    """A version of these blocks; `texts` is the code by block."""
    files = {f"{uuid}.py": {"sha256": str(hash(text)), "text": text} for uuid, text in texts.items()}
    return Definition(build(list(blocks)).as_dict(), {}, files)


def block(uuid: str, *upstream: str, **fields: Any) -> Block:
    return Block(
        uuid=uuid, name=uuid, type=fields.pop("type", "custom"), upstream=upstream, file=f"{uuid}.py", **fields
    )


def test_two_equal_versions_do_not_differ() -> None:
    same = version(block("a"), block("b", "a"), a="x = 1", b="y = 1")

    assert differences(same, same) == []


def test_a_block_that_is_new_and_one_that_is_gone_are_told() -> None:
    found = differences(version(block("a"), block("b")), version(block("a"), block("c")))

    assert [(each.block, each.kind) for each in found] == [("c", "added"), ("b", "removed")]


def test_changed_code_is_told_as_a_unified_diff() -> None:
    (found,) = differences(version(block("a"), a="x = 1\ny = 2\n"), version(block("a"), a="x = 1\ny = 3\n"))

    assert found.code.splitlines()[:2] == ["--- a.py (then)", "+++ a.py (now)"]
    assert "-y = 2\n+y = 3" in found.code
    assert found.does_otherwise


def test_code_that_is_not_kept_is_only_said_to_have_changed() -> None:
    old, new = version(block("a"), a="x"), version(block("a"), a="x" * (LONGEST_COMPARED + 1))

    assert "too long to compare" in differences(old, new)[0].code


def test_a_diff_ends_somewhere() -> None:
    old, new = version(block("a"), a="x\n" * 5000), version(block("a"), a="y\n" * 5000)

    lines = differences(old, new)[0].code.splitlines()

    assert len(lines) == MOST_LINES + 1
    assert lines[-1].endswith("more lines")


def test_only_another_way_to_end_lines_is_told_in_words() -> None:
    (found,) = differences(version(block("a"), a="x\n"), version(block("a"), a="x\r\n"))

    assert found.code == "a.py has changed in how its lines end."


def test_settings_are_told_by_key() -> None:
    old = version(block("a", configuration={"limit": 1, "day": "mon"}))
    new = version(block("a", configuration={"limit": 2, "day": "mon"}, priority=3))

    (found,) = differences(old, new)

    assert found.settings == [Setting("configuration.limit", 1, 2), Setting("priority", 0, 3)]
    assert found.does_otherwise


def test_how_a_block_is_run_does_not_change_what_it_does() -> None:
    old = version(block("a"))
    new = version(block("a", timeout=5.0, priority=2, retry_config={"retries": 3}, pool="db"))

    (found,) = differences(old, new)

    assert {setting.key for setting in found.settings} == {"timeout", "priority", "retry_config.retries", "pool"}
    assert not found.does_otherwise


def test_other_upstream_blocks_are_told_before_and_after() -> None:
    old, new = version(block("a"), block("b"), block("c", "a")), version(block("a"), block("b"), block("c", "b"))

    (found,) = differences(old, new)

    assert (found.block, [list(each) for each in found.upstream or ()]) == ("c", [["a"], ["b"]])
    assert found.does_otherwise


def test_the_order_of_upstream_blocks_counts() -> None:
    old = version(block("a"), block("b"), block("c", "a", "b"))
    new = version(block("a"), block("b"), block("c", "b", "a"))

    assert differences(old, new)[0].does_otherwise


def test_a_block_whose_condition_changed_is_another_one() -> None:
    condition = block("only_mondays", type="conditional")
    work = block("a", conditions=("only_mondays",))
    old, new = version(work, condition, only_mondays="x", a="y"), version(work, condition, only_mondays="z", a="y")

    found = {each.block: each for each in differences(old, new)}

    assert found["a"].conditions == ["only_mondays"]
    assert found["a"].does_otherwise
    assert not found["only_mondays"].executable


def test_notes_beside_the_blocks_are_not_told() -> None:
    note = block("note", type="markdown")

    assert differences(version(block("a")), version(block("a"), note)) == []


def test_settings_of_the_pipeline_differ_key_by_key() -> None:
    old = Definition({"blocks": []}, {"variables": {"a": 1, "b": 2}, "executor_type": "k8s"})
    new = Definition({"blocks": []}, {"variables": {"a": 1, "b": 3}, "retry_config": {"retries": 1}})

    found = [tuple(each) for each in pipeline_differences(old, new)]

    assert found == [("executor_type", "k8s", None), ("retry_config.retries", None, 1), ("variables.b", 2, 3)]


def test_files_that_are_no_blocks_code_are_told_by_themselves() -> None:
    graph = {"blocks": [{"file": "a.py"}]}
    old = Definition(graph, {}, {"a.py": {"sha256": "1", "text": "x"}, "m.yaml": {"sha256": "1", "text": "x"}})
    new = Definition(graph, {}, {"a.py": {"sha256": "2", "text": "y"}, "m.yaml": {"sha256": "2", "text": "y"}})

    ((path, diff),) = file_differences(old, new)

    assert path == "m.yaml"
    assert "+y" in diff
