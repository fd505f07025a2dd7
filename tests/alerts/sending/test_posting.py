"""One POST: what comes back for every way in which a server may behave."""

import socket
import threading
import time
from collections.abc import Iterator
from datetime import timedelta

import pytest

from alerts.sending import guard, posting
from alerts.sending.outcomes import Outcome
from tests.alerts.receivers import Receiver
from tests.factories import NOON


def post(url: str, *, allow_private: bool = True) -> Outcome:
    return posting.post(url, b"{}", {"X": "1"}, moment=NOON, allow_private=allow_private)


@pytest.fixture
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(guard, "SECONDS", 0.2)


@pytest.fixture
def rude() -> Iterator[tuple[str, list[bytes]]]:
    """A server that sends what it is given, piece by piece, and never ends by itself."""
    pieces: list[bytes] = []
    listener = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        try:
            line, _ = listener.accept()
            with line:
                line.recv(10_000)
                for piece in pieces:
                    line.sendall(piece)
                    time.sleep(0.05)
        except OSError:
            pass  # the other side has had enough

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{listener.getsockname()[1]}/", pieces
    listener.close()
    thread.join(5)


def test_a_body_arrives_with_its_headers(server: Receiver) -> None:
    outcome = post(f"{server.url}/a b/ü?x=1&y=ö z")

    assert outcome.is_sent
    assert server.got[0].path == "/a%20b/%C3%BC?x=1&y=%C3%B6%20z"
    assert (server.got[0].headers["x"], server.got[0].body) == ("1", b"{}")


def test_an_answer_that_says_no_is_told_with_what_it_says(server: Receiver) -> None:
    server.answer(500, body=b"no\n such   channel" + b"x" * 1000)

    error = post(server.url).error

    assert error.startswith("127.0.0.1 answered 500 Internal Server Error: no such channelxxx")
    assert len(error) < 300


def test_a_page_that_says_no_is_not_shown(server: Receiver) -> None:
    server.answer(404, body=b"<!doctype html><title>Lost</title>")

    assert post(server.url).error == "127.0.0.1 answered 404 Not Found."


def test_a_redirect_is_not_followed(server: Receiver) -> None:
    server.answer(302, Location=f"{server.url}/elsewhere")

    assert "redirect" in post(server.url).error
    assert len(server.got) == 1


def test_a_receiver_that_is_gone_closes_the_channel(server: Receiver) -> None:
    server.answer(410)

    outcome = post(server.url)

    assert outcome.closes_channel
    assert outcome.is_final


@pytest.mark.parametrize(
    ("given", "seconds"),
    [
        ("120", 120),
        ("0", 0),
        ("Sun, 02 Mar 2025 12:05:00 GMT", 300),
        ("Sun, 02 Mar 2025 11:00:00 GMT", 0),
        ("99999999999", 86_400),
        ("soon", None),
        ("-5", None),
        ("", None),
    ],
)
def test_a_busy_receiver_says_when_to_come_again(server: Receiver, given: str, seconds: int | None) -> None:
    server.answer(429, Retry_After=given)

    pause = post(server.url).retry_after

    assert pause == (None if seconds is None else timedelta(seconds=seconds))


@pytest.mark.usefixtures("hasty")
def test_a_server_that_hangs_is_left_after_the_time(server: Receiver) -> None:
    server.may_answer.clear()

    assert post(server.url).error == "127.0.0.1: no answer within 0.2 s"


