"""The pages of runs."""

from datetime import timedelta
from typing import Any

import pytest
from asgiref.sync import async_to_sync
from django.contrib.auth.models import User
from django.test import AsyncClient, Client
from django.utils import timezone
from pytest_django.fixtures import DjangoAssertNumQueries

from runs import logs
from runs.listing.listed import PAGE
from runs.models import BlockRun, PipelineRun
from runs.states import BlockStatus, RunStatus
from tests.factories import NOON, make_pipeline, make_run, make_schedule, text_of

pytestmark = pytest.mark.django_db

HOSTILE = "<script>alert(1)</script>\u202e<img src=x onerror=alert(2)>{{ 7|add:7 }}"
ERROR = {"type": "ValueError", "message": "no rows", "traceback": "File a.py, line 3", "full_traceback": "File b.py"}


def block_of(run: PipelineRun, uuid: str) -> BlockRun:
    return run.block_runs.get(block_uuid=uuid)


# --- the list ---------------------------------------------------------------------------------------------------------


def test_no_runs_say_how_one_begins(page: Client) -> None:
    assert "Nothing has run yet." in text_of(page.get("/runs/"))


def test_no_fitting_runs_lead_back_to_all(page: Client) -> None:
    make_run()

    assert "No run fits these filters." in text_of(page.get("/runs/?status=failed"))


def test_the_newest_run_comes_first(page: Client) -> None:
    old, new = make_run(), make_run()

    assert [row["run"] for row in page.get("/runs/").context["runs"]] == [new, old]


def test_older_runs_are_one_link_away(page: Client) -> None:
    runs = [make_run(status=RunStatus.COMPLETED) for _ in range(PAGE + 2)]

    first = page.get("/runs/?status=completed")
    second = page.get(f"/runs/?status=completed&before={first.context['page'].older}")

    assert f"status=completed&amp;before={runs[2].pk}" in text_of(first)
    assert [row["run"] for row in second.context["runs"]] == [runs[1], runs[0]]
    assert second.context["page"].older is None


def test_only_the_newest_page_is_live(page: Client) -> None:
    run = make_run()

    assert "data-live" in text_of(page.get("/runs/"))
    assert "data-live" not in text_of(page.get(f"/runs/?before={run.pk + 1}"))


def test_an_unknown_state_is_named_beside_the_filters(page: Client) -> None:
    assert "status: Select a valid choice. nonsense is not one" in text_of(page.get("/runs/?status=nonsense"))


def test_the_list_asks_as_much_for_fifty_runs_as_for_one(
    page: Client, django_assert_max_num_queries: DjangoAssertNumQueries
) -> None:
    for number in range(20):
        make_run(make_pipeline(f"p{number}"))

    with django_assert_max_num_queries(10):
        page.get("/runs/")


# --- one run ----------------------------------------------------------------------------------------------------------


def test_a_run_shows_its_facts_blocks_and_graph(page: Client) -> None:
    schedule = make_schedule(name="nightly")
    run = make_run(
        blocks={"load": BlockStatus.COMPLETED, "clean": BlockStatus.RUNNING},
        trigger_id=schedule.pk,
        trigger_name="nightly",
        variables={"country": "DE"},
        variable_origins={"country": "trigger"},
    )

    answer = page.get(f"/runs/{run.pk}/")
    text = text_of(answer)

    assert f'href="/schedules/{schedule.pk}/"' in text
    assert "country" in text
    assert len(answer.context["drawing"].nodes) == 3
    assert answer.context["states"] == {"load": "completed", "clean": "running", "save": "initial"}
    assert "running" in text


def test_an_unknown_run_is_named(page: Client) -> None:
    answer = page.get("/runs/123456/")

    assert answer.status_code == 404
    assert "There is no run 123456." in text_of(answer)


def test_a_number_beyond_every_database_is_not_found(page: Client) -> None:
    assert page.get(f"/runs/{10**30}/").status_code == 404


