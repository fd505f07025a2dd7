"""Messages between a worker and a block's child, in whatever pieces and shapes they arrive."""

import os
import socket
import threading
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from executors.channel import HEADER, MAX_MESSAGE, ChannelClosed, Reader, pack, send

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@pytest.fixture
def ends() -> Iterator[tuple[socket.socket, socket.socket]]:
    one, other = socket.socketpair()
    with one, other:
        yield one, other


def arrived(data: bytes, at: int) -> list[Any]:
    """What a reader makes of bytes that come in two pieces."""
    one, other = socket.socketpair()
    with one, other:
        reader, found = Reader(other), []
        for piece in (data[:at], data[at:]):
            if piece:
                one.sendall(piece)
                reader.read()
                found += reader.messages()
    return found


@given(messages=st.lists(JSON, min_size=1, max_size=4), data=st.data())
def test_messages_are_whole_wherever_the_stream_is_cut(messages: list[Any], data: st.DataObject) -> None:
    stream = b"".join(map(pack, messages))

    assert arrived(stream, data.draw(st.integers(0, len(stream)))) == messages


def test_half_a_message_is_kept_until_the_rest_is_there(ends: tuple[socket.socket, socket.socket]) -> None:
    one, other = ends
    reader, whole = Reader(other), pack(["out", "stdout", "hello"])

    one.sendall(whole[:7])
    reader.read()
    before = reader.messages()
    one.sendall(whole[7:])
    reader.read()

    assert before == []
    assert reader.messages() == [["out", "stdout", "hello"]]
    assert reader.messages() == [], "each is told once"


def test_text_that_is_no_unicode_survives(ends: tuple[socket.socket, socket.socket]) -> None:
    one, other = ends

    send(one, ["out", "stdout", "a \udc80 lone surrogate, and \x00"])

    assert Reader(other).wait_for_one() == ["out", "stdout", "a \udc80 lone surrogate, and \x00"]


def test_a_message_larger_than_any_buffer_arrives(ends: tuple[socket.socket, socket.socket]) -> None:
    one, other = ends
    text = "x" * 5_000_000

    with_a_writer = threading.Thread(target=send, args=(one, [text]))
    with_a_writer.start()
    found = Reader(other).wait_for_one()
    with_a_writer.join()

    assert found == [text]


def test_an_open_file_travels_with_its_message(ends: tuple[socket.socket, socket.socket]) -> None:
    one, other = ends
    reader, (read_end, write_end) = Reader(other, expect_files=True), os.pipe()

    send(one, ["job", {}], (write_end,))
    os.close(write_end)
    assert reader.wait_for_one() == ["job", {}]
    (received,) = reader.files
    os.write(received, b"through the pipe")
    os.close(received)

    assert os.read(read_end, 100) == b"through the pipe"
    os.close(read_end)


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (HEADER.pack(MAX_MESSAGE + 1), "impossible length"),
        (b"\xff\xff\xff\xff", "impossible length"),
        (HEADER.pack(5) + b"hello", "not JSON"),
        (HEADER.pack(0), "not JSON"),
        (HEADER.pack(2) + b"\xff\xfe", "not JSON"),
        (HEADER.pack(100_000) + b"[" * 100_000, "not JSON"),
    ],
)
def test_nonsense_closes_the_channel(data: bytes, words: str) -> None:
    with pytest.raises(ChannelClosed, match=words):
        arrived(data, 1)


def test_what_came_before_nonsense_is_lost_with_it(ends: tuple[socket.socket, socket.socket]) -> None:
    one, other = ends
    reader = Reader(other)
    one.sendall(pack(["fine"]) + HEADER.pack(3) + b"bad")
    reader.read()

    with pytest.raises(ChannelClosed):
        reader.messages()


@pytest.mark.parametrize("said", [b"", b"\x00", pack(["half a message"])[:-1]])
def test_the_end_of_the_stream_is_told(ends: tuple[socket.socket, socket.socket], said: bytes) -> None:
    one, other = ends
    one.sendall(said)
    one.close()

    with pytest.raises(ChannelClosed, match="gone"):
        Reader(other).wait_for_one()


def test_nothing_there_is_not_the_end(ends: tuple[socket.socket, socket.socket]) -> None:
    _, other = ends
    other.setblocking(False)

    with pytest.raises(BlockingIOError):
        Reader(other).read()


def test_sending_to_nobody_is_an_os_error(ends: tuple[socket.socket, socket.socket]) -> None:
    one, other = ends
    other.close()

    with pytest.raises(OSError, match="[Bb]roken pipe|reset"):
        send(one, ["result", {}])
    with suppress(OSError):
        one.shutdown(socket.SHUT_RDWR)
