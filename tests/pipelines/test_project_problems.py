"""Each way a pipeline can be broken is told with its file, its line and what would be right."""

import os
from pathlib import Path
from typing import Any

import pytest

from pipelines.project import BrokenPipeline, read_pipeline, read_project
from tests.pipelines.project_on_disk import ProjectOnDisk

METADATA = "pipelines/etl/metadata.yaml"


@pytest.fixture
def disk(tmp_path: Path) -> ProjectOnDisk:
    return ProjectOnDisk(tmp_path / "shop")


def told(problem: dict[str, Any]) -> tuple[str, int | None, str]:
    return problem["file"], problem["line"], problem["reason"]


def test_a_cycle_is_told_at_a_block_of_it(disk: ProjectOnDisk) -> None:
    disk.chain("a", "b")
    disk.pipeline(
        """
        blocks:
        - uuid: a
          type: custom
          upstream_blocks:
          - b
        - uuid: b
          type: custom
          upstream_blocks: [a]
        """
    )

    assert told(disk.problem()) == (METADATA, 4, "cycle: a → b → a")


def test_an_unknown_upstream_is_told_with_the_nearest_name(disk: ProjectOnDisk) -> None:
    disk.chain("load_orders", "clean")
    disk.pipeline(
        """
        blocks:
        - {uuid: load_orders, type: custom}
        - uuid: clean
          type: custom
          upstream_blocks: [load_order]
        """
    )

    problem = disk.problem()

    assert told(problem) == (METADATA, 5, "Block 'clean' has an unknown upstream block 'load_order'.")
    assert problem["hint"] == "Did you mean load_orders?"


def test_a_uuid_that_is_there_twice_is_told(disk: ProjectOnDisk) -> None:
    disk.code("custom/a.py")
    disk.pipeline("blocks:\n- {uuid: a, type: custom}\n- {uuid: a, type: custom}\n")

    assert disk.problem()["reason"] == "There are two blocks 'a'."


def test_a_missing_code_file_is_told_at_the_block_with_what_lies_beside(disk: ProjectOnDisk) -> None:
    disk.code("custom/wash_orders.py")
    disk.pipeline("blocks:\n- type: custom\n  uuid: wash_order\n")

    problem = disk.problem()

    assert told(problem) == (METADATA, 3, "Block 'wash_order' has no code: custom/wash_order.py does not exist.")
    assert problem["hint"] == "Did you mean custom/wash_orders.py?"


@pytest.mark.parametrize(
    "text", ["", "# nothing\n", "name: x\n", "blocks: []\n", "blocks: [{uuid: n, type: scratchpad}]\n"]
)
def test_a_pipeline_without_a_block_to_run_is_invalid(disk: ProjectOnDisk, text: str) -> None:
    disk.pipeline(text)

    assert disk.problem()["reason"] == "The pipeline has no block to run."


def test_a_syntax_error_is_told_with_the_line_of_the_code(disk: ProjectOnDisk) -> None:
    disk.chain("a")
    disk.write("custom/a.py", "import os\n\n@custom\ndef run(:\n    pass\n")

    problem = disk.problem()

    assert told(problem) == ("custom/a.py", 4, "Syntax error at column 9: invalid syntax.")
    assert problem["hint"] == "The line is: def run(:"


def test_a_syntax_error_in_shared_code_is_told_once(disk: ProjectOnDisk) -> None:
    disk.pipeline("blocks: [{uuid: a, type: custom}, {uuid: b, type: custom, replicated_block: a}]\n")
    disk.write("custom/a.py", "def\n")

    assert disk.problem()["file"] == "custom/a.py"


def test_two_marked_functions_are_one_too_many(disk: ProjectOnDisk) -> None:
    disk.pipeline("blocks: [{uuid: load, type: data_loader}]\n")
    disk.write("data_loaders/load.py", "@data_loader\ndef a(): ...\n\n@data_loader\ndef b(): ...\n")

    assert told(disk.problem()) == (
        "data_loaders/load.py",
        5,
        "block load has 2 functions marked @data_loader; keep one",
    )


def test_no_marked_function_is_one_too_few(disk: ProjectOnDisk) -> None:
    disk.pipeline("blocks: [{uuid: load, type: data_loader}]\n")
    disk.write("data_loaders/load.py", "def a(): ...\n")

    problem = disk.problem()

    assert problem["reason"] == "block load has no function marked @data_loader"
    assert problem["hint"] == "Put @data_loader above the function."


