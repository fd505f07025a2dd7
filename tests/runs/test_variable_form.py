"""Run now, with a field for each variable."""

import uuid
from collections.abc import Mapping
from typing import Any

import pytest

from runs.variable_form import MOST_FIELDS, PREFIX, VariableForm

KNOWN = {"year": 2024, "share": 0.5, "dry": False, "city": "Köln", "items": [1, 2], "nothing": None}


def filled(known: Mapping[str, Any] = KNOWN, variables: str = "", **typed: str) -> VariableForm:
    data = {"variables": variables, "key": str(uuid.uuid4())} | {PREFIX + name: text for name, text in typed.items()}
    return VariableForm.filled(data, known)


def variables(form: VariableForm) -> Any:
    assert form.is_valid(), form.errors
    return form.cleaned_data["variables"]


def as_it_opens(known: Mapping[str, Any] = KNOWN) -> dict[str, str]:
    return {name.name.removeprefix(PREFIX): name.value() for name in VariableForm.of(known).typed}


def test_a_form_sent_as_it_opens_changes_nothing() -> None:
    assert variables(filled(**as_it_opens())) == {}


def test_a_form_sent_without_its_fields_changes_nothing() -> None:
    assert variables(filled()) == {}


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("year", "2025", 2025),
        ("year", " -1 ", -1),
        ("share", "1", 1.0),
        ("share", "1e-3", 0.001),
        ("dry", "yes", True),
        ("city", "", ""),
        ("city", " <b> ", " <b> "),
        ("items", "[]", []),
        ("items", '{"a": 1}', {"a": 1}),
        ("nothing", '"now"', "now"),
    ],
)
def test_a_field_gives_a_value_of_its_kind(name: str, text: str, value: Any) -> None:
    found = variables(filled(**{name: text}))

    assert found == {name: value}
    assert type(found[name]) is type(value)


@pytest.mark.parametrize("name", ["year", "share", "items", "nothing"])
def test_a_field_that_is_emptied_leaves_the_default(name: str) -> None:
    assert variables(filled(**{name: ""})) == {}


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        ("year", "soon", "soon is not a whole number, for example 7"),
        ("year", "1.5", "1.5 is not a whole number"),
        ("year", "9" * 400, f"{'9' * 40} is not a whole number"),
        ("share", "nan", "nan is not a number"),
        ("share", "half", "half is not a number, for example 0.5"),
        ("dry", "maybe", "maybe is neither yes nor no"),
        ("items", "[1,", "not JSON: line 1"),
        ("items", "NaN", "NaN is not JSON"),
    ],
)
def test_a_wrong_value_is_told_beside_its_field(name: str, text: str, words: str) -> None:
    form = filled(**{name: text})

    assert not form.is_valid()
    assert words in str(form.errors[PREFIX + name])


def test_what_has_no_field_is_given_as_json() -> None:
    assert variables(filled(variables='{"new": 1}', year="2025")) == {"new": 1, "year": 2025}


def test_json_goes_before_a_field_that_was_left_alone() -> None:
    assert variables(filled(variables='{"year": "all"}', **as_it_opens())) == {"year": "all"}


def test_a_variable_given_twice_is_refused() -> None:
    form = filled(variables='{"year": 1}', year="2025")

    assert not form.is_valid()
    assert "year is given here and in its own field" in str(form.errors["variables"])


def test_a_long_text_with_the_line_ends_of_browsers_is_still_the_default() -> None:
    assert variables(filled({"text": "a\nb"}, text="a\r\nb")) == {}


def test_only_so_many_variables_have_fields() -> None:
    form = VariableForm.of({f"v{number}": number for number in range(MOST_FIELDS + 5)})

    assert (len(form.typed), form.unshown) == (MOST_FIELDS, 5)


@pytest.mark.parametrize("default", [float("nan"), float("inf"), 10**400, {"a": "ü"}, "a\n" * 60])
def test_an_odd_default_comes_back_as_it_was(default: Any) -> None:
    assert variables(filled({"odd": default}, **as_it_opens({"odd": default}))) == {}


def test_a_name_that_is_markup_stays_text() -> None:
    form = VariableForm.of({"<b>": 1, "with space": "x"})

    assert "<b>" not in str(form)
    assert 'id="start_variable_1"' in str(form)


def test_without_variables_there_is_the_json_alone() -> None:
    assert VariableForm.of({}).typed == []


def test_the_first_field_has_the_focus_and_only_that() -> None:
    assert str(VariableForm.of(KNOWN)).count("autofocus") == 1
    assert str(VariableForm.of({})).count("autofocus") == 1
