"""The worker's side of a running block: its lease, its log, and when it must stop."""

from datetime import timedelta
from typing import Any

import pytest
from django.db import OperationalError, connection
from django.utils import timezone

from executors.base import Stop
from runs import lifecycle, logs, recovery
from runs.history import all_attempts
from runs.models import BlockRun, PipelineRun, Worker
from runs.states import BlockStatus
from runs.working import hosting
from runs.working.hosting import BlockHost
from tests.runs.outcomes import claim, make_owner
from tests.runs.place import Place, said

pytestmark = pytest.mark.django_db


@pytest.fixture
def host(place: Place, monkeypatch: pytest.MonkeyPatch) -> BlockHost:
    """The host of a block that runs, which looks whenever it is asked."""
    monkeypatch.setattr(hosting, "LOOK_SECONDS", 0.0)
    moment = timezone.now()
    run = place.start("sleeping")
    worker = make_owner(moment)
    held = claim(run, "sleeps", worker, moment)
    log = logs.Writer(logs.path(run.pk, held.pk, 1), timezone.now)
    return BlockHost(held, worker, log, timezone.now, lambda: False, place.worker.parking)


def refuse(execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
    raise OperationalError("the database is away")


def test_a_host_renews_the_lease_of_its_worker_when_it_is_time(host: BlockHost) -> None:
    before = Worker.objects.get(pk=host.worker.pk).lease_until
    assert host.should_stop() is None
    assert Worker.objects.get(pk=host.worker.pk).lease_until == before
    host.renewed_at -= 5

    assert host.should_stop() is None

    assert Worker.objects.get(pk=host.worker.pk).lease_until > before


def test_a_host_counts_the_lease_from_when_it_was_renewed(place: Place) -> None:
    seen = timezone.now() - timedelta(seconds=3.9)
    worker = make_owner(seen)
    log = logs.Writer(logs.path(1, 1, 1), timezone.now)

    host = BlockHost(BlockRun(pk=1), worker, log, timezone.now, lambda: False, place.worker.parking)

    assert host.looked_at - host.renewed_at == pytest.approx(3.9, abs=0.2)


def test_the_process_of_a_block_is_told_while_it_runs_and_kept_when_it_is_cancelled(host: BlockHost) -> None:
    host.started("4711")
    assert host.should_stop() is None
    row = BlockRun.objects.get(pk=host.block_run.pk)
    assert (row.status, row.external_id) == (BlockStatus.RUNNING, "4711")

    lifecycle.cancel(row.pipeline_run, moment=timezone.now(), reason="enough")
    assert host.should_stop() is Stop.CANCEL
    assert [line.external_id for line in all_attempts(BlockRun.objects.get(pk=row.pk), 1)] == ["4711"]


def test_a_process_is_named_once(host: BlockHost) -> None:
    host.started("4711")
    host.should_stop()
    BlockRun.objects.update(external_id="another's by now")

    host.should_stop()

    assert BlockRun.objects.get().external_id == "another's by now"


def test_an_attempt_that_was_lost_keeps_its_process_and_the_next_one_does_not_bear_it(host: BlockHost) -> None:
    host.started("4711")
    host.should_stop()
    moment = timezone.now() + timedelta(minutes=1)

    recovery.take_back_lost(moment)

    again = claim(host.block_run.pipeline_run, "sleeps", make_owner(moment), moment)
    again.refresh_from_db()
    assert [line.external_id for line in all_attempts(again, 1)] == ["4711", ""]


def test_a_short_outage_stops_no_block(host: BlockHost) -> None:
    with connection.execute_wrapper(refuse):
        assert host.should_stop() is None

    assert host.should_stop() is None


def test_a_host_that_cannot_renew_ends_its_block_before_the_lease_ends(host: BlockHost) -> None:
    host.renewed_at -= 15

    with connection.execute_wrapper(refuse):
        assert host.should_stop() is Stop.FENCED


@pytest.mark.parametrize(
    ("change", "stop"),
    [
        ({"status": BlockStatus.CANCELLED}, Stop.CANCEL),
        ({"status": BlockStatus.QUEUED}, Stop.FENCED),
        ({"attempt": 2}, Stop.FENCED),
    ],
)
def test_a_host_sees_what_became_of_its_row(host: BlockHost, change: dict[str, Any], stop: Stop) -> None:
    BlockRun.objects.filter(pk=host.block_run.pk).update(**change)

    assert host.should_stop() is stop


def test_a_row_that_is_gone_is_fenced(host: BlockHost) -> None:
    PipelineRun.objects.all().delete()

    assert host.should_stop() is Stop.FENCED


def test_output_is_readable_at_the_next_look(host: BlockHost) -> None:
    host.output("stdout", b"one\n")
    host.output("stdout", b"two\n")
    assert said(host.block_run) == ["one"]

    host.should_stop()

    assert said(host.block_run) == ["one", "two"]
