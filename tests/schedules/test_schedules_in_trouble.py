"""Schedulers that are killed, stopped and cut off from the database, and everybody at once at what is limited."""

import os
import random
import shutil
import signal
import time
from collections.abc import Iterator

import pytest

from tests.runs.crowd import Crowd, gather, wait_until
from tests.runs.test_bell_on_redis import OwnRedis

pytestmark = pytest.mark.processes
SIZE = 6
SPOKEN = "__import__('tests.schedules.mob', fromlist=['']).{}"


@pytest.fixture(scope="module", params=["sqlite", "postgres"])
def crowd(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Crowd]:
    with gather(request.param, tmp_path_factory.mktemp("mob"), SIZE) as made:
        yield made


@pytest.fixture(autouse=True)
def clean(crowd: Crowd) -> None:
    crowd.ask(SPOKEN.format("start_over()"))


class Gang:
    """Scheduler processes that are children of the crowd's first member, which buries them."""

    def __init__(self, crowd: Crowd, size: int, redis_url: str = "") -> None:
        self.crowd, self.redis_url = crowd, redis_url
        self.pids = [self.fork() for _ in range(size)]

    def fork(self) -> int:
        return int(self.crowd.ask(SPOKEN.format(f"fork_scheduler({self.redis_url!r})")))

    def kill(self, pid: int) -> None:
        os.kill(pid, signal.SIGKILL)
        self.crowd.ask(SPOKEN.format(f"bury({pid})"))
        self.pids.remove(pid)

    def replace(self, pid: int) -> None:
        self.kill(pid)
        self.pids.append(self.fork())

    def close(self) -> None:
        for pid in list(self.pids):
            self.kill(pid)


@pytest.fixture
def gangs() -> Iterator[list[Gang]]:
    found: list[Gang] = []
    yield found
    for gang in found:
        gang.close()


def is_well(crowd: Crowd, expected: int) -> None:
    book = crowd.ask(SPOKEN.format("book()"))
    assert book.pop("rows") == book.pop("runs") == expected
    assert set(book.values()) == {0}, book


@pytest.mark.parametrize("size", [2, 5])
def test_schedulers_that_are_killed_at_random_lose_and_double_nothing(
    crowd: Crowd, gangs: list[Gang], size: int
) -> None:
    if crowd.kind == "sqlite" and size > 2:
        pytest.skip("more than two at once are for Postgres")
    dice, count = random.Random(size), 200 if crowd.kind == "sqlite" else 1000
    expected = crowd.ask(SPOKEN.format(f"make_many({count})"))
    gang = Gang(crowd, size)
    gangs.append(gang)

    deadline, kills = time.monotonic() + 60, 0
    while crowd.ask(SPOKEN.format("count_rows()")) < expected:
        assert time.monotonic() < deadline, "it did not come to pass"
        time.sleep(dice.uniform(0.02, 0.25))
        if kills < 7:
            gang.replace(dice.choice(gang.pids))
            kills += 1

    assert kills > 2
    is_well(crowd, expected)


def test_schedulers_that_are_stopped_or_cut_off_go_on_and_double_nothing(crowd: Crowd, gangs: list[Gang]) -> None:
    dice = random.Random(1)
    expected = crowd.ask(SPOKEN.format("make_many(150)"))
    gang = Gang(crowd, 2)
    gangs.append(gang)

    for number in range(4):
        stopped = gang.pids[number % 2]
        os.kill(stopped, signal.SIGSTOP)
        time.sleep(dice.uniform(0.1, 0.4))
        if crowd.kind == "postgres":
            crowd.ask(SPOKEN.format("end_other_sessions()"))  # also of the one that sleeps
        os.kill(stopped, signal.SIGCONT)

    wait_until(lambda: crowd.ask(SPOKEN.format("count_rows()")) == expected, 40)
    is_well(crowd, expected)


def test_moments_come_on_time_while_redis_is_away_and_when_it_is_back(crowd: Crowd, gangs: list[Gang]) -> None:
    if crowd.kind == "sqlite" or shutil.which("redis-server") is None:
        pytest.skip("Redis is tried beside Postgres, where there is a redis-server")
    redis = OwnRedis()
    redis.start()
    try:
        gang = Gang(crowd, 2, redis.url)
        gangs.append(gang)
        expected = crowd.ask(SPOKEN.format("make_many(60)"))
        time.sleep(0.7)
        redis.stop()
        time.sleep(0.7)
        redis.start()

        wait_until(lambda: crowd.ask(SPOKEN.format("count_rows()")) == expected, 40)
        is_well(crowd, expected)
        assert crowd.ask(SPOKEN.format("latest()")) < 5
    finally:
        redis.stop()


def test_no_deadlock_reaches_anybody_and_no_limit_is_exceeded(crowd: Crowd) -> None:
    crowd.ask(SPOKEN.format("make_limited()"))
    begun, seconds = time.time(), 3.5

    reports = crowd.ask_all(*(SPOKEN.format(f"riot({seed}, {begun}, {seconds})") for seed in range(SIZE)))

    assert [report["raised"] for report in reports] == [[]] * SIZE
    done = {name for report in reports for name in report["done"]}
    assert {"tick", "call", "work", "cancel", "retry", "backfill", "edit"} <= done
    assert set(crowd.ask(SPOKEN.format("stuck()")).values()) == {0}


def test_a_trigger_that_may_have_one_run_has_one_and_every_refusal_is_a_row(crowd: Crowd) -> None:
    crowd.ask(SPOKEN.format("make_single()"))

    reports = crowd.ask_all(*(SPOKEN.format(f"call_often({seed}, 10)") for seed in range(SIZE)))

    started, refused = (sum(report[name] for report in reports) for name in ("started", "refused"))
    assert max(report["most"] for report in reports) == 1
    assert started + refused == 10 * SIZE
    assert crowd.ask(SPOKEN.format("decisions()")) == {"started": started, "skipped": refused}
