"""Over which items a block runs, and as which members: against a slow reference."""

from collections.abc import Mapping
from itertools import product
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runs.fanning import Dimension, Item, Source, TooMany, dimensions_of, members_of, projected, uuid_of


def graph(**blocks: Any) -> list[dict[str, Any]]:
    """Blocks as name="upstream upstream"; an upper case name is dynamic, one that ends in _r reduces."""
    return [
        {"uuid": name, "upstream": above.split(), "dynamic": name[0].isupper(), "reduce_output": name.endswith("_r")}
        for name, above in blocks.items()
    ]


@pytest.mark.parametrize(
    ("blocks", "block", "dimensions"),
    [
        ({"D": "", "child": "D"}, "child", ("D",)),
        ({"D": "", "child": "D", "grandchild": "child"}, "grandchild", ("D",)),
        ({"D": "", "child_r": "D", "after": "child_r"}, "after", ()),
        ({"D": "", "E": "", "child": "D E"}, "child", ("D", "E")),
        ({"D": "", "E": "", "child": "E D"}, "child", ("E", "D")),
        ({"D": "", "left": "D", "right": "D", "join": "left right"}, "join", ("D",)),
        ({"D": "", "E": "", "left": "D", "right": "E", "join": "left right"}, "join", ("D", "E")),
        ({"D": "", "E": "D", "child": "E"}, "child", ("D", "E")),
        ({"D": "", "E": "D", "child": "E"}, "E", ("D",)),
        ({"D": "", "E_r": "D", "child": "E_r"}, "child", ("E_r",)),
        ({"D": "", "child_r": "D", "both": "child_r D"}, "both", ("D",)),
        ({"D": "", "plain": "", "child": "plain D"}, "plain", ()),
        ({"child": "elsewhere"}, "child", ()),
    ],
)
def test_dimensions_are_handed_down_until_a_block_reduces(
    blocks: Mapping[str, str], block: str, dimensions: tuple[str, ...]
) -> None:
    assert dimensions_of(graph(**blocks))[block] == dimensions


@st.composite
def graphs(draw: st.DrawFn) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    for number in range(draw(st.integers(1, 9))):
        above = [each["uuid"] for each in found if draw(st.integers(0, 2)) == 0]
        flags = {"dynamic": draw(st.booleans()), "reduce_output": draw(st.booleans())}
        found.append({"uuid": f"b{number}", "upstream": above, **flags})
    return found


@given(graphs())
def test_a_block_runs_over_every_dynamic_block_from_which_a_way_leads_down_unreduced(
    entries: list[dict[str, Any]],
) -> None:
    by_uuid = {entry["uuid"]: entry for entry in entries}

    def reaches(dynamic: str, block: str) -> bool:
        return any(
            up == dynamic or (not by_uuid[up]["reduce_output"] and reaches(dynamic, up))
            for up in by_uuid[block]["upstream"]
        )

    found = dimensions_of(entries)

    for uuid in by_uuid:
        expected = {name for name, entry in by_uuid.items() if entry["dynamic"] and reaches(name, uuid)}
        assert set(found[uuid]) == expected
        assert len(set(found[uuid])) == len(found[uuid])
        for place, dynamic in enumerate(found[uuid]):  # what a dimension's items depend on comes before it
            own = () if by_uuid[dynamic]["reduce_output"] else found[dynamic]
            assert set(own) <= set(found[uuid][:place])


def plain(block: str, count: int, names: list[str] | None = None) -> Dimension:
    return Dimension(block, (), [Source(block, (), count, names)])


def test_two_dimensions_multiply_in_the_order_of_the_first() -> None:
    found = members_of([plain("D", 2), plain("E", 2, ["x", "y"])], most=4)

    assert [uuid_of("child", member) for member in found] == ["child:0:x", "child:0:y", "child:1:x", "child:1:y"]
    assert found[2].items == {"D": Item("D", 1), "E": Item("E", 0)}
    assert found[2].index == (1, 0)


def test_the_items_of_a_nested_block_differ_from_member_to_member() -> None:
    nested = Dimension("E", (0,), [Source("E:0", (0,), 2), Source("E:2", (2,), 1, ["z"])])

    found = members_of([plain("D", 3), nested], most=10)

    assert [(member.names, member.items["E"]) for member in found] == [
        (("0", "0"), Item("E:0", 0)),
        (("0", "1"), Item("E:0", 1)),
        (("2", "z"), Item("E:2", 0)),
    ]


def test_the_items_of_a_dynamic_block_that_reduces_are_counted_through() -> None:
    gathered = Dimension("E", (), [Source("E:0", (0,), 2, ["a", "b"]), Source("E:1", (1,), 1, ["a"])])

    found = members_of([gathered], most=10)

    assert [(uuid_of("c", member), member.items["E"]) for member in found] == [
        ("c:0", Item("E:0", 0)),
        ("c:1", Item("E:0", 1)),
        ("c:2", Item("E:1", 0)),
    ]


@given(st.lists(st.integers(0, 4), min_size=1, max_size=3), st.data())
def test_ragged_members_are_those_that_loops_within_loops_would_find(sizes: list[int], data: st.DataObject) -> None:
    dimensions = []
    expected: list[tuple[int, ...]] = [()]
    for depth, size in enumerate(sizes):
        if data.draw(st.booleans()):  # nested below all before it
            sources = {index: data.draw(st.integers(0, size)) for index in expected}
            within = tuple(range(depth))
        else:
            sources, within = {(): size}, ()
        dimensions.append(Dimension(f"D{depth}", within, [Source(str(at), at, n) for at, n in sources.items()]))
        expected = [(*index, number) for index in expected for number in range(sources[index if within else ()])]

    found = members_of(dimensions, most=1000)

    assert [member.index for member in found] == expected


def test_more_members_than_may_be_are_not_even_made() -> None:
    with pytest.raises(TooMany) as caught:
        members_of([plain("D", 100_000), plain("E", 100_000)], most=10_000)

    assert caught.value.args == (100_000,)


def test_a_product_that_is_too_large_is_noticed_before_it_is_made() -> None:
    with pytest.raises(TooMany) as caught:
        members_of([plain("D", 9_000), plain("E", 9_000)], most=10_000)

    assert caught.value.args == (81_000_000,)


def test_a_long_name_is_cut_and_stays_its_own() -> None:
    first, second = members_of([plain("D", 2, ["x" * 300 + "1", "x" * 300 + "2"])], most=2)

    uuids = {uuid_of("child", first), uuid_of("child", second)}
    assert len(uuids) == 2
    assert {len(uuid) for uuid in uuids} == {255}


def test_a_member_belongs_to_the_one_with_the_same_items() -> None:
    for index in product(range(2), range(3), range(4)):
        assert projected(index, ("D", "E", "F"), ("F", "D")) == (index[2], index[0])
