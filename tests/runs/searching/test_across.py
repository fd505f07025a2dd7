"""The search across the logs of all runs: in what order, how far, and where it goes on; on its page and in the API."""

import re
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.test import Client

from runs import logs
from runs.models import BlockRun, PipelineRun
from runs.searching import across
from runs.searching.across import Outcome, Place, Where, search
from runs.searching.scanning import Wanted
from runs.states import RunStatus
from runs.storing import keeping
from tests.factories import NOON, make_client, make_pipeline, make_run, text_of
from tests.runs.written import open_log

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def logs_folder(settings: Any, tmp_path: Path) -> Path:
    settings.LOGS_URL = str(tmp_path)
    return tmp_path


def run_that_said(*texts: str, block: str = "load", level: str = "INFO", **fields: Any) -> PipelineRun:
    run = make_run(**fields)
    say(run.block_runs.get(block_uuid=block), *texts, level=level)
    return run


def say(block_run: BlockRun, *texts: str, level: str = "INFO") -> None:
    log = open_log(block_run)
    for text in texts:
        log.write("log", level, text)
    log.close()


def said(outcome: Outcome) -> list[str]:
    return [line["m"] for hit in outcome.hits for line in hit.lines]


def look(text: str = "hit", begin: Place | None = None, **where: Any) -> Outcome:
    return search(Wanted(text), Where(**where), begin, patience=60)


# --- what is found ----------------------------------------------------------------------------------------------------


def test_the_newest_runs_come_first_and_blocks_in_their_order() -> None:
    for number in (1, 2):
        run = run_that_said(f"hit {number} load", "miss")
        say(run.block_runs.get(block_uuid="clean"), f"hit {number} clean")

    outcome = look()

    assert said(outcome) == ["hit 2 load", "hit 2 clean", "hit 1 load", "hit 1 clean"]
    assert (outcome.next, outcome.logs, len(outcome.by_run())) == (None, 4, 2)


def test_all_attempts_are_looked_at_compressed_or_not(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keeping, "SMALL", 0)
    block_run = make_run().block_runs.get(block_uuid="load")
    say(block_run, "hit one")
    keeping.ended(block_run, 1)
    keeping.Keeper().turn(0)
    block_run.attempt = 2
    say(block_run, "hit two")

    assert not logs.path(block_run.pipeline_run_id, block_run.pk, 1).exists()
    assert said(look()) == ["hit one", "hit two"]


@pytest.mark.parametrize(
    ("where", "expected"),
    [
        ({"pipeline": "other"}, ["hit other"]),
        ({"block": "clean"}, ["hit clean"]),
        ({"state": "failed"}, ["hit failed"]),
        ({"since": NOON - timedelta(days=1)}, ["hit other", "hit failed", "hit clean"]),
        ({"till": NOON - timedelta(days=1)}, ["hit old"]),
        ({"since": NOON + timedelta(days=1)}, []),
        ({"pipeline": "nowhere"}, []),
    ],
)
def test_a_search_is_narrowed_by_runs_and_blocks(where: dict[str, Any], expected: list[str]) -> None:
    run_that_said("hit old", created_at=NOON - timedelta(days=9))
    run_that_said("hit clean", block="clean")
    run_that_said("hit failed", status=RunStatus.FAILED)
    run_that_said("hit other", pipeline=make_pipeline("other"))

    assert said(look(**where)) == expected


def test_only_some_lines_of_a_log_are_shown_and_that_there_are_more_is_said() -> None:
    run_that_said(*(f"hit {number}" for number in range(50)))

    (hit,) = look().hits

    assert (len(hit.lines), hit.has_more) == (across.LINES_OF_A_LOG, True)


def test_logs_without_a_run_are_passed_over(logs_folder: Path) -> None:
    run = run_that_said("hit")
    block_run = run.block_runs.get(block_uuid="load")
    say(BlockRun(pk=10**6, pipeline_run_id=run.pk + 1), "hit of nobody")
    for junk in ("x", "1/x", f"{run.pk // 1000}/{run.pk}/{block_run.pk}.x.jsonl"):
        (logs_folder / junk).mkdir(parents=True)

    assert said(look()) == ["hit"]


# --- how far ----------------------------------------------------------------------------------------------------------


def test_a_search_that_is_gone_on_with_finds_each_line_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(across, "MOST_LINES", 3)
    for number in range(5):
        run = run_that_said(f"hit {number}")
        say(run.block_runs.get(block_uuid="clean"), f"hit {number} clean")
    seen, begin, turns = list[str](), None, 0

    while turns == 0 or begin:
        outcome = look(begin=begin)
        seen += said(outcome)
        begin, turns = outcome.next and Place.read(str(outcome.next)), turns + 1

    assert sorted(seen) == sorted(f"hit {n}{end}" for n in range(5) for end in ("", " clean"))
    assert turns == 4


def test_a_search_whose_time_is_over_says_where_it_goes_on() -> None:
    newest = [run_that_said("hit") for _ in range(3)][-1]

    outcome = search(Wanted("hit"), Where(), patience=-1)

    assert (outcome.hits, outcome.next) == ([], Place(newest.pk, newest.block_runs.get(block_uuid="load").pk, 1))


