"""What the page of a run says of it: each fact where there is one, and what is missing in words."""

from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from runs import events
from runs.models import BlockRun, Origin, PipelineRun
from runs.states import BlockStatus, RunStatus
from tests.factories import NOON, make_backfill, make_pipeline, make_run, make_schedule, text_of

pytestmark = pytest.mark.django_db
DONE = dict.fromkeys(("load", "clean", "save"), BlockStatus.COMPLETED)
BROKEN = {"load": BlockStatus.FAILED, "clean": BlockStatus.UPSTREAM_FAILED, "save": BlockStatus.UPSTREAM_FAILED}


def seen(page: Client, run: PipelineRun, query: str = "") -> str:
    return " ".join(text_of(page.get(f"/runs/{run.pk}/{query}")).split())


def change(run: PipelineRun, block: str, **fields: Any) -> None:
    run.block_runs.filter(block_uuid=block).update(**fields)


# --- the run ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"started_by": "bob"}, '<span class="quiet">by bob</span>'),
        ({"trigger_name": "gone"}, "<dt>Trigger</dt><dd>gone</dd>"),
        ({"interval_end": NOON}, "<dt>Interval ends</dt>"),
        ({"deadline_at": NOON + timedelta(hours=1)}, "<dt>Time-out</dt>"),
        ({"sla_at": NOON + timedelta(hours=1)}, "<dt>SLA</dt>"),
        ({"attempt": 3}, "<dt>Attempt</dt><dd>3</dd>"),
        ({"in_one_process": True}, "local_python, one process</dd>"),
        ({"is_kept": True}, "Kept</button>"),
        ({"variables": {"day": "<i>"}, "variable_origins": {"day": "trigger"}}, "&lt;i&gt;"),
        ({"reason": "Its <worker> went away."}, "Its &lt;worker&gt; went away."),
    ],
)
def test_a_fact_is_shown_where_there_is_one(page: Client, fields: dict[str, Any], words: str) -> None:
    assert words in seen(page, make_run(**fields))
    assert words not in seen(page, make_run())


def test_a_run_leads_to_its_trigger_and_its_backfill(page: Client) -> None:
    schedule, backfill = make_schedule(), make_backfill(created_at=NOON)
    backfill.save()
    fields = {"trigger_id": schedule.pk, "trigger_name": "daily", "origin": Origin.BACKFILL, "backfill_id": backfill.pk}

    text = seen(page, make_run(**fields))

    assert f'<a href="/schedules/{schedule.pk}/">daily</a>' in text
    assert f'href="/backfills/{backfill.pk}/">#{backfill.pk}</a>' in text


@pytest.mark.parametrize("is_awaited", [True, False])
def test_a_run_that_a_block_started_leads_to_that_block(page: Client, is_awaited: bool) -> None:
    parent = make_run(make_pipeline("parent")).block_runs.get(block_uuid="load")

    text = seen(page, make_run(make_pipeline(), parent_block_run=parent, is_awaited=is_awaited))

    assert f'<a href="/runs/{parent.pipeline_run_id}/?block=load">load of run {parent.pipeline_run_id}</a>' in text
    assert ("which waits for it" in text) is is_awaited


def test_a_run_without_a_block_says_so(page: Client) -> None:
    run = make_run()
    run.block_runs.all().delete()

    assert "This run has no block." in seen(page, run)


def test_a_failed_run_leads_to_the_log_line_and_to_the_last_good_one(page: Client) -> None:
    good = make_run(status=RunStatus.COMPLETED, blocks=DONE)
    run = make_run(status=RunStatus.FAILED, blocks=BROKEN)
    change(run, "load", started_at=NOON, error={"type": "ValueError", "message": "no rows"})

    text = seen(page, run)

    assert "The log line" in text
    assert f'Compare with the last good run <span class="num">#{good.pk}</span>' in text


@pytest.mark.parametrize(("others", "words"), [(1, "and 1 more block failed"), (2, "and 2 more blocks failed")])
def test_more_failures_than_the_first_are_counted(page: Client, others: int, words: str) -> None:
    run = make_run(make_pipeline("wide", blocks=[("a",), ("b",), ("c",)]), status=RunStatus.FAILED)
    for number, uuid in enumerate(("a", "b", "c")[: others + 1]):
        moment = NOON + timedelta(seconds=number)
        error = {"type": "E", "message": "m"}
        change(run, uuid, status=BlockStatus.FAILED, started_at=moment, completed_at=moment, error=error)

    assert words in seen(page, run)


