"""Wake other processes: "there is work", "a timer changed", "run 17 changed". Hints only; losing one loses nothing.

One of three carriers: Redis pub/sub where REDIS_URL is set, else NOTIFY on Postgres, else datagrams on unix sockets
in the data folder (one host, as SQLite is). Ring after the commit, never inside a writing transaction: NOTIFY there
would serialize all commits.
"""

import contextlib
import errno
import hashlib
import logging
import os
import select
import socket
import tempfile
import time
from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path
from typing import Any, Literal, Protocol

from django.conf import settings
from django.db import Error as DatabaseError
from django.db import connection

logger = logging.getLogger(__name__)
Topic = Literal["queue", "timers", "live", "stops"]
MESSAGES_AT_ONCE = 1000
SUBSCRIBE_SECONDS = 2.0
AWAY = "Redis does not answer, polling instead: %s"
SILENT_SECONDS = 1.0  # after Redis did not take a ring


def ring(topic: Topic, text: str = "") -> None:
    """Wake whoever listens to the topic. Never raises: what a lost ring costs is one poll interval."""
    carrier().ring(topic, text)


@contextlib.contextmanager
def listen(*topics: Topic) -> Iterator["Ear"]:
    """Hear the topics' rings from now on."""
    ear = open_ear(*topics)
    try:
        yield ear
    finally:
        ear.close()


def open_ear(*topics: Topic) -> "Ear":
    """Return an ear that the caller closes. Raises the carrier's own error when it cannot be opened."""
    return carrier().listen(*topics)


class Ear(Protocol):
    """Where rings arrive."""

    def wait(self, seconds: float) -> list[str]:
        """Return the texts that came, at once if any did, [] after `seconds`. Raises when the carrier is gone."""

    def close(self) -> None: ...


class Carrier(Protocol):
    def ring(self, topic: str, text: str) -> None: ...

    def listen(self, *topics: str) -> Ear: ...


@cache
def carrier() -> Carrier:
    if settings.REDIS_URL:
        return RedisCarrier(settings.REDIS_URL)
    return PostgresCarrier() if connection.vendor == "postgresql" else SocketCarrier(socket_folder())


# --- unix datagrams -------------------------------------------------------------------------------------------------


def socket_folder() -> Path:
    """The data folder's `bell`, or a short stand-in: a unix socket's path may have 107 bytes only."""
    folder = Path(settings.DATA_DIR) / "bell"
    if len(str(folder)) > 70:
        name = hashlib.sha256(str(folder).encode()).hexdigest()[:16]
        folder = Path(tempfile.gettempdir()) / f"orchestrator-{os.getuid()}-{name}"
    folder.mkdir(mode=0o700, exist_ok=True)
    if folder.stat().st_uid != os.getuid():
        raise PermissionError(f"{folder} belongs to another user")
    return folder


class SocketCarrier:
    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.socket: socket.socket | None = None
        self.pid = 0

    def ring(self, topic: str, text: str) -> None:
        try:
            names = os.listdir(self.folder / topic)
        except OSError:  # mostly: nobody has ever listened
            return
        for name in names:
            self.send(str(self.folder / topic / name), text.encode())

    def send(self, path: str, message: bytes) -> None:
        try:
            if self.socket is None or self.pid != os.getpid():
                self.socket, self.pid = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM), os.getpid()
                self.socket.setblocking(False)
            self.socket.sendto(message, path)
        except OSError as error:
            if error.errno == errno.ECONNREFUSED:  # its process is gone
                with contextlib.suppress(OSError):
                    os.unlink(path)
            # A full buffer means that it is awake already; a missing file that it has just left.

    def listen(self, *topics: str) -> Ear:
        return SocketEar([self.folder / topic for topic in topics])


class SocketEar:
    def __init__(self, folders: list[Path]) -> None:
        self.sockets: list[socket.socket] = []
        self.paths: list[str] = []
        for folder in folders:
            folder.mkdir(mode=0o700, exist_ok=True)
            path = str(folder / f"{os.getpid()}-{time.monotonic_ns()}")
            ear = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
            ear.bind(path)
            ear.setblocking(False)
            self.sockets.append(ear)
            self.paths.append(path)

    def wait(self, seconds: float) -> list[str]:
        texts: list[str] = []
        for ear in readable(self.sockets, seconds):
            with contextlib.suppress(BlockingIOError):
                while len(texts) < MESSAGES_AT_ONCE:
                    texts.append(ear.recv(512).decode(errors="replace"))
        return texts

    def close(self) -> None:
        for ear, path in zip(self.sockets, self.paths, strict=True):
            ear.close()
            with contextlib.suppress(OSError):
                os.unlink(path)


