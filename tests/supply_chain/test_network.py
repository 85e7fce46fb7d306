"""The suite's own guard works, and the package asks for no network when it is imported or when the demo's verbs run."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest

ELSEWHERE = "192.0.2.1"  # RFC 5737: belongs to nobody


@pytest.fixture
def forgiven(network_attempts: Path):
    """Attempts made on purpose do not count against the test."""
    before = network_attempts.stat().st_size
    yield lambda: network_attempts.read_text()[before:]
    with network_attempts.open("a") as log:
        log.truncate(before)


@pytest.mark.parametrize(
    "attempt",
    [
        lambda: socket.create_connection((ELSEWHERE, 9), timeout=0.1),
        lambda: socket.getaddrinfo("example.org", 443),
        lambda: socket.gethostbyname("example.org"),
        lambda: urllib.request.urlopen("https://example.org"),
        lambda: socket.socket().bind(("0.0.0.0", 0)),
        lambda: socket.socket(type=socket.SOCK_DGRAM).sendto(b"", (ELSEWHERE, 9)),
        lambda: socket.socket(socket.AF_INET6).connect(("2001:db8::1", 9)),
    ],
)
def test_no_other_machine_is_reached(attempt, forgiven) -> None:
    with pytest.raises(RuntimeError, match="tests reach no other machine"):
        attempt()
    assert forgiven()


def test_not_by_a_process_that_a_test_starts_either(forgiven) -> None:
    code = f"import socket; socket.create_connection(({ELSEWHERE!r}, 9), timeout=0.1)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode != 0
    assert "NetworkForbidden" in done.stderr
    assert ELSEWHERE in forgiven()


def test_loopback_and_unix_sockets_are_free() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server, socket.create_connection(server.getsockname()):
        pass
    for end in socket.socketpair():
        end.close()


def test_importing_every_module_asks_for_no_network() -> None:
    """Not even for a loopback address. (urllib3 binds a socket to ::1 to see whether there is IPv6.)"""
    code = """
import importlib, json, pkgutil, sys
asked = []
events = {"socket.connect", "socket.sendto", "socket.sendmsg", "socket.getaddrinfo", "socket.gethostbyname"}
sys.addaudithook(lambda event, arguments: asked.append(f"{event} {arguments}") if event in events else None)
import acula_edge
names = [m.name for m in pkgutil.walk_packages(acula_edge.__path__, "acula_edge.") if not m.name.endswith("__main__")]
modules = [importlib.import_module(name) for name in names if "-" not in name]
print(json.dumps({"modules": len(modules), "asked": asked}))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout.splitlines()[-1])
    assert found["modules"] > 200
    assert found["asked"] == []
