"""The state machine of runs against a plain model: random graphs, and everything that can happen, in any order."""

from copy import copy
from dataclasses import replace
from datetime import datetime, timedelta
from itertools import count
from typing import Any

import pytest
from django.conf import settings as site
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from executors.base import Outcome, Verdict
from pipelines.graph import Block
from runs import lifecycle, recovery
from runs.models import BlockRun, Origin, PipelineRun, Worker
from runs.planning import RunSettings
from runs.retrying import repeating
from runs.states import BLOCK_FINISHED
from tests.factories import NOON, make_pipeline
from tests.runs.outcomes import COMPLETED, FAILED, HANDED_BACK, NOT_YET, REFUSED, make_owner
from tests.runs.reference_run import Plan, Reference

pytestmark = pytest.mark.django_db
NAMES = "abcdefg"
RULES = ["all_success"] * 4 + ["none_failed", "all_done", "one_success", "one_failed", "all_failed"]
NUMBERS = count()
LEASE = timedelta(seconds=site.LEASE_SECONDS)


@st.composite
def graphs(draw: st.DrawFn) -> list[Plan]:
    plans: dict[str, Plan] = {}
    for number in range(draw(st.integers(1, len(NAMES)))):
        name = NAMES[number]
        plans[name] = Plan(
            name,
            tuple(NAMES[other] for other in range(number) if draw(st.integers(0, 2)) == 0),
            rule=draw(st.sampled_from(RULES)),
            retries=draw(st.sampled_from([0, 0, 1])),
        )
        deep = len(Reference(plans).dimensions(name))
        is_dynamic = deep < 2 and draw(st.integers(0, 4)) == 0
        reduces = not is_dynamic and deep > 0 and draw(st.booleans())
        plans[name] = replace(plans[name], dynamic=is_dynamic, reduce=reduces)
    return list(plans.values())


def block_of(plan: Plan) -> Block:
    return Block(
        uuid=plan.uuid,
        name=plan.uuid,
        upstream=plan.upstream,
        trigger_rule=plan.rule,
        retry_config={"retries": plan.retries, "delay": 1},
        dynamic=plan.dynamic,
        reduce_output=plan.reduce,
    )


