"""Pools: how many blocks of all runs may be at work at a time, and what those get to hear that may not."""

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from pytest_django.fixtures import DjangoAssertNumQueries

from pipelines.graph import Block
from pipelines.refusal import Refusal
from runs import lifecycle, pools
from runs.models import BlockRun, Origin, PipelineRun, Pool
from runs.reasons.why import why
from runs.states import BlockStatus
from tests.factories import NOON, make_pipeline
from tests.runs.outcomes import COMPLETED, FAILED, HANDED_BACK, make_owner, statuses

pytestmark = pytest.mark.django_db
LATER = NOON + timedelta(seconds=1)


def start(*entries: tuple[str, str | None, int], uuid: str = "etl") -> PipelineRun:
    """Start a run of independent blocks: (name, pool, slots)."""
    blocks = [Block(uuid=name, name=name, pool=pool, pool_slots=slots) for name, pool, slots in entries]
    return lifecycle.create_run(make_pipeline(uuid, blocks), moment=NOON, origin=Origin.MANUAL)


def claimed() -> list[str]:
    """Claim whatever can be claimed now."""
    worker, found = make_owner(NOON), []
    while block_run := lifecycle.claim_next(worker, NOON):
        found.append(block_run.block_uuid)
    return found


def test_no_more_are_claimed_than_the_pool_has_slots_whatever_run_they_belong_to() -> None:
    Pool.objects.create(name="db", slots=2)
    start(("a", "db", 1), ("b", "db", 1), uuid="one")
    start(("c", "db", 1), ("free", None, 1), uuid="two")
    assert claimed() == ["a", "b", "free"]


def test_a_block_may_take_more_than_one_slot_and_smaller_ones_pass_it_by() -> None:
    Pool.objects.create(name="db", slots=3)
    start(("big", "db", 2), ("bigger", "db", 2), ("small", "db", 1))
    assert claimed() == ["big", "small"]


@pytest.mark.parametrize("outcome", [COMPLETED, FAILED])
def test_the_end_of_a_block_gives_its_slots_back(outcome: lifecycle.Outcome) -> None:
    Pool.objects.create(name="db", slots=1)
    run, worker = start(("a", "db", 1)), make_owner(NOON)
    start(("b", "db", 1), uuid="other")
    first = lifecycle.claim_next(worker, NOON)
    assert first is not None
    assert lifecycle.claim_next(worker, NOON) is None
    lifecycle.finish_block(first, outcome, moment=LATER)
    assert claimed() == ["b"]
    run.refresh_from_db()
    assert run.is_finished


def test_a_claim_by_name_is_held_to_the_pool_too() -> None:
    Pool.objects.create(name="db", slots=1)
    run = start(("a", "db", 1), ("b", "db", 1))
    worker = make_owner(NOON)
    a, b = run.block_runs.order_by("pk")
    assert lifecycle.claim(a.pk, 1, worker, NOON)
    assert lifecycle.claim(b.pk, 1, worker, NOON) is None
    assert statuses(run) == {"a": BlockStatus.RUNNING, "b": BlockStatus.QUEUED}


def test_a_worker_that_goes_on_with_the_next_block_of_a_run_is_held_to_the_pool() -> None:
    Pool.objects.create(name="db", slots=1)
    start(("other", "db", 1), uuid="first")
    chain = [Block(uuid="x", name="x"), Block(uuid="y", name="y", upstream=("x",), pool="db")]
    run = lifecycle.create_run(make_pipeline("chain", chain), moment=NOON, origin=Origin.MANUAL)
    worker = make_owner(NOON)
    assert lifecycle.claim_next(worker, NOON) is not None
    x = lifecycle.claim_next(worker, NOON, run=run)
    assert x is not None
    assert lifecycle.finish_block(x, COMPLETED, moment=LATER, next_for=worker) is None
    assert statuses(run) == {"x": BlockStatus.COMPLETED, "y": BlockStatus.QUEUED}


def test_an_unknown_pool_is_refused_before_anything_is_stored() -> None:
    Pool.objects.create(name="warehouse", slots=1)
    with pytest.raises(Refusal, match="there is no pool 'warehose'") as refused:
        start(("a", "warehose", 1))
    assert refused.value.hint == "Did you mean warehouse?"
    assert not PipelineRun.objects.exists()


def test_a_block_that_would_never_fit_is_refused() -> None:
    Pool.objects.create(name="db", slots=2)
    with pytest.raises(Refusal, match="takes 3 slots of pool 'db', which has 2"):
        start(("a", "db", 3))


def test_the_reason_of_waiting_is_told() -> None:
    Pool.objects.create(name="db", slots=1)
    start(("a", "db", 1), uuid="one")
    run = start(("b", "db", 1), uuid="two")
    claimed()
    assert "Its pool db is full: 1 of 1 slots are taken." in why(run, LATER).summary


