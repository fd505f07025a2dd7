"""Rings between real processes, by each carrier; what a lost ring costs; what a carrier that is away costs."""

import fcntl
import multiprocessing
import os
import resource
import shutil
import signal
import socket
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings as django_settings
from django.db import OperationalError, connection

from runs import bell
from runs.bell import PostgresCarrier, RedisCarrier, SocketCarrier
from tests.conftest import ON_POSTGRES
from tests.runs.ears import LISTENER, LONG, REDIS, SHORT, Apart, hear, prefix_of, redis_problem

on_postgres = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.skipif(not ON_POSTGRES, reason="the database of this test run is not Postgres"),
]


@pytest.fixture
def data_dir(tmp_path: Path, settings: Any) -> Path:
    settings.DATA_DIR = tmp_path / "data"
    settings.DATA_DIR.mkdir()
    return settings.DATA_DIR


@pytest.fixture(scope="module", params=["sockets", pytest.param("postgres", marks=on_postgres), "redis"])
def place(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[bell.Carrier, Apart]]:
    """A carrier here, and processes that use the same one."""
    data_dir = tmp_path_factory.mktemp("bell")
    environment = {"ORCHESTRATOR_DATA_DIR": str(data_dir), "REDIS_URL": "", "DATABASE_URL": ""}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(django_settings, "DATA_DIR", data_dir)
        carrier: bell.Carrier = SocketCarrier(bell.socket_folder())
    if request.param == "postgres":
        request.getfixturevalue("django_db_setup")
        carrier = PostgresCarrier()
        server, _, _ = os.environ["DATABASE_URL"].rpartition("/")
        environment["DATABASE_URL"] = f"{server}/{connection.settings_dict['NAME']}"
    elif request.param == "redis":
        if problem := redis_problem():
            pytest.skip(problem)
        environment["REDIS_URL"] = REDIS
        environment["DATABASE_URL"] = f"sqlite:///{data_dir}/theirs.sqlite3"
        carrier = RedisCarrier(REDIS)
        carrier.prefix = prefix_of({"HOST": "", "PORT": "", "NAME": f"{data_dir}/theirs.sqlite3"})
    apart = Apart(**environment)
    yield carrier, apart
    apart.close()


# --- every carrier ----------------------------------------------------------------------------------------------------


@pytest.mark.processes
def test_a_ring_in_another_process_brings_its_text(place: tuple[bell.Carrier, Apart]) -> None:
    carrier, apart = place
    ear = carrier.listen("live")

    apart.ring("live run 17", "live log 203 8192")

    assert hear(ear, 2) == ["run 17", "log 203 8192"]
    ear.close()


@pytest.mark.processes
def test_a_ring_between_the_look_and_the_wait_is_not_lost(place: tuple[bell.Carrier, Apart]) -> None:
    carrier, apart = place
    apart.ring("queue before anybody listens")
    ear = carrier.listen("queue")
    apart.ring("queue now")

    assert ear.wait(LONG) == ["now"]
    ear.close()


@pytest.mark.processes
def test_only_the_topics_listened_to_are_heard(place: tuple[bell.Carrier, Apart]) -> None:
    carrier, apart = place
    ear = carrier.listen("queue", "timers")

    apart.ring("live a", "timers b", "queue c")

    assert sorted(hear(ear, 2)) == ["b", "c"]
    assert ear.wait(SHORT) == []
    ear.close()


@pytest.mark.processes
def test_every_ear_hears_a_ring_that_has_no_text(place: tuple[bell.Carrier, Apart]) -> None:
    carrier, apart = place
    ears = [carrier.listen("queue") for _ in range(2)]

    apart.ring("queue")

    assert [hear(ear) for ear in ears] == [[""], [""]]
    for ear in ears:
        ear.close()


def test_silence_lasts_as_long_as_asked(place: tuple[bell.Carrier, Apart]) -> None:
    carrier, _ = place
    ear = carrier.listen("queue")
    began = time.monotonic()

    assert ear.wait(0.2) == []

    assert 0.15 < time.monotonic() - began < 2
    assert ear.wait(0) == []
    ear.close()


def test_a_ring_that_nobody_hears_harms_nothing(place: tuple[bell.Carrier, Apart]) -> None:
    carrier, _ = place
    carrier.listen("queue").close()

    for _ in range(100):
        carrier.ring("queue", "")


def test_a_forked_process_rings_by_itself(place: tuple[bell.Carrier, Apart]) -> None:
    carrier, _ = place
    if isinstance(carrier, PostgresCarrier):
        pytest.skip("a database connection must not be shared with a fork")
    ear = carrier.listen("queue")
    carrier.ring("queue", "parent")

    process = multiprocessing.get_context("fork").Process(target=carrier.ring, args=("queue", "child"))
    process.start()
    process.join(LONG)

    assert hear(ear, 2) == ["parent", "child"]
    carrier.ring("queue", "parent again")
    assert hear(ear) == ["parent again"]
    ear.close()


# --- unix sockets -----------------------------------------------------------------------------------------------------


