"""What a mark in a block's file means."""

import pytest

from pipelines.decorators import DECORATORS, marked, marks


def run(code: str) -> dict:
    namespace = dict(DECORATORS)
    exec(code, namespace)
    return namespace


@pytest.mark.parametrize(
    "kind", ["data_loader", "transformer", "data_exporter", "custom", "sensor", "condition", "test"]
)
def test_a_mark_keeps_the_function_as_it_is(kind: str) -> None:
    namespace = run(f"@{kind}\ndef work(): return 3")

    assert marked(namespace, kind) == [namespace["work"]]
    assert namespace["work"]() == 3


def test_a_mark_with_brackets_means_the_same() -> None:
    namespace = run("@data_loader()\ndef work(): pass")

    assert marked(namespace, "data_loader") == [namespace["work"]]


def test_marks_come_in_the_order_of_the_file() -> None:
    namespace = run(
        "@test\ndef a(): pass\n@custom\ndef b(): pass\n@test\ndef c(): pass\n@preprocesser\ndef d(): pass",
    )

    assert marks(namespace) == ["test", "custom", "test", "preprocesser"]
    assert [function.__name__ for function in marked(namespace, "test")] == ["a", "c"]


def test_each_file_has_its_own_marks() -> None:
    one = run("@custom\ndef a(): pass")
    other = run("@custom\ndef b(): pass")

    assert [function.__name__ for function in marked(one, "custom")] == ["a"]
    assert [function.__name__ for function in marked(other, "custom")] == ["b"]


def test_a_file_without_marks_has_none() -> None:
    assert marks(run("x = 1")) == []


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("@callback('success')", "on_success"),
        ("@callback('failure')", "on_failure"),
        ("@callback('cancelled')", "on_cancelled"),
        ("@callback()", "on_success"),
        ("@callback", "on_success"),
        ("@on_success", "on_success"),
        ("@on_failure", "on_failure"),
    ],
)
def test_a_callback_is_marked_by_its_outcome(written: str, meant: str) -> None:
    namespace = run(f"{written}\ndef tell(): pass")

    assert marked(namespace, meant) == [namespace["tell"]]


def test_an_unknown_outcome_is_named_with_those_that_exist() -> None:
    with pytest.raises(
        ValueError, match=r"@callback\('done'\): the outcome is one of 'success', 'failure', 'cancelled'"
    ):
        run("@callback('done')\ndef tell(): pass")


def test_only_what_can_be_called_is_marked() -> None:
    with pytest.raises(TypeError, match="@custom marks a function; it was given int"):
        run("custom(3)")


def test_a_function_may_carry_decorators_of_others() -> None:
    namespace = run(
        "import functools\n"
        "def twice(f):\n"
        "    @functools.wraps(f)\n"
        "    def wrapper(*args): return f(*args) * 2\n"
        "    return wrapper\n"
        "@custom\n@twice\ndef work(): return 3",
    )

    assert marked(namespace, "custom")[0]() == 6