def test_a_mark_of_another_type_is_pointed_at(disk: ProjectOnDisk) -> None:
    disk.pipeline("blocks: [{uuid: load, type: transformer}]\n")
    disk.write("transformers/load.py", "@test\ndef t(): ...\n@data_loader\ndef a(): ...\n")

    assert disk.problem()["hint"] == "It has @data_loader: change that, or the block's type."


@pytest.mark.parametrize(
    "code",
    [
        "if True:\n    @custom\n    def run(): ...\n",
        "try:\n    @custom\n    def run(): ...\nexcept ImportError:\n    raise\n",
        "from mage_ai.data_preparation.decorators import custom as block\n@block\ndef run(): ...\n",
        "from mage_ai.data_preparation import decorators\n@decorators.custom\ndef run(): ...\n",
        "@custom()\nasync def run(): ...\n",
        "import re\nre.compile('\\d')\n@custom\ndef run(): ...\n",
        "def outer():\n    @custom\n    def inner(): ...\n\n@custom\ndef run(): ...\n",
        "\ufeff@custom\r\ndef run(): ...\r\n",
    ],
)
def test_code_may_be_written_in_many_ways(disk: ProjectOnDisk, code: str) -> None:
    disk.chain("a")
    disk.write("custom/a.py", code.encode())

    assert disk.read().graph.get("a").file == "custom/a.py"


@pytest.mark.parametrize("code", ["(" * 5000 + ")" * 5000, "-" * 100_000 + "1", "x = " + "[" * 3000])
def test_code_that_would_overflow_the_parser_is_told(disk: ProjectOnDisk, code: str) -> None:
    disk.chain("a")
    disk.write("custom/a.py", code)

    assert disk.problem()["file"] == "custom/a.py"


def test_code_is_never_executed(disk: ProjectOnDisk) -> None:
    disk.chain("a")
    disk.write("custom/a.py", "import os\nos._exit(1)\n@custom\ndef run(): ...\n")

    assert disk.read().graph.get("a").uuid == "a"


@pytest.mark.parametrize(
    "uuid", ["../../etc/passwd", "a/../b", "/etc/passwd", "a//b", "con", "a/NUL.py", "x" * 201, "a\\b", " a", "a\tb"]
)
def test_a_name_that_is_no_good_is_refused(disk: ProjectOnDisk, uuid: str) -> None:
    disk.code("custom/good.py")
    quoted = uuid.replace("\\", "\\\\").replace("\t", "\\t")
    disk.pipeline(f'blocks:\n- {{uuid: good, type: custom}}\n- {{uuid: "{quoted}", type: custom}}\n')

    problem = disk.problem()

    assert problem["line"] == 3
    assert problem["reason"].startswith("Block uuid ")
    assert len(problem["reason"]) < 200


def test_a_block_without_a_uuid_is_told(disk: ProjectOnDisk) -> None:
    disk.chain("a")
    disk.pipeline("blocks:\n- {uuid: a, type: custom}\n- name: nameless\n  type: custom\n")

    assert told(disk.problem()) == (METADATA, 3, "This block has no uuid.")


@pytest.mark.parametrize(
    "path",
    [
        "../outside.py",
        "custom/../../outside.py",
        "/etc/passwd",
        "link.py",
        "linked_folder/outside.py",
        "a" * 300 + "/x.py",
    ],
)
def test_code_outside_the_project_is_refused(disk: ProjectOnDisk, path: str) -> None:
    outside = disk.root.parent / "outside.py"
    outside.write_text("@custom\ndef run(): ...\n")
    (disk.root / "link.py").symlink_to(outside)
    (disk.root / "linked_folder").symlink_to(disk.root.parent)
    disk.pipeline(f"blocks: [{{uuid: a, type: custom, configuration: {{file_source: {{path: {path}}}}}}}]\n")

    reason = disk.problem()["reason"]

    assert "lies outside the project" in reason or "cannot be read" in reason or "does not exist" in reason
    if len(path) < 100:
        assert "lies outside the project" in reason


def test_sql_outside_the_project_is_refused_too(disk: ProjectOnDisk) -> None:
    (disk.root.parent / "secret.sql").write_text("select 1")
    disk.pipeline(
        "blocks: [{uuid: a, type: data_loader, language: sql, configuration: {file_source: {path: ../secret.sql}}}]\n"
    )

    assert "lies outside the project" in disk.problem()["reason"]


