"""How a block is found, called and judged."""

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tests.pipelines.block_project import BlockProject, upstream_of, value_of

MAGE_LOADER = """
    import io
    if 'data_loader' not in globals():
        from mage_ai.data_preparation.decorators import data_loader
    if 'test' not in globals():
        from mage_ai.data_preparation.decorators import test


    @data_loader
    def load_data(*args, **kwargs):
        \"\"\"
        Template code for loading data from any source.

        Returns:
            Anything (e.g. data frame, dictionary, array, int, str, etc.)
        \"\"\"
        # Specify your data loading logic here

        return {'rows': [1, 2, 3]}


    @test
    def test_output(output, *args) -> None:
        \"\"\"
        Template code for testing the output of the block.
        \"\"\"
        assert output is not None, 'The output is undefined'
    """

MAGE_TRANSFORMER = """
    if 'transformer' not in globals():
        from mage_ai.data_preparation.decorators import transformer
    if 'test' not in globals():
        from mage_ai.data_preparation.decorators import test


    @transformer
    def transform(data, *args, **kwargs):
        return sum(data['rows']) * kwargs.get('factor', 1)


    @test
    def test_output(output, *args) -> None:
        assert output is not None, 'The output is undefined'
    """

MAGE_EXPORTER = """
    from os import path
    from mage_ai.settings.repo import get_repo_path
    if 'data_exporter' not in globals():
        from mage_ai.data_preparation.decorators import data_exporter


    @data_exporter
    def export_data(data, *args, **kwargs):
        with open(path.join(get_repo_path(), 'total.txt'), 'w') as file:
            file.write(str(data))
    """


def test_a_mage_pipeline_runs_unchanged(shop: BlockProject) -> None:
    loaded = shop.run(MAGE_LOADER)
    summed = shop.run(
        MAGE_TRANSFORMER,
        uuid="sum",
        kind="transformer",
        upstream=upstream_of(load=loaded),
        variables={"factor": 10},
    )
    exported = shop.run(MAGE_EXPORTER, uuid="export", kind="data_exporter", upstream=upstream_of(sum=summed))

    assert value_of(loaded) == {"rows": [1, 2, 3]}
    assert value_of(summed) == 60
    assert exported["verdict"] == "completed"
    assert (shop.root / "total.txt").read_text() == "60"


def test_blocks_hand_over_between_processes(shop: BlockProject) -> None:
    code = """
        from dataclasses import dataclass

        @dataclass
        class Order:
            number: int

        @data_loader
        def load(): return [Order(1), Order(2)]
        """

    loaded = shop.run_apart(shop.job(code))
    summed = shop.run_apart(
        shop.job(
            "@transformer\ndef total(orders): return sum(order.number for order in orders)",
            uuid="sum",
            kind="transformer",
            upstream=upstream_of(load=loaded),
        )
    )

    assert loaded["outputs"][0]["type"] == "pickle"
    assert value_of(summed) == 3


def test_a_result_has_the_agreed_shape(shop: BlockProject) -> None:
    job = shop.job("@data_loader\ndef load(): return [1, 2]")

    result = shop.run_apart(job)

    assert result == {
        "verdict": "completed",
        "outputs": [
            {
                "name": "output_0",
                "type": "json",
                "rows": 2,
                "bytes": 5,
                "url": f"{job['output_url']}/output_0.json",
                "container": None,
                "preview": {"kind": "text", "text": "[1, 2]"},
            }
        ],
        "failure": None,
    }


def test_upstream_outputs_come_in_declared_order(shop: BlockProject) -> None:
    one, two = shop.run("@data_loader\ndef load(): return 1"), shop.run("@data_loader\ndef load(): return 2, 3")

    result = shop.run(
        "@custom\ndef show(*args): return [*args]", uuid="show", kind="custom", upstream=upstream_of(b=two, a=one)
    )

    assert value_of(result) == [(2, 3), 1]


