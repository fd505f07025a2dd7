"""Messages between a worker and a block's child: length-prefixed JSON over a stream socket, files beside them.

Child → worker: ["out", stream, text], ["record", level, text], ["result", object, usage], ["ask", number, request].
Worker → child: ["job", {"entrypoint", "job", "env", "limits", "last"}] with two files: its stdout and stderr;
["answer", number, answer] (executors.base.Answer).
No Django; imported by the fork server.
"""

import array
import json
import socket
import struct
from typing import Any

HEADER = struct.Struct(">I")
MAX_MESSAGE = 256 * 1024 * 1024


class ChannelClosed(Exception):
    """The other side is gone, or spoke nonsense."""


def pack(message: Any) -> bytes:
    body = json.dumps(message, separators=(",", ":")).encode("utf-8", "surrogatepass")
    return HEADER.pack(len(body)) + body


def send(channel: socket.socket, message: Any, files: tuple[int, ...] = ()) -> None:
    """Send a message, with open files if any. Raises OSError when the other side is gone."""
    data = pack(message)
    if files:
        sent = socket.send_fds(channel, [data], files)
        data = data[sent:]
    if data:
        channel.sendall(data)


class Reader:
    """Puts messages together from what arrives; works on blocking and non-blocking sockets."""

    def __init__(self, channel: socket.socket, expect_files: bool = False) -> None:
        self.channel = channel
        self.expect_files = expect_files
        self.buffer = bytearray()
        self.files: list[int] = []

    def read(self) -> bool:
        """Take what is there; False at the end of the stream. BlockingIOError when nothing is there."""
        if self.expect_files:
            data, ancillary, _, _ = self.channel.recvmsg(1 << 16, socket.CMSG_LEN(8 * 4))
            for level, kind, payload in ancillary:
                if level == socket.SOL_SOCKET and kind == socket.SCM_RIGHTS:
                    self.files += array.array("i", payload[: len(payload) - len(payload) % 4])
        else:
            data = self.channel.recv(1 << 18)
        self.buffer += data
        return bool(data)

    def messages(self) -> list[Any]:
        """Return the whole messages that have arrived; raise ChannelClosed on nonsense."""
        found = []
        while len(self.buffer) >= HEADER.size:
            (length,) = HEADER.unpack_from(self.buffer)
            if length > MAX_MESSAGE:
                raise ChannelClosed("a message of impossible length")
            end = HEADER.size + length
            if len(self.buffer) < end:
                break
            try:
                found.append(json.loads(bytes(self.buffer[HEADER.size : end]).decode("utf-8", "surrogatepass")))
            except (ValueError, RecursionError) as error:
                raise ChannelClosed("a message that is not JSON") from error
            del self.buffer[:end]
        return found

    def wait_for_one(self) -> Any:
        """Block until a whole message is there; raise ChannelClosed at the end of the stream."""
        while not (found := self.messages()):
            if not self.read():
                raise ChannelClosed("the other side is gone")
        return found[0]