def test_a_symlink_inside_the_project_is_fine(disk: ProjectOnDisk) -> None:
    disk.chain("a")
    (disk.root / "custom/a.py").rename(disk.root / "shared.py")
    (disk.root / "custom/a.py").symlink_to(disk.root / "shared.py")

    assert disk.read().graph.get("a").file == "custom/a.py"


def test_a_pipeline_folder_that_leads_outside_is_refused(disk: ProjectOnDisk, tmp_path: Path) -> None:
    other = ProjectOnDisk(tmp_path / "other")
    other.chain("a")
    (disk.root / "pipelines").mkdir()
    (disk.root / "pipelines/etl").symlink_to(other.root / "pipelines/etl")

    assert "lies outside the project" in disk.problem()["reason"]


def test_a_loop_of_symlinks_is_told(disk: ProjectOnDisk) -> None:
    (disk.root / "pipelines/etl").mkdir(parents=True)
    (disk.root / METADATA).symlink_to(disk.root / METADATA)

    assert disk.problem()["file"] == METADATA


def test_a_fifo_does_not_hold_the_reader_up(disk: ProjectOnDisk) -> None:
    disk.chain("a")
    (disk.root / "custom/a.py").unlink()
    os.mkfifo(disk.root / "custom/a.py")

    assert told(disk.problem()) == ("custom/a.py", None, "This is not a regular file.")


def test_a_folder_is_no_code(disk: ProjectOnDisk) -> None:
    disk.chain("a")
    (disk.root / "custom/a.py").unlink()
    (disk.root / "custom/a.py").mkdir()

    assert told(disk.problem()) == ("custom/a.py", None, "The file cannot be read (Is a directory).")


@pytest.mark.parametrize(
    ("raw", "line", "reason"),
    [
        (b"# caf\xe9\n", 1, "The file is not UTF-8 at byte 5."),
        ("blocks: []\n".encode("utf-16"), 1, "The file is not UTF-8 at byte 0."),
        (b"a: 1\n\nb: '\x00'\n", 3, "The file contains a NUL character."),
        (b"a: 1\n<<<<<<< HEAD\nb: 1\n=======\nb: 2\n>>>>>>> theirs\n", 2, "This looks like an unresolved merge."),
        (b"x" * (1024 * 1024 + 1), None, "The file has 1,048,577 bytes; the limit is 1,048,576."),
        (b"- just\n- a list\n", 1, "The file must have keys and values."),
    ],
)
def test_a_file_that_is_no_text_of_ours_is_told(disk: ProjectOnDisk, raw: bytes, line: int | None, reason: str) -> None:
    disk.pipeline("x")
    disk.write(METADATA, raw)

    assert told(disk.problem()) == (METADATA, line, reason)


