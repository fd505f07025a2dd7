"""Which addresses we connect to (design: security.md S14): looked at when a socket connects, so that neither a
redirect nor a name that means another address the second time comes past it."""

import ipaddress
import socket
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

SECONDS = 10.0  # a receiver may take
WEB_PORTS = frozenset({80, 443, 8080, 8443})  # of the internet; a private network that is allowed may use any
HINT = "Set ALERTS_ALLOW_PRIVATE_ADDRESSES=true if messages may go there."
RESERVED = ipaddress.ip_network("192.0.0.0/24")  # for protocols; Python calls parts of it global
PORTS_HINT = f"Use one of {', '.join(map(str, sorted(WEB_PORTS)))}."
NAT64 = ipaddress.ip_network("64:ff9b::/96")
watched = threading.local()


class PrivateAddress(OSError):
    """Messages do not go to this address."""


def is_public(address: str) -> bool:
    """Tell whether an address is of the internet: not private, link-local, of this machine, or reserved."""
    ip = ipaddress.ip_address(address.partition("%")[0])
    if isinstance(ip, ipaddress.IPv6Address):
        inner = ip.ipv4_mapped or ip.sixtofour or (ip.teredo[1] if ip.teredo else None)
        if ip in NAT64:
            inner = ipaddress.IPv4Address(int(ip) & 0xFFFFFFFF)
        if inner is not None:
            return is_public(str(inner))
    return ip.is_global and not ip.is_multicast and ip not in RESERVED


def refuse_private(address: str) -> None:
    if not is_public(address):
        raise PrivateAddress(f"{address} is not an address of the internet. {HINT}")


def connect(host: str, port: int, *, allow_private: bool, seconds: float = SECONDS) -> socket.socket:
    """Connect to the first address of the host that answers. The address that was looked at is the one used."""
    if not allow_private and port not in WEB_PORTS:
        raise PrivateAddress(f"Port {port} is none of a web server's. {PORTS_HINT}")
    error: OSError = OSError(f"{host} has no address")
    for family, kind, protocol, _, address in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM):
        if not allow_private:
            refuse_private(str(address[0]))
        line = socket.socket(family, kind, protocol)
        line.settimeout(seconds)
        try:
            line.connect(address)
            if not allow_private:
                refuse_private(line.getpeername()[0])
            return line
        except OSError as problem:
            line.close()
            error = problem
            if isinstance(problem, PrivateAddress):
                break
    raise error


@contextmanager
def watching(*, allow_private: bool) -> Iterator[list[str]]:
    """Refuse private addresses to whatever connects in this thread meanwhile; tells which it refused.

    For code of others, which opens sockets by itself. Our own connections to the database are made beforehand.
    """
    refused: list[str] = []
    if allow_private:
        yield refused
        return
    install()
    watched.refused = refused
    try:
        yield refused
    finally:
        watched.refused = None


_installed = threading.Lock()
_is_installed = False


def install() -> None:
    """Have Python tell us of every connection; this cannot be undone, and costs next to nothing."""
    global _is_installed
    with _installed:
        if not _is_installed:
            sys.addaudithook(look)
            _is_installed = True


def look(event: str, args: tuple[Any, ...]) -> None:
    if event != "socket.connect":
        return
    if (patience := getattr(watched, "patience", None)) is not None:  # alerts/sending/patience.py
        patience.watch(args[0])
    if getattr(watched, "refused", None) is None:
        return
    address = args[1]
    if not isinstance(address, tuple):  # a unix socket: nothing that a service is reached by
        problem = "A message may not go to a socket of this machine."
    else:
        try:
            refuse_private(str(address[0]))
            return
        except ValueError:  # a name that nobody has resolved
            problem = f"{address[0]} could not be looked at before connecting."
        except PrivateAddress as error:
            problem = str(error)
    watched.refused.append(problem)
    raise PrivateAddress(problem)
