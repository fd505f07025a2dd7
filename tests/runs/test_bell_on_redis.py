"""The bell while Redis is away, comes back, or drops a connection."""

import shutil
import socket
import subprocess
import time
from collections.abc import Iterator

import pytest
import redis

from runs.bell import RedisCarrier
from tests.runs.ears import LONG, REDIS, SHORT, hear, prefix_of, redis_problem


class OwnRedis:
    """A Redis server that a test may stop and start."""

    def __init__(self) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.url = f"redis://127.0.0.1:{self.port}/0"
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        command = ["redis-server", "--port", str(self.port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"]
        self.process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
        until = time.monotonic() + LONG
        while True:
            try:
                redis.Redis.from_url(self.url, retry=None).ping()
                return
            except redis.RedisError:
                assert time.monotonic() < until
                time.sleep(0.02)

    def stop(self) -> None:
        if self.process:
            self.process.kill()
            self.process.wait()
            self.process = None


@pytest.fixture
def server() -> Iterator[OwnRedis]:
    if not shutil.which("redis-server"):
        pytest.skip("there is no redis-server here")
    made = OwnRedis()
    yield made
    made.stop()


@pytest.mark.processes
def test_redis_away_costs_a_moment_and_raises_nothing(server: OwnRedis, caplog: pytest.LogCaptureFixture) -> None:
    carrier = RedisCarrier(server.url)
    began = time.monotonic()

    for _ in range(100):
        carrier.ring("queue", "")
    ear = carrier.listen("queue")
    assert ear.wait(SHORT) == []
    assert ear.wait(SHORT) == []

    assert time.monotonic() - began < 3
    assert ["polling instead" in record.getMessage() for record in caplog.records] == [True]
    ear.close()


@pytest.mark.processes
def test_an_ear_hears_again_when_redis_is_back(server: OwnRedis) -> None:
    server.start()
    carrier = RedisCarrier(server.url)
    ear = carrier.listen("queue")
    server.stop()
    assert ear.wait(SHORT) == []
    carrier.ring("queue", "lost")

    server.start()
    until = time.monotonic() + LONG
    while not (heard := ear.wait(0.1)):
        assert time.monotonic() < until
        carrier.ring("queue", "heard")

    assert set(heard) == {"heard"}
    ear.close()


@pytest.mark.processes
def test_an_ear_whose_connection_was_dropped_hears_again(server: OwnRedis) -> None:
    server.start()
    carrier = RedisCarrier(server.url)
    ear = carrier.listen("queue")
    redis.Redis.from_url(server.url).client_kill_filter(_type="pubsub")

    ear.wait(SHORT)
    until = time.monotonic() + LONG
    while not (heard := ear.wait(0.1)):
        assert time.monotonic() < until
        carrier.ring("queue", "heard")

    assert set(heard) == {"heard"}
    ear.close()


@pytest.mark.skipif(bool(redis_problem()), reason="no Redis answers")
def test_two_installations_on_one_redis_do_not_hear_each_other() -> None:
    ours, theirs = RedisCarrier(REDIS), RedisCarrier(REDIS)
    ours.prefix = prefix_of({"NAME": "ours"})
    theirs.prefix = prefix_of({"NAME": "theirs"})
    ear = ours.listen("queue")

    theirs.ring("queue", "not for us")
    ours.ring("queue", "for us")

    assert hear(ear) == ["for us"]
    ear.close()
