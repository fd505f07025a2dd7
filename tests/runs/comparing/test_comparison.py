"""What differs between two runs of a pipeline."""

from datetime import datetime
from typing import Any

import pytest
from pytest_django.fixtures import DjangoAssertNumQueries

from pipelines.differences import Setting
from pipelines.models import PipelineVersion
from pipelines.refusal import Refusal
from runs.comparing import blocks
from runs.comparing.comparison import Comparison, compare
from tests.factories import make_pipeline, make_run, make_worker
from tests.runs.comparing.pairs_of_runs import bad_run, block_of, good_run, returned, wrote

pytestmark = pytest.mark.django_db


def pair(told: Comparison, uuid: str) -> blocks.Pair:
    return next(each for each in told.blocks if each.block_uuid == uuid)


def test_two_runs_that_went_the_same_way_have_no_difference() -> None:
    told = compare(good_run(), good_run())

    assert told.same_version
    assert [*told.differing_facts, *told.variables, *told.differences, *told.differing_blocks] == []


def test_variables_differ_by_name() -> None:
    old, new = good_run(variables={"day": 1, "same": 2, "gone": 3}), good_run(variables={"day": 9, "same": 2})

    told = compare(new, old)

    assert list(told.variables) == [Setting("day", 1, 9), Setting("gone", 3, None)]
    assert told.same_variables == ["same"]


def test_states_times_and_rows_differ_by_block() -> None:
    old, new = good_run(), bad_run()
    returned(old, "load", 7)
    returned(new, "load", 5)

    told = compare(new, old)

    assert [each.block_uuid for each in told.differing_blocks] == ["load", "clean", "save"]
    assert pair(told, "load").rows == (7, 5)
    assert pair(told, "clean").states == ("completed", "failed")
    assert pair(told, "clean").ratio == 3


def test_a_little_slower_is_no_difference() -> None:
    old, new = good_run(), good_run()
    row = block_of(new, "load")
    new.block_runs.filter(pk=row.pk).update(completed_at=row.completed_at.replace(second=12))  # type: ignore[union-attr]

    assert not pair(compare(new, old), "load").differs


def test_another_version_differs_in_code_and_settings() -> None:
    old = good_run()
    was = old.version
    graph: dict[str, Any] = {"blocks": [{**entry, "file": "a.py"} for entry in was.graph["blocks"]]}
    PipelineVersion.objects.filter(pk=was.pk).update(graph=graph, files={"a.py": {"sha256": "1", "text": "one"}})
    new = good_run()
    new.version = PipelineVersion.objects.create(
        pipeline=new.pipeline,
        content_hash="another",
        graph=graph,
        settings={"concurrency": 2},
        files={"a.py": {"sha256": "2", "text": "two"}},
    )
    new.save()

    told = compare(new, old)

    assert not told.same_version
    assert {each.block for each in told.differences} == {"load", "clean", "save"}
    assert "-one\n+two" in told.differences[0].code
    assert list(told.settings) == [Setting("concurrency", None, 2)]


def test_machines_are_told_by_name() -> None:
    old, new = good_run(), good_run()
    old.block_runs.update(worker=make_worker(host="one"))
    new.block_runs.update(worker=make_worker(host="two", pid=101))

    (fact,) = compare(new, old).differing_facts

    assert (fact.name, fact.old, fact.new) == ("Machines", "one", "two")


def test_logs_part_at_the_first_other_line(now: datetime) -> None:
    old, new = good_run(), good_run()
    wrote(old, "load", now, "reading 3 files", "3 rows", "done")
    wrote(new, "load", now, "reading 9 files", "no rows")

    found = pair(compare(new, old), "load").divergence

    assert found is not None
    assert (found.number, found.old and found.old.text, found.new and found.new.text) == (2, "3 rows", "no rows")
    with_numbers = pair(compare(new, old, numbers=True), "load").divergence
    assert with_numbers is not None
    assert with_numbers.number == 1


def test_a_log_that_is_gone_is_not_compared(now: datetime) -> None:
    old, new = good_run(), good_run()
    wrote(new, "load", now, "a")

    assert not pair(compare(new, old), "load").logs_read


def test_only_the_beginnings_of_long_logs_are_compared(now: datetime, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(blocks, "LOG_BYTES", 300)
    old, new = good_run(), good_run()
    wrote(old, "load", now, *["the same"] * 40, "the end of one")
    wrote(new, "load", now, *["the same"] * 30)

    found = pair(compare(new, old), "load")

    assert found.logs_read
    assert found.divergence is None


def test_only_so_many_logs_are_read_and_those_that_differ_first(now: datetime, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(blocks, "MOST_LOGS", 1)
    old, new = good_run(), bad_run()
    for run in (old, new):
        wrote(run, "load", now, "a")
        wrote(run, "clean", now, "a")

    told = compare(new, old)

    assert [each.block_uuid for each in told.blocks if each.logs_read] == ["clean"]


def test_a_block_that_only_one_has_stands_alone() -> None:
    old, new = good_run(), good_run()
    old.block_runs.filter(block_uuid="save").delete()

    told = compare(new, old)

    assert pair(told, "save").old is None
    assert pair(told, "save").differs


def test_runs_of_two_pipelines_are_refused() -> None:
    other = make_run(make_pipeline("other"))

    with pytest.raises(Refusal, match=r"is of other, run \d+ of etl"):
        compare(good_run(), other)


def test_a_run_is_not_compared_with_itself() -> None:
    run = good_run()

    with pytest.raises(Refusal, match="the same as itself"):
        compare(run, run)


def test_it_takes_as_many_queries_for_many_blocks_as_for_few(
    django_assert_max_num_queries: DjangoAssertNumQueries,
) -> None:
    pipeline = make_pipeline("wide", [("a",), *((f"w{number}", "a") for number in range(60))])
    old, new = make_run(pipeline), make_run(pipeline)

    with django_assert_max_num_queries(8):
        compare(new, old)
