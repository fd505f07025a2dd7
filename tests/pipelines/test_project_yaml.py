"""Yaml files as plain values with their lines, within limits that hold before anything is expanded."""

from contextlib import suppress
from pathlib import Path
from time import process_time
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from pipelines.files import FileFault, Stamp, TextFile, read_text
from pipelines.yaml_files import Document, parse


def document(text: str, env: dict[str, str] | None = None) -> Document:
    return parse(TextFile("x.yaml", text, "", Stamp(len(text), 0)), env=env or {})


def fault(text: str) -> FileFault:
    with pytest.raises(FileFault) as caught:
        document(text)
    return caught.value


PLAIN = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(10**12), 10**12)
    | st.floats(allow_nan=False, allow_infinity=False)
    # Not "{{ … }}", and no character of private use: those are not plain.
    | st.text(st.characters(codec="utf-8", exclude_categories=["Co", "Cc"], exclude_characters="{%\ufeff")),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text("abcxyz_", min_size=1), inner, max_size=4),
    max_leaves=20,
)


@given(PLAIN)
def test_plain_values_are_read_as_yaml_itself_reads_them(value: Any) -> None:
    text = yaml.safe_dump(value, allow_unicode=True)

    assert document(text).data == yaml.safe_load(text)


def test_the_line_of_each_value_is_known() -> None:
    read = document("name: x\nblocks:\n- uuid: a\n  upstream:\n  - one\n  - two\n\n# comment\n- uuid: b\n")

    assert read.line("name") == 1
    assert read.line("blocks", 0, "uuid") == 3
    assert read.line("blocks", 0, "upstream", 1) == 6
    assert read.line("blocks", 1) == 9
    assert read.line("blocks", 1, "missing") == 9
    assert read.line("missing") == 1


def test_what_yaml_makes_a_number_can_be_seen_as_it_was_written() -> None:
    read = document("time: 12:30:00\noctal: 010\nword: on\ntext: plain\n")

    assert read.data == {"time": 45000, "octal": 8, "word": True, "text": "plain"}
    assert read.raw == {("time",): "12:30:00", ("octal",): "010", ("word",): "on"}


def test_keys_are_texts_as_they_are_written() -> None:
    assert document("on: 1\n2024: 2\nnull: 3\n").data == {"on": 1, "2024": 2, "null": 3}


def test_dates_are_iso_texts() -> None:
    read = document("day: 2024-02-29\nmoment: 2023-12-05 23:59:31.5+02:00\n")

    assert read.data == {"day": "2024-02-29", "moment": "2023-12-05T23:59:31.500000+02:00"}


@pytest.mark.parametrize("text", ["", "# only a comment\n", "---\n", "\n\n"])
def test_an_empty_file_is_nothing(text: str) -> None:
    assert document(text).data is None


def test_aliases_and_merged_keys_are_read() -> None:
    read = document(
        "base: &base {a: 1, b: [2]}\nother:\n  <<: *base\n  a: 3\nsame: *base\nmany: {<<: [*base, {c: 4}]}\n"
    )

    assert read.data["other"] == {"a": 3, "b": [2]}
    assert read.data["same"] == {"a": 1, "b": [2]}
    assert read.data["many"] == {"a": 1, "b": [2], "c": 4}