class RunMachine(RuleBasedStateMachine):
    """A run in the database beside the reference; each step is done to both."""

    @initialize(plans=graphs(), may_fail=st.booleans())
    def begin(self, plans: list[Plan], may_fail: bool) -> None:
        self.now = NOON
        pipeline = make_pipeline(f"model-{next(NUMBERS)}", [block_of(plan) for plan in plans])
        given = {"settings": RunSettings(allow_blocks_to_fail=may_fail), "origin": Origin.MANUAL}
        self.run = lifecycle.create_run(pipeline, moment=self.now, **given)
        self.model = Reference({plan.uuid: plan for plan in plans}, may_fail)
        self.held: dict[str, BlockRun] = {}  # by those who claimed them and did not lose them
        self.stale: list[BlockRun] = []  # by those who lost them, and may wake up

    # --- steps

    @precondition(lambda self: self.model.of_status("queued"))
    @rule(data=st.data())
    def somebody_claims(self, data: st.DataObject) -> None:
        uuid = data.draw(st.sampled_from(self.model.of_status("queued")))
        row = self.row(uuid)
        claimed = lifecycle.claim(row.pk, row.attempt, self.worker(), self.now)
        assert claimed is not None
        self.model.claim(uuid)
        self.held[uuid] = claimed

    @precondition(lambda self: self.held)
    @rule(data=st.data())
    def it_completes(self, data: st.DataObject) -> None:
        uuid = self.one_held(data)
        items = data.draw(st.integers(0, 3)) if self.model.parts[uuid].plan.dynamic else 0
        self.finish(uuid, completed(items) if self.model.parts[uuid].plan.dynamic else COMPLETED)
        self.model.complete(uuid, items)

    @precondition(lambda self: self.held)
    @rule(data=st.data())
    def it_completes_and_its_worker_goes_on(self, data: st.DataObject) -> None:
        uuid = self.one_held(data)
        if self.model.parts[uuid].plan.dynamic:
            return
        worker = self.worker()
        following = lifecycle.finish_block(self.held.pop(uuid), COMPLETED, moment=self.now, next_for=worker)
        self.model.complete(uuid)
        if following is not None:
            self.model.claim(following.block_uuid)
            self.held[following.block_uuid] = following

    @precondition(lambda self: self.held)
    @rule(data=st.data())
    def it_fails(self, data: st.DataObject) -> None:
        uuid = self.one_held(data)
        self.finish(uuid, FAILED)
        self.model.fail(uuid)

    @precondition(lambda self: self.held)
    @rule(data=st.data())
    def its_condition_is_not_met(self, data: st.DataObject) -> None:
        uuid = self.one_held(data)
        self.finish(uuid, REFUSED)
        self.model.refuse(uuid)

    @precondition(lambda self: self.held)
    @rule(data=st.data())
    def it_is_not_true_yet(self, data: st.DataObject) -> None:
        uuid = self.one_held(data)
        self.finish(uuid, NOT_YET)
        self.model.parts[uuid].status = "waiting"

    @precondition(lambda self: self.held)
    @rule(data=st.data())
    def its_worker_stops(self, data: st.DataObject) -> None:
        uuid = self.one_held(data)
        self.finish(uuid, HANDED_BACK)
        self.model.give_back(uuid)

    @precondition(lambda self: self.held)
    @rule()
    def all_workers_are_lost(self) -> None:
        self.now += LEASE + timedelta(seconds=1)
        for uuid in [row.block_uuid for row in sorted(self.held.values(), key=lambda row: row.pk)]:
            self.stale.append(self.held.pop(uuid))
            if self.model.parts[uuid].status == "running":  # a failure among them may have stopped the others
                self.model.lose(uuid, site.LOST_WORKER_ATTEMPTS)
        recovery.take_back_lost(self.now)

    @rule()
    def time_passes(self) -> None:
        self.now += timedelta(hours=1)
        Worker.objects.filter(pk__in=[row.worker_id for row in self.held.values()]).update(lease_until=self.now + LEASE)
        recovery.due_timers(self.now)
        self.model.wake()

    @rule()
    def somebody_sweeps(self) -> None:
        recovery.unstick(self.now)

    @precondition(lambda self: self.stale)
    @rule(data=st.data(), outcome=st.sampled_from([COMPLETED, FAILED, REFUSED, NOT_YET]))
    def a_lost_worker_wakes_up(self, data: st.DataObject, outcome: Outcome) -> None:
        """What it says is not written: the comparison after this step shows that nothing changed."""
        block_run = data.draw(st.sampled_from(self.stale))
        assert lifecycle.finish_block(copy(block_run), outcome, moment=self.now) is None

    @rule()
    def somebody_cancels(self) -> None:
        if self.model.status == "running" and self.model.of_status("completed"):
            assert lifecycle.cancel(self.run, moment=self.now, reason="enough")
            self.model.cancel()

    @precondition(lambda self: self.model.status != "running")
    @rule(whole=st.booleans())
    def somebody_repeats_it(self, whole: bool) -> None:
        if self.model.status == "completed" and not whole:
            return
        self.stale += self.held.values()
        self.held = {}
        self.now += timedelta(seconds=1)
        assert repeating.retry(PipelineRun.objects.get(pk=self.run.pk), moment=self.now, incomplete=not whole)
        self.model.retry(whole=whole)

    # --- what holds after each

    @invariant()
    def both_say_the_same(self) -> None:
        if not hasattr(self, "run"):
            return
        self.held = {uuid: row for uuid, row in self.held.items() if self.model.parts[uuid].status == "running"}
        rows = dict(self.run.block_runs.values_list("block_uuid", "status"))
        for uuid in rows.keys() - self.model.parts.keys():  # it is kept until its block is expanded anew
            row = self.row(uuid)
            assert row.parent is not None
            assert row.parent.members_total is None
            del rows[uuid]
        assert rows == {uuid: part.status for uuid, part in self.model.parts.items()}
        assert PipelineRun.objects.get(pk=self.run.pk).status == self.model.status

    @invariant()
    def there_is_a_way_out(self) -> None:
        """An unfinished run has something that is queued, held, or wakes up by a timer."""
        if not hasattr(self, "run"):
            return
        statuses = set(self.run.block_runs.values_list("status", flat=True))
        if self.model.status == "running":
            timed = self.run.block_runs.filter(status="waiting", next_attempt_at__isnull=False).exists()
            assert timed or statuses & {"queued", "running"}
        else:
            assert statuses <= {str(status) for status in BLOCK_FINISHED}

    def teardown(self) -> None:
        """Let everything that is left go on: it comes to its end."""
        if not hasattr(self, "run"):
            return
        for _ in range(200):
            if self.model.status != "running":
                break
            self.time_passes()
            for uuid in self.model.of_status("queued"):
                if self.model.parts[uuid].status == "queued":
                    row = self.row(uuid)
                    claimed = lifecycle.claim(row.pk, row.attempt, self.worker(), self.now)
                    assert claimed is not None
                    self.held[uuid] = claimed
                    self.model.claim(uuid)
            for uuid in list(self.held):
                if self.model.parts[uuid].status == "running":
                    self.finish(uuid, completed(1) if self.model.parts[uuid].plan.dynamic else COMPLETED)
                    self.model.complete(uuid, 1)
        self.both_say_the_same()
        assert self.model.status != "running"

    # ---

    def row(self, uuid: str) -> BlockRun:
        return self.run.block_runs.get(block_uuid=uuid)

    def worker(self) -> Worker:
        return make_owner(self.now)

    def one_held(self, data: st.DataObject) -> str:
        return data.draw(st.sampled_from(sorted(self.held)))

    def finish(self, uuid: str, outcome: Outcome) -> None:
        lifecycle.finish_block(self.held.pop(uuid), outcome, moment=self.now)


def completed(items: int) -> Outcome:
    fanout: dict[str, Any] = {"count": items, "names": None, "chunks": [{"url": "", "type": "json", "count": items}]}
    return Outcome(verdict=Verdict.COMPLETED, result={"outputs": [{"name": "output_0"}], "fanout": fanout})


def test_every_run_goes_as_the_model_says_and_comes_to_an_end(now: datetime) -> None:
    run_state_machine_as_test(
        RunMachine,
        settings=settings(
            max_examples=40,
            stateful_step_count=30,
            deadline=None,
            suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much, HealthCheck.data_too_large],
        ),
    )
