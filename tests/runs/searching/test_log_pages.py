"""The page of a log, as a browser without JavaScript meets it: pages of lines, filters, hits, links to lines."""

import re
from pathlib import Path
from typing import Any

import pytest
from asgiref.sync import async_to_sync
from django.contrib.auth.models import User
from django.test import AsyncClient, Client

from runs import log_lines, logs
from runs.models import BlockRun, PipelineRun
from runs.searching import log_pages
from runs.states import BlockStatus, RunStatus
from tests.factories import make_run, text_of
from tests.runs.written import open_log

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def logs_folder(settings: Any, tmp_path: Path) -> None:
    settings.LOGS_URL = str(tmp_path)


@pytest.fixture
def block_run() -> BlockRun:
    run = make_run(status=RunStatus.COMPLETED, blocks={"load": BlockStatus.COMPLETED})
    return run.block_runs.get(block_uuid="load")


def say(block_run: BlockRun, *texts: str, level: str = "INFO", stream: str = "log") -> None:
    log = open_log(block_run)
    for text in texts:
        log.write(stream, level, text)
    log.close()


def address(block_run: BlockRun, query: str = "", attempt: int = 1) -> str:
    return f"/runs/{block_run.pipeline_run_id}/blocks/{block_run.pk}/log/{attempt}/{query}"


def shown(answer: Any) -> list[str]:
    """Return the texts of the lines on a page, with hits in brackets."""
    found = re.findall(r'<bdi class="text">(.*?)</bdi>', text_of(answer), re.DOTALL)
    return [re.sub("<[^>]+>", "", each.replace("<mark>", "[").replace("</mark>", "]")) for each in found]


def follow(page: Client, answer: Any, word: str) -> Any:
    """Press the link of that name."""
    found = re.search(rf'href="([^"]+)"[^>]*>(?:<svg.*?</svg>)?{word}', text_of(answer))
    assert found, f"there is no {word}"
    where = answer.request["PATH_INFO"] if found[1].startswith("?") else ""
    return page.get(where + found[1].replace("&amp;", "&"), follow=True)


# --- reading ----------------------------------------------------------------------------------------------------------


def test_a_log_is_read_page_by_page_forth_and_back(page: Client, block_run: BlockRun) -> None:
    said = [f"line {number}" for number in range(2345)]
    say(block_run, *said)

    first = page.get(address(block_run))
    second = follow(page, first, "Later")
    third = follow(page, second, "Later")

    assert shown(first) + shown(second) + shown(third) == said
    assert "Later" not in text_of(third)
    assert shown(follow(page, third, "Earlier")) == shown(second)
    assert shown(follow(page, third, "First")) == shown(first)
    assert shown(follow(page, first, "Last")) == said[-1000:]


def test_a_log_that_goes_on_opens_at_its_end_and_is_followed(page: Client) -> None:
    block_run = make_run(blocks={"load": BlockStatus.RUNNING}).block_runs.get(block_uuid="load")
    say(block_run, *(f"line {number}" for number in range(1200)))

    answer = page.get(address(block_run))

    assert (shown(answer)[0], shown(answer)[-1]) == ("line 200", "line 1199")
    assert f'data-from="{logs.size(block_run, 1)}"' in text_of(answer)
    assert "data-log=" not in text_of(page.get(address(block_run, "?from=0")))


def test_a_link_to_a_line_opens_the_log_around_it(page: Client, block_run: BlockRun) -> None:
    say(block_run, *(f"line {number}" for number in range(3000)))
    wanted = logs.line_at(block_run, 1, 100_000)

    answer = page.get(address(block_run, f"?at={wanted}"))

    found = re.search(rf'<li id="L{wanted}" class="[^"]*here">.*?(line \d+)</bdi>', text_of(answer))
    assert found is not None
    assert shown(answer).index(found[1]) == log_pages.BEFORE


