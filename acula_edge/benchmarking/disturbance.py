"""Was this machine left alone while something was measured?"""

from __future__ import annotations

import os
import time
from dataclasses import dataclass

from acula_edge.benchmarking.machine import HERE, Machine

_BUSY_CORES = 0.2


@dataclass(frozen=True)
class CoreTimes:
    """Seconds since boot, summed over cores: busy for any program, and taken by a hypervisor for other guests."""

    busy_s: float
    stolen_s: float


def core_times(machine: Machine = HERE) -> CoreTimes | None:
    """The first line of ``/proc/stat``; None where there is none."""
    words = (machine.text("proc/stat") or "").split("\n", 1)[0].split()
    if len(words) < 9 or words[0] != "cpu":
        return None
    user, nice, system, _, _, irq, softirq, stolen = (int(word) / os.sysconf("SC_CLK_TCK") for word in words[1:9])
    return CoreTimes(user + nice + system + irq + softirq, stolen)


def measure_disturbance(duration_s: float = 0.5) -> dict[str, float] | None:
    """Cores that other programs and other guests keep busy while this process sleeps; None if not told.

    A load average would not do: it remembers this process's own work of the last minute.
    """
    before = core_times()
    time.sleep(duration_s)
    after = core_times()
    if before is None or after is None:
        return None
    return {
        "busy_cores": (after.busy_s - before.busy_s) / duration_s,
        "stolen_cores": (after.stolen_s - before.stolen_s) / duration_s,
    }


def disturbance_warnings(disturbance: dict[str, float] | None, governor: str | None = None) -> list[str]:
    """Sentences for a report when this machine was not left alone, or saves power."""
    warnings = []
    if disturbance is not None and disturbance["busy_cores"] > _BUSY_CORES:
        warnings.append(
            f"other programs kept {disturbance['busy_cores']:.1f} cores busy when the measurement began: "
            "latencies are too long, ratios of pairs are sounder"
        )
    if disturbance is not None and disturbance["stolen_cores"] > _BUSY_CORES / 2:
        warnings.append(f"the hypervisor gave {disturbance['stolen_cores']:.1f} cores to other guests")
    if governor == "powersave":
        warnings.append("the clock governor is powersave: set performance for figures that can be compared")
    return warnings