@pytest.mark.parametrize(
    ("line", "reason", "hint"),
    [
        ("timeout: soon", "timeout: 'soon' is not a number of seconds that is allowed.", "Use 0 to 31,536,000"),
        ("timeout: -5", "timeout: '-5' is not a number of seconds", ""),
        ("timeout: 1e99", "timeout: '1e99' is not a number of seconds", ""),
        ("timeout: [1]", "timeout: '[1]' is not a number of seconds", ""),
        ("sla: 12:30:00", "", ""),
        ("priority: 1.5", "priority: 1.5 is not a whole number.", ""),
        ("trigger_rule: all_sucess", "trigger_rule: 'all_sucess' is not known.", "Did you mean all_success"),
        ("type: data_laoder", "type: 'data_laoder' is not known.", "Did you mean data_loader"),
        ("language: phyton", "language: 'phyton' is not known.", "Did you mean python"),
        ("soft_fail: perhaps", "soft_fail: 'perhaps' is not a yes or no.", "Write true or false."),
        ("upstream_blocks: [{a: 1}]", "upstream_blocks must be a list of names.", ""),
        ("configuration: [1]", "configuration must have keys and values.", ""),
        ("retry_config: {retries: -1}", "retries: '-1' is not a number that is allowed.", "Use 0 to 1,000"),
        ("callback_blocks: [nobody]", "callback_blocks: there is no callback 'nobody'.", "Add it to callbacks"),
        ("name: [1]", "name must be a text.", ""),
        (f"name: {'x' * 256}", "name has 256 characters; the limit is 255.", "Shorten it."),
    ],
)
def test_a_value_that_is_no_good_is_told_at_its_line(disk: ProjectOnDisk, line: str, reason: str, hint: str) -> None:
    disk.code("custom/a.py")
    kind = "" if line.startswith("type") else "\n  type: custom"
    disk.pipeline(f"blocks:\n- uuid: a{kind}\n  {line}\n")
    if not reason:  # a time of day is a number to yaml
        assert disk.read().graph.get("a").sla == 45000
        return

    problem = disk.problems()[0]

    assert problem["file"] == METADATA
    assert problem["line"] == (3 if line.startswith("type") else 4)
    assert problem["reason"].startswith(reason)
    assert problem["hint"].startswith(hint)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("concurrency_config: {pipeline_run_limit: 0}", "pipeline_run_limit: '0' is not a number that is allowed."),
        (
            "concurrency_config: {on_pipeline_run_limit_reached: explode}",
            "on_pipeline_run_limit_reached: 'explode' is not known.",
        ),
        ("type: batch", "type: 'batch' is not known."),
        ("variables: [1, 2]", "variables must have keys and values."),
        ("run_pipeline_in_one_process: 7", "run_pipeline_in_one_process: '7' is not a yes or no."),
        ("tags: [{a: 1}]", "tags must be a list of names."),
        ("owner: [ada, grace]", "owner must be a text."),
        (f"owner: {'a' * 101}", "owner has 101 characters; the limit is 100."),
    ],
)
def test_a_setting_that_is_no_good_is_told(disk: ProjectOnDisk, text: str, reason: str) -> None:
    disk.chain("a")
    with (disk.root / METADATA).open("a") as file:
        file.write(text + "\n")

    assert told(disk.problem()) == (METADATA, 5, reason)


def test_blocks_that_are_no_list_and_entries_that_are_no_blocks_are_told(disk: ProjectOnDisk) -> None:
    disk.chain("a")
    disk.pipeline("blocks: [{uuid: a, type: custom}, b]\ncallbacks: 3\n")

    assert [problem["reason"] for problem in disk.problems()] == [
        "Entry 2 of blocks must have keys and values.",
        "callbacks must be a list.",
    ]


def test_every_problem_is_told_at_once(disk: ProjectOnDisk) -> None:
    disk.pipeline(
        """
        type: nonsense
        blocks:
        - {uuid: a, type: custom}
        - {uuid: b, type: custom, timeout: never, upstream_blocks: [zzz]}
        """
    )
    disk.write("custom/b.py", "def broken(:\n")

    assert [(problem["file"], problem["line"]) for problem in disk.problems()] == [
        (METADATA, 1),
        (METADATA, 4),
        (METADATA, 3),
        ("custom/b.py", 1),
        (METADATA, 4),
    ]


def test_a_broken_project_file_breaks_each_pipeline_with_its_line(disk: ProjectOnDisk) -> None:
    disk.chain("a")
    disk.write("metadata.yaml", "variables: {}\npreload: [os.system('x')]\n")

    assert told(disk.problem()) == ("metadata.yaml", 2, "preload: \"os.system('x')\" is not the name of a module.")


def test_a_wrong_setting_of_the_project_is_told_at_its_line(disk: ProjectOnDisk) -> None:
    disk.chain("a")
    disk.write("metadata.yaml", "variables: {}\nretry_config:\n  retries: many\n")

    assert told(disk.problem()) == ("metadata.yaml", 3, "retries: 'many' is not a number that is allowed.")


def test_a_folder_whose_name_is_no_good_is_told(disk: ProjectOnDisk) -> None:
    disk.chain("a", uuid="con")

    assert "reserved name" in disk.problem("con")["reason"]


def test_one_broken_pipeline_harms_no_other(disk: ProjectOnDisk) -> None:
    disk.chain("a", uuid="good")
    disk.pipeline("blocks: {{{\n", "bad")
    project = read_project(disk.root)

    with pytest.raises(BrokenPipeline) as caught:
        read_pipeline(project, "bad")

    assert caught.value.message.startswith("Pipeline bad is invalid: pipelines/bad/metadata.yaml line 1: ")
    assert read_pipeline(project, "good").graph.get("a")
