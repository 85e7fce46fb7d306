"""Refuses every connection to another machine, in this Python process and in those that it starts.

``tests/conftest.py`` calls :func:`forbid_network` in the test process itself; Python processes that tests start import
this file on their own, because its folder is on their ``PYTHONPATH``. What is refused is also written into the file
that ``ACULA_EDGE_NETWORK_LOG`` names, so that an attempt fails the test even where a library hides the exception.
"""

from __future__ import annotations

import ipaddress
import os
import socket
import sys

LOG = "ACULA_EDGE_NETWORK_LOG"

_WITH_ADDRESS = {"socket.connect", "socket.bind", "socket.sendto", "socket.sendmsg"}
_WITH_HOST = {"socket.getaddrinfo", "socket.gethostbyname", "socket.gethostbyaddr"}
_INTERNET = (socket.AF_INET, socket.AF_INET6)


class NetworkForbidden(RuntimeError):
    """A test, or what it ran, wanted to reach another machine."""


def forbid_network() -> None:
    """From now on this process reaches loopback addresses and Unix sockets only. An audit hook cannot be removed."""
    sys.addaudithook(_refuse)


def _refuse(event: str, arguments: tuple[object, ...]) -> None:
    if event in _WITH_ADDRESS:
        sender, address = arguments
        if isinstance(sender, socket.socket) and sender.family in _INTERNET and isinstance(address, tuple):
            _check(event, address[0])
    elif event in _WITH_HOST:
        _check(event, arguments[0])


def _check(event: str, host: object) -> None:
    if isinstance(host, bytes):
        host = host.decode(errors="replace")
    if host is None or host == "localhost" or _is_loopback(str(host)):
        return
    attempt = f"{event} to {host!r}"
    if file := os.environ.get(LOG):
        with open(file, "a", encoding="utf-8") as log:
            log.write(f"{attempt} by {' '.join(sys.argv[:3])}\n")
    raise NetworkForbidden(f"{attempt}: tests reach no other machine")


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


if __name__ == "sitecustomize" and os.environ.get(LOG):
    forbid_network()