@pytest.mark.parametrize(
    ("completed", "words"),
    [
        (0, "no run of this pipeline has completed, and a forecast needs 5."),
        (1, "only 1 run of this pipeline has completed, and a forecast needs 5."),
        (3, "only 3 runs of this pipeline have completed, and a forecast needs 5."),
    ],
)
def test_without_a_past_it_is_said_that_no_end_can_be_told(page: Client, completed: int, words: str) -> None:
    for _ in range(completed):
        run = make_run(status=RunStatus.COMPLETED, blocks=DONE, completed_at=NOON + timedelta(minutes=1))
        run.block_runs.update(started_at=NOON, completed_at=NOON + timedelta(seconds=10))
    now = timezone.now()
    going = make_run(blocks={"load": BlockStatus.RUNNING}, created_at=now, started_at=now)
    change(going, "load", started_at=now)

    assert f"When it will end cannot be told: {words}" in seen(page, going)


# --- a block ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"retries": 1}, "(1 retry)"),
        ({"retries": 2}, "(2 retries)"),
        ({"pokes": 1}, "<dt>Looked</dt><dd>1 time</dd>"),
        ({"pokes": 7}, "<dt>Looked</dt><dd>7 times</dd>"),
        ({"losses": 2}, "<dt>Lost with its worker</dt><dd>2 times</dd>"),
        ({"external_id": "pod-<1>"}, '<dt>Runs as</dt><dd class="mono">pod-&lt;1&gt;</dd>'),
        ({"pool": "warehouse"}, '<a href="/system/#pools">warehouse</a>'),
        ({"pool": "warehouse", "pool_slots": 3}, '<span class="quiet">3 slots</span>'),
        ({"sla_at": NOON}, "<dt>SLA</dt>"),
        ({"metrics": {"exit": 3}}, "<dt>Exit</dt><dd>3</dd>"),
        ({"metrics": {"cpu_seconds": 75}}, "<dt>CPU</dt><dd>1 min 15 s</dd>"),
        ({"metrics": {"peak_memory_bytes": 1_400_000}}, "<dt>Peak memory</dt><dd>1.4 MB</dd>"),
        ({"reason": "the table is locked"}, "the table is locked"),
    ],
)
def test_a_fact_of_a_block_is_shown_where_there_is_one(page: Client, fields: dict[str, Any], words: str) -> None:
    run = make_run()
    assert words not in seen(page, run, "?block=load")

    change(run, "load", **fields)

    assert words in seen(page, run, "?block=load")


@pytest.mark.parametrize(
    ("status", "words"),
    [(BlockStatus.INITIAL, "not yet"), (BlockStatus.CANCELLED, "never")],
)
def test_a_block_that_has_not_begun_says_whether_it_ever_will(page: Client, status: BlockStatus, words: str) -> None:
    run = make_run(blocks={"load": status})

    assert f"<dt>Started</dt><dd>{words}" in seen(page, run, "?block=load")


def test_the_whole_traceback_is_offered_where_it_says_more(page: Client) -> None:
    run = make_run(status=RunStatus.FAILED, blocks=BROKEN)
    error = {"type": "E", "message": "m", "traceback": "short", "full_traceback": "short"}
    change(run, "load", error=error, started_at=NOON)
    assert "The whole traceback" not in seen(page, run, "?block=load")

    change(run, "load", error=error | {"full_traceback": "long <one>"})

    text = seen(page, run, "?block=load")
    assert "The whole traceback" in text
    assert "long &lt;one&gt;" in text


def test_a_block_that_waits_for_its_next_attempt_says_when_that_is(page: Client) -> None:
    run = make_run(blocks={"load": BlockStatus.WAITING})
    change(run, "load", next_attempt_at=timezone.now(), error={"type": "E", "message": "m"}, started_at=NOON)

    assert ", is tried again <time" in seen(page, run, "?block=load")


# --- its events -------------------------------------------------------------------------------------------------------


def test_a_run_of_which_nothing_was_noted_says_so(page: Client) -> None:
    assert "Nothing was noted yet." in seen(page, make_run())