def test_an_upstream_that_returned_nothing_gives_none(shop: BlockProject) -> None:
    nothing = shop.run("@data_loader\ndef load(): pass")

    result = shop.run(
        "@custom\ndef show(a): return a is None", uuid="show", kind="custom", upstream=upstream_of(a=nothing)
    )

    assert nothing["outputs"][0]["type"] == "none"
    assert value_of(result) is True


def test_an_upstream_that_failed_keeps_its_place_where_the_trigger_rule_lets_the_block_run(shop: BlockProject) -> None:
    two = shop.run("@data_loader\ndef load(): return 2")
    job = shop.job("@custom\ndef show(a, b): return [a, b]", uuid="show", kind="custom", upstream=upstream_of(b=two))
    job["block"] |= {"upstream": ["a", "b"], "trigger_rule": "all_done"}

    assert value_of(shop.run_apart(job)) == [None, 2]


def test_fewer_parameters_than_upstream_blocks_is_a_clear_failure(shop: BlockProject) -> None:
    one = shop.run("@data_loader\ndef load(): return 1")

    result = shop.run(
        "@custom\ndef show(a): return a", uuid="show", kind="custom", upstream=upstream_of(left=one, right=one)
    )

    assert result["verdict"] == "failed"
    assert result["failure"]["message"] == (
        "show() takes 1 positional argument, but the block has 2 upstream blocks (left, right); "
        "add a parameter for each, or *args"
    )


def test_more_parameters_than_upstream_blocks_is_a_clear_failure(shop: BlockProject) -> None:
    result = shop.run("@custom\ndef show(frame, *, rate): return frame", uuid="show", kind="custom")

    assert result["failure"]["message"] == (
        "show() needs 'frame', 'rate', but the block has no upstream outputs to give "
        "and there is no variable of that name"
    )


def test_a_parameter_may_be_filled_by_a_variable(shop: BlockProject) -> None:
    result = shop.run("@data_loader\ndef load(table, limit=5): return [table, limit]", variables={"table": "orders"})

    assert value_of(result) == ["orders", 5]


def test_a_position_wins_over_a_variable_of_that_name(shop: BlockProject) -> None:
    one = shop.run("@data_loader\ndef load(): return 1")

    result = shop.run(
        "@custom\ndef show(data, **kwargs): return [data, 'data' in kwargs]",
        uuid="show",
        kind="custom",
        upstream=upstream_of(load=one),
        variables={"data": 9},
    )

    assert value_of(result) == [1, False]


def test_keyword_arguments_hold_variables_and_what_the_run_knows(shop: BlockProject) -> None:
    code = """
        @data_loader
        def load(**kwargs):
            kwargs['logger'].info('hello')
            return {name: value for name, value in kwargs.items() if name != 'logger'}
        """

    given = value_of(shop.run(code, variables={"region": "north", "ds": "overridden"}, configuration={"limit": 3}))

    assert given == {
        "region": "north",
        "execution_date": datetime(2025, 3, 2, 12, tzinfo=UTC),
        "interval_start_datetime": datetime(2025, 3, 2, 12, tzinfo=UTC),
        "interval_end_datetime": None,
        "interval_seconds": None,
        "interval_start_datetime_previous": None,
        "execution_partition": "1/20250302T120000",
        "pipeline_run_id": 7,
        "block_run_id": 70,
        "trigger_name": "daily",
        "event": {},
        "env": "dev",
        "retry": {"attempts": 1},
        "ds": "2025-03-02",
        "hr": "12",
        "configuration": {"limit": 3},
        "pipeline_uuid": "sales",
        "block_uuid": "load",
        "context": {},
    }


def test_env_is_what_the_user_gave(shop: BlockProject) -> None:
    assert value_of(shop.run("@data_loader\ndef load(env): return env", variables={"env": "staging"})) == "staging"
    assert value_of(shop.run("@data_loader\ndef load(env): return env")) == "dev"