@pytest.mark.parametrize(
    ("states", "looked_at"),
    [
        ({"load": BlockStatus.COMPLETED, "clean": BlockStatus.FAILED, "save": BlockStatus.UPSTREAM_FAILED}, "clean"),
        ({"load": BlockStatus.COMPLETED, "clean": BlockStatus.RUNNING}, "clean"),
        ({"load": BlockStatus.QUEUED}, "load"),
        ({"load": BlockStatus.COMPLETED, "clean": BlockStatus.COMPLETED, "save": BlockStatus.COMPLETED}, "save"),
        ({}, "load"),
    ],
)
def test_a_run_opens_at_the_block_to_look_at(page: Client, states: dict[str, BlockStatus], looked_at: str) -> None:
    run = make_run(blocks=states)

    assert page.get(f"/runs/{run.pk}/").context["chosen"].block_uuid == looked_at


def test_another_block_is_a_link_away(page: Client) -> None:
    run = make_run(blocks={"load": BlockStatus.FAILED})

    answer = page.get(f"/runs/{run.pk}/?block=save")

    assert answer.context["chosen"].block_uuid == "save"
    assert f'data-log="{answer.context["chosen"].pk}"' in text_of(answer)


def test_a_block_that_does_not_exist_is_no_fault(page: Client) -> None:
    assert page.get(f"/runs/{make_run().pk}/?block=nope").context["chosen"].block_uuid == "load"


def test_an_error_is_shown_with_type_message_and_both_tracebacks(page: Client) -> None:
    run = make_run(status=RunStatus.FAILED, blocks={"load": BlockStatus.FAILED})
    run.block_runs.filter(block_uuid="load").update(error=ERROR)

    text = text_of(page.get(f"/runs/{run.pk}/"))

    for part in ("ValueError", "no rows", "File a.py, line 3", "The whole traceback", "File b.py"):
        assert part in text


def test_outputs_are_previewed(page: Client) -> None:
    run = make_run(blocks={"load": BlockStatus.COMPLETED})
    table = {"kind": "table", "columns": ["city", "n"], "rows": [["Köln", 3], [None, 4]], "more": True}
    output = [
        {"name": "output_0", "type": "dataframe", "rows": 1234, "bytes": 2048, "preview": table},
        {"name": "output_1", "type": "json", "rows": None, "bytes": 5, "preview": {"kind": "text", "text": "[1, 2]"}},
    ]
    run.block_runs.filter(block_uuid="load").update(output=output)

    text = text_of(page.get(f"/runs/{run.pk}/?block=load"))

    for part in ("1,234", "2.0 kB", "Köln", "∅", "… and more", "[1, 2]"):
        assert part in text


def test_a_waiting_block_says_when_it_looks_again(page: Client) -> None:
    run = make_run(blocks={"load": BlockStatus.WAITING})
    due = timezone.now() + timedelta(minutes=5)
    run.block_runs.filter(block_uuid="load").update(next_attempt_at=due, reason="not true yet; looks again")

    text = text_of(page.get(f"/runs/{run.pk}/"))

    assert "not true yet; looks again" in text
    assert due.strftime("%Y-%m-%d %H:%M:%S") in text


def test_hostile_text_is_shown_as_text(page: Client) -> None:
    run = make_run(
        blocks={"load": BlockStatus.FAILED},
        variables={HOSTILE: HOSTILE},
        trigger_name=HOSTILE,
        reason=HOSTILE,
        started_by=HOSTILE,
        event={HOSTILE: HOSTILE},
    )
    preview = {"kind": "table", "columns": [HOSTILE], "rows": [[HOSTILE]], "more": False}
    run.block_runs.filter(block_uuid="load").update(
        error={"type": HOSTILE, "message": HOSTILE, "traceback": HOSTILE, "full_traceback": HOSTILE + "!"},
        output=[{"name": HOSTILE, "type": HOSTILE, "rows": 1, "bytes": 1, "preview": preview}],
        reason=HOSTILE,
        name=HOSTILE[:200],
        external_id=HOSTILE,
    )
    run.events.create(kind=HOSTILE[:40], message=HOSTILE, happened_at=NOON)

    for address in (f"/runs/{run.pk}/", "/runs/", "/"):
        text = text_of(page.get(address))
        assert "<script>alert" not in text
        assert "<img src=x" not in text
        assert "14" not in text.partition("{{ 7")[0][-5:]


