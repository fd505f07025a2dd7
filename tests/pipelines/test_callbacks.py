"""What the functions of a callback block are called with, and what becomes of those that fail."""

from typing import Any

import pytest

from pipelines import variables
from pipelines.runtime import run_callback
from tests.pipelines.block_project import BlockProject

TOLD = "import json\nfrom pathlib import Path\n\ndef tell(*words):\n    Path('told').open('a').write(f'{words}')\n\n"
ERROR = {"type": "KeyError", "message": "'id'", "traceback": "line 3", "full_traceback": "lines 1 to 3"}


def called(shop: BlockProject, code: str, outcome: str = "success", **callback: Any) -> dict[str, Any]:
    shop.write("callbacks/tell.py", TOLD + code)
    job = shop.job(uuid="tell", kind="callback", file="callbacks/tell.py", variables={"day": 7})
    given = {"outcome": outcome, "block": {"uuid": "load"}, "run_status": "running", "error": None, "outputs": []}
    return run_callback(job | {"callback": {**given, "upstream": [], **callback}})


def told(shop: BlockProject) -> str:
    file = shop.root / "told"
    return file.read_text() if file.exists() else ""


@pytest.mark.parametrize("outcome", ["success", "failure", "cancelled"])
def test_only_the_functions_for_what_came_of_it_are_called(shop: BlockProject, outcome: str) -> None:
    code = "\n".join(
        f"@callback('{name}')\ndef by_name_{name}(**_):\n    tell('{name}')\n"
        f"@on_{name}\ndef by_mark_{name}(**_):\n    tell('{name}')\n"
        for name in ("success", "failure", "cancelled")
    )
    assert called(shop, code, outcome)["verdict"] == "completed"
    assert told(shop) == f"('{outcome}',)" * 2


def test_a_callback_gets_its_parents_output_and_everything_else_by_name(shop: BlockProject) -> None:
    outputs = variables.store({"rows": 3}, str(shop.outputs / "load"))
    code = """@callback('success')
def tell_all(parent_block_data, block_uuid, parent_block_uuid, pipeline_uuid, **kwargs):
    tell(parent_block_data, block_uuid, parent_block_uuid, pipeline_uuid, kwargs['day'], kwargs['ds'])
"""
    assert called(shop, code, outputs=outputs)["verdict"] == "completed"
    assert told(shop) == "({'rows': 3}, 'tell', 'load', 'sales', 7, '2025-03-02')"


def test_the_inputs_are_there_by_the_names_of_the_blocks(shop: BlockProject) -> None:
    outputs = variables.store(5, str(shop.outputs / "load"))
    upstream = [{"block": "before", "outputs": variables.store(4, str(shop.outputs / "before"))}]
    code = "@on_success\ndef f(**kwargs):\n    tell(dict(kwargs['__input']), kwargs['__input'].get('other'))\n"
    called(shop, code, outputs=outputs, upstream=upstream)
    assert told(shop) == "({'load': 5, 'before': 4}, None)"


def test_an_input_that_is_gone_harms_nobody_who_does_not_read_it(shop: BlockProject) -> None:
    (meta,) = variables.store(5, str(shop.outputs / "load"))
    gone = [meta | {"url": str(shop.outputs / "gone.json")}]
    assert called(shop, "@on_success\ndef f(**kwargs):\n    tell('well')\n", outputs=gone)["verdict"] == "completed"
    result = called(shop, "@on_success\ndef f(data, **kwargs):\n    tell('well')\n", outputs=gone)
    assert "the output of block load is gone" in result["failure"]["message"]


def test_the_error_is_named_and_worded_like_that_of_the_block(shop: BlockProject) -> None:
    code = """@callback('failure')
def alert(parent_block_data, **kwargs):
    error = kwargs['__error']
    assert isinstance(error, Exception)
    tell(parent_block_data, type(error).__name__, str(error), error.traceback, error.full_traceback)
"""
    assert called(shop, code, "failure", error=ERROR)["verdict"] == "completed"
    assert told(shop) == """(None, 'KeyError', "'id'", 'line 3', 'lines 1 to 3')"""


def test_a_callback_of_the_run_has_no_parent(shop: BlockProject) -> None:
    code = "@on_failure\ndef f(data, parent_block_uuid, run_status, outcome, **kwargs):\n"
    code += "    tell(data, parent_block_uuid, run_status, outcome, len(kwargs['__input']))\n"
    result = called(shop, code, "failure", block=None, run_status="failed")
    assert result["verdict"] == "completed", result["failure"]
    assert told(shop) == "(None, None, 'failed', 'failure', 0)"


def test_a_function_that_takes_nothing_is_called_too(shop: BlockProject) -> None:
    called(shop, "@callback('success', fetch_inputs=False)\ndef f():\n    tell('here')\n")
    assert told(shop) == "('here',)"


def test_one_that_fails_does_not_keep_the_others_from_being_called(
    shop: BlockProject, caplog: pytest.LogCaptureFixture
) -> None:
    code = "@on_success\ndef a(**_):\n    raise ValueError('first')\n"
    code += "@on_success\ndef b(**_):\n    raise ValueError('second')\n@on_success\ndef c(**_):\n    tell('c')\n"
    result = called(shop, code)
    assert (result["verdict"], result["failure"]["message"]) == ("failed", "first")
    assert "ValueError: second" in caplog.text
    assert told(shop) == "('c',)"


def test_no_function_for_the_outcome_is_nothing_to_do(shop: BlockProject) -> None:
    assert called(shop, "@on_failure\ndef f():\n    tell('no')\n")["verdict"] == "completed"
    assert told(shop) == ""


def test_a_callback_that_is_no_python_says_so(shop: BlockProject) -> None:
    assert called(shop, "@on_success\ndef f(:\n")["failure"]["type"] == "SyntaxError"


def test_get_variable_knows_the_parent(shop: BlockProject) -> None:
    outputs = variables.store(5, str(shop.outputs / "load"))
    code = "from mage_ai.data_preparation.variable_manager import get_variable\n"
    code += "@on_success\ndef f():\n    tell(get_variable('sales', 'load'))\n"
    assert called(shop, code, outputs=outputs)["verdict"] == "completed"
    assert told(shop) == "(5,)"