@pytest.mark.parametrize("text", ["", "1.2.3", "a.b.c.d", "1.2.3.-4", "1.2.3.4.5", f"{'9' * 30}.1.1.1"])
def test_a_place_that_no_search_has_said_is_refused(page: Client, text: str) -> None:
    with pytest.raises(Exception, match="no place to go on from"):
        Place.read(text)
    if text:
        assert "no place to go on from" in text_of(page.get("/logs/", {"q": "x", "cursor": text}))


def test_runs_before_a_moment_are_begun_with_near_it(django_assert_max_num_queries: Any) -> None:
    first = make_run()
    PipelineRun.objects.bulk_create(
        PipelineRun(
            pipeline=first.pipeline,
            version=first.version,
            execution_date=NOON,
            created_at=NOON + timedelta(minutes=number),
        )
        for number in range(1, 5000)
    )

    with django_assert_max_num_queries(8):
        found = across.newest(NOON + timedelta(minutes=2000))

    assert first.pk + 2000 <= found < first.pk + 3500


def test_a_search_costs_few_queries_for_many_runs(page: Client, django_assert_max_num_queries: Any) -> None:
    pipeline = make_pipeline(blocks=[("load",)])
    for _ in range(30):
        run_that_said("hit", pipeline=pipeline)

    with django_assert_max_num_queries(9):
        page.get("/logs/?q=hit")


# --- the page and the API ---------------------------------------------------------------------------------------------


def test_the_page_groups_lines_by_run_with_links_to_each(page: Client) -> None:
    run = run_that_said("a hit <b>", status=RunStatus.FAILED)
    block_run = run.block_runs.get(block_uuid="load")

    text = text_of(page.get("/logs/", {"q": "HIT", "state": "failed"}))

    assert "a <mark>hit</mark> &lt;b&gt;" in text
    assert f'href="/runs/{run.pk}/blocks/{block_run.pk}/log/1/?at=0#L0"' in text
    assert f'href="/runs/{run.pk}/blocks/{block_run.pk}/log/1/?q=HIT"' in text
    assert "There are no older ones" in text


def test_the_page_says_what_it_does_before_it_is_asked(page: Client) -> None:
    text = text_of(page.get("/logs/"))

    assert "the newest first" in text
    assert 'aria-current="page"' in text


@pytest.mark.parametrize("query", ["q=%00", "level=LOUD", "state=odd", "since=yesterday", "q=" + "x" * 300])
def test_a_filter_that_is_none_is_told(page: Client, query: str) -> None:
    answer = page.get(f"/logs/?{query}")

    assert answer.status_code == 200
    assert re.search('role="alert"><li class="note note-error">', text_of(answer))


@pytest.mark.parametrize(
    ("query", "zone", "found"),
    [("", "UTC", False), ("&zone=Europe/Berlin", "Europe/Berlin", True), ("&zone=Mars/Base", "UTC", False)],
)
def test_runs_are_looked_for_by_the_clocks_of_the_link(page: Client, query: str, zone: str, found: bool) -> None:
    run_that_said("hit", created_at=NOON)

    text = text_of(page.get(f"/logs/?q=hit&since=2025-03-02T12:30{query}"))

    assert f'name="zone" value="{zone}"' in text
    assert ("<mark>hit</mark>" in text) is found


def test_the_page_goes_on_with_older_logs(page: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(across, "MOST_LINES", 1)
    run_that_said("hit older")
    run_that_said("hit newer")

    first = text_of(page.get("/logs/?q=hit"))
    link = re.search(r'rel="next" href="([^"]+)"', first)
    assert link is not None
    second = text_of(page.get("/logs/" + link[1].replace("&amp;", "&")))

    assert ("newer" in first, "older</bdi>" in first) == (True, False)
    assert "older</bdi>" in second


def test_the_api_finds_lines_and_says_where_to_go_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(across, "MOST_LINES", 1)
    older = run_that_said("hit older", level="ERROR")
    run_that_said("hit newer", level="ERROR")
    client = make_client()

    first = client.get("/api/v1/logs?q=HIT&level=WARNING").json()
    second = client.get(first["next"]).json()

    assert [line["text"] for line in first["results"][0]["lines"]] == ["hit newer"]
    (found,) = second["results"]
    assert (found["pipeline_run_id"], found["pipeline_uuid"], found["block_uuid"]) == (older.pk, "etl", "load")
    assert found["lines"] == [
        {"offset": 0, "time": "2025-03-02T12:00:00.000000Z", "stream": "log", "level": "ERROR", "text": "hit older"}
    ]
    assert (second["next"], second["logs"]) == (None, 1)


@pytest.mark.parametrize(
    ("query", "field"),
    [("", "q"), ("level=LOUD", "level"), ("q=x&cursor=1", "cursor"), ("q=x&created_at__lt=soon", "created_at__lt")]
    + [("q=x&sauce=1", "sauce"), ("q=%00", "q"), ("q=" + "x" * 300, "q")],
)
def test_the_api_refuses_what_it_does_not_understand(query: str, field: str) -> None:
    answer = make_client().get(f"/api/v1/logs?{query}")

    assert (answer.status_code, answer.json()["errors"][0]["field"]) == (400, field)
