"""Conditions, callbacks, dynamic blocks, replicas and pinned code, by real blocks in real children."""

from datetime import timedelta
from pathlib import Path

import pytest

from runs.states import RunStatus
from tests.runs.outcomes import statuses
from tests.runs.place import Place, block, said

pytestmark = [pytest.mark.processes, pytest.mark.django_db]
SPLIT = "@custom\ndef split(**_):\n    return [[1, 2, 3], [{'block_uuid': 'one'}, {'block_uuid': 'two'}]]"
TRIPLE = "@custom\ndef triple(number):\n    return 3 * number"
ADD = "@custom\ndef add(numbers):\n    print(numbers)\n    return sum(numbers)"


def put(place: Place, file: str, code: str) -> None:
    path = place.folder / file
    path.parent.mkdir(exist_ok=True)
    path.write_text(code)


def test_items_are_fanned_out_and_their_results_gathered(place: Place) -> None:
    blocks = """
        blocks:
        - {uuid: split, type: custom, dynamic: true}
        - {uuid: triple, type: custom, upstream_blocks: [split], reduce_output: true}
        - {uuid: add, type: custom, upstream_blocks: [triple]}
        """
    place.write("gathering", blocks, split=SPLIT, triple=TRIPLE, add=ADD)

    run = place.run("gathering")

    assert run.status == RunStatus.COMPLETED, run.reason
    assert {"triple:one", "triple:two", "triple:2"} <= statuses(run).keys()
    assert said(block(run, "add")) == ["[3, 6, 9]"]


def test_items_are_right_where_all_blocks_share_a_process(place: Place) -> None:
    blocks = """
        run_pipeline_in_one_process: true
        cache_block_output_in_memory: true
        blocks:
        - {uuid: split, type: custom, dynamic: true}
        - {uuid: triple, type: custom, upstream_blocks: [split], reduce_output: true}
        - {uuid: add, type: custom, upstream_blocks: [triple]}
        """
    place.write("gathering", blocks, split=SPLIT, triple=TRIPLE, add=ADD)

    assert said(block(place.run("gathering"), "add")) == ["[3, 6, 9]"]


def test_a_condition_that_is_false_keeps_a_block_and_what_is_below_it_from_running(place: Place) -> None:
    put(place, "conditionals/never.py", "@condition\ndef never(**_):\n    return False\n")
    blocks = """
        blocks:
        - {uuid: split, type: custom, conditional_blocks: [never]}
        - {uuid: add, type: custom, upstream_blocks: [split]}
        """
    place.write("held_back", blocks, split=SPLIT, add=ADD)

    run = place.run("held_back")

    assert statuses(run) == {"split": "condition_failed", "add": "condition_failed"}
    assert block(run, "split").reason == "condition never is false"


def test_callbacks_of_a_block_and_of_its_run_hear_of_a_failure(place: Place, tmp_path: Path) -> None:
    told = tmp_path / "told"
    code = f"""
@on_failure
def note(data, **kwargs):
    with open({str(told)!r}, 'a') as file:
        file.write(f"{{kwargs['parent_block_uuid']}} {{type(kwargs['__error']).__name__}}\\n")
"""
    put(place, "callbacks/note.py", code)
    blocks = "on_failure: note\nblocks:\n- {uuid: fails, type: custom, callback_blocks: [note]}\n"
    place.write("noted", blocks, fails="@custom\ndef fails():\n    raise LookupError('no')")

    run = place.run("noted")
    place.worker.work_on_anything()

    assert run.status == RunStatus.FAILED
    lines = told.read_text().splitlines()
    assert lines[0] == "fails LookupError"
    assert len(lines) == 2
    assert lines[1].startswith("None ")


def test_a_replica_of_a_block_in_a_sub_folder_runs_its_code(place: Place) -> None:
    (place.folder / "custom" / "deep").mkdir()
    put(place, "custom/deep/six.py", "@custom\ndef six(configuration, block_uuid, **_):\n    print(block_uuid, 6)\n")
    place.write(
        "twice",
        """
        blocks:
        - {uuid: deep/six, type: custom}
        - {uuid: again, type: custom, replicated_block: deep/six}
        """,
    )

    run = place.run("twice")

    assert said(block(run, "deep/six")) == ["deep/six 6"]
    assert said(block(run, "again")) == ["again 6"]


def test_a_run_goes_on_with_the_code_it_began_with(place: Place) -> None:
    place.write(
        "pinned",
        "blocks:\n- {uuid: old, type: custom, retry_config: {retries: 1, delay: 1}}\n",
        old="import pathlib\n@custom\ndef old(mark, **_):\n    print('old')\n    if not pathlib.Path(mark).exists():\n"
        "        pathlib.Path(mark).touch()\n        raise OSError\n",
    )
    run = place.run("pinned", mark=str(place.folder / "mark"))
    put(place, "custom/old.py", "@custom\ndef old(**_):\n    print('new')\n")

    place.go_on(run, after=timedelta(seconds=5))

    run.refresh_from_db()
    assert run.status == RunStatus.COMPLETED
    assert said(block(run, "old")) == ["old"]