@pytest.mark.processes
def test_the_socket_of_a_killed_process_is_removed_by_the_next_ring(data_dir: Path) -> None:
    apart = Apart(ORCHESTRATOR_DATA_DIR=str(data_dir), REDIS_URL="", DATABASE_URL="")
    listener = apart.start(LISTENER)
    assert listener.stdout.readline() == "listening\n"
    folder = bell.socket_folder() / "queue"
    assert len(os.listdir(folder)) == 1

    listener.send_signal(signal.SIGKILL)
    listener.wait()
    SocketCarrier(bell.socket_folder()).ring("queue", "")

    assert os.listdir(folder) == []
    apart.close()


def test_a_closed_ear_leaves_no_socket(data_dir: Path) -> None:
    SocketCarrier(bell.socket_folder()).listen("queue", "timers").close()

    assert [file for file in bell.socket_folder().rglob("*") if not file.is_dir()] == []


@pytest.mark.processes
def test_a_data_folder_with_a_long_path_has_its_bell_elsewhere(tmp_path: Path, settings: Any) -> None:
    settings.DATA_DIR = tmp_path / ("a long name, " * 15 + "at last")
    settings.DATA_DIR.mkdir()
    apart = Apart(ORCHESTRATOR_DATA_DIR=str(settings.DATA_DIR), REDIS_URL="", DATABASE_URL="")
    ear = SocketCarrier(bell.socket_folder()).listen("timers")

    apart.ring("timers hello")

    assert hear(ear) == ["hello"]
    ear.close()
    apart.close()
    shutil.rmtree(bell.socket_folder())


def test_the_folder_is_ours_alone(data_dir: Path) -> None:
    assert bell.socket_folder().stat().st_mode & 0o777 == 0o700


@pytest.mark.skipif(os.getuid() != 0, reason="only root can make a folder of somebody else")
def test_a_folder_of_somebody_else_is_refused(data_dir: Path) -> None:
    os.chown(bell.socket_folder(), 12345, 12345)

    with pytest.raises(PermissionError, match="belongs to another user"):
        bell.socket_folder()


def test_an_ear_that_is_full_holds_nobody_up_and_stays_awake(data_dir: Path) -> None:
    carrier = SocketCarrier(bell.socket_folder())
    ear = carrier.listen("queue")
    began = time.monotonic()

    for number in range(5000):
        carrier.ring("queue", str(number))

    assert time.monotonic() - began < 5
    assert ear.wait(0)[0] == "0"
    ear.close()


def test_a_folder_that_cannot_be_read_does_not_stop_the_ringer(data_dir: Path) -> None:
    (bell.socket_folder() / "queue").write_text("not a folder")

    SocketCarrier(bell.socket_folder()).ring("queue", "")


def test_no_descriptor_left_does_not_stop_the_ringer(data_dir: Path) -> None:
    carrier = SocketCarrier(bell.socket_folder())
    ear = carrier.listen("queue")
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (3, before[1]))
    try:
        carrier.ring("queue", "")
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)

    carrier.ring("queue", "later")
    assert hear(ear) == ["later"]
    ear.close()


def test_waiting_works_beyond_a_thousand_open_files() -> None:
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(4096, before[1]), before[1]))
    ours, theirs = socket.socketpair()
    high = socket.socket(fileno=fcntl.fcntl(ours.fileno(), fcntl.F_DUPFD, 2000))
    try:
        assert bell.readable([high], SHORT) == []
        theirs.send(b"x")
        assert bell.readable([high], LONG) == [high]
    finally:
        for file in (high, ours, theirs):
            file.close()
        resource.setrlimit(resource.RLIMIT_NOFILE, before)


# --- Postgres ---------------------------------------------------------------------------------------------------------


@pytest.fixture
def postgres(transactional_db: None) -> PostgresCarrier:
    if not ON_POSTGRES:
        pytest.skip("the database of this test run is not Postgres")
    return PostgresCarrier()


def end_other_sessions() -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
            "WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )


def test_an_ear_whose_session_was_ended_says_so_as_a_database_error(postgres: PostgresCarrier) -> None:
    ear = postgres.listen("queue")
    end_other_sessions()

    with pytest.raises(OperationalError):
        hear(ear)

    ear.close()


def test_a_ring_on_a_broken_connection_harms_nothing(postgres: PostgresCarrier) -> None:
    ear = postgres.listen("queue")
    connection.ensure_connection()
    broken = connection.copy()
    broken.connect()
    pid = connection.connection.get_backend_pid()
    with broken.cursor() as cursor:
        cursor.execute("SELECT pg_terminate_backend(%s)", [pid])
    broken.close()

    postgres.ring("queue", "lost")
    connection.close_if_unusable_or_obsolete()
    postgres.ring("queue", "heard")

    assert hear(ear) == ["heard"]
    ear.close()


# --- which carrier ----------------------------------------------------------------------------------------------------


def test_redis_carries_where_it_is_set(settings: Any) -> None:
    settings.REDIS_URL = REDIS
    bell.carrier.cache_clear()

    assert isinstance(bell.carrier(), RedisCarrier)

    bell.carrier.cache_clear()


@pytest.mark.django_db
def test_otherwise_the_database_decides(data_dir: Path) -> None:
    bell.carrier.cache_clear()

    assert isinstance(bell.carrier(), PostgresCarrier if ON_POSTGRES else SocketCarrier)

    bell.carrier.cache_clear()
