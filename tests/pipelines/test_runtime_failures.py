"""Whatever users' code does, what comes back is a failure as data."""

import json
import os
from pathlib import Path

import pytest

from tests.pipelines.block_project import BlockProject, upstream_of, value_of


def failure_of(shop: BlockProject, code: str | None = None, **changes) -> dict:
    result = shop.run(code, **changes)

    assert result["verdict"] == "failed"
    assert set(result["failure"]) == {"type", "message", "traceback", "full_traceback", "bases"}
    return result["failure"]


def test_an_exception_has_its_type_message_and_place(shop: BlockProject) -> None:
    shop.write("utils/money.py", "def divide(a, b):\n    return a / b")
    code = """
        from utils.money import divide

        @data_loader
        def load():
            return divide(1, 0)
        """

    failure = failure_of(shop, code)

    assert failure["type"] == "ZeroDivisionError"
    assert failure["message"] == "division by zero"
    assert failure["traceback"].splitlines() == [
        "Traceback (most recent call last):",
        f'  File "{shop.root}/data_loaders/load.py", line 5, in load',
        "    return divide(1, 0)",
        "           ^^^^^^^^^^^^",
        f'  File "{shop.root}/utils/money.py", line 2, in divide',
        "    return a / b",
        "           ~~^~~",
        "ZeroDivisionError: division by zero",
    ]
    assert "pipelines/runtime.py" in failure["full_traceback"]


def test_a_failure_names_the_class_of_its_exception_and_those_it_derives_from(shop: BlockProject) -> None:
    code = "import json\nclass Odd(json.JSONDecodeError): pass\n@data_loader\ndef load():\n    raise Odd('no', 'x', 0)"

    assert failure_of(shop, code)["bases"] == [
        "data_loaders.load.Odd",
        "json.decoder.JSONDecodeError",
        "builtins.ValueError",
        "builtins.Exception",
        "builtins.BaseException",
    ]


def test_a_traceback_ends_where_a_library_raised(shop: BlockProject) -> None:
    failure = failure_of(shop, "import json\n@data_loader\ndef load():\n    return json.loads('{')")

    files = [line.split('"')[1] for line in failure["traceback"].splitlines() if line.startswith("  File")]
    assert [Path(file).name for file in files] == ["load.py", "decoder.py"]
    assert failure["full_traceback"].count("json/__init__.py") == 1


def test_causes_are_part_of_the_traceback(shop: BlockProject) -> None:
    code = """
        @data_loader
        def load():
            try:
                {}['a']
            except KeyError as error:
                raise ValueError('no price') from error
        """

    failure = failure_of(shop, code)

    assert "KeyError: 'a'" in failure["traceback"]
    assert "direct cause" in failure["traceback"]
    assert "pipelines/runtime.py" not in failure["traceback"]


def test_exception_groups_are_shown(shop: BlockProject) -> None:
    failure = failure_of(
        shop, "@data_loader\ndef load(): raise ExceptionGroup('two', [ValueError('a'), OSError(2, 'gone')])"
    )

    assert failure["type"] == "ExceptionGroup"
    assert "ValueError: a" in failure["traceback"]


def test_a_syntax_error_shows_file_line_and_caret(shop: BlockProject) -> None:
    failure = failure_of(shop, "@data_loader\ndef load():\n    return (1,\n")

    assert failure["type"] == "SyntaxError"
    assert f'File "{shop.root}/data_loaders/load.py", line 3' in failure["traceback"]
    assert "^" in failure["traceback"]
    assert "runtime.py" not in failure["traceback"]


@pytest.mark.parametrize(
    ("statement", "kind", "message"),
    [
        ("import sys; sys.exit(0)", "SystemExit", "the block called sys.exit(0); return from its function instead"),
        ("exit('enough')", "SystemExit", "the block called sys.exit('enough'); return from its function instead"),
        ("raise KeyboardInterrupt", "KeyboardInterrupt", "the block was interrupted"),
        ("raise MemoryError", "MemoryError", "the block ran out of memory"),
        ("[0] * 10**18", "MemoryError", "the block ran out of memory"),
        ("raise GeneratorExit('x')", "GeneratorExit", "x"),
        ("import asyncio; raise asyncio.CancelledError", "CancelledError", ""),
        ("import nowhere_to_be_found", "ModuleNotFoundError", "No module named 'nowhere_to_be_found'"),
        ("raise OSError(28, 'No space left on device')", "OSError", "[Errno 28] No space left on device"),
    ],
)
def test_every_way_out_is_a_failure(shop: BlockProject, statement: str, kind: str, message: str) -> None:
    failure = failure_of(shop, f"@data_loader\ndef load(): {statement}")

    assert (failure["type"], failure["message"]) == (kind, message)