@pytest.mark.parametrize(
    ("signature", "given"),
    [
        ("", {}),
        ("ds", {"ds": "2025-03-02"}),
        ("ds, *, hr='', nothing=None", {"ds": "2025-03-02", "hr": "12", "nothing": None}),
        ("*args, ds='x'", {"args": (), "ds": "2025-03-02"}),
        ("ds='x', /, hr='y'", {"ds": "x", "hr": "12"}),
    ],
)
def test_a_function_without_kwargs_gets_only_what_it_names(shop: BlockProject, signature: str, given: dict) -> None:
    assert value_of(shop.run(f"@data_loader\ndef load({signature}): return locals()")) == given


def test_a_wrapped_function_gets_what_the_inner_one_names(shop: BlockProject) -> None:
    code = """
        import functools

        def loud(function):
            @functools.wraps(function)
            def wrapper(*args, **kwargs):
                return function(*args, **kwargs)
            return wrapper

        @data_loader
        @loud
        def load(ds):
            return ds
        """

    assert value_of(shop.run(code)) == "2025-03-02"


@pytest.mark.parametrize(
    "code",
    [
        "import functools\ndata_loader(functools.partial(lambda ds, end: ds + end, end='!'))",
        "class Load:\n    def __call__(self, ds): return ds + '!'\ndata_loader(Load())",
        "class Load:\n    def go(self, ds, **kwargs): return ds + '!'\ndata_loader(Load().go)",
    ],
)
def test_anything_that_can_be_called_is_a_block_function(shop: BlockProject, code: str) -> None:
    assert value_of(shop.run(code)) == "2025-03-02!"


def test_an_async_function_is_awaited(shop: BlockProject) -> None:
    code = """
        import asyncio

        @data_loader
        async def load(ds):
            await asyncio.sleep(0)
            return ds
        """

    assert value_of(shop.run(code)) == "2025-03-02"


def test_a_block_sees_its_own_file_and_the_project_as_working_folder(shop: BlockProject) -> None:
    code = "import os\n@data_loader\ndef load(): return [__file__, os.getcwd(), __name__]"

    assert value_of(shop.run(code)) == [f"{shop.root}/data_loaders/load.py", str(shop.root), "data_loaders.load"]


@pytest.mark.parametrize("line", ["from utils.money import double", "from shop.utils.money import double"])
def test_modules_of_the_project_are_imported_as_in_mage(shop: BlockProject, line: str) -> None:
    shop.write("utils/money.py", "def double(x): return 2 * x")

    assert value_of(shop.run(f"{line}\n@data_loader\ndef load(): return double(4)")) == 8


def test_a_block_may_import_from_another_block(shop: BlockProject) -> None:
    shop.write("data_loaders/rates.py", "RATE = 3\n@data_loader\ndef rates(): return RATE")

    result = shop.run("from data_loaders.rates import RATE\n@data_loader\ndef load(): return RATE")

    assert value_of(result) == 3


def test_a_block_in_a_sub_folder_is_found(shop: BlockProject) -> None:
    shop.write("data_loaders/north/orders 2.py", "@data_loader\ndef load(): return 'north'")

    assert value_of(shop.run(file="data_loaders/north/orders 2.py")) == "north"


def test_a_block_cannot_take_the_place_of_a_known_module(shop: BlockProject) -> None:
    shop.write("json.py", "@data_loader\ndef load():\n    import json\n    return json.dumps([1])")

    assert value_of(shop.run(file="json.py")) == "[1]"
    assert json.dumps([1]) == "[1]"


def test_dataclasses_and_annotations_work_in_a_block(shop: BlockProject) -> None:
    code = """
        from __future__ import annotations
        from dataclasses import asdict, dataclass, field
        from typing import get_type_hints

        @dataclass
        class Row:
            a: int
            b: list[Row] = field(default_factory=list)

        @data_loader
        def load():
            return [asdict(Row(1)), sorted(get_type_hints(Row))]
        """

    assert value_of(shop.run(code)) == [{"a": 1, "b": []}, ["a", "b"]]


