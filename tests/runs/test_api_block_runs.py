"""Block runs over HTTP: read them, their logs and their outputs."""

import json
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from runs import logs
from runs.models import BlockRun
from runs.states import BlockStatus, RunStatus
from tests.factories import make_client, make_pipeline, make_run
from tests.runs import fans
from tests.runs.outcomes import FAILED, drive

pytestmark = pytest.mark.django_db

BLOCK_RUNS = "/api/v1/block_runs"
RUNS = "/api/v1/pipeline_runs"


@pytest.fixture(autouse=True)
def _logs_of_this_test(settings: Any, tmp_path: Path) -> None:
    settings.LOGS_URL = str(tmp_path)


def block_run(uuid: str = "load", **blocks: BlockStatus) -> BlockRun:
    return make_run(blocks=blocks).block_runs.get(block_uuid=uuid)


def write_log(row: BlockRun, *texts: str, attempt: int = 1) -> None:
    path = logs.path(row.pipeline_run_id, row.pk, attempt)
    path.parent.mkdir(parents=True, exist_ok=True)
    line = {"t": "2025-03-02T12:00:00.000000Z", "s": "stdout", "l": "INFO"}
    with path.open("a") as file:
        file.writelines(json.dumps(line | {"m": text}) + "\n" for text in texts)


def read(path: str, **headers: str) -> Any:
    return make_client().get(path, headers=headers)


def test_block_runs_are_listed_by_run_and_status() -> None:
    run = make_run(blocks={"load": BlockStatus.COMPLETED, "clean": BlockStatus.RUNNING})
    make_run()

    rows = read(f"{BLOCK_RUNS}?pipeline_run_id={run.pk}&order=position").json()["results"]
    running = read(f"{BLOCK_RUNS}?status__in=running,failed").json()["results"]

    assert [row["block_uuid"] for row in rows] == ["load", "clean", "save"]
    assert [(row["pipeline_run_id"], row["block_uuid"]) for row in running] == [(run.pk, "clean")]


def test_the_detail_has_the_trimmed_traceback_and_what_was_used() -> None:
    row = block_run(load=BlockStatus.FAILED)
    row.error = {"type": "ValueError", "message": "no", "traceback": "File load.py", "full_traceback": "/opt/ours"}
    row.metrics = {"cpu_seconds": 0.5}
    row.save()

    body = read(f"{BLOCK_RUNS}/{row.pk}").json()

    assert body["error"] == {"type": "ValueError", "message": "no"}
    assert body["traceback"] == "File load.py"
    assert body["metrics"]["cpu_seconds"] == 0.5


def test_a_log_is_read_page_by_page() -> None:
    row = block_run()
    write_log(row, *[f"line {number}" for number in range(100)])
    client = make_client()

    texts, offset, pages = [], 0, 0
    while True:
        page = client.get(f"{BLOCK_RUNS}/{row.pk}/logs?offset={offset}&limit=1000").json()
        texts += [line["text"] for line in page["lines"]]
        offset, pages = page["next_offset"], pages + 1
        if page["at_end"]:
            break

    assert texts == [f"line {number}" for number in range(100)]
    assert pages > 5
    assert page["lines"][0].keys() == {"offset", "time", "stream", "level", "text"}


def test_each_attempt_has_its_log_and_the_latest_is_shown() -> None:
    row = block_run()
    BlockRun.objects.filter(pk=row.pk).update(attempt=2)
    write_log(row, "first", attempt=1)
    write_log(row, "second", attempt=2)

    latest = read(f"{BLOCK_RUNS}/{row.pk}/logs").json()
    first = read(f"{BLOCK_RUNS}/{row.pk}/logs?attempt=1").json()

    assert (latest["attempt"], latest["lines"][0]["text"]) == (2, "second")
    assert (first["attempt"], first["lines"][0]["text"]) == (1, "first")


def test_a_block_that_has_not_run_has_an_empty_log() -> None:
    assert read(f"{BLOCK_RUNS}/{block_run().pk}/logs").json() == {
        "attempt": 1,
        "lines": [],
        "next_offset": 0,
        "at_end": True,
    }


@pytest.mark.parametrize("how", [("?as=text", {}), ("", {"Accept": "text/plain"})])
def test_a_log_can_be_had_as_text_that_no_browser_runs(how: tuple[str, dict[str, str]]) -> None:
    row = block_run()
    write_log(row, "<script>alert(1)</script>", "\ud83d")

    answer = read(f"{BLOCK_RUNS}/{row.pk}/logs{how[0]}", **how[1])

    assert answer.content.startswith(b"2025-03-02T12:00:00.000000Z INFO <script>alert(1)</script>\n")
    assert answer.headers["Content-Type"] == "text/plain; charset=utf-8"
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert answer.headers["X-At-End"] == "true"
    assert int(answer.headers["X-Next-Offset"]) > 100