def test_a_file_that_exits_when_it_is_imported_is_a_failure(shop: BlockProject) -> None:
    assert failure_of(shop, "raise SystemExit\n@data_loader\ndef load(): pass")["type"] == "SystemExit"


def test_endless_recursion_is_a_failure(shop: BlockProject) -> None:
    failure = failure_of(shop, "@data_loader\ndef load(): return load()")

    assert failure["type"] == "RecursionError"
    assert "Previous line repeated" in failure["traceback"]


@pytest.mark.parametrize(
    "body",
    [
        "def __str__(self): raise ValueError",
        "def __str__(self): return 3",
        "def __str__(self): raise SystemError('again')",
        "__notes__ = 3",
        "def __getattr__(self, name): raise OSError(name)",
        "def __repr__(self): raise ValueError",
    ],
)
def test_an_exception_that_cannot_describe_itself_is_still_a_failure(shop: BlockProject, body: str) -> None:
    failure = failure_of(shop, f"class Odd(Exception):\n    {body}\n@data_loader\ndef load(): raise Odd('x')")

    assert failure["type"] == "Odd"


def test_text_that_cannot_be_stored_is_replaced(shop: BlockProject) -> None:
    failure = failure_of(shop, "@data_loader\ndef load(): raise ValueError('a\\x00b\\ud800c')")

    assert failure["message"] == "a�b?c"
    assert "\x00" not in json.dumps(failure)
    failure["traceback"].encode("utf-8")


def test_a_huge_message_is_cut_in_the_middle(shop: BlockProject) -> None:
    failure = failure_of(shop, "@data_loader\ndef load(): raise ValueError('a' + 'x' * 10**6 + 'z')")

    assert len(failure["message"]) < 5000
    assert failure["message"].startswith("axx")
    assert failure["message"].endswith("xxz")
    assert "characters left out" in failure["message"]
    assert len(failure["traceback"]) < 70_000


@pytest.mark.parametrize(
    ("code", "message"),
    [
        ("x = 1", "block load has no function marked @data_loader"),
        ("def load(): pass", "block load has no function marked @data_loader"),
        (
            "@data_loader\ndef a(): pass\n@data_loader\ndef b(): pass",
            "block load has 2 functions marked @data_loader; keep one",
        ),
        (
            "@transformer\ndef load(): pass",
            "block load has no function marked @data_loader; "
            "its type is data_loader, but data_loaders/load.py marks one with @transformer",
        ),
    ],
)
def test_a_block_has_one_function_of_its_type(shop: BlockProject, code: str, message: str) -> None:
    failure = failure_of(shop, code)

    assert (failure["type"], failure["message"], failure["traceback"]) == ("BlockError", message, "")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"unsupported": "SQL blocks are not executable here yet"},
            "block load cannot run: SQL blocks are not executable here yet",
        ),
        ({"type": "callback"}, "block load: a block of type callback cannot be run by itself"),
        ({"file": None}, "block load has no code file"),
        (
            {"conditions": ["on_workdays", "sunny"]},
            "block load has conditions, but their code did not come with it",
        ),
        (
            {"project": "/nowhere/at/all"},
            "the project folder /nowhere/at/all cannot be entered: No such file or directory",
        ),
    ],
)
def test_what_cannot_be_run_says_why(shop: BlockProject, changes: dict, message: str) -> None:
    assert failure_of(shop, "@data_loader\ndef load(): pass", **changes)["message"] == message


def test_a_missing_code_file_is_named(shop: BlockProject) -> None:
    failure = failure_of(shop)

    assert failure["type"] == "FileNotFoundError"
    assert f"{shop.root}/data_loaders/load.py" in failure["message"]