def test_none_writes_nothing_to_disk(shop: BlockProject) -> None:
    job = shop.job("@data_loader\ndef load(): pass")

    result = shop.run_apart(job)

    assert result["verdict"] == "completed"
    assert not Path(job["output_url"]).exists()


SENSOR = "@sensor\ndef ready(*args, **kwargs): return {value}"


@pytest.mark.parametrize(
    ("value", "verdict"),
    [("True", "completed"), ("'yes'", "completed"), ("False", "not_yet"), ("None", "not_yet"), ("[]", "not_yet")],
)
def test_a_sensor_says_whether_it_is_time(shop: BlockProject, value: str, verdict: str) -> None:
    result = shop.run(SENSOR.format(value=value), uuid="ready", kind="sensor")

    assert result == {"verdict": verdict, "outputs": [], "failure": None}


def test_a_skipped_sensor_completes_without_running(shop: BlockProject) -> None:
    result = shop.run(SENSOR.format(value="1 / 0"), uuid="ready", kind="sensor", skip_sensor=True)

    assert result == {"verdict": "completed", "outputs": [], "failure": None}


def test_a_sensor_need_not_take_its_upstream(shop: BlockProject) -> None:
    one = shop.run("@data_loader\ndef load(): return 1")

    result = shop.run(
        "@sensor\ndef ready(**kwargs): return True", uuid="ready", kind="sensor", upstream=upstream_of(a=one)
    )

    assert result["verdict"] == "completed"


@pytest.mark.parametrize(
    ("signature", "expected"),
    [("**kwargs", []), ("data", [1]), ("ready, data", [None, 1]), ("*args", [None, 1])],
)
def test_a_block_after_a_sensor_need_not_take_it(shop: BlockProject, signature: str, expected: list) -> None:
    ready = shop.run(SENSOR.format(value="True"), uuid="ready", kind="sensor")
    one = shop.run("@data_loader\ndef load(): return 1")
    upstream = upstream_of(ready=ready) if signature == "**kwargs" else upstream_of(ready=ready, load=one)

    names = {"**kwargs": "", "data": "data", "ready, data": "ready, data", "*args": "*args"}[signature]
    result = shop.run(
        f"@custom\ndef show({signature}): return [{names}]", uuid="show", kind="custom", upstream=upstream
    )

    assert value_of(result) == expected


class TestTests:
    def test_a_failing_test_fails_the_block_with_its_message(self, shop: BlockProject) -> None:
        result = shop.run(
            "@data_loader\ndef load(): return []\n@test\ndef test_output(output, *args): assert output, 'no rows came'"
        )

        assert result["verdict"] == "failed"
        assert result["failure"]["type"] == "AssertionError"
        assert result["failure"]["message"] == "test test_output failed: no rows came"
        assert result["outputs"][0]["preview"] == {"kind": "text", "text": "[]"}  # to see what was wrong with it

    def test_an_assertion_without_a_message_shows_its_line(self, shop: BlockProject) -> None:
        result = shop.run("@data_loader\ndef load(): return 3\n@test\ndef test_size(output):\n    assert output > 5")

        assert result["failure"]["message"] == "test test_size failed: assert output > 5"

    def test_several_tests_all_run_until_one_fails(self, shop: BlockProject) -> None:
        code = """
            @data_loader
            def load(): return 3
            @test
            def test_one(output, **kwargs): assert kwargs['ds'] == '2025-03-02'
            @test
            async def test_two(output): raise KeyError('x')
            """

        assert shop.run(code)["failure"]["message"] == "test test_two failed: 'x'"

    def test_tests_do_not_run_when_the_job_says_so(self, shop: BlockProject) -> None:
        code = "@data_loader\ndef load(): return 3\n@test\ndef test_output(output): assert False"

        assert shop.run(code, run_tests=False)["verdict"] == "completed"

    @pytest.mark.parametrize(
        ("signature", "condition"),
        [
            ("a, b", "[a, b] == [1, 2]"),
            ("a, *args", "[a, *args] == [1, 2]"),
            ("output", "output == (1, 2)"),
            ("*args", "args == (1, 2)"),
            ("", "True"),
            ("a, b, ds", "ds == '2025-03-02'"),
        ],
    )
    def test_a_test_gets_the_outputs(self, shop: BlockProject, signature: str, condition: str) -> None:
        code = f"@data_loader\ndef load(): return 1, 2\n@test\ndef test_output({signature}): assert {condition}"

        assert shop.run(code)["failure"] is None

    def test_a_test_cannot_change_what_was_returned(self, shop: BlockProject) -> None:
        code = "@data_loader\ndef load(): return [1]\n@test\ndef test_output(output): output.append(2)"

        assert value_of(shop.run(code, cache_outputs=True)) == [1]

    def test_a_preprocesser_is_accepted(self, shop: BlockProject) -> None:
        code = "@preprocesser\ndef before(): raise ValueError\n@data_loader\ndef load(): return 1"

        assert value_of(shop.run(code)) == 1


