"""A worker process at work: real blocks in real children, and the database as it is afterwards."""

from datetime import timedelta
from pathlib import Path

import pytest
from django.utils import timezone

from pipelines import secrets
from runs import lifecycle, logs, recovery
from runs.states import BlockStatus, RunStatus
from tests.runs.outcomes import statuses
from tests.runs.place import Place, at_second_look, block, said

pytestmark = [pytest.mark.processes, pytest.mark.django_db]


# --- runs -------------------------------------------------------------------------------------------------------------


def test_a_chain_hands_outputs_down_and_leaves_logs_and_figures(place: Place) -> None:
    run = place.run("chain", limit=4)

    assert run.status == RunStatus.COMPLETED
    assert statuses(run) == {"numbers": "completed", "double": "completed", "total": "completed"}
    assert said(block(run, "numbers")) == ["loading 4"]
    assert said(block(run, "total")) == ["total 12"]
    numbers = block(run, "numbers")
    assert [output["name"] for output in numbers.output] == ["output_0"]
    assert Path(numbers.output[0]["url"]).exists()
    assert numbers.metrics["peak_memory_bytes"] > 1_000_000
    assert numbers.worker == place.worker.row
    assert numbers.completed_at >= numbers.started_at >= numbers.queued_at


def test_one_worker_takes_a_chain_without_going_back_to_the_queue(place: Place) -> None:
    run = place.start("chain")
    first = block(run, "numbers")

    assert place.worker.work(first.pk, first.attempt) == 3


def test_a_fan_joins_what_its_branches_returned(place: Place) -> None:
    place.write(
        "fan",
        """
        blocks:
        - {uuid: one, type: custom}
        - {uuid: two, type: custom, upstream_blocks: [one]}
        - {uuid: three, type: custom, upstream_blocks: [one]}
        - {uuid: four, type: custom, upstream_blocks: [three, two]}
        """,
        one="@custom\ndef one():\n    return 1",
        two="@custom\ndef two(n):\n    return n + 1",
        three="@custom\ndef three(n):\n    return n + 2",
        four="@custom\ndef four(third, second):\n    print(third, second)",
    )

    run = place.run("fan")

    assert run.status == RunStatus.COMPLETED
    assert said(block(run, "four")) == ["3 2"]


def test_a_failure_is_on_the_row_with_the_users_lines_only(place: Place) -> None:
    run = place.run("failing")

    failed = block(run, "raises")
    assert (run.status, run.reason) == (RunStatus.FAILED, "failed: raises")
    assert statuses(run) == {"raises": "failed", "double": "upstream_failed"}
    assert (failed.error["type"], failed.error["message"]) == ("ValueError", "the sky is green")
    assert "raise ValueError('the sky is green')" in failed.error["traceback"]
    assert "runtime.py" not in failed.error["traceback"]
    assert "pipelines/runtime.py" in failed.error["full_traceback"]
    assert said(failed)[0] == "so far so good"
    assert run.events.filter(kind="block_failed").count() == 1


def test_words_that_a_database_cannot_keep_do_not_keep_the_failure_away(place: Place) -> None:
    place.write(
        "odd",
        "blocks: [{uuid: odd, type: custom}]",
        odd="@custom\ndef odd():\n    print('a\\0b \\udc80')\n    raise ValueError('nul \\0, half \\udc80')",
    )

    run = place.run("odd")

    assert run.status == RunStatus.FAILED
    assert block(run, "odd").error["message"].startswith("nul ")


def test_a_block_that_ends_its_process_fails_and_the_worker_lives(place: Place) -> None:
    place.write("gone", "blocks: [{uuid: gone, type: custom}]", gone="import os\n@custom\ndef g():\n    os._exit(9)")

    assert place.run("gone").status == RunStatus.FAILED
    assert place.run("chain").status == RunStatus.COMPLETED


def test_a_failed_attempt_waits_and_is_tried_again(place: Place, tmp_path: Path) -> None:
    run = place.run("retrying", mark=str(tmp_path / "mark"))
    waiting = block(run, "flaky")
    assert (run.status, waiting.status, waiting.attempt, waiting.retries) == ("running", "waiting", 2, 1)
    assert waiting.error["message"] == "not the first time"
    assert waiting.worker is None

    place.go_on(run, after=timedelta(seconds=1.1))

    flaky = block(run, "flaky")
    assert (run.status, flaky.attempt, flaky.error) == (RunStatus.COMPLETED, 2, {})
    assert said(flaky) == ["now it works"]
    assert logs.attempts(flaky) == [1, 2]


def test_a_sensor_looks_again_later_and_holds_nobody_meanwhile(place: Place, tmp_path: Path) -> None:
    run = place.run("sensing", mark=str(tmp_path / "mark"))
    looks = block(run, "looks")
    assert (looks.status, looks.pokes, looks.attempt, looks.worker) == ("waiting", 1, 1, None)

    place.go_on(run, after=timedelta(seconds=1.1))

    assert run.status == RunStatus.COMPLETED
    assert statuses(run) == {"looks": "completed", "numbers": "completed"}


PIDS = "import os\n@custom\ndef {0}(*before):\n    print('in', os.getpid())\n    return [*sum(before, []), os.getpid()]"