def test_a_run_with_many_blocks_asks_as_much_as_one_with_few(
    page: Client, django_assert_max_num_queries: DjangoAssertNumQueries
) -> None:
    pipeline = make_pipeline("wide", [("a",), *((f"w{number}", "a") for number in range(60))])
    run = make_run(pipeline)
    for number in range(30):
        run.events.create(kind="started", happened_at=NOON, block_run=block_of(run, f"w{number}"))

    with django_assert_max_num_queries(16):
        page.get(f"/runs/{run.pk}/")


def test_a_refresh_keeps_the_block_that_is_looked_at(page: Client) -> None:
    run = make_run()

    text = text_of(page.get(f"/runs/{run.pk}/?block=save", headers={"HX-Target": "live"}))

    assert f'hx-get="/runs/{run.pk}/?block=save"' in text
    assert "<html" not in text


# --- cancel and retry -------------------------------------------------------------------------------------------------


def test_cancel_stops_the_run_and_says_who(page: Client) -> None:
    run = make_run(blocks={"load": BlockStatus.QUEUED})

    answer = page.post(f"/runs/{run.pk}/cancel/", follow=True)

    run.refresh_from_db()
    assert (run.status, run.reason) == (RunStatus.CANCELLED, "cancelled by ada")
    assert f"Run {run.pk} is cancelled." in text_of(answer)


def test_cancelling_a_finished_run_changes_nothing_and_says_so(page: Client) -> None:
    run = make_run(status=RunStatus.COMPLETED)

    answer = page.post(f"/runs/{run.pk}/cancel/", follow=True)

    run.refresh_from_db()
    assert run.status == RunStatus.COMPLETED
    assert "was finished already: completed" in text_of(answer)


def test_retry_runs_a_failed_run_again(page: Client) -> None:
    run = make_run(status=RunStatus.FAILED, blocks={"load": BlockStatus.FAILED})

    page.post(f"/runs/{run.pk}/retry/")

    run.refresh_from_db()
    assert (run.status, run.attempt) == (RunStatus.RUNNING, 2)


def test_retry_from_a_block_leaves_the_earlier_ones(page: Client) -> None:
    states = {"load": BlockStatus.COMPLETED, "clean": BlockStatus.COMPLETED, "save": BlockStatus.FAILED}
    run = make_run(status=RunStatus.FAILED, blocks=states)

    page.post(f"/runs/{run.pk}/retry/", {"from_block": "clean"})

    assert block_of(run, "load").status == BlockStatus.COMPLETED
    assert block_of(run, "clean").status == BlockStatus.QUEUED


def test_retry_from_an_unknown_block_is_not_found(page: Client) -> None:
    run = make_run(status=RunStatus.FAILED)

    answer = page.post(f"/runs/{run.pk}/retry/", {"from_block": "nope"})

    assert answer.status_code == 404
    assert "has no block" in text_of(answer)


def test_retry_of_a_running_run_says_why_not(page: Client) -> None:
    run = make_run()

    assert "only a finished run" in text_of(page.post(f"/runs/{run.pk}/retry/", follow=True))


@pytest.mark.parametrize(("verb", "status"), [("cancel", 405), ("keep", 405), ("retry", 200)])
def test_a_link_never_changes_a_run(page: Client, verb: str, status: int) -> None:
    run = make_run(status=RunStatus.FAILED, blocks={"load": BlockStatus.FAILED})
    before = PipelineRun.objects.values().get()

    assert page.get(f"/runs/{run.pk}/{verb}/").status_code == status
    assert PipelineRun.objects.values().get() == before


