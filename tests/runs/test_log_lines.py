"""Lines of logs as HTML: what people see of what programs wrote, however hostile."""

from html.parser import HTMLParser
from typing import Any

import pytest
from django.template import Context, Template
from hypothesis import given
from hypothesis import strategies as st

from runs import log_lines
from runs.log_lines import LONG, row, text

PAGE = "/runs/1/blocks/2/log/3/"


def line(said: str, **changed: Any) -> dict[str, Any]:
    return {"o": 17, "t": "2025-03-02T12:00:01.123456Z", "s": "stdout", "l": "INFO", "m": said, **changed}


class Seen(HTMLParser):
    """What a browser makes of HTML: its text, and the tags in it."""

    def __init__(self, html: str) -> None:
        super().__init__(convert_charrefs=True)
        self.text, self.tags = "", list[str]()
        self.feed(html)
        self.close()

    def handle_data(self, data: str) -> None:
        self.text += data

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)


# --- a line -----------------------------------------------------------------------------------------------------------


def test_a_line_has_its_place_a_link_to_it_its_time_source_and_text() -> None:
    assert row(line("hello"), PAGE) == (
        '<li id="L17" class="l-INFO s-stdout">'
        '<a class="at" href="/runs/1/blocks/2/log/3/?at=17#L17"><time datetime="2025-03-02T12:00:01.123456Z" '
        'data-style="log" title="2025-03-02T12:00:01.123456Z">12:00:01.123</time></a>'
        '<span class="src" title="stdout, INFO">out</span><bdi class="text">hello</bdi></li>'
    )


@pytest.mark.parametrize(
    ("source", "level", "name"),
    [("stderr", "INFO", "err"), ("log", "WARNING", "warn"), ("log", "CRITICAL", "crit"), ("log", "ERROR", "error")]
    + [("system", "ERROR", "sys"), ("log", "SOMETHING", "somet")],
)
def test_where_a_line_is_from_is_told_in_five_letters(source: str, level: str, name: str) -> None:
    assert f">{name}</span>" in row(line("x", s=source, l=level), PAGE)


def test_the_line_that_was_asked_for_is_pointed_out() -> None:
    lines = [line("one", o=0), line("two", o=9)]

    assert [" here" in each for each in str(log_lines.rows(lines, PAGE, here=9)).split("<li")[1:]] == [False, True]


def test_a_template_takes_lines_as_they_are() -> None:
    shown = Template("{{ rows }}").render(Context({"rows": log_lines.rows([line("<b>")], PAGE)}))

    assert shown == row(line("<b>"), PAGE)


# --- what programs write ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("said", "html"),
    [
        ("\x1b[31mred\x1b[0m plain", '<span class="a-1">red</span> plain'),
        ("\x1b[1;4;92mok", '<span class="a-bold a-under a-2b">ok</span>'),
        ("\x1b[1mbold\x1b[22m not", '<span class="a-bold">bold</span> not'),
        ("\x1b[31mred\x1b[39m not", '<span class="a-1">red</span> not'),
        ("\x1b[38;5;9mbright", '<span class="a-1b">bright</span>'),
        ("\x1b[38;5;196mcube", '<span class="a-1">cube</span>'),
        ("\x1b[38;5;255mgray", '<span class="a-7">gray</span>'),
        ("\x1b[38;2;10;120;210mblue", '<span class="a-4">blue</span>'),
        ("\x1b[38:2:10:200:30mgreen", '<span class="a-2">green</span>'),
        ("\x1b[48;5;1mpaper\x1b[48;2;1;2;3m", "paper"),
        ("\x1b[7minverse\x1b[5mblink", "inverseblink"),
        ("\x1b[38;5m\x1b[38m\x1b[38;2;1mtorn", "torn"),
        ("\x1b[99999999999999999999mbig", "big"),
    ],
)
def test_colors_are_classes_of_sixteen(said: str, html: str) -> None:
    assert text(said) == html


@pytest.mark.parametrize(
    ("said", "shown"),
    [
        ("\x1b]8;;http://evil.example\x07link\x1b]8;;\x07", "link"),
        ("\x1b]52;c;ZXZpbA==\x07clip", "clip"),
        ("\x1b]0;never ends", ""),
        ("\x1b[2J\x1b[Hcleared\x1b[?25l", "cleared"),
        ("\x1bP1;2|data\x1b\\after", "after"),
        ("nul \0 bell \x07 back\x08", "nul  bell  back"),
        ("c1 \x9b31m\x85", "c1 31m"),
        ("half \ud800 character", "half  character"),
        ("10%\r50%\r100%", "100%"),
        ("windows\r", "windows"),
        ("tab\tstays", "tab\tstays"),
        ("\x1b", ""),
        ("end \x1b[", "end "),
    ],
)
def test_what_else_a_terminal_would_do_is_dropped(said: str, shown: str) -> None:
    assert (Seen(text(said)).text, log_lines.plain(said)) == (shown, shown)


def test_text_from_right_to_left_stays_within_its_line() -> None:
    assert '<bdi class="text">\u202eevil \u05d0</bdi>' in row(line("\u202eevil \u05d0"), PAGE)


@pytest.mark.parametrize("field", ["m", "s", "l", "t"])
def test_html_is_text_wherever_it_stands(field: str) -> None:
    html = row(line("x", **{field: "<script>alert(1)</script>\"'&"}), PAGE)

    assert Seen(html).tags == ["li", "a", "time", "span", "bdi"]


@given(
    st.text()
    | st.lists(st.sampled_from(["\x1b[", "31", ";", "m", "<b>", "\x1b]", "\x07", "\r", "a", "é"])).map("".join)
)
def test_whatever_is_written_only_our_own_tags_come_of_it(said: str) -> None:
    html = text(said, "a", page=PAGE)

    assert set(Seen(html).tags) <= {"span", "mark"}
    assert Seen(html).text == log_lines.plain(said)
    html.encode()


# --- hits and long lines ----------------------------------------------------------------------------------------------


def test_hits_are_marked_in_any_case_and_over_colors() -> None:
    assert text("Error, err\x1b[31mOR", "error") == (
        '<mark>Error</mark>, <mark>err</mark><span class="a-1"><mark>OR</mark></span>'
    )


def test_a_query_is_text_and_no_pattern() -> None:
    assert text("a.b <axb> (", ".") == "a<mark>.</mark>b &lt;axb&gt; ("
    assert text("f( <b", "<B") == "f( <mark>&lt;b</mark>"


def test_a_long_line_is_cut_and_its_rest_is_a_link_away() -> None:
    html = text("x" * (LONG + 1234), page=PAGE, offset=5)

    assert html.startswith("x" * LONG + "<a")
    assert Seen(html).text.endswith("… 1,234 more characters")
    assert 'href="/runs/1/blocks/2/log/3/?at=5&amp;full=1#L5"' in html


def test_of_a_long_line_the_part_with_the_hit_is_shown() -> None:
    seen = Seen(text("a" * 50_000 + "needle" + "b" * 50_000, "needle", page=PAGE))

    assert seen.text.startswith("49,000 characters before …aaa")
    assert seen.text.endswith("bbb… 47,006 more characters")
    assert seen.tags == ["a", "mark", "a"]


def test_a_long_line_is_whole_for_who_asks() -> None:
    assert text("x" * 100_000, whole=True) == "x" * 100_000
