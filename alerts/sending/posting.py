"""One POST to a web server: no redirects, no proxies of the environment, ten seconds and 64 KiB for the answer."""

import email.utils
import http.client
import socket
import ssl
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache
from http import HTTPStatus
from urllib.parse import quote, urlsplit

from alerts.sending import guard
from alerts.sending.outcomes import SENT, Outcome

MOST_BYTES = 64 * 1024
SHOWN = 200  # characters of an answer that tells why not
LONGEST_PAUSE = timedelta(days=1)  # a receiver may ask for
PLAIN = "/%:@!$&'()*+,;=~-._"  # stays as it is in an address
BUSY = (HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.SERVICE_UNAVAILABLE)


@dataclass(frozen=True)
class Answer:
    """What the server said."""

    status: int
    reason: str
    retry_after: str
    text: str


def post(url: str, body: bytes, headers: Mapping[str, str], *, moment: datetime, allow_private: bool) -> Outcome:
    """Send the body; never raises for what the network or the server does. No secret of ours is in the error."""
    try:
        answer = ask(url, body, headers, allow_private=allow_private)
    except guard.PrivateAddress as error:
        return Outcome(error=str(error), is_final=True)
    except (OSError, http.client.HTTPException, ValueError) as error:
        return Outcome(error=f"{host_of(url)}: {in_words(error)}")
    return outcome_of(answer, host_of(url), moment)


def is_web_address(url: str) -> bool:
    """Tell whether this is the address of a web server: http or https, a host, a port that exists."""
    try:
        parts = urlsplit(url)
        return parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        return False


def ask(url: str, body: bytes, headers: Mapping[str, str], *, allow_private: bool) -> Answer:
    parts = urlsplit(url)
    kind = SecureLine if parts.scheme == "https" else Line
    line = kind(parts.hostname or "", parts.port or kind.default_port, allow_private)
    target = quote(parts.path or "/", safe=PLAIN) + (f"?{quote(parts.query, safe=PLAIN + '?')}" if parts.query else "")
    try:
        line.connect()
        with bounded(line.sock):
            line.request("POST", target, body, {"Connection": "close", **headers})
            answer = line.getresponse()
            # What was accepted is accepted, however long the server goes on about it.
            text = "" if is_good(answer.status) else answer.read(MOST_BYTES).decode(errors="replace")
            return Answer(answer.status, answer.reason or "", answer.headers.get("Retry-After", ""), text)
    finally:
        line.close()


class Line(http.client.HTTPConnection):
    """A connection to an address that was looked at."""

    def __init__(self, host: str, port: int, allow_private: bool) -> None:
        super().__init__(host, port, timeout=guard.SECONDS)
        self.allow_private = allow_private

    def connect(self) -> None:
        self.sock = guard.connect(self.host, self.port, allow_private=self.allow_private)


class SecureLine(Line):
    default_port = http.client.HTTPS_PORT

    def connect(self) -> None:
        super().connect()
        self.sock = certificates().wrap_socket(self.sock, server_hostname=self.host)


@cache
def certificates() -> ssl.SSLContext:
    return ssl.create_default_context()


@contextmanager
def bounded(sock: socket.socket) -> Iterator[None]:
    """End the connection when the time is over, also for a server that sends a byte now and then."""
    over = threading.Event()

    def end() -> None:
        over.set()
        with suppress(OSError):
            sock.shutdown(socket.SHUT_RDWR)

    timer = threading.Timer(guard.SECONDS, end)
    timer.daemon = True
    timer.start()
    try:
        yield
    except (OSError, http.client.HTTPException):
        if not over.is_set():
            raise
    finally:
        timer.cancel()
    if over.is_set():  # an answer that seems to end has been cut off
        raise TimeoutError


def outcome_of(answer: Answer, host: str, moment: datetime) -> Outcome:
    """Say what an answer means for the message and its channel."""
    if is_good(answer.status):
        return SENT
    text = " ".join(answer.text.split())[:SHOWN]
    text = "" if text.startswith("<") else text  # a page, of which the beginning says nothing
    error = f"{host} answered {answer.status} {answer.reason}".strip() + (f": {text}" if text else ".")
    if 300 <= answer.status < 400:
        return Outcome(error=f"{host} answered {answer.status}, a redirect: those are not followed.")
    if answer.status == HTTPStatus.GONE:
        return Outcome(error=error, is_final=True, closes_channel=True)
    return Outcome(error=error, retry_after=pause_in(answer.retry_after, moment) if answer.status in BUSY else None)


def is_good(status: int) -> bool:
    return 200 <= status < 300


def pause_in(text: str, moment: datetime) -> timedelta | None:
    """Read Retry-After: seconds, or a date; None if it is neither."""
    text = text.strip()
    if text.isascii() and text.isdecimal():
        return min(timedelta(seconds=int(text[:9])), LONGEST_PAUSE)
    try:
        until = email.utils.parsedate_to_datetime(text)
    except ValueError:
        return None
    until = until if until.tzinfo else until.replace(tzinfo=UTC)
    return min(max(until - moment, timedelta(0)), LONGEST_PAUSE)


def host_of(url: str) -> str:
    return urlsplit(url).hostname or "the server"


def in_words(error: Exception) -> str:
    """Say what went wrong on the way, without the address."""
    if isinstance(error, TimeoutError):
        return f"no answer within {guard.SECONDS:g} s"
    if isinstance(error, socket.gaierror):
        return "the name has no address"
    if isinstance(error, ssl.SSLError):
        return f"no secure connection ({error.reason or type(error).__name__})"
    if isinstance(error, http.client.RemoteDisconnected):
        return "the connection ended without an answer"
    if isinstance(error, OSError):
        return error.strerror or type(error).__name__
    return f"the answer is not HTTP ({type(error).__name__})"
