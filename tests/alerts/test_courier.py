"""The courier: each message is sent at least once, by one at a time, and nobody waits for a bad receiver."""

import threading
import time
from collections.abc import Iterator
from datetime import datetime, timedelta

import pytest
from django.db import OperationalError, connection
from django.test import override_settings

from alerts import addresses, courier
from alerts.courier import Crew
from alerts.models import Channel, Delivery
from alerts.sending import guard
from alerts.sending.outcomes import SENT, Outcome
from runs.broker import ERRANDS
from schedules.scheduler import FURTHER_DUTIES
from tests.alerts.receivers import Mailbox, Receiver
from tests.alerts.telling import make_channel, make_delivery
from tests.factories import NOON, make_worker

SECOND = timedelta(seconds=1)
FAILED = Outcome(error="500")
on_postgres = pytest.mark.skipif(connection.vendor != "postgresql", reason="needs a database with several writers")


class Clock:
    now_is = NOON

    def now(self) -> datetime:
        return self.now_is

    def turn(self, **length: int) -> None:
        self.now_is += timedelta(**length)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(courier, "clock", clock)
    return clock


@pytest.fixture
def crew(clock: Clock, monkeypatch: pytest.MonkeyPatch) -> Crew:
    """One whose only hand is the test's own thread."""
    monkeypatch.setattr(courier, "HANDS", 0)
    return Crew()


@pytest.fixture
def channel(db: None, server: Receiver) -> Channel:
    return make_channel(url=f"{server.url}/hook")


def again(row: Delivery) -> Delivery:
    return Delivery.objects.select_related("channel").get(pk=row.pk)


def tried(delivery: Delivery, outcome: Outcome, moment: datetime = NOON) -> Delivery:
    """Have had one more try at `moment`."""
    Delivery.objects.filter(pk=delivery.pk).update(next_try_at=moment)
    delivery = again(delivery)
    assert courier.claim(delivery, moment)
    courier.settle(delivery, outcome, moment)
    return again(delivery)


# --- sending --------------------------------------------------------------------------------------------------------


def test_a_message_arrives_and_is_written_down_as_sent(crew: Crew, channel: Channel, server: Receiver) -> None:
    delivery = make_delivery(channel)

    assert crew.send_all() == 1

    delivery = again(delivery)
    assert (delivery.state, delivery.tries, delivery.sent_at, delivery.next_try_at) == ("sent", 1, NOON, None)
    assert server.got[0].headers["webhook-id"] == str(delivery.uuid)
    assert delivery.channel is not None
    assert delivery.channel.last_sent_at == NOON


def test_open_pages_are_told_how_a_message_fared(crew: Crew, channel: Channel, monkeypatch: pytest.MonkeyPatch) -> None:
    rings: list[tuple[str, ...]] = []
    monkeypatch.setattr("runs.bell.ring", lambda *ring: rings.append(ring))
    make_delivery(channel, data={"incident": {"id": 12}})
    make_delivery(channel, event_type="test")

    crew.send_all()

    assert rings == [("live", "incident 12"), ("live", "incident 0")]


def test_a_message_goes_through_apprise_too(crew: Crew, db: None, server: Receiver) -> None:
    make_delivery(make_channel(url=f"json://127.0.0.1:{server.port}/x"), body="no rows")

    crew.send_all()

    assert server.got[0].json["title"] == "Critical: etl failed"


def test_a_receiver_that_fails_is_tried_again_until_it_answers(
    crew: Crew, clock: Clock, channel: Channel, server: Receiver
) -> None:
    server.answer(500, 500, 204)
    delivery = make_delivery(channel)

    for _ in range(3):
        assert crew.send_all() == 1
        assert crew.send_all() == 0  # not before its time
        clock.turn(minutes=1)

    assert len({got.headers["webhook-id"] for got in server.got}) == 1
    delivery = again(delivery)
    assert (delivery.state, delivery.tries, delivery.last_error) == ("sent", 3, "")
    assert delivery.channel is not None
    assert delivery.channel.problem == ""


def test_a_failure_is_seen_at_the_message_and_at_the_channel(crew: Crew, channel: Channel, server: Receiver) -> None:
    server.answer(500, body=b"out of order")
    delivery = make_delivery(channel)

    crew.send_all()

    delivery = again(delivery)
    assert delivery.state == "trying"
    assert delivery.last_error == "127.0.0.1 answered 500 Internal Server Error: out of order"
    assert delivery.channel is not None
    assert (delivery.channel.problem, delivery.channel.last_failed_at) == (delivery.last_error, NOON)


def test_a_receiver_that_repeats_its_address_does_not_give_it_away(crew: Crew, db: None, server: Receiver) -> None:
    server.answer(404, body=b"no /secret-path/4711-4711 here")
    delivery = make_delivery(make_channel(url=f"{server.url}/secret-path/4711-4711"))

    crew.send_all()

    assert again(delivery).last_error == "127.0.0.1 answered 404 Not Found: no /***/*** here"


