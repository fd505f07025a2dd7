"""What a dynamic block may return, how its items are kept, and what a child gets of them."""

from pathlib import Path
from typing import Any

import pytest

from pipelines import fanouts, variables
from tests.pipelines.block_project import BlockProject, value_of

Result = dict[str, Any]


def dynamic(shop: BlockProject, returned: str, head: str = "", **changes: Any) -> Result:
    code = f"{head}\n@data_loader\ndef load(*args, **kwargs):\n    return {returned}\n"
    return shop.run(code, dynamic=True, **changes)


def received(shop: BlockProject, fanout: Result, number: int) -> Any:
    """What the child for one item gets, and returns."""
    chunk = next(each for each in reversed(fanout["chunks"]) if each["start"] <= number)
    entry = {"block": "load", "outputs": [], "item": {"number": number, "chunk": chunk}}
    echo = "@transformer\ndef echo(item, **kwargs):\n    return {'got': item}\n"
    return value_of(shop.run(echo, uuid="echo", kind="transformer", upstream=[entry]))["got"]


@pytest.mark.parametrize("returned", ["[[1, 2, 3]]", "([1, 2, 3],)", "[(1, 2, 3)]", "[range(1, 4)]", "[[1, 2, 3], []]"])
def test_each_kind_of_list_is_fanned_out(shop: BlockProject, returned: str) -> None:
    result = dynamic(shop, returned)
    assert result["verdict"] == "completed", result["failure"]
    assert (result["fanout"]["count"], result["fanout"]["names"]) == (3, None)
    assert [received(shop, result["fanout"], number) for number in range(3)] == [1, 2, 3]


@pytest.mark.parametrize(
    ("head", "frame"),
    [
        ("import pandas", "pandas.DataFrame({'id': [1, 2], 'name': ['a', 'b']})"),
        ("import polars", "polars.DataFrame({'id': [1, 2], 'name': ['a', 'b']})"),
        ("import polars", "polars.LazyFrame({'id': [1, 2], 'name': ['a', 'b']})"),
    ],
)
def test_the_items_of_a_table_are_its_rows(shop: BlockProject, head: str, frame: str) -> None:
    fanout = dynamic(shop, f"[{frame}]", head)["fanout"]
    assert received(shop, fanout, 1) == {"id": 2, "name": "b"}


@pytest.mark.parametrize("returned", ["[[]]", "[]", "[[], []]", "[range(0)]"])
def test_no_items_are_a_fan_out_too(shop: BlockProject, returned: str) -> None:
    result = dynamic(shop, returned)
    assert result["verdict"] == "completed"
    assert (result["fanout"]["count"], result["fanout"]["chunks"]) == (0, [])


def test_the_metadata_names_the_items(shop: BlockProject) -> None:
    fanout = dynamic(shop, "[['x', 'y', 'z'], [{'block_uuid': 'first'}, {'block_uuid': 7}]]")["fanout"]
    assert fanout["names"] == ["first", "7", "2"]


@pytest.mark.parametrize(
    ("returned", "reason"),
    [
        ("None", "it returned nothing (None)"),
        ("[1, 2, 3]", "it returned a list of 3, the first of which is a value of type int"),
        ("{'a': 1}", "it returned a value of type dict of 1"),
        ("[{1, 2}]", "the first of which is a value of type set of 2"),
        ("[[1], [{}], 3]", "it returned a list of 3, the first of which is a value of type list of 1"),
        ("[[1], {'block_uuid': 'a'}]", "its metadata is a value of type dict of 1, not a list of dicts"),
        ("[[1, 2], [{}, 'b']]", "its metadata is not a list of dicts: number 1 is a value of type str of 1"),
        ("[[1], [{}, {}]]", "it has 2 entries of metadata for 1 items"),
        ("[[1, 2], [{'block_uuid': 'a'}, {'block_uuid': 'a'}]]", "has the block_uuid 'a' more than once"),
        ("[[1, 2], [{'block_uuid': '1'}]]", "has the block_uuid '1' more than once"),
        ("[[1], [{'block_uuid': 'a\\nb'}]]", "cannot be a name; use a text of printable characters"),
        ("[[1], [{'block_uuid': 'a:b'}]]", "without a colon"),
        ("[[1], [{'block_uuid': [1]}]]", "the block_uuid '[1]' in its metadata cannot be a name"),
        ("[[1], [{'block_uuid': 'x' * 101}]]", "has 101 characters; 100 are allowed"),
    ],
)
def test_another_shape_is_a_failure_that_says_what_is_wrong(shop: BlockProject, returned: str, reason: str) -> None:
    result = dynamic(shop, returned)
    assert result["verdict"] == "failed"
    assert reason in result["failure"]["message"]
    assert result["failure"]["message"].endswith("return [items] or [items, metadata], items being a list")
    assert not shop.outputs.exists()