class TestInOneProcess:
    def test_outputs_are_handed_over_without_reading_them_again(self, shop: BlockProject) -> None:
        loaded = shop.run("@data_loader\ndef load(): return [1, {'a': 2}]", cache_outputs=True)
        Path(loaded["outputs"][0]["url"]).unlink()

        result = shop.run(
            "@custom\ndef show(data): return data",
            uuid="show",
            kind="custom",
            upstream=upstream_of(load=loaded),
            cache_outputs=True,
        )

        assert value_of(result) == [1, {"a": 2}]

    def test_a_block_does_not_see_what_another_did_to_the_same_output(self, shop: BlockProject) -> None:
        make = """
            import numpy, pandas

            @data_loader
            def load():
                return pandas.DataFrame({'a': [1]}), numpy.ones(1), [1], bytearray(b'1'), {2}, b''
            """
        loaded = shop.run(make, cache_outputs=True)
        change = """
            @custom
            def show(data):
                frame, array, values, content, numbers, _ = data
                frame['a'] = array[0] = values[0] = content[0] = 9
                numbers.add(9)
            """
        seen = """
            @custom
            def show(data):
                frame, array, values, content, numbers, _ = data
                return [int(frame.a[0]), float(array[0]), values, bytes(content), numbers]
            """
        options = {"uuid": "show", "kind": "custom", "upstream": upstream_of(load=loaded), "cache_outputs": True}

        shop.run(change, **options)
        result = shop.run(seen, **options)

        assert value_of(result) == [1, 1.0, [1], b"1", {2}]

    def test_modules_of_the_project_stay_imported(self, shop: BlockProject) -> None:
        shop.write("utils/counter.py", "count = 0")
        code = "from utils import counter\n@data_loader\ndef load():\n    counter.count += 1\n    return counter.count"

        assert [value_of(shop.run(code)) for _ in range(3)] == [1, 2, 3]

    def test_a_block_used_twice_runs_its_file_twice(self, shop: BlockProject) -> None:
        code = "seen = []\n@data_loader\ndef load():\n    seen.append(1)\n    return len(seen)"

        assert [value_of(shop.run(code)), value_of(shop.run(code))] == [1, 1]


def test_a_result_says_how_much_the_block_received(shop: BlockProject) -> None:
    loaded = shop.run("import pandas\n@data_loader\ndef load(): return pandas.DataFrame({'a': [1, 2, 3]})")
    more = shop.run("@data_loader\ndef load(): return [1, 2]")

    result = shop.run("@custom\ndef c(a, b): ...", uuid="c", kind="custom", upstream=upstream_of(a=loaded, b=more))

    sizes = loaded["outputs"][0]["bytes"] + more["outputs"][0]["bytes"]
    assert result["received"] == {"rows_in": 5, "bytes_in": sizes}
