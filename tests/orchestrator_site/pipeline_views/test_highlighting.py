"""Code with its colors, line by line."""

import pytest

from orchestrator_site.pipeline_views.highlighting import LONGEST, lines_of


def test_a_text_over_several_lines_is_marked_in_each_of_them() -> None:
    lines = lines_of("a.py", 'x = """one\ntwo"""\n', 10)

    assert [line.number for line in lines] == [1, 2]
    assert all(line.html.count("<span") == line.html.count("</span>") for line in lines)


@pytest.mark.parametrize("path", ["a.py", "a.sql", "a.yaml", "a.unknown", "noname"])
def test_markup_in_code_of_any_kind_is_text(path: str) -> None:
    (line,) = lines_of(path, "<script>alert(1)</script>", 10)

    assert "<script" not in line.html


@pytest.mark.parametrize("text", ["a\n\n\nb\n", "\n\na", "a\r\nb\rc", "a"])
def test_lines_are_those_of_the_file(text: str) -> None:
    assert len(lines_of("a.py", text, 100)) == len(text.splitlines())


def test_no_more_lines_than_asked_for() -> None:
    assert len(lines_of("a.py", "x = 1\n" * 50, 20)) == 20


def test_what_is_very_long_has_no_colors() -> None:
    lines = lines_of("a.py", "x = 1  # one\n" * (LONGEST // 10), 3)

    assert [line.html for line in lines] == ["x = 1  # one"] * 3
