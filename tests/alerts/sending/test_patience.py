"""A server that sends a byte now and then holds nobody for longer than a message may take in all."""

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from alerts import courier
from alerts.models import Delivery
from alerts.sending import apprise_urls, patience, services
from alerts.sending.outcomes import Outcome
from alerts.sending.patience import Patience
from tests.alerts.receivers import Drip, dripping
from tests.alerts.sending.test_services import MESSAGE
from tests.alerts.telling import make_channel, make_delivery
from tests.factories import NOON

JSON, MAIL = "json://127.0.0.1:{port}/x", "mailto://127.0.0.1:{port}/?from=ops@example.org&to=ada@example.org"


@contextmanager
def at_most_until_it_drips(drip: Drip) -> Iterator[Patience]:
    """Have the time be over as soon as the server drips, however slow this machine is."""
    with patience.at_most(60) as time_limit:
        threading.Thread(target=lambda: drip.has_begun.wait(30) and time_limit.end(), daemon=True).start()
        yield time_limit


def mail(drip: Drip) -> Outcome:
    plain = {"smtp_host": "127.0.0.1", "smtp_port": drip.port, "smtp_starttls": False}
    config = {**plain, "smtp_mail_from": "ops@example.org", "to_emails": "ada@example.org"}
    return services.send("email_config", config, "", MESSAGE, NOON)


def apprise(url: str) -> Outcome:
    return apprise_urls.send(url, "etl failed", "no rows", is_critical=False, allow_private=True)


def through(url: str) -> Delivery:
    return Delivery.objects.select_related("channel").get(pk=make_delivery(make_channel(url=url)).pk)


@pytest.mark.django_db
@pytest.mark.parametrize("address", [JSON, MAIL])
def test_a_message_to_a_server_that_drips_is_over_in_time_and_tried_again(address: str) -> None:
    with dripping() as drip:
        delivery = through(address.format(port=drip.port))

        outcome = courier.attempt(delivery, NOON, seconds=0.2)

    assert outcome == Outcome(error="It was not done within 0.2 s: the server is too slow.")


@pytest.mark.parametrize("address", [JSON, MAIL])
def test_what_apprise_waits_for_is_ended(address: str) -> None:
    with dripping() as drip, at_most_until_it_drips(drip):
        assert not apprise(address.format(port=drip.port)).is_sent
        assert drip.has_begun.is_set()
    assert drip.is_left.wait(10)


@pytest.mark.parametrize("at", ["EHLO", "MAIL", "RCPT", "DATA"])
def test_a_mail_is_ended_wherever_in_it_the_server_begins_to_drip(at: str) -> None:
    with dripping(at) as drip, at_most_until_it_drips(drip) as time_limit:
        assert not mail(drip).is_sent
        assert time_limit.is_over


def test_a_mail_that_was_taken_is_sent_though_the_server_drips_at_its_goodbye() -> None:
    with dripping("QUIT") as drip, at_most_until_it_drips(drip) as time_limit:
        assert mail(drip).is_sent
        assert (len(drip.taken), time_limit.is_over) == (1, True)


def test_so_is_one_through_apprise() -> None:
    with dripping("QUIT") as drip, at_most_until_it_drips(drip) as time_limit:
        assert apprise(MAIL.format(port=drip.port)).is_sent
        assert (len(drip.taken), time_limit.is_over) == (1, True)


def test_nothing_is_connected_any_more_when_the_time_is_over() -> None:
    with dripping() as drip, patience.at_most(60) as time_limit:
        time_limit.end()
        with pytest.raises(TimeoutError):
            socket.create_connection(("127.0.0.1", drip.port))


def test_what_other_threads_connect_to_is_none_of_its_business() -> None:
    answers: list[bytes] = []

    def other(port: int) -> None:
        with socket.create_connection(("127.0.0.1", port)) as line:
            answers.append(line.recv(1))

    with dripping() as drip, patience.at_most(60) as time_limit:
        time_limit.end()
        thread = threading.Thread(target=other, args=(drip.port,))
        thread.start()
        thread.join(10)
    assert answers == [b"2"]


def test_no_handle_and_no_thread_is_left_behind() -> None:
    with dripping() as drip:
        before = len(list(Path("/proc/self/fd").iterdir()))
        for _ in range(5):
            with patience.at_most(60), socket.create_connection(("127.0.0.1", drip.port)) as line:
                line.recv(1)
        until = time.monotonic() + 10
        while len(list(Path("/proc/self/fd").iterdir())) > before + 1 and time.monotonic() < until:
            time.sleep(0.01)  # the server's end
        assert len(list(Path("/proc/self/fd").iterdir())) <= before + 1


def test_a_lease_is_longer_than_a_try_so_that_no_message_goes_twice() -> None:
    assert courier.LEASE.total_seconds() >= 2 * courier.PATIENCE
