"""A unified diff with the old text beside the new."""

import difflib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.diff_lines import Pair, Side, side_by_side


def diff(old: str, new: str) -> str:
    return "\n".join(difflib.unified_diff(old.split("\n"), new.split("\n"), "a (then)", "b (now)", lineterm=""))


def pairs(old: str, new: str) -> list[Pair]:
    return list(side_by_side(diff(old, new)))


def test_a_changed_line_stands_beside_what_it_was() -> None:
    assert pairs("a\nb\nc", "a\nB\nc") == [
        Pair(Side(1, "a"), Side(1, "a")),
        Pair(Side(2, "b"), Side(2, "B"), "changed"),
        Pair(Side(3, "c"), Side(3, "c")),
    ]


def test_a_line_that_is_new_stands_beside_nothing() -> None:
    assert pairs("a", "a\nb")[1] == Pair(Side(), Side(2, "b"), "changed")


def test_lines_that_look_like_the_head_of_a_diff_are_lines() -> None:
    assert pairs("-- x\nk", "++ x\nk")[0] == Pair(Side(1, "-- x"), Side(1, "++ x"), "changed")


def test_a_gap_between_two_places_is_marked() -> None:
    lines = [str(number) for number in range(40)]

    found = pairs("\n".join(lines), "\n".join(["new", *lines[1:-1], "end"]))

    assert [pair.old.text for pair in found if pair.tone == "place"] == ["…"]
    assert found[-1] == Pair(Side(40, "39"), Side(40, "end"), "changed")


@pytest.mark.parametrize("text", ["", "etl.py has changed in how its lines end."])
def test_what_is_no_diff_has_no_pairs(text: str) -> None:
    assert list(side_by_side(text)) == []


TEXT = st.lists(st.sampled_from(["a", "b", "", "- c", "+ d", "@@ -1 +1 @@", "x y"]), max_size=12).map("\n".join)


@given(TEXT, TEXT)
def test_both_sides_give_the_lines_of_their_texts(old: str, new: str) -> None:
    for text, sides in ((old, [p.old for p in pairs(old, new)]), (new, [p.new for p in pairs(old, new)])):
        lines = text.split("\n")
        assert all(lines[side.number - 1] == side.text for side in sides if side.number)