@pytest.mark.parametrize(
    "query", ["?at=x", "?from=-1", "?at=999999999999999", "?from=99999999", "?at=%00", "?level=LOUD&q=a"]
)
def test_nonsense_in_the_query_is_no_error(page: Client, block_run: BlockRun, query: str) -> None:
    say(block_run, "only line")

    assert page.get(address(block_run, query)).status_code == 200


def test_a_long_line_is_whole_where_it_is_asked_for(page: Client, block_run: BlockRun) -> None:
    say(block_run, "x" * 9000, "y" * 9000)

    answer = page.get(address(block_run, "?at=0&full=1"))

    assert (len(shown(answer)[0]), shown(answer)[1].count("y")) == (9000, log_lines.LONG)


def test_hostile_text_stays_text(page: Client, block_run: BlockRun) -> None:
    say(block_run, "<script>alert(1)</script>", "\0\x1b[2J\x1b]8;;http://evil\x07\u202e")

    text = text_of(page.get(address(block_run, "?q=<script>&at=0")))

    assert "<script>alert" not in text
    assert "evil" not in text


def test_what_is_no_log_of_this_run_is_not_found(page: Client, block_run: BlockRun) -> None:
    other = make_run()

    for path in (
        address(block_run, attempt=2),
        address(block_run, attempt=0),
        f"/runs/{other.pk}/blocks/{block_run.pk}/log/1/",
    ):
        assert page.get(path).status_code == 404


def test_a_log_that_is_gone_says_so(page: Client, block_run: BlockRun) -> None:
    BlockRun.objects.update(started_at=block_run.pipeline_run.started_at)

    assert "not there any more" in text_of(page.get(address(block_run)))


def test_a_store_that_is_away_is_said_and_no_error(
    page: Client, block_run: BlockRun, settings: Any, tmp_path: Path
) -> None:
    (tmp_path / "file").touch()
    settings.DATA_DIR, settings.LOGS_URL = tmp_path / "data", f"local://{tmp_path}/file"

    answer = page.get(address(block_run))

    assert answer.status_code == 503
    assert "the log store local://" in text_of(answer)
    assert page.get(f"/runs/{block_run.pipeline_run_id}/").status_code == 200
    api = page.get(f"/api/v1/block_runs/{block_run.pk}/logs")
    assert (api.status_code, api.json()["code"]) == (503, "log_store_away")


# --- finding ----------------------------------------------------------------------------------------------------------


def test_a_search_opens_at_its_first_hit_and_goes_from_hit_to_hit(page: Client, block_run: BlockRun) -> None:
    say(block_run, *(f"line {number}{' Needle' if number % 1500 == 700 else ''}" for number in range(4000)))

    first = page.get(address(block_run, "?q=needle"), follow=True)
    second = follow(page, first, "Next")

    assert "line 700 [Needle]" in shown(first)
    assert "<b>1</b> of <b>3</b> lines with" in text_of(first)
    assert "line 2200 [Needle]" in shown(second)
    assert "<b>2</b> of <b>3</b> lines" in text_of(second)
    assert shown(follow(page, second, "Previous")) == shown(first)


def test_only_lines_that_fit_are_shown_where_a_filter_is_set(page: Client, block_run: BlockRun) -> None:
    say(block_run, "fine", "good")
    say(block_run, "odd", level="WARNING")
    say(block_run, "bad", level="ERROR", stream="system")

    assert shown(page.get(address(block_run, "?level=WARNING"))) == ["odd", "bad"]
    assert shown(page.get(address(block_run, "?source=system"))) == ["bad"]
    assert shown(page.get(address(block_run, "?q=OO&only=on"))) == ["g[oo]d"]
    assert "No line fits" in text_of(page.get(address(block_run, "?level=CRITICAL")))


def test_the_first_error_is_a_link_away(page: Client, block_run: BlockRun) -> None:
    say(block_run, *(f"line {number}" for number in range(2000)))
    say(block_run, "this went wrong", "this too", level="ERROR")

    answer = follow(page, page.get(address(block_run)), "First error")

    assert re.search(r'here">.*?this went wrong', text_of(answer))
    assert answer.redirect_chain[0][0].partition("#")[2].startswith("L")


