"""Boards that say more of themselves than a processor does: Jetsons foremost."""

from __future__ import annotations

import re
from typing import Any

from acula_edge.benchmark.clocks import describe_clocks
from acula_edge.benchmark.machine import Machine

_RELEASE = re.compile(r"# R(\d+) \(release\), REVISION: ([\d.]+)")


def describe_board(machine: Machine) -> str | None:
    """The board by name: of the device tree on Arm, of the firmware on a PC; None where neither tells."""
    return machine.text("proc/device-tree/model") or machine.text("sys/class/dmi/id/product_name") or None


def describe_jetson(machine: Machine) -> dict[str, Any] | None:
    """A Jetson's releases, power mode and whether its clocks are held; None elsewhere.

    Returns:
        ``board``; ``release``, the line of ``/etc/nv_tegra_release``; ``l4t`` ("36.4.3"); ``jetpack``, version of the
        package nvidia-jetpack, None where it is not installed (containers, minimal images); ``power_mode`` and
        ``power_mode_id`` of ``nvpmodel -q``; ``jetson_clocks``, whether clocks are held at their maximum, told from
        the limits that the program sets: itself it answers to root alone.
    """
    release = machine.text("etc/nv_tegra_release")
    if release is None:
        return None
    version = _RELEASE.search(release)
    mode, mode_id = _power_mode(machine)
    return {
        "board": describe_board(machine),
        "release": release.splitlines()[0],
        "l4t": f"{version[1]}.{version[2]}" if version else None,
        "jetpack": (machine.output(["dpkg-query", "-W", "-f=${Version}", "nvidia-jetpack"]) or "").strip() or None,
        "power_mode": mode,
        "power_mode_id": mode_id,
        "jetson_clocks": describe_clocks(machine)["held"],
    }


def _power_mode(machine: Machine) -> tuple[str | None, int | None]:
    """``NV Power Mode: 25W`` and, on the next line, the mode's number."""
    answer = machine.output(["nvpmodel", "-q"]) or ""
    name = re.search(r"NV Power Mode:\s*(\S+)", answer)
    number = re.search(r"^\s*(\d+)\s*$", answer, re.MULTILINE)
    return name[1] if name else None, int(number[1]) if number else None