@pytest.mark.parametrize(
    ("text", "line", "column", "message", "hint"),
    [
        ("a: 1\na: 2\n", 2, 1, "The key 'a' is here twice.", "Keep one of them."),
        ("a: !!python/object/apply:os.system ['id']\n", 1, 4, "Tags are not allowed", "Write the plain value"),
        ("a: !include other.yaml\n", 1, 4, "Tags are not allowed (!include).", ""),
        ("!!str a: 1\n", 1, 1, "Tags are not allowed", ""),
        ("a: 1\n---\nb: 2\n", 2, 1, "There is a second document", "Keep one document"),
        ("a: .nan\n", 1, 4, ".nan is not a finite number.", "Use a number, or quote it."),
        ("a: -.inf\n", 1, 4, "-.inf is not a finite number.", ""),
        ("a: 2025-02-30\n", 1, 4, "'2025-02-30' is not a value.", "Quote it if it is a text."),
        (f"a: {'9' * 5000}\n", 1, 4, f"'{'9' * 80}…' is not a value.", ""),
        ("a: =\n", 1, 4, "'=' is not a value.", ""),
        ('a: "x\\0y"\n', 1, 4, "This text contains a character that cannot be stored.", ""),
        ('a: "\\ud800"\n', 1, 7, "Column 7: found invalid Unicode character escape code.", ""),
        ("? [a, b]\n: 1\n", 1, 3, "A key must be a plain text.", "If {{ … }} is meant"),
        ("a: *missing\n", 1, 4, "The alias *missing names nothing that is complete.", "Quote the text"),
        ("a: &x [1, *x]\n", 1, 11, "The alias *x names nothing that is complete.", ""),
        ("<<: 3\n", 1, 1, "<<: takes a mapping or a list of mappings.", ""),
        ("a: " + "[" * 40 + "]" * 40 + "\n", 1, 36, "Values are nested more than 32 deep.", ""),
        ("a: &x 1\nb: [" + "*x, " * 101 + "]\n", 2, None, "There are more than 100 aliases.", ""),
    ],
)
def test_what_is_no_plain_yaml_is_told(text: str, line: int, column: int | None, message: str, hint: str) -> None:
    told = fault(text)

    assert (told.file, told.line) == ("x.yaml", line)
    assert column is None or told.column == column
    assert told.message.startswith(message)
    assert told.hint.startswith(hint)


@pytest.mark.parametrize(
    ("text", "line", "hint"),
    [
        ("a:\n\tb: 1\n", 2, "Indent with spaces: yaml takes no tabs."),
        ("cron: */5 * * * *\n", 1, "Quote the "),
        ("interval: @daily\n", 1, "Quote the expression, for example '*/5 * * * *' or '@daily'."),
        ("a: b: c\n", 1, "Quote a text that contains a colon and a space."),
        ("a: [1, 2\nb: 3\n", 2, ""),
        ("a: 'x\n", 2, ""),
        ("a: 1\n  b: 2\n", 2, ""),
        ("a: \x07\n", None, ""),
    ],
)
def test_a_syntax_error_comes_with_a_place_and_a_guess(text: str, line: int | None, hint: str) -> None:
    told = fault(text)

    assert told.line == line
    assert told.hint.startswith(hint)
    assert "\n" not in told.message


def test_a_bomb_of_aliases_is_refused_before_it_is_expanded() -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 10)]
    before = process_time()

    told = fault("\n".join(lines))

    assert told.message == "There are more than 100,000 values."
    assert process_time() - before < 1


def test_a_file_of_the_largest_size_is_read_or_refused_within_seconds() -> None:
    before = process_time()

    assert fault("- [" + "1," * 500_000 + "]").message == "There are more than 100,000 values."
    assert process_time() - before < 5


def test_deep_nesting_does_not_overflow() -> None:
    assert "nested more than 32 deep" in fault("[" * 100_000).message
    assert "nested more than 32 deep" in fault("- " * 100_000).message


@given(st.text(max_size=60))
def test_any_text_is_read_or_refused_with_one_line(text: str) -> None:
    with suppress(FileFault):
        document(text)
        return
    assert "\n" not in fault(text).message


def test_a_bom_and_line_ends_of_windows_are_accepted(tmp_path: Path) -> None:
    (tmp_path / "x.yaml").write_bytes(b"\xef\xbb\xbfa: 1\r\nb: 2\r\n")

    read = parse(read_text(tmp_path, "x.yaml"), env={})

    assert read.data == {"a": 1, "b": 2}
    assert read.line("b") == 2
