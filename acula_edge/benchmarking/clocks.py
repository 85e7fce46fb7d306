"""Clocks of the processor's cores and of devices beside it, and whether they are held still."""

from __future__ import annotations

import re
from typing import Any

from acula_edge.benchmarking.machine import Machine, as_number

_KHZ_PER_MHZ = 1e3
_HZ_PER_MHZ = 1e6
# devfreq's names of a Jetson's GPU: 17000000.gpu (Orin), 17000000.ga10b (JetPack 5), gpu-gpc-0 (Thor).
_GPU = re.compile(r"\.gpu$|ga10b|gv11b|gp10b|^gpu-")


def describe_clocks(machine: Machine) -> dict[str, Any]:
    """Clocks now, and the limits that are set.

    Returns:
        ``cores``: list of ``core, governor, mhz, min_mhz, max_mhz`` (the limits that are set) and
        ``hardware_max_mhz``; ``devices``: list of ``name, governor, mhz, min_mhz, max_mhz`` (a Jetson's GPU, memory);
        ``held``: whether each core, and the GPU where there is one, has equal limits, as ``jetson_clocks`` sets them.
        What is not told is None.
    """
    cores = _cores(machine)
    devices = _devices(machine)
    limits = [(core["min_mhz"], core["max_mhz"]) for core in cores]
    limits += [(device["min_mhz"], device["max_mhz"]) for device in devices if _GPU.search(device["name"])]
    known = bool(limits) and all(None not in pair for pair in limits)
    return {"cores": cores, "devices": devices, "held": all(low == high for low, high in limits) if known else None}


def fastest_core_mhz(machine: Machine) -> float | None:
    """Clock of the core that runs fastest now; None where it is not told."""
    clocks = [core["mhz"] for core in _cores(machine) if core["mhz"] is not None]
    return max(clocks, default=None)


def _cores(machine: Machine) -> list[dict[str, Any]]:
    cores = []
    for folder in machine.find("sys/devices/system/cpu/cpu[0-9]*/cpufreq"):
        values = {
            name: machine.number(folder / file)
            for name, file in (
                ("mhz", "scaling_cur_freq"),
                ("min_mhz", "scaling_min_freq"),
                ("max_mhz", "scaling_max_freq"),
                ("hardware_max_mhz", "cpuinfo_max_freq"),
            )
        }
        cores.append(
            {
                "core": int(folder.parent.name.removeprefix("cpu")),
                "governor": machine.text(folder / "scaling_governor"),
                **{name: None if value is None else value / _KHZ_PER_MHZ for name, value in values.items()},
            }
        )
    return sorted(cores, key=lambda core: core["core"]) or _cores_of_cpuinfo(machine)


def _cores_of_cpuinfo(machine: Machine) -> list[dict[str, Any]]:
    """Virtual machines have no cpufreq, but x86 names each core's clock in ``/proc/cpuinfo``."""
    clocks = [
        as_number(line.partition(":")[2].strip())
        for line in (machine.text("proc/cpuinfo") or "").splitlines()
        if line.startswith("cpu MHz")
    ]
    unknown = dict.fromkeys(("governor", "min_mhz", "max_mhz", "hardware_max_mhz"))
    return [{"core": number, **unknown, "mhz": mhz} for number, mhz in enumerate(clocks)]


def _devices(machine: Machine) -> list[dict[str, Any]]:
    devices = []
    for folder in machine.find("sys/class/devfreq/*"):
        values = {
            name: machine.number(folder / file)
            for name, file in (("mhz", "cur_freq"), ("min_mhz", "min_freq"), ("max_mhz", "max_freq"))
        }
        devices.append(
            {
                "name": folder.name,
                "governor": machine.text(folder / "governor"),
                **{name: None if value is None else value / _HZ_PER_MHZ for name, value in values.items()},
            }
        )
    return devices