def test_a_run_in_one_process_has_states_logs_and_outputs_of_each_block(place: Place) -> None:
    place.write(
        "together",
        """
        run_pipeline_in_one_process: true
        blocks:
        - {uuid: a, type: custom}
        - {uuid: b, type: custom, upstream_blocks: [a]}
        - {uuid: c, type: custom, upstream_blocks: [a]}
        - {uuid: d, type: custom, upstream_blocks: [b, c]}
        """,
        **{name: PIDS.format(name) for name in "abcd"},
    )

    run, other = place.run("together"), place.run("together")

    rows = list(run.block_runs.order_by("position"))
    assert {row.status for row in rows} == {"completed"}
    pids = {said(row)[0] for row in rows}
    assert len(pids) == 1
    assert pids.isdisjoint({said(row)[0] for row in other.block_runs.all()})
    assert all(row.output and row.metrics["duration_seconds"] >= 0 for row in rows)


def test_after_a_crash_a_run_in_one_process_goes_on_in_another(place: Place, tmp_path: Path) -> None:
    place.write(
        "dies",
        """
        run_pipeline_in_one_process: true
        retry_config: {retries: 1, delay: 0.1}
        blocks:
        - {uuid: a, type: custom}
        - {uuid: dies, type: custom, upstream_blocks: [a]}
        """,
        a="@custom\ndef a():\n    return 41",
        dies="""
        import os, pathlib
        @custom
        def dies(number, mark, **_):
            if not pathlib.Path(mark).exists():
                pathlib.Path(mark).touch()
                os.abort()
            print(number + 1)
        """,
    )

    run = place.run("dies", mark=str(tmp_path / "mark"))
    assert "SIGABRT" in block(run, "dies").error["message"]
    place.go_on(run, after=timedelta(seconds=1))

    assert run.status == RunStatus.COMPLETED
    assert said(block(run, "dies")) == ["42"]


def test_secrets_go_to_the_block_that_names_them_and_to_no_log(place: Place) -> None:
    secrets.put("api_key", "correct horse battery")
    place.write(
        "secretive",
        "blocks: [{uuid: names, type: custom}, {uuid: pries, type: custom}]",
        names="""
        from mage_ai.data_preparation.shared.secrets import get_secret_value
        @custom
        def names():
            print('key', get_secret_value('api_key'))
            return len(get_secret_value('api_key'))
        """,
        pries="""
        import gc, os
        @custom
        def pries():
            dicts = [o for o in gc.get_objects() if isinstance(o, dict)]
            found = [o for o in dicts if 'correct horse battery' in map(str, o.values())]
            print(len(found), 'correct horse' in str(os.environ))
        """,
    )

    run = place.run("secretive")

    assert run.status == RunStatus.COMPLETED
    assert said(block(run, "names")) == ["key ***"]
    assert said(block(run, "pries")) == ["0 False"]


# --- stopping ---------------------------------------------------------------------------------------------------------


def test_a_cancelled_run_ends_its_block_and_starts_no_other(place: Place) -> None:
    place.write(
        "long",
        "blocks: [{uuid: sleeps, type: custom}, {uuid: later, type: custom, upstream_blocks: [sleeps]}]",
        later="@custom\ndef later(_):\n    pass",
    )
    run = place.start("long")
    place.at_each_look = at_second_look(
        lambda: lifecycle.cancel(run, moment=timezone.now(), reason="cancelled by ada") and None
    )

    began = timezone.now()
    place.worker.work_on_anything()
    run.refresh_from_db()

    assert timezone.now() - began < timedelta(seconds=10)
    assert (run.status, run.reason) == (RunStatus.CANCELLED, "cancelled by ada")
    assert statuses(run) == {"sleeps": "cancelled", "later": "cancelled"}


def test_a_block_over_its_time_is_ended_and_fails(place: Place) -> None:
    place.write("slow", "blocks: [{uuid: sleeps, type: custom, timeout: 0.3}]")

    run = place.run("slow")

    failed = block(run, "sleeps")
    assert run.status == RunStatus.FAILED
    assert (failed.error["type"], failed.error["message"]) == (
        "Timeout",
        "did not finish within 0.3 s and was ended",
    )
    assert said(failed)[0] == "asleep"


def test_a_worker_that_drains_hands_its_block_back_uncharged(place: Place) -> None:
    run = place.start("sleeping")
    place.at_each_look = at_second_look(lambda: setattr(place, "told_to_stop", True) or True)

    place.worker.work_on_anything()

    row = block(run, "sleeps")
    assert (row.status, row.attempt, row.losses, row.retries) == (BlockStatus.QUEUED, 2, 0, 0)
    assert row.worker is None


def test_a_worker_that_stops_finishes_its_block_and_claims_no_other(place: Place) -> None:
    run = place.start("chain")
    first = block(run, "numbers")
    claimed = lifecycle.claim(first.pk, 1, place.worker.worker, timezone.now())
    stops = iter([False, True, True, True])
    place.worker.stopping = lambda: next(stops)

    assert place.worker.go_on(claimed) == 1

    assert statuses(run) == {"numbers": "completed", "double": "queued", "total": "initial"}


def test_a_block_that_was_taken_away_is_ended_and_writes_nothing(place: Place) -> None:
    run = place.start("sleeping")
    place.at_each_look = at_second_look(
        lambda: recovery.take_back(block(run, "sleeps"), timezone.now()) and setattr(place, "told_to_stop", True)
    )

    place.worker.work_on_anything()

    row = block(run, "sleeps")
    assert (row.status, row.attempt, row.losses, row.metrics) == (BlockStatus.QUEUED, 2, 1, {})
