"""Callbacks in real processes: called with what happened, and seen on the page, in the API and in the terminal."""

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.utils import timezone

from runs import callbacks, lifecycle, recovery
from runs.models import BlockRun, PipelineRun
from runs.states import RunStatus
from tests.runs.outcomes import statuses
from tests.runs.place import Place, at_second_look, block, said

pytestmark = [pytest.mark.processes, pytest.mark.django_db]
ONE = """
blocks:
- {uuid: work, type: custom, callback_blocks: [tell]}
"""


@pytest.fixture
def told(tmp_path: Path) -> Path:
    return tmp_path / "told"


def test_each_block_is_followed_by_the_function_for_its_outcome(place: Place, told: Path) -> None:
    run = place.run("called_back", seconds=0.0, file=str(told))

    assert run.status == RunStatus.COMPLETED
    assert sorted(told.read_text().splitlines()) == ["numbers success None [0, 1, 2]", "sleeps success None None"]
    assert said(block(run, "tell@numbers")) == ["told of success"]


def test_a_failure_is_told_with_its_error(place: Place, told: Path) -> None:
    place.write("fails", ONE, work="@custom\ndef work(**_):\n    raise ValueError('the sky is green')")

    run = place.run("fails", file=str(told))

    assert run.status == RunStatus.FAILED
    assert told.read_text() == "work failure the sky is green None\n"


def test_a_cancelled_block_is_told_when_its_process_has_ended(place: Place, told: Path) -> None:
    ends = "import signal, sys, time\n"
    ends += "@custom\ndef work(file, **_):\n"
    ends += "    def note(*_):\n        open(file, 'a').write('its process ends\\n')\n        sys.exit(1)\n"
    ends += "    signal.signal(signal.SIGTERM, note)\n    time.sleep(60)"
    place.write("stopped", ONE, work=ends)
    run = place.start("stopped", file=str(told))
    place.at_each_look = at_second_look(lambda: lifecycle.cancel(run, moment=timezone.now(), reason="enough") and None)

    place.worker.work_on_anything()

    assert told.read_text().splitlines() == ["its process ends", "work cancelled None None"]
    assert statuses(run) == {"work": "cancelled", "tell@work": "completed"}


def test_the_pipelines_own_callbacks_are_called_when_the_run_has_ended(place: Place, told: Path) -> None:
    place.write(
        "ending",
        """
        blocks:
        - {uuid: work, type: custom}
        on_success: tell
        """,
        work="@custom\ndef work(**_):\n    return 1",
    )

    run = place.run("ending", file=str(told))

    assert run.status == RunStatus.COMPLETED
    assert told.read_text() == "None success None None\n"
    assert block(run, "tell@").parent is None


def test_each_member_of_a_dynamic_block_is_told_of_by_its_own_name(place: Place, told: Path) -> None:
    place.write(
        "fanned",
        """
        blocks:
        - {uuid: items, type: custom, dynamic: true}
        - {uuid: each, type: custom, upstream_blocks: [items], callback_blocks: [tell]}
        """,
        items="@custom\ndef items(**_):\n    return [[10, 20]]",
        each="@custom\ndef each(item, **_):\n    return item + 1",
    )

    place.run("fanned", file=str(told))

    assert sorted(told.read_text().splitlines()) == ["each:0 success None 11", "each:1 success None 21"]


def test_what_a_block_had_upstream_is_there_for_its_callback(place: Place) -> None:
    asks = "@on_failure\ndef tell(data, **known):\n    print(data, dict(known['__input'])['first'])"
    (place.folder / "callbacks" / "tell.py").write_text(asks)
    place.write(
        "two",
        """
        blocks:
        - {uuid: first, type: custom}
        - {uuid: work, type: custom, upstream_blocks: [first], callback_blocks: [tell]}
        """,
        first="@custom\ndef first(**_):\n    return 41",
        work="@custom\ndef work(_, **__):\n    raise ValueError('no')",
    )

    run = place.run("two")

    assert said(block(run, "tell@work")) == ["None 41"]


def test_a_callback_that_takes_too_long_is_ended(place: Place, settings: Any) -> None:
    settings.CALLBACK_TIMEOUT_SECONDS = 1
    slow = "import time\n@on_success\ndef tell(**_):\n    time.sleep(60)"
    (place.folder / "callbacks" / "tell.py").write_text(slow)
    place.write("slow", ONE, work="@custom\ndef work(**_):\n    return 1")

    run = place.run("slow")

    assert run.status == RunStatus.COMPLETED
    assert block(run, "tell@work").error["type"] == "Timeout"


def test_a_callback_that_fails_leaves_the_run_as_it_was(place: Place) -> None:
    run = place.run("called_back", seconds=0.0, file="/nowhere/at/all")

    assert run.status == RunStatus.COMPLETED
    assert block(run, "tell@numbers").error["type"] == "FileNotFoundError"
    assert run.events.filter(kind="callback_failed").count() == 2


def test_a_callback_of_a_run_in_one_process_has_a_process_of_its_own(place: Place, told: Path) -> None:
    place.write(
        "together",
        """
        run_pipeline_in_one_process: true
        blocks:
        - {uuid: first, type: custom, callback_blocks: [tell]}
        - {uuid: second, type: custom, upstream_blocks: [first]}
        """,
        first="import os\n@custom\ndef first(**_):\n    return os.getpid()",
        second="import os\n@custom\ndef second(pid, **_):\n    assert pid == os.getpid()",
    )

    run = place.run("together", file=str(told))

    assert statuses(run) == {"first": "completed", "second": "completed", "tell@first": "completed"}
    assert told.read_text().startswith("first success None")


def test_a_callback_is_stopped_by_hand_with_its_process(place: Place, told: Path) -> None:
    slow = "import time\n@on_success\ndef tell(**_):\n    print('on it', flush=True)\n    time.sleep(60)"
    (place.folder / "callbacks" / "tell.py").write_text(slow)
    place.write("slow", ONE, work="@custom\ndef work(**_):\n    return 1")
    run = place.start("slow")

    def stop_it() -> None:
        callbacks.stop(block(run, "tell@work"), moment=timezone.now(), by="ada")

    place.at_each_look = at_second_look(stop_it)
    place.worker.work_on_anything()

    row = block(run, "tell@work")
    assert (row.status, row.reason) == ("cancelled", "stopped by ada")
    assert PipelineRun.objects.get(pk=run.pk).status == RunStatus.COMPLETED


def test_a_callback_whose_worker_is_lost_is_called_again_by_another(place: Place, told: Path) -> None:
    run = place.start("called_back", seconds=0.0, file=str(told))
    worker = place.hire()
    row = worker.claim(lambda: lifecycle.claim_next(worker.worker, timezone.now(), run=run))
    while row is not None and row.block_uuid != "tell@numbers":
        row = worker.execute(row)
    assert row is not None  # claimed by a worker that is never heard of again

    recovery.take_back_lost(timezone.now() + timedelta(minutes=1))
    place.worker.work_on_anything()

    again = BlockRun.objects.get(pk=row.pk)
    assert (again.status, again.attempt, again.losses) == ("completed", 2, 1)
    assert told.read_text().count("numbers success") == 1