# --- logs -------------------------------------------------------------------------------------------------------------


def write_log(block_run: BlockRun, *messages: str) -> None:
    file = logs.path(block_run.pipeline_run_id, block_run.pk, block_run.attempt)
    file.unlink(missing_ok=True)
    writer = logs.Writer(file, lambda: NOON)
    for message in messages:
        writer.write("stdout", "INFO", message)
    writer.close()


async def fetch(ada: User, address: str) -> tuple[Any, str]:
    """Read a streamed page as a browser does."""
    client = AsyncClient()
    await client.aforce_login(ada)
    answer: Any = await client.get(address)
    parts = [part async for part in answer] if answer.streaming else [answer.content]
    return answer, b"".join(parts).decode()


@pytest.mark.django_db(transaction=True)
def test_the_whole_log_is_plain_text(ada: User) -> None:
    run = make_run()
    block_run = block_of(run, "load")
    write_log(block_run, "hello", "<b>bold</b>")

    answer, text = async_to_sync(fetch)(ada, f"/runs/{run.pk}/blocks/{block_run.pk}/log/1.log")

    assert answer["Content-Type"] == "text/plain; charset=utf-8"
    assert answer["X-Content-Type-Options"] == "nosniff"
    assert [line.rpartition("INFO")[2].strip() for line in text.splitlines()] == ["hello", "<b>bold</b>"]


@pytest.mark.django_db(transaction=True)
def test_a_log_of_many_pages_is_whole(ada: User) -> None:
    run = make_run()
    block_run = block_of(run, "load")
    write_log(block_run, *(f"{number} " + "x" * 1000 for number in range(1000)))

    _, text = async_to_sync(fetch)(ada, f"/runs/{run.pk}/blocks/{block_run.pk}/log/1.log")

    assert len(text.splitlines()) == 1000


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(
    "where", ["{run}/blocks/{other}/log/1.log", "{run}/blocks/{block}/log/2.log", "{run}/blocks/{block}/log/0.log"]
)
def test_a_log_that_is_not_this_runs_is_not_found(ada: User, where: str) -> None:
    run, other = make_run(), make_run()
    ids = {"run": run.pk, "block": block_of(run, "load").pk, "other": block_of(other, "load").pk}

    answer, _ = async_to_sync(fetch)(ada, "/runs/" + where.format(**ids))

    assert answer.status_code == 404


def test_a_long_log_begins_near_its_end(page: Client) -> None:
    run = make_run(blocks={"load": BlockStatus.COMPLETED})
    write_log(block_of(run, "load"), *("x" * 60_000 for _ in range(60)))

    log = page.get(f"/runs/{run.pk}/?block=load").context["log"]

    assert log["size"] - log["from"] == 1024 * 1024


def test_each_attempt_has_a_log_to_choose(page: Client) -> None:
    run = make_run(blocks={"load": BlockStatus.FAILED})
    block_run = block_of(run, "load")
    write_log(block_run, "first")
    run.block_runs.filter(pk=block_run.pk).update(attempt=2)

    answer = page.get(f"/runs/{run.pk}/?block=load&attempt=1")

    assert (answer.context["log"]["attempt"], answer.context["log"]["attempts"]) == (1, [1, 2])
    assert f"/runs/{run.pk}/blocks/{block_run.pk}/log/1/" in text_of(answer)


@pytest.mark.parametrize("attempt", ["9", "x", "-1", "٣"])
def test_an_attempt_that_is_not_there_is_the_current_one(page: Client, attempt: str) -> None:
    run = make_run()

    assert page.get(f"/runs/{run.pk}/?attempt={attempt}").context["log"]["attempt"] == 1