@pytest.mark.parametrize(
    "query",
    [
        "offset=-1",
        "offset=x",
        "offset=9223372036854775807",
        "limit=0",
        "limit=1048577",
        "attempt=0",
        "attempt=2",
        "as=html",
        "form=text",
        "offset=1&offset=2",
    ],
)
def test_a_wrong_log_query_is_refused(query: str) -> None:
    answer = read(f"{BLOCK_RUNS}/{block_run().pk}/logs?{query}")

    assert answer.status_code == 400
    assert answer.json()["errors"][0]["field"] == query.partition("=")[0]


@pytest.mark.parametrize("offset", ["7", "99999", str(10**12)])
def test_an_offset_in_a_line_or_beyond_the_end_is_borne(offset: str) -> None:
    row = block_run()
    write_log(row, "one")

    answer = read(f"{BLOCK_RUNS}/{row.pk}/logs?offset={offset}")

    assert (answer.status_code, answer.json()["lines"]) == (200, [])


def test_outputs_tell_type_size_and_preview_but_not_where_they_are() -> None:
    row = block_run()
    preview = {"kind": "table", "columns": ["a"], "rows": [["1"]], "more": False}
    row.output = [
        {"name": "output_0", "type": "dataframe", "rows": 1, "bytes": 99, "url": "/srv/data/x", "preview": preview}
    ]
    row.save()

    answer = read(f"{BLOCK_RUNS}/{row.pk}/outputs")

    told = {"name": "output_0", "type": "dataframe", "rows": 1, "bytes": 99, "preview": preview}
    assert answer.json() == {"results": [{**told, "formats": []}]}


def test_a_runs_log_is_block_after_block_until_all_is_told() -> None:
    run = make_run(status=RunStatus.COMPLETED, blocks=dict.fromkeys(("load", "clean", "save"), BlockStatus.COMPLETED))
    for row in run.block_runs.all():
        write_log(row, *[f"{row.block_uuid} {number}" for number in range(20)])
    client, url, told, pages = make_client(), f"{RUNS}/{run.pk}/logs?limit=500", [], 0

    while url:
        page = client.get(url).json()
        told += [(line["block_uuid"], line["text"]) for line in page["results"]]
        url, pages = page["next"], pages + 1

    assert told == [(uuid, f"{uuid} {number}") for uuid in ("load", "clean", "save") for number in range(20)]
    assert pages > 3


def test_a_runs_log_waits_at_a_block_that_still_writes() -> None:
    run = make_run(blocks={"load": BlockStatus.COMPLETED, "clean": BlockStatus.RUNNING})
    load, clean = run.block_runs.order_by("position")[:2]
    write_log(load, "done")
    write_log(clean, "so far")

    first = read(f"{RUNS}/{run.pk}/logs").json()
    write_log(clean, "more")
    second = read(first["next"]).json()

    assert [line["text"] for line in first["results"]] == ["done", "so far"]
    assert [line["text"] for line in second["results"]] == ["more"]
    assert second["next"] is not None


def test_a_runs_log_as_text_names_the_block() -> None:
    run = make_run(status=RunStatus.FAILED, blocks=dict.fromkeys(("load", "clean", "save"), BlockStatus.FAILED))
    write_log(run.block_runs.get(block_uuid="load"), "hello")

    answer = read(f"{RUNS}/{run.pk}/logs?as=text")

    assert answer.content == b"2025-03-02T12:00:00.000000Z INFO load hello\n"
    assert "Link" not in answer.headers


@pytest.mark.parametrize("cursor", ["x", "0:0", "1", "1:-1", "%00:1", "1:1e3"])
def test_a_cursor_of_another_run_is_refused(cursor: str) -> None:
    answer = read(f"{RUNS}/{make_run().pk}/logs?cursor={cursor}")

    assert (answer.status_code, answer.json()["code"]) == (400, "invalid_cursor")


def test_a_longer_list_costs_no_more_queries(now: datetime) -> None:
    make_run(make_pipeline("wide", [(f"b{number}",) for number in range(60)]))
    client = make_client()

    with CaptureQueriesContext(connection) as queries:
        body = client.get(f"{BLOCK_RUNS}?limit=60").json()

    assert len(body["results"]) == 60
    assert len(queries) == 1


def test_members_are_counted_in_their_block_and_listed_apart(now: datetime) -> None:
    run = fans.start(now, fans.a_dynamic("D"), fans.a_block("child", "D"), may_fail=True)
    drive(run, now, fans.outcomes({"D": fans.fan(3), "child:1": FAILED}))
    child = run.block_runs.get(block_uuid="child")
    client = make_client()

    blocks = client.get(f"/api/v1/pipeline_runs/{run.pk}/").json()["block_runs"]
    listed = client.get("/api/v1/block_runs/", {"parent_id": child.pk, "status": "failed"}).json()["results"]

    assert [block["block_uuid"] for block in blocks] == ["D", "child"]
    assert (blocks[0]["members"], blocks[1]["members_total"]) == (None, 3)
    assert blocks[1]["members"] == {"completed": 2, "failed": 1}
    assert [(row["block_uuid"], row["item_index"], row["role"]) for row in listed] == [("child:1", [1], "member")]