def test_a_channel_that_is_gone_is_switched_off_with_the_reason(crew: Crew, channel: Channel, server: Receiver) -> None:
    server.answer(410)
    rows = [make_delivery(channel), make_delivery(channel)]

    crew.send_all()

    channel.refresh_from_db()
    assert not channel.is_active
    assert channel.problem.startswith("Switched off: 127.0.0.1 answered 410 Gone")
    assert len(server.got) == 1
    assert [again(row).state for row in rows] == ["failed", "failed"]


def test_a_busy_receiver_is_left_alone_as_long_as_it_asks(
    crew: Crew, clock: Clock, channel: Channel, server: Receiver
) -> None:
    server.answer(429, 204, Retry_After="600")
    rows = [make_delivery(channel), make_delivery(channel)]

    crew.send_all()
    assert [again(row).next_try_at for row in rows] == [NOON + 600 * SECOND] * 2
    clock.turn(minutes=10)
    crew.send_all()

    assert [again(row).state for row in rows] == ["sent", "sent"]


def test_an_address_that_no_key_reads_is_given_up_at_once(crew: Crew, channel: Channel) -> None:
    Channel.objects.update(address="not a token of ours")
    delivery = make_delivery(channel)

    crew.send_all()

    assert again(delivery).state == "failed"
    assert "cannot be read" in again(delivery).last_error


