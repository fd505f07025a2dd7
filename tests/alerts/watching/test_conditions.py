"""What is wrong with the installation is one incident while it lasts: workers, findings, disks, deliveries."""

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from alerts import incidents
from alerts.models import Breach, Channel, Delivery, Incident, Kind
from alerts.watching import health
from alerts.watching.conditions import Condition
from alerts.watching.look import Look
from runs.models import BlockRun, WorkerKind
from runs.states import BlockStatus
from tests.alerts.rules import begun, make_rule, open_incidents
from tests.factories import NOON, make_pipeline, make_run, make_worker

pytestmark = pytest.mark.django_db
MINUTE = timedelta(minutes=1)
FULL = Condition("storage on here: /data", "Storage trouble on here", "/data is nearly full.")


def look(minute: int, *heartbeat: Condition) -> None:
    health.look_at(Look(NOON + minute * MINUTE), heartbeat)


@pytest.fixture(autouse=True)
def here(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("runs.working.workers.this_host", lambda: "here")


def test_a_condition_is_one_breach_while_it_lasts_and_another_when_it_comes_again() -> None:
    make_rule(Kind.UNHEALTHY)
    for minute in (1, 2, 3):
        look(minute, FULL)
    assert (Breach.objects.count(), open_incidents()) == (1, ["Storage trouble on here"])
    look(4)
    assert (open_incidents(), Incident.objects.get().close_reason) == ([], "It is well again")
    look(5, FULL)
    assert (Breach.objects.count(), Incident.objects.count()) == (2, 2)


def test_a_condition_with_a_long_name_comes_again_too() -> None:
    make_rule(Kind.UNHEALTHY)
    long = Condition(f"storage on here: /{'very/long/' * 40}", "Storage trouble on here", "It is nearly full.")
    for minute, present in enumerate([[long], [], [long], []], 1):
        look(minute, *present)
        assert len(open_incidents()) == len(present)
    assert Breach.objects.count() == 2


def test_closed_by_hand_a_condition_that_lasts_comes_back_the_next_day() -> None:
    make_rule(Kind.UNHEALTHY)
    look(1, FULL)
    incidents.close(Incident.objects.get(), NOON, "ada", "known")
    look(2, FULL)
    assert open_incidents() == []
    look(24 * 60, FULL)
    assert open_incidents() == ["Storage trouble on here"]


def test_what_another_host_tells_of_is_not_closed_here(monkeypatch: pytest.MonkeyPatch) -> None:
    make_rule(Kind.UNHEALTHY)
    look(1, FULL)
    monkeypatch.setattr("runs.working.workers.this_host", lambda: "there")
    look(2)
    assert open_incidents() == ["Storage trouble on here"]


def test_work_without_a_worker_is_told_of_after_a_minute() -> None:
    make_rule(Kind.UNHEALTHY)
    make_run(blocks={"load": BlockStatus.QUEUED})
    BlockRun.objects.filter(block_uuid="load").update(queued_at=NOON)
    make_worker(seen_at=NOON - MINUTE)
    look(1)
    assert open_incidents() == []
    look(2)
    look(3)
    assert Breach.objects.get().message.startswith(
        "Block runs are queued and no worker is alive; the last was seen 3 min"
    )
    make_worker(pid=101, seen_at=NOON + 4 * MINUTE)
    look(4)
    assert open_incidents() == []


def test_ready_work_that_free_workers_leave_is_told_of_before_the_minute_is_over(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(health, "stall", health.Stall())
    make_rule(Kind.UNHEALTHY)
    run = make_run(blocks={"load": BlockStatus.QUEUED, "clean": BlockStatus.RUNNING})
    BlockRun.objects.filter(block_uuid="load").update(queued_at=NOON)
    busy, free = (make_worker(pid=pid, seen_at=NOON + 5 * MINUTE) for pid in (1, 2))
    run.block_runs.filter(block_uuid="clean").update(worker=busy, started_at=NOON)

    def look_after(seconds: int) -> list[str]:
        health.look_at(Look(NOON + timedelta(seconds=seconds)))
        return open_incidents()

    assert [look_after(seconds) for seconds in (10, 20, 30, 40)] == [[], [], [], []]
    assert look_after(50) == ["Workers do not take what is ready"]
    run.block_runs.filter(block_uuid="load").update(
        status=BlockStatus.RUNNING, worker=free, started_at=NOON + timedelta(seconds=55)
    )
    assert look_after(60) == []


def test_workers_that_cannot_start_blocks_are_one_incident_for_each_host_until_they_can() -> None:
    make_rule(Kind.UNHEALTHY)
    trouble = {"executor": "local_python", "reason": "Cannot allocate memory", "since": NOON.isoformat()}
    ill = [make_worker(pid=pid, host="there", trouble=trouble, seen_at=NOON + MINUTE) for pid in (1, 2)]
    make_worker(pid=3, seen_at=NOON + MINUTE)
    look(1)
    assert open_incidents() == ["local_python cannot start blocks on there"]
    said = "2 workers on there cannot start blocks: Cannot allocate memory. They take nothing until they can."
    assert Breach.objects.get().message == said
    for worker in ill:
        worker.trouble = {}
        worker.save()
    look(1)
    assert open_incidents() == []


def test_what_a_scheduler_found_is_an_incident_until_it_is_gone() -> None:
    make_rule(Kind.UNHEALTHY)
    finding = {"kind": "stuck", "subject": "run", "id": 7, "detail": "Run 7 has no way forward."}
    scheduler = make_worker(WorkerKind.SCHEDULER, seen_at=NOON + 2 * MINUTE, findings=[finding])
    look(2)
    assert open_incidents() == ["What must never be was found: stuck"]
    scheduler.findings = []
    scheduler.save()
    look(2)
    assert open_incidents() == []


def test_a_folder_is_well_or_says_why_not(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert health.problem_of(tmp_path / "not" / "there" / "yet") == ""
    monkeypatch.setattr("shutil.disk_usage", lambda path: type("Usage", (), {"free": 10**8, "total": 10**12}))
    assert health.problem_of(tmp_path) == "is nearly full: 100 MB of 1 TB are free"

    def refuse(self: Path, data: bytes) -> None:
        self.touch()  # as a full disk does
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", refuse)
    assert health.problem_of(tmp_path) == "cannot be written: No space left on device"
    assert list(tmp_path.iterdir()) == []


def test_a_machine_without_room_for_a_thread_says_nothing_of_its_disks(monkeypatch: pytest.MonkeyPatch) -> None:
    storage = health.Storage()
    moments = iter([0.0, 61.0, 122.0])
    monkeypatch.setattr("time.monotonic", lambda: next(moments))
    monkeypatch.setattr("threading.Thread.start", refuse_a_thread)

    assert [storage.problems("here") for _ in range(3)] == [[], [], []]


def refuse_a_thread(_: object) -> None:
    raise RuntimeError("can't start new thread")


def test_a_folder_that_is_written_as_a_url_is_looked_at(tmp_path: Path, settings: Any) -> None:
    settings.LOGS_URL = f"file://{tmp_path}/logs"
    looked: list[str] = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(health, "problem_of", lambda folder: looked.append(str(folder)) or "")
        health.Storage().look()

    assert f"{tmp_path}/logs" in looked


def test_the_disks_are_looked_at_in_a_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    storage = health.Storage()
    monkeypatch.setattr(health, "problem_of", lambda folder: "is nearly full")
    storage.look()
    assert {each.title for each in storage.problems("here")} == {"Storage trouble on here"}
    storage.begun_at, storage.ended_at = -100.0, None
    monkeypatch.setattr("time.monotonic", lambda: 0.0)
    assert any("does not answer" in each.message for each in storage.problems("here"))


# --- deliveries -----------------------------------------------------------------------------------------------------


def make_delivery(channel: Channel | None = None, **fields: Any) -> Delivery:
    number = Delivery.objects.count()
    defaults = {
        "uuid": f"00000000-0000-4000-8000-{number:012}",
        "dedupe_key": f"message {number}",
        "title": "etl failed",
    }
    return Delivery.objects.create(channel=channel, created_at=NOON, last_error="it answered 500", **defaults | fields)


def test_a_message_that_does_not_arrive_is_an_incident_of_its_channel_until_one_does() -> None:
    make_rule(Kind.DELIVERY_FAILED)
    ops = Channel.objects.create(name="ops", kind="webhook", address="x", shown_address="https://…", created_at=NOON)
    evaluator = begun()
    make_delivery(ops, tries=2)
    given_up, slow = make_delivery(ops, tries=9, given_up_at=NOON + MINUTE), make_delivery(ops, tries=3)
    for minute in (1, 2):
        evaluator.look(NOON + minute * MINUTE)
    assert {each.key for each in Breach.objects.all()} == {f"delivery {given_up.pk}", f"delivery {slow.pk}"}
    assert open_incidents() == ["Messages to the channel ops do not arrive"]
    Channel.objects.update(last_sent_at=NOON + 3 * MINUTE)
    evaluator.look(NOON + 4 * MINUTE)
    assert Incident.objects.get().close_reason == "A message arrived again"


def test_a_mail_server_that_is_away_is_one_message_however_many_pipelines_use_it() -> None:
    rule = make_rule(Kind.DELIVERY_FAILED)
    rule.channels.add(Channel.objects.create(name="ops", kind="webhook", address="x", created_at=NOON))
    evaluator = begun()
    for number in range(8):
        uuid = make_pipeline(f"load_{number}").uuid
        make_delivery(service="email_config", pipeline_uuid=uuid, given_up_at=NOON)
    evaluator.look(NOON + MINUTE)
    (told,) = Delivery.objects.filter(event_type="incident.opened")
    assert "8 pipelines cannot send their messages since 12:01 UTC" in told.title
    for number in range(8):
        make_delivery(service="email_config", pipeline_uuid=f"load_{number}", sent_at=NOON + 2 * MINUTE)
    evaluator.look(NOON + 3 * MINUTE)
    assert open_incidents() == []


def test_what_a_pipeline_asked_for_itself_is_an_incident_of_that_pipeline() -> None:
    make_rule(Kind.DELIVERY_FAILED)
    evaluator = begun()
    make_delivery(service="slack_config", pipeline_uuid="etl", tries=9, given_up_at=NOON)
    evaluator.look(NOON + MINUTE)
    assert open_incidents() == ["Messages to slack_config of etl do not arrive"]
    make_delivery(service="slack_config", pipeline_uuid="etl", sent_at=NOON + 2 * MINUTE)
    evaluator.look(NOON + 3 * MINUTE)
    assert open_incidents() == []
