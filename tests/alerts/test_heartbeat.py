"""The outbound heartbeat: asked for while the loop comes round, never waited for, and its failure is told of."""

import os
import threading
from collections.abc import Iterator
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from alerts import heartbeat
from alerts.heartbeat import Heartbeat, ask_for
from runs.models import WorkerKind
from runs.working import workers
from tests.factories import NOON, make_worker


class Service(ThreadingHTTPServer):
    """What notices silence: counts what it is asked for, and answers as it is told."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.answer, self.asked = 200, list[str]()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/ping/secret-uuid"


class Handler(BaseHTTPRequestHandler):
    server: Service

    def do_GET(self) -> None:
        self.server.asked.append(self.path)
        self.send_response(self.server.answer)
        if self.server.answer == 302:
            self.send_header("Location", "/elsewhere")
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *args: Any) -> None:
        pass


@pytest.fixture
def service(settings: Any) -> Iterator[Service]:
    with Service() as made:
        threading.Thread(target=made.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        settings.HEARTBEAT_URL = made.url
        yield made
        made.shutdown()


def beat(pulse: Heartbeat, seconds: int = 0) -> None:
    pulse.ping(NOON + timedelta(seconds=seconds))
    if pulse.thread is not None:
        pulse.thread.join(10)


def make_loop() -> None:
    make_worker(WorkerKind.SCHEDULER, host=workers.this_host(), pid=os.getpid(), last_loop_at=NOON)


@pytest.mark.django_db
def test_it_is_asked_for_while_the_loop_comes_round(service: Service) -> None:
    pulse = Heartbeat()
    beat(pulse)
    assert service.asked == []
    make_loop()
    beat(pulse, 29)
    assert service.asked == ["/ping/secret-uuid"]
    beat(pulse, 31)
    assert len(service.asked) == 1


@pytest.mark.django_db
def test_without_an_address_nothing_is_asked(settings: Any) -> None:
    settings.HEARTBEAT_URL = ""
    make_loop()
    pulse = Heartbeat()
    pulse.ping(NOON)
    assert pulse.thread is None


@pytest.mark.django_db
def test_what_is_still_being_asked_for_is_not_asked_for_again(service: Service) -> None:
    make_loop()
    pulse, stop = Heartbeat(), threading.Event()
    pulse.thread = threading.Thread(target=stop.wait)
    pulse.thread.start()
    pulse.ping(NOON)
    stop.set()
    pulse.thread.join()
    assert service.asked == []


def test_three_failures_in_a_row_are_trouble_until_it_is_reached_again(
    service: Service, caplog: pytest.LogCaptureFixture
) -> None:
    pulse, service.answer = Heartbeat(), 500
    for _ in range(2):
        pulse.send(service.url)
    assert pulse.conditions() == []
    pulse.send(service.url)
    (condition,) = pulse.conditions()
    assert condition.title == "HEARTBEAT_URL (127.0.0.1) is not reached"
    assert condition.message == "3 pings in a row failed, the last with: it answered 500"
    service.answer = 204
    pulse.send(service.url)
    assert pulse.conditions() == []
    assert caplog.text.count("was not reached") == 1
    assert "secret" not in caplog.text + condition.message + condition.name


def test_it_goes_nowhere_else(service: Service) -> None:
    service.answer = 302
    assert ask_for(service.url) == "it answered 302"
    assert service.asked == ["/ping/secret-uuid"]


def test_who_does_not_answer_is_told_without_the_address() -> None:
    assert ask_for("http://127.0.0.1:9/secret") == "Connection refused"
    assert "secret" not in ask_for("http://no.such.host.invalid/secret")


def test_the_scheduler_pings_and_evaluates_as_further_duties() -> None:
    from alerts import evaluating
    from schedules import scheduler

    calls = [call for call, _ in scheduler.FURTHER_DUTIES]
    assert calls.count(heartbeat.ping) == calls.count(evaluating.look) == 1