def test_an_output_that_is_gone_is_named(shop: BlockProject) -> None:
    loaded = shop.run("@data_loader\ndef load(): return 1")
    url = loaded["outputs"][0]["url"]
    os.unlink(url)

    failure = failure_of(
        shop, "@custom\ndef show(a): pass", uuid="show", kind="custom", upstream=upstream_of(load=loaded)
    )

    assert failure["message"] == f"the output of block load is gone: {url}; run that block again"


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ("(n for n in [1])", "output of type generator cannot be stored; return a list"),
        ("iter([1])", "output of type list_iterator cannot be stored; return a list"),
        ("map(str, [1])", "output of type map cannot be stored; return a list"),
        ("open(__file__)", "output of type TextIOWrapper cannot be stored; return its path, or what it contains"),
        ("{1: 2}.keys()", "output of type dict_keys cannot be stored; return a list"),
        ("lambda: 1", "output of type function cannot be stored; return what calling it gives"),
        (
            "__import__('threading').Lock()",
            "output of type lock cannot be stored; return plain values or a table "
            "(cannot pickle '_thread.lock' object)",
        ),
        (
            "{'a': __import__('threading').Lock()}",
            "output of type dict cannot be stored; return plain values or a table "
            "(cannot pickle '_thread.lock' object)",
        ),
        (
            "__import__('socket').socket()",
            "output of type socket cannot be stored; return plain values or a table (cannot pickle 'socket' object)",
        ),
        (
            "(1, (n for n in [1]))",
            "output of type generator cannot be stored; return a list",
        ),
        ("{float('nan'): 1}", "output of type dict cannot be stored; return it without NaN among its keys"),
        ("[{float('nan'): 1}]", "output of type list cannot be stored; return it without NaN among its keys"),
    ],
)
def test_what_cannot_be_stored_says_what_to_return(shop: BlockProject, value: str, message: str) -> None:
    result = shop.run(f"@data_loader\ndef load(): return {value}")

    assert (result["failure"]["type"], result["failure"]["message"]) == ("Unstorable", message)
    assert result["outputs"] == []


def test_a_generator_function_is_told_to_return_a_list(shop: BlockProject) -> None:
    assert failure_of(shop, "@data_loader\ndef load(): yield 1")["message"].endswith("cannot be stored; return a list")
    assert failure_of(shop, "@data_loader\nasync def load(): yield 1")["message"] == (
        "output of type async_generator cannot be stored; return a list"
    )


def test_something_nested_too_deep_is_refused(shop: BlockProject) -> None:
    code = """
        @data_loader
        def load():
            value = []
            for _ in range(100_000):
                value = [value]
            return value
        """

    assert failure_of(shop, code)["message"] == (
        "output of type list cannot be stored; it is nested too deep: return something flatter"
    )


def test_a_circle_comes_back_as_a_circle(shop: BlockProject) -> None:
    value = value_of(shop.run("@data_loader\ndef load():\n    a = [1]\n    a.append(a)\n    return a"))

    assert value[1] is value


def test_a_place_that_cannot_be_written_is_a_failure(shop: BlockProject) -> None:
    failure = failure_of(shop, "@data_loader\ndef load(): return 1", output_url="/dev/null/outputs")

    assert failure["type"] == "NotADirectoryError"
    assert "/dev/null/outputs" in failure["message"]


def test_an_output_url_of_an_unknown_kind_is_refused(shop: BlockProject) -> None:
    failure = failure_of(shop, "@data_loader\ndef load(): return 1", output_url="ftp://example.com/outputs")

    assert failure["message"].startswith("Block outputs cannot be kept at 'ftp://example.com/outputs")


def test_a_sensor_whose_answer_is_no_answer_is_a_failure(shop: BlockProject) -> None:
    code = "import pandas\n@sensor\ndef ready(): return pandas.Series([True, False])"

    assert failure_of(shop, code, uuid="ready", kind="sensor")["type"] == "ValueError"


def test_a_secret_is_not_in_the_failure_of_another_name(shop: BlockProject) -> None:
    code = (
        "from mage_ai.data_preparation.shared.secrets import get_secret_value\n"
        "@data_loader\ndef load(): get_secret_value('b')"
    )

    assert "correct horse" not in json.dumps(failure_of(shop, code, secrets={"a": "correct horse"}))


def test_a_copy_made_by_fork_does_not_answer_for_the_block(shop: BlockProject) -> None:
    code = """
        import os

        @data_loader
        def load():
            child = os.fork()
            if child == 0:
                raise SystemExit(3)
            _, status = os.waitpid(child, 0)
            return os.waitstatus_to_exitcode(status)
        """

    result = shop.run_apart(shop.job(code))

    assert value_of(result) == 1


def test_a_failure_does_not_spoil_the_next_block(shop: BlockProject) -> None:
    failure_of(shop, "import os\n@data_loader\ndef load():\n    os.chdir('/')\n    raise ValueError")

    assert value_of(shop.run("import os\n@data_loader\ndef load(): return os.getcwd()")) == str(shop.root)