def test_events_are_counted_by_kind_and_narrowed_to_one(page: Client) -> None:
    run = make_run()
    load: BlockRun = run.block_runs.get(block_uuid="load")
    for number in range(11):
        events.note(run, "retry", NOON + timedelta(seconds=number), f"load: try {number}", block_run=load)
    events.note(run, "started", NOON, "begun by <bob>")

    text = seen(page, run)

    assert '<span class="more quiet small">12, newest first</span>' in text
    assert 'retry <span class="num">11</span>' in text
    assert "begun by &lt;bob&gt;" in text
    assert "begun by" not in seen(page, run, "?events=retry")
    assert "try 10" not in seen(page, run, "?events=started")


# --- what is asked before a deed --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("sent", "words"),
    [
        ({"verb": "cancel"}, "What runs of them is ended, with all its processes; what waits is not started."),
        ({"verb": "keep"}, "Retention leaves them, their logs and their outputs alone."),
        ({"verb": "retry"}, "Their incomplete blocks run again. A run that its limits leave no room for"),
        ({"verb": "retry", "what": "whole"}, "Every block of them runs again. A run"),
        ({"verb": "retry", "version": "current"}, ", with the current version of their pipeline. A run"),
    ],
)
def test_before_many_runs_are_acted_on_it_is_said_what_that_does(
    page: Client, sent: dict[str, str], words: str
) -> None:
    make_run(status=RunStatus.RUNNING if sent["verb"] == "cancel" else RunStatus.FAILED, blocks=BROKEN)

    text = " ".join(text_of(page.post("/runs/bulk/", {"which": "all", **sent})).split())

    assert words in text
    assert f"{sent['verb'].capitalize()} 1 run?" in text


def test_before_kept_runs_are_left_to_retention_it_is_asked_so(page: Client) -> None:
    make_run(status=RunStatus.COMPLETED, is_kept=True)

    text = " ".join(text_of(page.post("/runs/bulk/", {"which": "all", "verb": "unkeep"})).split())

    assert "Leave 1 run to retention?" in text
    assert "Retention may remove them when they are old enough." in text


@pytest.mark.parametrize(
    ("sent", "said"),
    [
        ({"verb": "keep"}, "No run is ticked. Tick some, or choose all that match."),
        ({"verb": "explode", "which": "all"}, "is no verb for runs. Allowed: cancel, retry, keep, unkeep."),
        (
            {"verb": "cancel", "which": "all"},
            "None of these runs can be cancelled. Only runs that are not finished",
        ),
        ({"verb": "retry", "which": "all"}, "None of these runs can be retried. Only failed and cancelled runs can be"),
        ({"verb": "unkeep", "which": "all"}, "None of these runs can be left to retention. They are not kept."),
        ({"verb": "keep", "which": "all", "status": "odd"}, "The filter is not understood. Set it again on the list."),
    ],
)
def test_an_order_about_many_runs_that_makes_no_sense_says_what_would(
    page: Client, sent: dict[str, str], said: str
) -> None:
    make_run(status=RunStatus.COMPLETED, blocks=DONE)

    assert said in text_of(page.post("/runs/bulk/", sent, follow=True)).replace("&#x27;", "'")


def test_runs_that_are_kept_already_say_so(page: Client) -> None:
    make_run(status=RunStatus.COMPLETED, is_kept=True)

    assert "They are kept already." in text_of(page.post("/runs/bulk/", {"verb": "keep", "which": "all"}, follow=True))


@pytest.mark.parametrize(
    ("run_status", "block_status", "words"),
    [
        (RunStatus.RUNNING, BlockStatus.RUNNING, "It runs now: its process is ended."),
        (RunStatus.FAILED, BlockStatus.FAILED, "The run is failed: it is opened again, and what was cancelled in it"),
    ],
)
def test_before_a_block_is_marked_it_is_said_what_that_does(
    page: Client, run_status: RunStatus, block_status: BlockStatus, words: str
) -> None:
    run = make_run(status=run_status, blocks={"load": block_status})
    block_run = run.block_runs.get(block_uuid="load")

    assert words in " ".join(text_of(page.get(f"/runs/{run.pk}/blocks/{block_run.pk}/mark/")).split())


# --- the list ---------------------------------------------------------------------------------------------------------


def test_a_page_beyond_the_oldest_run_leads_to_the_newest(page: Client) -> None:
    run = make_run()

    text = text_of(page.get(f"/runs/?before={run.pk}"))

    assert "There are no older runs." in text
    assert '<a href="/runs/">Show the newest</a>' in text


def test_a_filter_that_fits_nothing_leads_back_to_all(page: Client) -> None:
    make_run()

    assert '<a href="/runs/">Show all runs</a>' in text_of(page.get("/runs/?status=failed"))