@override_settings(ALERTS_ALLOW_PRIVATE_ADDRESSES=False)
def test_a_private_address_is_given_up_at_once(
    crew: Crew, channel: Channel, server: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(guard, "WEB_PORTS", {server.port})
    delivery = make_delivery(channel)

    crew.send_all()

    assert again(delivery).state == "failed"
    assert "ALERTS_ALLOW_PRIVATE_ADDRESSES" in again(delivery).last_error
    assert server.got == []


def test_a_mistake_of_ours_is_told_and_tried_again(
    crew: Crew, channel: Channel, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(addresses, "signing_keys_of", lambda _: 1 / 0)
    delivery = make_delivery(channel)

    crew.send_all()

    assert again(delivery).state == "trying"
    assert "ZeroDivisionError" in again(delivery).last_error


def test_only_tests_go_to_a_channel_that_is_switched_off(crew: Crew, channel: Channel, server: Receiver) -> None:
    Channel.objects.update(is_active=False)
    test, other = make_delivery(channel, event_type="test"), make_delivery(channel)

    crew.send_all()

    assert (again(test).state, again(other).state) == ("sent", "failed")


def test_what_is_put_off_is_not_sent_before(crew: Crew, clock: Clock, channel: Channel) -> None:
    make_delivery(channel, next_try_at=NOON + SECOND)

    assert crew.send_all() == 0
    clock.turn(seconds=1)
    assert crew.send_all() == 1


# --- when to try again ----------------------------------------------------------------------------------------------


def test_pauses_grow_to_four_hours_and_are_never_the_same() -> None:
    pauses = [[courier.pause(tries, FAILED) for _ in range(50)] for tries in range(1, 65)]

    middles = [sorted(group)[25].total_seconds() for group in pauses]
    assert middles[:3] == [pytest.approx(wanted, rel=0.2) for wanted in (10, 25, 25)]
    assert middles[35:39] == [pytest.approx(wanted, rel=0.2) for wanted in (120, 600, 1800, 3600)]
    assert middles[-1] == pytest.approx(4 * 3600, rel=0.2)
    assert all(len(set(group)) > 25 for group in pauses)
    assert sum(middles) > 3 * 86_400


def test_who_comes_back_within_a_quarter_of_an_hour_is_tried_within_30_seconds() -> None:
    pauses = [[courier.pause(tries, FAILED).total_seconds() for _ in range(50)] for tries in range(1, 36)]

    assert max(map(max, pauses)) <= 30
    assert sum(map(min, pauses)) > 600


@pytest.mark.parametrize("kind", ["webhook", "mail"])
def test_a_server_that_refuses_for_ten_minutes_gets_each_message_once_within_30_seconds_after(
    clock: Clock, db: None, server: Receiver, mail: Mailbox, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    monkeypatch.setattr(courier, "HANDS", 0)
    crews, back_at = [Crew(), Crew()], NOON + timedelta(minutes=10)
    addressed = {
        "webhook": f"{server.url}/hook",
        "mail": f"mailto://127.0.0.1:{mail.port}/?from=a@ops.org&to=b@ops.org",
    }
    channel = make_channel(url=addressed[kind])
    rows = [make_delivery(channel, title=f"etl {number} failed") for number in range(3)]
    server.answer(503)
    mail.refuse = "450 come again"

    while waiting := Delivery.objects.filter(sent_at=None).order_by("next_try_at").first():
        assert waiting.next_try_at is not None
        clock.now_is = max(clock.now_is, waiting.next_try_at)
        if clock.now_is >= back_at and mail.refuse:
            mail.refuse, server.got = "", []
            server.answer(204)
        for crew in crews:
            crew.send_all()

    arrived = [got.headers["webhook-id"] for got in server.got] if kind == "webhook" else mail.letters
    assert len(arrived) == len(rows)
    assert all(back_at <= again(row).sent_at <= back_at + 30 * SECOND for row in rows)  # type: ignore[operator]
    if kind == "webhook":
        assert sorted(arrived) == sorted(str(row.uuid) for row in rows)


def test_a_message_is_given_up_after_three_days_and_three_tries(channel: Channel) -> None:
    delivery = make_delivery(channel)
    late = NOON + timedelta(days=3)

    for _ in range(2):
        assert tried(delivery, FAILED, late).state == "trying"
    delivery = tried(delivery, FAILED, late)

    assert (delivery.state, delivery.given_up_at, delivery.next_try_at) == ("failed", late, None)
    assert delivery.last_error == "500"


def test_a_message_is_tried_for_three_days(channel: Channel) -> None:
    delivery, moment = make_delivery(channel), NOON

    while delivery.given_up_at is None:
        delivery = tried(delivery, FAILED, moment)
        moment = delivery.next_try_at or moment

    assert timedelta(days=3) <= delivery.given_up_at - NOON < timedelta(days=3, hours=5)
    assert 55 <= delivery.tries <= 70


def test_a_test_is_tried_once(channel: Channel) -> None:
    assert tried(make_delivery(channel, event_type="test"), FAILED).state == "failed"


def test_other_messages_of_a_broken_channel_wait_with_the_first(channel: Channel) -> None:
    first, second, elsewhere = make_delivery(channel), make_delivery(channel), make_delivery(make_channel("mail"))
    other_lane = make_delivery(None, service="slack_config", pipeline_uuid="etl")

    first = tried(first, FAILED)

    assert again(second).next_try_at == first.next_try_at
    assert [again(row).next_try_at for row in (elsewhere, other_lane)] == [NOON, NOON]


def test_pipelines_wait_for_their_own_services_only(db: None) -> None:
    rows = [
        make_delivery(None, service=service, pipeline_uuid=uuid)
        for service, uuid in [("slack_config", "etl"), ("slack_config", "etl"), ("slack_config", "x"), ("teams", "etl")]
    ]

    tried(rows[0], FAILED)

    assert [again(row).next_try_at == NOON for row in rows] == [False, False, True, True]


# --- one at a time --------------------------------------------------------------------------------------------------


def test_a_message_is_claimed_once(channel: Channel) -> None:
    one, other = make_delivery(channel), None
    other = again(one)

    assert courier.claim(one, NOON)
    assert not courier.claim(other, NOON)
    assert again(one).next_try_at == NOON + courier.LEASE


def test_who_dies_while_sending_leaves_a_message_that_is_sent_again(
    crew: Crew, clock: Clock, channel: Channel, server: Receiver
) -> None:
    delivery = make_delivery(channel)
    assert courier.claim(delivery, NOON)
    courier.attempt(again(delivery), NOON)  # it arrived, and then the process was killed before it said so

    assert crew.send_all() == 0
    clock.turn(minutes=2)
    assert crew.send_all() == 1

    assert [got.headers["webhook-id"] for got in server.got] == [str(delivery.uuid)] * 2
    assert (again(delivery).state, again(delivery).tries) == ("sent", 2)


def test_who_comes_back_after_its_lease_changes_nothing(channel: Channel) -> None:
    delivery = make_delivery(channel)
    assert courier.claim(delivery, NOON)
    slow = again(delivery)
    later = NOON + courier.LEASE
    quick = again(delivery)
    assert courier.claim(quick, later)
    courier.settle(quick, SENT, later)

    courier.settle(slow, FAILED, later + SECOND)

    assert (again(delivery).state, again(delivery).last_error) == ("sent", "")
    channel.refresh_from_db()
    assert channel.problem == ""


def test_a_hand_leaves_the_lane_of_another_alone(crew: Crew, channel: Channel) -> None:
    for _ in range(30):  # more than are looked at together
        make_delivery(channel)
    services = [make_delivery(None, service="slack_config", pipeline_uuid=uuid) for uuid in ("etl", "other")]
    elsewhere = make_delivery(make_channel("mail"))
    crew.busy = {courier.lane_of(make_delivery(channel)), courier.lane_of(services[0])}

    found = [crew.claim(NOON), crew.claim(NOON), crew.claim(NOON)]

    assert found == [services[1], elsewhere, None]


# --- threads --------------------------------------------------------------------------------------------------------


@pytest.fixture
def real_crew(monkeypatch: pytest.MonkeyPatch) -> Iterator[Crew]:
    crew = Crew()
    monkeypatch.setattr(courier, "CREW", crew)
    yield crew
    wait_until(lambda: crew.hands == 0)


def wait_until(is_so: object, seconds: float = 10) -> None:
    until = time.monotonic() + seconds
    while not is_so():  # type: ignore[operator]
        assert time.monotonic() < until, "it did not come about"
        time.sleep(0.01)


@on_postgres
@pytest.mark.django_db(transaction=True)
def test_a_server_that_hangs_holds_up_neither_the_broker_nor_other_channels(real_crew: Crew, server: Receiver) -> None:
    server.may_answer.clear()
    hanging = make_channel("hanging", f"{server.url}/hook")
    rows = [make_delivery(hanging) for _ in range(20)]
    from tests.alerts.receivers import receiver

    with receiver() as quick:
        others = [make_delivery(make_channel(f"quick {number}", f"{quick.url}/{number}")) for number in range(12)]
        began = time.monotonic()
        courier.look()
        assert time.monotonic() - began < 0.5
        wait_until(lambda: len(quick.got) == 12)
        assert len(server.got) <= 1
        server.may_answer.set()
        wait_until(lambda: not Delivery.objects.due(NOON).exists() and real_crew.hands == 0)

    assert {again(row).state for row in rows + others} == {"sent"}


@on_postgres
@pytest.mark.django_db(transaction=True)
def test_two_couriers_send_each_message_once(server: Receiver) -> None:
    for number in range(10):
        channel = make_channel(f"channel {number}", f"{server.url}/{number}")
        for _ in range(5):
            make_delivery(channel)
    crews = [Crew(), Crew()]

    for crew in crews * 3:
        crew.grow()
    wait_until(lambda: not any(crew.hands for crew in crews), 30)

    ids = [got.headers["webhook-id"] for got in server.got]
    assert len(ids) == len(set(ids)) == 50
    assert {(row.state, row.tries) for row in Delivery.objects.all()} == {("sent", 1)}


def test_looking_costs_one_question_and_not_each_time(
    db: None, monkeypatch: pytest.MonkeyPatch, django_assert_num_queries: object
) -> None:
    crew = Crew()
    monkeypatch.setattr(courier, "CREW", crew)

    with django_assert_num_queries(1):  # type: ignore[operator]
        courier.look()
        courier.look()


def test_looking_never_raises(monkeypatch: pytest.MonkeyPatch) -> None:
    def away() -> None:
        raise OperationalError("the database is away")

    monkeypatch.setattr(courier.CREW, "look", away)

    courier.look()


def test_a_copy_of_the_process_begins_without_hands() -> None:
    crew = Crew()
    crew.hands, crew.busy = 3, {(1, "", "")}
    crew.lock.acquire()

    crew.start_over()

    assert (crew.hands, crew.busy, crew.lock.acquire(blocking=False)) == (0, set(), True)


# --- who sends ------------------------------------------------------------------------------------------------------


@pytest.fixture
def looks(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    found: list[str] = []
    monkeypatch.setattr(courier.CREW, "look", lambda: found.append("looked"))
    return found


def test_the_scheduler_sends_while_no_worker_is_there(channel: Channel, looks: list[str]) -> None:
    make_delivery(channel)

    courier.stand_in(NOON)

    assert looks == ["looked"]


def test_the_scheduler_leaves_sending_to_the_workers(channel: Channel, looks: list[str]) -> None:
    make_delivery(channel)
    make_worker()

    courier.stand_in(NOON)

    assert looks == []


def test_the_scheduler_asks_once_when_nothing_is_due(
    db: None, looks: list[str], django_assert_num_queries: object
) -> None:
    with django_assert_num_queries(1):  # type: ignore[operator]
        courier.stand_in(NOON)

    assert looks == []


def test_workers_and_scheduler_have_been_told_of_the_courier_once() -> None:
    assert ERRANDS.count(courier.look) == 1
    assert [call for call, _ in FURTHER_DUTIES].count(courier.stand_in) == 1


def test_hands_are_daemons_that_nobody_waits_for(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[bool] = []
    monkeypatch.setattr(Crew, "work", lambda _: seen.append(threading.current_thread().daemon))

    Crew().grow()

    wait_until(lambda: seen)
    assert seen == [True]


def test_a_machine_without_room_for_a_thread_costs_no_hand_for_good(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_: object) -> None:
        raise RuntimeError("can't start new thread")

    crew = Crew()
    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", refuse)
        for _ in range(courier.HANDS + 1):
            crew.grow()

    assert crew.hands == 0
