"""A block runs the text it is given; only where it is given none, what its file holds by now."""

import inspect

from tests.pipelines.block_project import BlockProject, value_of

PINNED = "@data_loader\ndef load():\n    return 'pinned'\n"


def test_the_pinned_text_runs_whatever_the_file_holds_by_now(shop: BlockProject) -> None:
    assert value_of(shop.run(PINNED.replace("pinned", "saved later"))) == "saved later"
    job = shop.job("this is (no Python") | {"code": PINNED}
    assert value_of(shop.run_apart(job)) == "pinned"


def test_the_pinned_text_runs_though_the_file_is_gone(shop: BlockProject) -> None:
    assert value_of(shop.run_apart(shop.job() | {"code": PINNED})) == "pinned"


def test_a_traceback_shows_the_lines_that_ran(shop: BlockProject) -> None:
    pinned = "@data_loader\ndef load():\n    raise ValueError('x')  # as pinned\n"
    result = shop.run_apart(shop.job("# another line\n# and another\n# now\n" + PINNED) | {"code": pinned})
    assert "raise ValueError('x')  # as pinned" in result["failure"]["traceback"]
    assert f'{shop.root}/data_loaders/load.py", line 3' in result["failure"]["traceback"]


def test_code_can_read_its_own_source_as_it_was_pinned(shop: BlockProject) -> None:
    pinned = "import inspect\n@data_loader\ndef load():\n    return inspect.getsource(load)\n"
    result = shop.run_apart(shop.job(PINNED) | {"code": pinned})
    assert value_of(result) == pinned.partition("\n")[2]
    assert inspect.getsource(value_of).startswith("def value_of")


def test_blocks_of_one_process_each_have_their_own_text(shop: BlockProject) -> None:
    first, second = (shop.job(uuid="load") | {"code": PINNED.replace("pinned", text)} for text in ("one", "two"))
    from pipelines.runtime import run_block

    assert [value_of(run_block(job)) for job in (first, second, first)] == ["one", "two", "one"]


def test_an_empty_text_is_a_text(shop: BlockProject) -> None:
    result = shop.run_apart(shop.job(PINNED) | {"code": ""})
    assert "has no function marked @data_loader" in result["failure"]["message"]