def test_a_pool_that_was_deleted_lets_nothing_through_and_says_so() -> None:
    Pool.objects.create(name="db", slots=1)
    run = start(("a", "db", 1))
    Pool.objects.all().delete()
    assert claimed() == []
    assert "does not exist any more" in why(run, LATER).summary


def test_the_file_makes_changes_and_removes_pools() -> None:
    pools.sync({"db": (2, "the warehouse"), "api": (1, "")})
    pools.sync({"db": (3, "the warehouse")})
    assert list(Pool.objects.values_list("name", "slots", "from_file")) == [("db", 3, True)]


def test_the_file_leaves_pools_made_by_hand_alone() -> None:
    Pool.objects.create(name="mine", slots=5)
    pools.sync({"db": (2, "")})
    pools.sync({})
    assert list(Pool.objects.values_list("name", "slots")) == [("mine", 5)]


def test_a_pool_that_left_the_file_stays_while_blocks_want_it(tmp_path: Path, settings: Any) -> None:
    settings.PROJECT_DIR = tmp_path
    (tmp_path / "pipelines").mkdir()
    (tmp_path / "metadata.yaml").write_text("pools: {db: 1}\n")
    start(("a", "db", 1))
    pools.sync({})
    assert list(Pool.objects.values_list("name", "from_file")) == [("db", False)]
    assert claimed() == ["a"]


def test_blocks_without_a_pool_cost_no_look_at_pools(django_assert_num_queries) -> None:  # type: ignore[no-untyped-def]
    start(("a", None, 1))
    row, worker = BlockRun.objects.get(), make_owner(NOON)
    with django_assert_num_queries(2):
        assert lifecycle.claim(row.pk, 1, worker, NOON)


def test_the_pools_of_the_projects_file_are_there_when_a_block_asks_for_one(tmp_path: Path, settings: Any) -> None:
    settings.PROJECT_DIR = tmp_path
    (tmp_path / "pipelines").mkdir()
    (tmp_path / "metadata.yaml").write_text("pools: {db: {slots: 2, description: the warehouse}}\n")

    start(("a", "db", 2))

    pool = Pool.objects.get()
    assert (pool.name, pool.slots, pool.description, pool.from_file) == ("db", 2, "the warehouse", True)


def test_a_mistake_in_the_file_leaves_the_pools_as_they_were(tmp_path: Path) -> None:
    (tmp_path / "pipelines").mkdir()
    file = tmp_path / "metadata.yaml"
    file.write_text("pools: {db: 2}\n")
    pools.sync_with_file(tmp_path)
    file.write_text("pools: {db: many}\n")

    pools.sync_with_file(tmp_path)

    assert Pool.objects.get().slots == 2


@pytest.mark.django_db(transaction=True)
def test_a_file_that_has_not_changed_is_not_read_again(
    tmp_path: Path, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    (tmp_path / "pipelines").mkdir()
    (tmp_path / "metadata.yaml").write_text("pools: {db: 2}\n")
    pools.sync_with_file(tmp_path)

    with django_assert_num_queries(0):
        pools.sync_with_file(tmp_path)


def test_a_block_that_waits_for_another_run_leaves_its_slots_and_takes_them_again() -> None:
    Pool.objects.create(name="db", slots=1)
    start(("parent", "db", 1), ("child", "db", 1))
    worker = make_owner(NOON)
    parent = lifecycle.claim_next(worker, NOON)
    assert parent is not None
    pools.step_aside(parent)
    child = lifecycle.claim_next(worker, NOON)
    assert child is not None
    assert not pools.step_in(parent)
    lifecycle.finish_block(child, COMPLETED, moment=LATER)
    assert pools.step_in(parent)
    assert pools.used("db") == 1


def test_a_block_that_was_taken_away_while_it_waited_takes_its_slots_with_its_next_claim() -> None:
    Pool.objects.create(name="db", slots=1)
    run, worker = start(("parent", "db", 1)), make_owner(NOON)
    parent = lifecycle.claim_next(worker, NOON)
    assert parent is not None
    pools.step_aside(parent)
    lifecycle.finish_block(parent, HANDED_BACK, moment=LATER)
    assert lifecycle.claim_next(worker, LATER, run=run) is not None
    assert pools.used("db") == 1
    assert pools.step_in(parent), "it is answered, and finds that it has been taken away"


def test_nothing_is_asked_about_pools_where_none_is_named() -> None:
    Pool.objects.create(name="db", slots=1)
    start(("a", None, 1), ("b", None, 1))
    with CaptureQueriesContext(connection) as asked:
        claimed()
        assert not BlockRun.objects.has_queued()
    assert not [query["sql"] for query in asked if Pool._meta.db_table in query["sql"]]


def test_what_waits_for_a_full_pool_is_not_ready() -> None:
    Pool.objects.create(name="db", slots=1)
    start(("a", "db", 1), ("b", "db", 1))
    assert claimed() == ["a"]
    assert not BlockRun.objects.has_queued()
