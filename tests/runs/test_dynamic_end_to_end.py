"""Dynamic blocks with real code, in real processes."""

from pathlib import Path

import pytest

from pipelines import variables
from runs.models import PipelineRun
from runs.retrying.repeating import retry
from tests.runs.outcomes import statuses
from tests.runs.place import Place, block, said

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.processes]

TOWNS = """
    @data_loader
    def load(*_, towns=('north', 'south', 'east'), **__):
        return [[{'town': name, 'size': len(name)} for name in towns], [{'block_uuid': name} for name in towns]]
"""
VISIT = """
    @transformer
    def visit(town, **kwargs):
        print('visits', town['town'], kwargs['block_uuid'])
        return town['size']
"""
DOUBLE = "@transformer\ndef double(size):\n    return 2 * size"
SUM = "@data_exporter\ndef sum_up(sizes, **_):\n    print('sizes', sizes)\n    return sum(sizes)"
SETTINGS = """
    blocks:
    - {uuid: towns, type: data_loader, configuration: {dynamic: true, file_source: {path: custom/towns.py}}}
    - {uuid: visit, type: transformer, upstream_blocks: [towns], configuration: {file_source: {path: custom/visit.py}}}
    - uuid: double
      type: transformer
      upstream_blocks: [visit]
      configuration: {reduce_output: true, file_source: {path: custom/double.py}}
    - uuid: sum_up
      type: data_exporter
      upstream_blocks: [double]
      configuration: {file_source: {path: custom/sum_up.py}}
"""


def value_of(run: PipelineRun, uuid: str) -> object:
    return variables.load_output(block(run, uuid).output, unpickle=True)


@pytest.fixture
def towns(place: Place) -> Place:
    place.write("towns", SETTINGS, towns=TOWNS, visit=VISIT, double=DOUBLE, sum_up=SUM)
    return place


def test_items_are_worked_on_one_by_one_and_gathered_in_order(towns: Place) -> None:
    run = towns.run("towns")

    assert run.status == "completed", run.reason
    assert said(block(run, "visit:south")) == ["visits south visit:south"]
    assert value_of(run, "double:east") == 8
    assert said(block(run, "sum_up")) == ["sizes [10, 10, 8]"]
    assert value_of(run, "sum_up") == 28


def test_without_items_the_rest_gets_an_empty_list(towns: Place) -> None:
    run = towns.run("towns", towns=[])

    assert run.status == "completed", run.reason
    assert said(block(run, "sum_up")) == ["sizes []"]
    assert run.block_runs.count() == 4


def test_a_member_that_failed_is_repeated_alone(towns: Place, tmp_path: Path) -> None:
    mark = tmp_path / "mark"
    flaky = f"""
        from pathlib import Path

        @transformer
        def visit(town, **kwargs):
            if town['town'] == 'south' and not Path({str(mark)!r}).exists():
                raise ValueError('the bridge is closed')
            return town['size']
    """
    towns.write("towns", SETTINGS, visit=flaky)
    run = towns.run("towns")
    assert (run.status, run.reason) == ("failed", "failed: visit (of 3: 1 failed, 1 cancelled)")
    mark.touch()

    assert retry(run, moment=run.created_at)
    towns.worker.work_on_anything()

    run.refresh_from_db()
    assert run.status == "completed"
    assert block(run, "visit:north").attempt == 1
    assert block(run, "visit:south").attempt == 2
    assert said(block(run, "sum_up")) == ["sizes [10, 10, 8]"]


def test_nested_and_several_dynamic_blocks(place: Place) -> None:
    settings = """
        blocks:
        - {uuid: rows, type: custom, configuration: {dynamic: true, file_source: {path: custom/rows.py}}}
        - uuid: cells
          type: custom
          upstream_blocks: [rows]
          configuration: {dynamic: true, file_source: {path: custom/cells.py}}
        - {uuid: signs, type: custom, configuration: {dynamic: true, file_source: {path: custom/signs.py}}}
        - uuid: cell
          type: custom
          upstream_blocks: [cells, signs]
          configuration: {reduce_output: true, file_source: {path: custom/cell.py}}
        - {uuid: end, type: custom, upstream_blocks: [cell], configuration: {file_source: {path: custom/end.py}}}
    """
    place.write(
        "nested",
        settings,
        rows="@custom\ndef rows(**_):\n    return [[1, 2, 0]]",
        cells="@custom\ndef cells(row, **_):\n    return [[f'{row}.{n}' for n in range(row)]]",
        signs="@custom\ndef signs(**_):\n    return [['+', '-'], [{'block_uuid': 'plus'}, {'block_uuid': 'minus'}]]",
        cell="@custom\ndef cell(text, sign, **_):\n    return sign + text",
        end="@custom\ndef end(found, **_):\n    print(found)",
    )

    run = place.run("nested")

    assert run.status == "completed", run.reason
    assert said(block(run, "end")) == ["['+1.0', '-1.0', '+2.0', '-2.0', '+2.1', '-2.1']"]
    assert "cell:1:1:minus" in statuses(run)


def test_what_a_dynamic_block_must_not_return_is_told(place: Place) -> None:
    settings = """
        blocks:
        - {uuid: rows, type: custom, configuration: {dynamic: true, file_source: {path: custom/rows.py}}}
        - {uuid: row, type: custom, upstream_blocks: [rows], configuration: {file_source: {path: custom/row.py}}}
    """
    place.write("wrong", settings, rows="@custom\ndef rows(**_):\n    return 3", row="@custom\ndef row(x): pass")

    run = place.run("wrong")

    assert run.status == "failed"
    assert "is dynamic, but it returned" in block(run, "rows").error["message"]
    assert block(run, "row").status in ("upstream_failed", "cancelled")


def test_one_process_takes_all_the_members(towns: Place) -> None:
    towns.write("towns", "run_pipeline_in_one_process: true" + SETTINGS.replace("\n    ", "\n"))

    run = towns.run("towns")

    assert run.status == "completed", run.reason
    assert said(block(run, "sum_up")) == ["sizes [10, 10, 8]"]