def test_a_log_without_errors_says_so(page: Client, block_run: BlockRun) -> None:
    say(block_run, "fine")

    assert "No line of level error" in text_of(page.get(address(block_run, "?at=error")))


def test_a_page_of_a_log_costs_few_queries(
    page: Client, block_run: BlockRun, django_assert_max_num_queries: Any
) -> None:
    say(block_run, *(f"line {number}" for number in range(3000)))

    with django_assert_max_num_queries(8):
        page.get(address(block_run, "?q=line&at=5"))


# --- as files ---------------------------------------------------------------------------------------------------------


async def fetch(user: User, path: str) -> tuple[Any, str]:
    client = AsyncClient()
    await client.aforce_login(user)
    answer = await client.get(path)
    if answer.status_code != 200:
        return answer, ""
    return answer, b"".join([part async for part in answer.streaming_content]).decode()


def test_a_log_can_be_had_as_lines_of_json(ada: User, block_run: BlockRun) -> None:
    say(block_run, *(f"{number} {'ä' * 500}" for number in range(2000)))

    answer, text = async_to_sync(fetch)(ada, address(block_run)[:-1] + ".jsonl")

    assert text == logs.path(block_run.pipeline_run_id, block_run.pk, 1).read_text()
    assert answer["Content-Disposition"].endswith('-1.jsonl"')


# --- what it says where there is nothing ------------------------------------------------------------------------------


def words(page: Client, where: str) -> str:
    return " ".join(text_of(page.get(where, follow=True)).split())


def test_a_log_that_is_empty_says_so(page: Client, block_run: BlockRun) -> None:
    say(block_run)

    text = words(page, address(block_run))

    assert "It wrote nothing here." in text
    assert "End of the log." in text


def test_a_filter_that_no_line_fits_leads_back_to_the_whole_log(page: Client, block_run: BlockRun) -> None:
    say(block_run, "fine")

    text = words(page, address(block_run, "?level=ERROR"))

    assert "No line fits these filters." in text
    assert f'<a href="{address(block_run)}">Show the whole log</a>' in text


def test_a_text_that_no_line_has_is_said_with_the_text(page: Client, block_run: BlockRun) -> None:
    say(block_run, "fine")

    assert "No line with “&lt;b&gt;”" in words(page, address(block_run, "?q=<b>"))


@pytest.mark.parametrize(("count", "said"), [(1, "<b>1</b> line with “row”"), (2, "<b>2</b> lines with “row”")])
def test_hits_are_counted_in_words(page: Client, block_run: BlockRun, count: int, said: str) -> None:
    say(block_run, *["row"] * count)

    assert said in words(page, address(block_run, "?q=row"))


def test_lines_that_fit_are_counted_in_words(page: Client, block_run: BlockRun) -> None:
    say(block_run, "a", "b", level="ERROR")

    assert "2 lines that fit" in words(page, address(block_run, "?level=ERROR"))


def test_a_log_that_retention_removed_says_when(page: Client, block_run: BlockRun) -> None:
    run = block_run.pipeline_run
    BlockRun.objects.update(started_at=run.started_at)
    PipelineRun.objects.update(logs_removed_at=run.created_at)

    assert "Removed by retention <time" in words(page, address(block_run))


def test_a_search_across_runs_that_finds_nothing_says_so(page: Client, block_run: BlockRun) -> None:
    say(block_run, "fine")

    text = words(page, "/logs/?q=nothing")

    assert "No log has such a line." in text
    assert "Looked through 1 log (" in text
    assert "There are no older ones." in text


def test_before_it_is_asked_a_search_says_how_to(page: Client) -> None:
    assert "Letters match whatever their case; narrow by pipeline, block and time to see further back" in words(
        page, "/logs/"
    )
