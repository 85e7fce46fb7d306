"""Run a command where there is nothing to reach and little to write, and print as JSON what it sent.

    unshare --map-root-user --net --mount python namespace.py OWN_FOLDER READ_ONLY_FOLDER|- COMMAND...

The network namespace has one device, to which every address there is is routed, and a packet socket beneath all
libraries sees what goes through it: name look-ups of any resolver, connections by number, datagrams. The file system is
read-only apart from OWN_FOLDER. Needs ``ip`` and ``mount``.
"""

from __future__ import annotations

import ipaddress
import json
import os
import re
import socket
import subprocess
import sys

ETH_P_ALL = 3
DNS, MDNS, LLMNR = 53, 5353, 5355


def prepare(own: str, read_only: str) -> None:
    """Lay out the namespaces that this process is in."""
    for words in ("link set lo up", "route add local 0.0.0.0/0 dev lo", "-6 route add local ::/0 dev lo"):
        subprocess.run(["ip", *words.split()], check="-6" not in words, stderr=subprocess.DEVNULL)
    mounts = [["--bind", own, own], ["-o", "remount,bind,ro", "/"]]
    if read_only != "-":
        mounts += [["--bind", read_only, read_only], ["-o", "remount,bind,ro", read_only]]
    for mount in mounts:
        subprocess.run(["mount", *mount], check=True)
    os.chdir(os.getcwd())  # by name: the folder as it is mounted now


def describe(packet: bytes) -> str | None:
    """Where an IP packet wanted to go, and which name it asked for; None for one that stays on the machine."""
    version = packet[0] >> 4
    start = (packet[0] & 15) * 4 if version == 4 else 40
    protocol, address = (packet[9], packet[16:20]) if version == 4 else (packet[6], packet[24:40])
    if protocol not in (socket.IPPROTO_TCP, socket.IPPROTO_UDP):
        return None  # the kernel's own answers
    target, port = ipaddress.ip_address(address), int.from_bytes(packet[start + 2 : start + 4], "big")
    if port in (DNS, MDNS, LLMNR):
        labels = re.findall(rb"[\w-]{2,}", packet[start + 20 :])
        return f"asked {target} for {b'.'.join(labels).decode()}"
    return None if target.is_loopback else f"sent to {target} port {port}"


def main() -> None:
    own, read_only, *command = sys.argv[1:]
    prepare(own, read_only)
    with socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(ETH_P_ALL)) as tap:
        tap.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 22)
        done = subprocess.run(command, capture_output=True, text=True, errors="replace", stdin=sys.stdin)
        tap.setblocking(False)
        sent = set()
        try:
            while True:
                packet, (_, kind, *_) = tap.recvfrom(65536)
                sent.add(describe(packet) if kind in (0x0800, 0x86DD) else None)
        except BlockingIOError:
            pass
    print(json.dumps({"code": done.returncode, "sent": sorted(filter(None, sent)), "said": done.stderr[-2000:]}))


if __name__ == "__main__":
    main()
