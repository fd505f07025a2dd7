"""What the runtime costs, and that it works without the libraries it can use."""

import json
import subprocess
import sys
from pathlib import Path
from time import perf_counter
from typing import Any

import pytest

from tests.pipelines.block_project import BlockProject, upstream_of, value_of

ROOT = Path(__file__).parents[2]
WITHOUT = """
import json, sys

class Missing:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {names!r}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)

sys.meta_path.insert(0, Missing())
from pipelines.runtime import run_block
print()
print(json.dumps([run_block(job) for job in json.load(sys.stdin)]))
"""


def run_without(names: list[str], jobs: list[dict[str, Any]]) -> list[dict[str, Any]]:
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT.format(names=names)],
        input=json.dumps(jobs),
        capture_output=True,
        text=True,
        cwd=ROOT,
        timeout=60,
        check=True,
    )
    return json.loads(done.stdout.splitlines()[-1])


def test_blocks_run_without_any_data_library(shop: BlockProject) -> None:
    code = """
        from datetime import datetime
        from decimal import Decimal

        class Thing:
            pass

        @data_loader
        def load(ds):
            return [{'at': datetime.fromisoformat(ds)}, Decimal(1)], {1, 2}, b'x', Thing(), [{'a': 1}], None
        """

    (result,) = run_without(["pandas", "polars", "pyarrow", "numpy", "fsspec", "django"], [shop.job(code)])

    assert [meta["type"] for meta in result["outputs"]] == ["json", "json", "bytes", "pickle", "json", "none"]
    assert result["verdict"] == "completed"


def test_a_frame_survives_without_pyarrow(shop: BlockProject) -> None:
    (result,) = run_without(
        ["pyarrow"], [shop.job("import pandas\n@data_loader\ndef load(): return pandas.DataFrame({'a': [1, 2]})")]
    )

    assert (result["outputs"][0]["type"], result["outputs"][0]["rows"]) == ("dataframe", 2)
    assert result["outputs"][0]["preview"]["rows"] == [[1], [2]]
    assert value_of(result)["a"].tolist() == [1, 2]


def test_a_polars_frame_needs_no_other_library(shop: BlockProject) -> None:
    (result,) = run_without(
        ["pyarrow", "pandas", "numpy"],
        [shop.job("import polars\n@data_loader\ndef load(): return polars.DataFrame({'a': [1, 2]})")],
    )

    assert result["outputs"][0]["url"].endswith(".parquet")
    assert value_of(result)["a"].to_list() == [1, 2]


def test_a_table_without_its_library_is_a_clear_failure(shop: BlockProject) -> None:
    loaded = shop.run("import pandas\n@data_loader\ndef load(): return pandas.DataFrame({'a': [1]})")
    job = shop.job("@custom\ndef show(frame): pass", uuid="show", kind="custom", upstream=upstream_of(load=loaded))

    (result,) = run_without(["pandas", "pyarrow"], [job])

    assert result["failure"]["message"] == "No module named 'pyarrow'"


def test_a_plain_block_imports_no_heavy_module(shop: BlockProject) -> None:
    code = """
        import sys
        heavy = {'pandas', 'polars', 'pyarrow', 'numpy', 'fsspec', 'django', 'asyncio', 'inspect', 'psycopg2'}

        @data_loader
        def load():
            return {'a': 1}

        @custom
        def unused():
            pass

        @test
        def test_output(output):
            assert not heavy & set(sys.modules), sorted(heavy & set(sys.modules))
        """

    assert shop.run_apart(shop.job(code))["failure"] is None


@pytest.mark.alone
@pytest.mark.filterwarnings("ignore")
def test_importing_the_runtime_is_light() -> None:
    script = (
        "from time import process_time; start = process_time(); import pipelines.runtime; print(process_time() - start)"
    )

    def seconds() -> float:
        done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, cwd=ROOT, check=True)
        return float(done.stdout)

    assert any(seconds() < 0.06 for _ in range(5))  # 0.02 when its bytecode is at hand


@pytest.mark.alone
def test_running_a_trivial_block_takes_less_than_a_millisecond(shop: BlockProject) -> None:
    from pipelines.runtime import run_block

    jobs = [shop.job("@data_loader\ndef load(*args, **kwargs): return {'a': 1}") for _ in range(30)]

    def seconds(job: dict[str, Any]) -> float:
        start = perf_counter()
        assert run_block(job)["verdict"] == "completed"
        return perf_counter() - start

    assert any(seconds(job) < 0.001 for job in jobs)


def test_a_rehearsal_leaves_nothing_behind(shop: BlockProject) -> None:
    script = """
        import json, os, sys
        from pipelines import compat, runtime
        before = set(sys.modules), list(sys.path), list(sys.meta_path), os.getcwd()
        changes = []

        def watch(event, arguments):
            if event in ('open', 'os.mkdir'):
                changes.append(arguments[0])

        sys.addaudithook(watch)
        runtime.rehearse()
        assert (set(sys.modules), list(sys.path), list(sys.meta_path), os.getcwd()) == before
        assert set(changes) == {'/dev/null'}, changes
        assert not compat._job
        """
    path = shop.write("rehearsal.py", script)

    subprocess.run([sys.executable, path], env={"PYTHONPATH": str(ROOT)}, cwd=ROOT, timeout=60, check=True)


def test_a_rehearsed_process_runs_its_block(shop: BlockProject) -> None:
    from pipelines.runtime import rehearse

    rehearse()

    assert value_of(shop.run("@data_loader\ndef load(): return 1")) == 1