def readable(files: Sequence[Any], seconds: float) -> list[Any]:
    """Wait until one of the files can be read; return those that can. `select` takes no descriptor above 1023."""
    by_number = {file.fileno(): file for file in files}
    poll = select.poll()
    for number in by_number:
        poll.register(number, select.POLLIN)
    return [by_number[number] for number, _ in poll.poll(max(0.0, seconds) * 1000)]


# --- Postgres -------------------------------------------------------------------------------------------------------


class PostgresCarrier:
    def ring(self, topic: str, text: str) -> None:
        try:
            with connection.cursor() as cursor:
                cursor.execute("SELECT pg_notify(%s, %s)", [f"orchestrator_{topic}", text])
        except DatabaseError:
            logger.debug("could not ring %s", topic, exc_info=True)

    def listen(self, *topics: str) -> Ear:
        return PostgresEar(topics)


class PostgresEar:
    """A second connection that is only ever used to LISTEN."""

    def __init__(self, topics: tuple[str, ...]) -> None:
        self.connection: Any = connection.copy()
        self.connection.connect()
        self.connection.set_autocommit(True)
        with self.connection.cursor() as cursor:
            for topic in topics:
                cursor.execute(f"LISTEN orchestrator_{topic}")

    def wait(self, seconds: float) -> list[str]:
        with self.connection.wrap_database_errors:  # what raises here is an error of Django's, as everywhere
            raw = self.connection.connection
            if not raw.notifies and readable([raw], seconds):
                raw.poll()
            texts = [notice.payload for notice in raw.notifies]
            raw.notifies.clear()
            return texts

    def close(self) -> None:
        with contextlib.suppress(DatabaseError):
            self.connection.close()


# --- Redis ----------------------------------------------------------------------------------------------------------


class RedisCarrier:
    def __init__(self, url: str) -> None:
        self.url = url
        self.client: Any = None
        self.pid = 0
        self.silent_until = 0.0
        # Several installations may share one Redis.
        database = settings.DATABASES["default"]
        name = f"{database.get('HOST')}/{database.get('PORT')}/{database['NAME']}"
        self.prefix = f"orchestrator:{hashlib.sha256(name.encode()).hexdigest()[:8]}:"

    def connect(self) -> Any:
        import redis
        from redis.backoff import NoBackoff
        from redis.retry import Retry

        if self.client is None or self.pid != os.getpid():
            once_more = Retry(NoBackoff(), 1)  # not with pauses, as is the default: rings are in everybody's way
            self.client, self.pid = (
                redis.Redis.from_url(self.url, socket_timeout=2, socket_connect_timeout=1, retry=once_more),
                os.getpid(),
            )
        return self.client

    def ring(self, topic: str, text: str) -> None:
        import redis

        if time.monotonic() < self.silent_until:
            return
        try:
            self.connect().publish(self.prefix + topic, text)
        except redis.RedisError:
            self.silent_until = time.monotonic() + SILENT_SECONDS
            logger.debug("could not ring %s", topic, exc_info=True)

    def listen(self, *topics: str) -> Ear:
        return RedisEar(self.connect(), [self.prefix + topic for topic in topics])


class RedisEar:
    """While Redis is away this ear is deaf and says so once; waiting then is a plain sleep."""

    def __init__(self, client: Any, channels: list[str]) -> None:
        import redis

        self.pubsub = client.pubsub()
        self.channels = channels
        self.is_deaf = True
        self.heard: list[str] = []
        try:
            self.subscribe()
        except redis.RedisError as error:
            logger.warning(AWAY, error)

    def wait(self, seconds: float) -> list[str]:
        import redis

        try:
            return self.hear(seconds)
        except redis.RedisError as error:
            if not self.is_deaf:
                logger.warning(AWAY, error)
            self.is_deaf = True
            time.sleep(min(seconds, 1.0))
            return []

    def hear(self, seconds: float) -> list[str]:
        if self.is_deaf:
            self.subscribe()
        message = None if self.heard else self.pubsub.get_message(timeout=seconds)
        while message and len(self.heard) < MESSAGES_AT_ONCE:
            self.keep(message)
            message = self.pubsub.get_message(timeout=0)
        texts, self.heard = self.heard, []
        return texts

    def subscribe(self) -> None:
        """Return when Redis has confirmed it: from then on nothing is missed."""
        self.pubsub.subscribe(*self.channels)
        missing = set(self.channels)
        while missing:
            message = self.pubsub.get_message(timeout=SUBSCRIBE_SECONDS)
            if message is None:
                return
            if message["type"] == "subscribe":
                missing.discard(message["channel"].decode())
            self.keep(message)
        self.is_deaf = False

    def keep(self, message: dict[str, Any]) -> None:
        if message["type"] == "message":
            self.heard.append(message["data"].decode(errors="replace"))

    def close(self) -> None:
        self.pubsub.close()
