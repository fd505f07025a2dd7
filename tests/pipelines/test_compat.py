"""Names of Mage that a project imports when Mage is not installed."""

import pytest

from pipelines.compat import PROVIDED
from tests.pipelines.block_project import BlockProject, upstream_of, value_of

NAMES = [(module, name) for module, names in PROVIDED.items() for name in names]


@pytest.mark.parametrize(("module", "name"), NAMES)
def test_every_provided_name_can_be_imported(shop: BlockProject, module: str, name: str) -> None:
    result = shop.run(f"from {module} import {name}\n@data_loader\ndef load(): return callable({name})")

    assert value_of(result) is True


def test_a_submodule_can_be_imported_from_its_package(shop: BlockProject) -> None:
    code = """
        from mage_ai.data_preparation import decorators
        import mage_ai.settings.repo

        @decorators.data_loader
        def load():
            return mage_ai.settings.repo.get_repo_path()
        """

    assert value_of(shop.run(code)) == str(shop.root)


@pytest.mark.parametrize(
    ("line", "missing"),
    [
        ("import mage_ai.io.bigquery", "mage_ai.io"),
        ("from mage_ai.io.file import FileIO", "mage_ai.io"),
        ("from mage_ai import io", "mage_ai.io"),
        (
            "from mage_ai.data_preparation.decorators import data_integration_query",
            "mage_ai.data_preparation.decorators.data_integration_query",
        ),
        ("from mage_ai.data_preparation.models.pipeline import Pipeline", "mage_ai.data_preparation.models"),
        ("import mage_ai; mage_ai.run('x')", "mage_ai.run"),
    ],
)
def test_what_is_not_provided_is_named_with_what_to_install(shop: BlockProject, line: str, missing: str) -> None:
    failure = shop.run(f"{line}\n@data_loader\ndef load(): pass")["failure"]

    assert failure["type"] in ("ImportError", "ModuleNotFoundError")
    assert failure["message"].startswith(f"{missing} is not provided here")
    assert "pip install mage-ai" in failure["message"]
    assert line in failure["traceback"]


def test_an_optional_import_of_mage_can_still_be_caught(shop: BlockProject) -> None:
    code = """
        try:
            from mage_ai.io.file import FileIO
        except ImportError:
            FileIO = None

        @data_loader
        def load():
            return FileIO
        """

    assert value_of(shop.run(code)) is None


def test_an_installed_mage_comes_first(shop: BlockProject) -> None:
    shop.write("mage_ai/__init__.py", "VERSION = 'the real one'")

    result = shop.run("import mage_ai\n@data_loader\ndef load(): return mage_ai.VERSION")

    assert value_of(result) == "the real one"


def test_a_block_reads_a_secret_that_it_names(shop: BlockProject) -> None:
    code = """
        from mage_ai.data_preparation.shared.secrets import get_secret_value

        @data_loader
        def load():
            return len(get_secret_value('password'))
        """

    assert value_of(shop.run(code, secrets={"password": "correct horse"})) == 13


def test_an_unknown_secret_is_a_failure_that_names_it(shop: BlockProject) -> None:
    code = """
        from mage_ai.data_preparation.shared.secrets import get_secret_value

        @data_loader
        def load():
            return get_secret_value('pasword')
        """

    failure = shop.run(code, secrets={"password": "correct horse"})["failure"]

    assert failure["type"] == "UnknownSecret"
    assert failure["message"].startswith("there is no secret named 'pasword' for this block; create it")
    assert "correct horse" not in str(failure)


GET_VARIABLE = """
    from mage_ai.data_preparation.variable_manager import get_variable

    @transformer
    def total(*args):
        return get_variable({arguments})
    """


def test_get_variable_reads_an_upstream_output(shop: BlockProject) -> None:
    loaded = shop.run("@data_loader\ndef load(): return [1, 2], 'b'")

    result = shop.run(
        GET_VARIABLE.format(arguments="'sales', 'load', 'output_1'"),
        uuid="total",
        kind="transformer",
        upstream=upstream_of(load=loaded),
    )

    assert value_of(result) == "b"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("'sales', 'other', 'output_0'", "only outputs of blocks directly upstream of 'total' in pipeline 'sales'"),
        ("'costs', 'load', 'output_0'", "only outputs of blocks directly upstream of 'total' in pipeline 'sales'"),
        ("'sales', 'load', 'output_9'", "block 'load' has no output named 'output_9'; it has output_0"),
    ],
)
def test_get_variable_says_what_it_cannot_read(shop: BlockProject, arguments: str, message: str) -> None:
    loaded = shop.run("@data_loader\ndef load(): return 1")

    result = shop.run(
        GET_VARIABLE.format(arguments=arguments), uuid="total", kind="transformer", upstream=upstream_of(load=loaded)
    )

    assert message in result["failure"]["message"]


def test_a_variable_of_a_pipeline_cannot_be_set_from_a_block(shop: BlockProject) -> None:
    code = "from mage_ai.data_preparation.variable_manager import set_global_variable\n"

    failure = shop.run(f"{code}@data_loader\ndef load(): set_global_variable('sales', 'a', 1)")["failure"]

    assert failure["type"] == "NotAvailable"
    assert failure["message"].startswith("set_global_variable is not available yet inside blocks; ")


@pytest.mark.parametrize(
    ("module", "call"),
    [
        ("mage_ai.orchestration.triggers.api", "trigger_pipeline('sales', variables={})"),
        ("mage_ai.orchestration.run_status_checker", "check_status('sales', '2025-03-02')"),
    ],
)
def test_where_nobody_answers_a_block_is_told_so(shop: BlockProject, module: str, call: str) -> None:
    name = call.partition("(")[0]

    failure = shop.run(f"from {module} import {name}\n@data_loader\ndef load(): {call}")["failure"]

    assert failure["type"] == "NobodyToAsk"


def test_get_repo_path_takes_what_mage_takes(shop: BlockProject) -> None:
    code = """
        from os import path
        from mage_ai.settings.repo import get_repo_path

        @data_loader
        def load():
            return path.join(get_repo_path(root_project=True), 'io_config.yaml')
        """

    assert value_of(shop.run(code)) == f"{shop.root}/io_config.yaml"
