"""Conditions are asked before a block runs, in its process; what does not hold keeps it from running."""

from typing import Any

import pytest

from pipelines import variables
from tests.pipelines.block_project import BlockProject

BLOCK = "@data_loader\ndef load(*args, **kwargs):\n    return 'ran'\n"


def asked(shop: BlockProject, *codes: str, **changes: Any) -> dict[str, Any]:
    """The result of a block with a condition for each of the codes."""
    conditions = []
    for number, code in enumerate(codes):
        file = f"conditionals/c{number}.py"
        shop.write(file, code)
        conditions.append({"uuid": f"c{number}", "file": file, "configuration": {"least": 3}})
    names = [condition["uuid"] for condition in conditions]
    job = shop.job(changes.pop("block", BLOCK), **changes) | {"conditions": conditions}
    job["block"]["conditions"] = names
    from pipelines.runtime import run_block

    return run_block(job)


@pytest.mark.parametrize("value", ["True", "1", "'yes'"])
def test_a_block_whose_conditions_hold_runs(shop: BlockProject, value: str) -> None:
    code = f"@condition\ndef sunny(*args, **kwargs):\n    return {value}\n"
    assert asked(shop, code, code)["verdict"] == "completed"


@pytest.mark.parametrize("value", ["False", "0", "None"])
def test_a_block_with_a_condition_that_is_false_does_not_run(shop: BlockProject, value: str) -> None:
    yes = "@condition\ndef sunny(*args, **kwargs):\n    return True\n"
    result = asked(shop, yes, f"@condition\ndef warm(**kwargs):\n    return {value}\n")
    assert (result["verdict"], result["failure"], result["outputs"]) == ("condition_failed", None, [])
    assert result["reason"] == "condition c1 is false"


def test_all_functions_of_a_condition_have_to_hold(shop: BlockProject) -> None:
    code = "@condition\ndef a():\n    return True\n\n@condition\ndef b():\n    return False\n"
    assert asked(shop, code)["reason"] == "condition c0 is false"


def test_a_condition_that_raises_is_false_and_its_traceback_is_in_the_log(
    shop: BlockProject, caplog: pytest.LogCaptureFixture
) -> None:
    result = asked(shop, "@condition\ndef sunny(**kwargs):\n    raise ValueError('no idea')\n")
    assert result["verdict"] == "condition_failed"
    assert result["reason"] == "condition c0 raised ValueError: no idea"
    assert "raise ValueError('no idea')" in caplog.text


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        ("def sunny(): pass\n", "condition c0 raised BlockError: conditionals/c0.py has no function marked @condition"),
        ("@condition\ndef sunny(:\n", "condition c0 raised SyntaxError: "),
        ("import sys\n@condition\ndef sunny():\n    sys.exit(0)\n", "condition c0 raised SystemExit: "),
    ],
)
def test_a_condition_that_cannot_answer_is_false(shop: BlockProject, code: str, reason: str) -> None:
    assert asked(shop, code)["reason"].startswith(reason)


def test_a_condition_gets_the_upstream_outputs_and_what_the_block_gets_by_name(shop: BlockProject) -> None:
    upstream = [{"block": "up", "outputs": variables.store([1, 2, 3], str(shop.outputs / "up"))}]
    code = """
        @condition
        def enough(rows, *, day, configuration, block_uuid, parent_block_uuid, ds, **kwargs):
            assert (day, block_uuid, parent_block_uuid, ds) == (7, 'c0', 'load', '2025-03-02')
            return len(rows) >= configuration['least']
        """
    assert asked(shop, code, upstream=upstream, variables={"day": 7})["verdict"] == "completed"


def test_a_condition_need_not_take_the_upstream_outputs(shop: BlockProject) -> None:
    upstream = [{"block": "up", "outputs": variables.store(1, str(shop.outputs / "up"))}]
    assert asked(shop, "@condition\ndef c():\n    return True\n", upstream=upstream)["verdict"] == "completed"


def test_a_sensor_that_is_skipped_still_has_its_conditions(shop: BlockProject) -> None:
    never, sensor = "@condition\ndef c():\n    return False\n", "@sensor\ndef look():\n    return False\n"
    changes: dict[str, Any] = {"block": sensor, "kind": "sensor", "skip_sensor": True}
    assert asked(shop, never, **changes)["verdict"] == "condition_failed"
    assert asked(shop, never.replace("False", "True"), **changes)["verdict"] == "completed"


def test_the_pinned_text_of_a_condition_is_asked(shop: BlockProject) -> None:
    shop.write("conditionals/c.py", "@condition\ndef c():\n    return False\n")
    job = shop.job(BLOCK) | {
        "conditions": [{"uuid": "c", "file": "conditionals/c.py", "code": "@condition\ndef c():\n    return True\n"}]
    }
    from pipelines.runtime import run_block

    assert run_block(job)["verdict"] == "completed"