@pytest.mark.usefixtures("hasty")
@pytest.mark.parametrize("piece", [b"H", b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n"])
def test_a_server_that_drips_is_left_after_the_time(rude: tuple[str, list[bytes]], piece: bytes) -> None:
    url, pieces = rude
    pieces.extend([piece] + [b"X: y\r\n"] * 100)
    began = time.monotonic()

    assert not post(url).is_sent
    assert time.monotonic() - began < 2


def test_of_a_long_answer_only_the_beginning_is_read(rude: tuple[str, list[bytes]]) -> None:
    url, pieces = rude
    pieces.extend([b"HTTP/1.1 500 No\r\nContent-Length: 10000000\r\n\r\n", b"x" * posting.MOST_BYTES, b"y" * 10**6])

    assert post(url).error.startswith("127.0.0.1 answered 500 No: xxx")


@pytest.mark.usefixtures("hasty")
def test_what_was_accepted_is_sent_however_long_the_answer_takes(rude: tuple[str, list[bytes]]) -> None:
    url, pieces = rude
    pieces.extend([b"HTTP/1.1 200 OK\r\nContent-Length: 10000000\r\n\r\n"] + [b"x"] * 100)

    assert post(url).is_sent


def test_what_is_no_http_is_told(rude: tuple[str, list[bytes]]) -> None:
    url, pieces = rude
    pieces.append(b"220 mail.example.org ESMTP\r\n\r\n")

    assert "not HTTP" in post(url).error


def test_nobody_there_is_told_without_the_address() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]

    assert post(f"http://127.0.0.1:{port}/secret").error == "127.0.0.1: Connection refused"


def test_a_name_without_an_address_may_have_one_later(monkeypatch: pytest.MonkeyPatch) -> None:
    def unknown(*_: object, **__: object) -> list[object]:
        raise socket.gaierror(-2, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    outcome = post("https://nowhere.example.org/")

    assert (outcome.error, outcome.is_final) == ("nowhere.example.org: the name has no address", False)


def test_a_server_without_a_certificate_is_not_told(server: Receiver) -> None:
    assert "no secure connection" in post(server.url.replace("http:", "https:")).error
    assert server.got == []


def test_proxies_of_the_environment_are_not_asked(server: Receiver, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")

    assert post(server.url).is_sent


# --- where messages may not go --------------------------------------------------------------------------------------

PRIVATE = [
    "127.0.0.1",
    "127.1.2.3",
    "0.0.0.0",
    "10.0.0.8",
    "172.16.0.1",
    "192.168.1.1",
    "169.254.169.254",
    "100.64.0.1",
    "192.0.0.8",
    "198.18.0.1",
    "224.0.0.1",
    "240.0.0.1",
    "255.255.255.255",
    "::1",
    "::",
    "fe80::1",
    "fe80::1%eth0",
    "fd00:ec2::254",
    "ff02::1",
    "2001:db8::1",
    "::ffff:127.0.0.1",
    "::ffff:169.254.169.254",
    "64:ff9b::7f00:1",
    "64:ff9b::a9fe:a9fe",
    "2002:7f00:1::",
]


@pytest.mark.parametrize("address", PRIVATE)
def test_an_address_of_this_machine_or_a_private_network_is_not_public(address: str) -> None:
    assert not guard.is_public(address)


@pytest.mark.parametrize("address", ["8.8.8.8", "93.184.215.14", "2606:4700::1111", "64:ff9b::808:808"])
def test_an_address_of_the_internet_is_public(address: str) -> None:
    assert guard.is_public(address)


@pytest.mark.parametrize(
    "host", ["127.0.0.1", "localhost", "2130706433", "0x7f000001", "017700000001", "127.1", "[::1]", "[::ffff:7f00:1]"]
)
def test_a_private_server_hears_nothing_however_it_is_written(
    server: Receiver, host: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(guard, "WEB_PORTS", {server.port})
    outcome = post(f"http://{host}:{server.port}/", allow_private=False)

    assert outcome.is_final or "no address" in outcome.error
    assert server.got == []


def test_a_name_that_means_another_address_the_second_time_is_caught(
    server: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    answers = iter(["93.184.215.14", "127.0.0.1"])

    def rebinding(host: str, port: int, **_: object) -> list[object]:
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (next(answers), port))]

    monkeypatch.setattr(socket, "getaddrinfo", rebinding)
    monkeypatch.setattr(guard, "WEB_PORTS", {server.port})
    assert guard.is_public(str(rebinding("x", 1)[0][4][0]))  # type: ignore[index]

    outcome = post(f"http://rebinding.example.org:{server.port}/", allow_private=False)

    assert "127.0.0.1 is not an address of the internet" in outcome.error
    assert server.got == []


def test_only_ports_of_web_servers_are_reached_on_the_internet() -> None:
    outcome = post("http://93.184.215.14:22/", allow_private=False)

    assert outcome.is_final
    assert "Port 22" in outcome.error