def test_a_child_reads_only_the_chunk_of_its_item(shop: BlockProject) -> None:
    fanout = dynamic(shop, "[range(250)]")["fanout"]
    assert [(chunk["start"], chunk["count"]) for chunk in fanout["chunks"]] == [(0, 100), (100, 100), (200, 50)]
    for chunk in fanout["chunks"][:2]:
        Path(chunk["url"]).unlink()
    assert received(shop, fanout, 249) == 249


def test_large_items_make_small_chunks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fanouts, "CHUNK_BYTES", 1000)
    fanout, _ = fanouts.store(fanouts.Items(["x" * 200] * 120, None), str(tmp_path / "out"))
    assert [chunk["count"] for chunk in fanout["chunks"]] == [100, 4, 4, 4, 4, 4]


def test_tables_among_the_items_have_files_of_their_own(shop: BlockProject) -> None:
    fanout = dynamic(shop, "[[1, pandas.DataFrame({'a': [1]}), b'x', 4]]", "import pandas")["fanout"]
    assert [(chunk["type"], chunk["count"]) for chunk in fanout["chunks"]] == [
        ("json", 1),
        ("dataframe", 1),
        ("bytes", 1),
        ("json", 1),
    ]
    assert received(shop, fanout, 1).to_dict("list") == {"a": [1]}
    assert (received(shop, fanout, 2), received(shop, fanout, 3)) == (b"x", 4)


def test_items_that_json_has_no_word_for_come_back_as_they_were(shop: BlockProject) -> None:
    fanout = dynamic(shop, "[[{1, 2}, datetime(2025, 3, 2), (1, 2)]]", "from datetime import datetime")["fanout"]
    assert received(shop, fanout, 0) == {1, 2}
    assert received(shop, fanout, 2) == (1, 2)


def test_items_that_cannot_be_stored_fail_the_block(shop: BlockProject) -> None:
    assert "cannot be stored" in dynamic(shop, "[[lambda: 1]]")["failure"]["message"]


def test_the_pages_get_an_ordinary_output(shop: BlockProject) -> None:
    result = dynamic(shop, "[[{'id': 1}, {'id': 2}]]")
    (meta,) = result["outputs"]
    assert (meta["name"], meta["type"], meta["rows"], meta["container"]) == ("output_0", "items", 2, None)
    assert meta["preview"] == {"kind": "table", "columns": ["id"], "rows": [[1], [2]], "more": False}
    assert meta["bytes"] > 0
    assert variables.load(meta) == [{"id": 1}, {"id": 2}]


def test_a_test_gets_the_items_and_the_metadata(shop: BlockProject) -> None:
    test = "@test\ndef they_fit(items, metadata):\n    assert len(items) == len(metadata) == 2\n"
    assert dynamic(shop, "[[1, 2], [{}, {}]]", test)["verdict"] == "completed"
    assert dynamic(shop, "[[1], [{}]]", test)["verdict"] == "failed"


def test_get_variable_gives_a_child_its_item(shop: BlockProject) -> None:
    fanout = dynamic(shop, "[['a', 'b']]")["fanout"]
    entry = {"block": "load", "outputs": [], "item": {"number": 1, "chunk": fanout["chunks"][0]}}
    code = """
        from mage_ai.data_preparation.variable_manager import get_variable

        @transformer
        def ask(item, **kwargs):
            return [item, get_variable('sales', 'load')]
        """
    assert value_of(shop.run(code, uuid="ask", kind="transformer", upstream=[entry])) == ["b", "b"]


def test_the_outputs_of_many_come_as_one_list_in_their_order(shop: BlockProject) -> None:
    metas = [variables.store(value, str(shop.outputs / f"m{place}")) for place, value in enumerate((1, None, (2, 3)))]
    entry = {"block": "one", "outputs": [], "members": [metas[0], None, metas[2], metas[1]]}
    total = "@transformer\ndef total(values, **kwargs):\n    return {'all': values}\n"
    result = shop.run(total, uuid="total", kind="transformer", upstream=[entry])
    assert value_of(result)["all"] == [1, None, (2, 3), None]


def test_an_item_that_is_gone_says_which_block_to_run_again(shop: BlockProject) -> None:
    fanout = dynamic(shop, "[['a']]")["fanout"]
    Path(fanout["chunks"][0]["url"]).unlink()
    entry = {"block": "load", "outputs": [], "item": {"number": 0, "chunk": fanout["chunks"][0]}}
    result = shop.run("@custom\ndef go(item):\n    return item\n", uuid="go", kind="custom", upstream=[entry])
    assert "the output of block load is gone" in result["failure"]["message"]


def test_items_are_right_where_outputs_are_kept_in_memory(shop: BlockProject) -> None:
    fanout = dynamic(shop, "[[[1], [2]]]", cache_outputs=True)["fanout"]
    entry = {"block": "load", "outputs": [], "item": {"number": 1, "chunk": fanout["chunks"][0]}}
    code = "@custom\ndef go(item):\n    item.append(3)\n    return item\n"
    for _ in range(2):  # what one child does to its item, the next one does not see
        job = {"uuid": "go", "kind": "custom", "upstream": [entry], "cache_outputs": True}
        assert value_of(shop.run(code, **job)) == [2, 3]
