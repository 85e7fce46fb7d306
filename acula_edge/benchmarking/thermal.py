"""How warm the machine is, and whether it was slowed down for that or for want of power."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from acula_edge.benchmarking.machine import Machine

# Zones that stand for the processor, best first: Jetson's junction, Arm boards, Intel, AMD.
_PROCESSOR = ("tj-thermal", "cpu-thermal", "CPU-therm", "x86_pkg_temp", "coretemp Package id 0", "k10temp Tctl")
_CHIPS = ("coretemp", "k10temp", "zenpower")
# Zones that are switched off answer with absolute zero or thereabouts.
_COLDEST_C, _HOTTEST_C = -40.0, 150.0
# A fan that turns cools; it slows nothing down. The others are limits on clocks, or alarms of a Jetson's SoC.
_SLOWING = re.compile(r"cpufreq|devfreq|^Processor$|throttle-alert|^intel_powerclamp$|^cpu-", re.IGNORECASE)
_COUNTERS = (
    ("sys/devices/system/cpu/cpu[0-9]*/thermal_throttle/core_throttle_count", "core throttle count"),
    ("sys/devices/system/cpu/cpu[0-9]*/thermal_throttle/package_throttle_count", "package throttle count"),
    ("sys/class/hwmon/hwmon*/oc[0-9]*_event_cnt", "over-current throttle count"),
)
# https://www.raspberrypi.com/documentation/computers/os.html#get_throttled
_FIRMWARE_BITS = ("under-voltage", "clock capped", "throttled", "soft temperature limit")
_SINCE_BOOT = 16
_FIRMWARE_FILE = "sys/devices/platform/soc/soc:firmware/get_throttled"


def read_temperatures(machine: Machine) -> dict[str, float]:
    """Degrees Celsius by the name of the sensor; empty where nothing is told."""
    found: dict[str, float] = {}
    for zone in machine.find("sys/class/thermal/thermal_zone*"):
        _add(found, machine.text(zone / "type") or zone.name, machine.number(zone / "temp"))
    for chip in machine.find("sys/class/hwmon/hwmon*"):
        name = machine.text(chip / "name") or ""
        for file in machine.find(f"{chip.relative_to(machine.root)}/temp*_input") if name in _CHIPS else ():
            label = machine.text(chip / file.name.replace("_input", "_label")) or file.name.removesuffix("_input")
            _add(found, f"{name} {label}", machine.number(file))
    return found


def processor_temperature(temperatures: Mapping[str, float]) -> float | None:
    """Of the sensor that stands for the processor, else the hottest; None without any."""
    known = next((temperatures[name] for name in _PROCESSOR if name in temperatures), None)
    return known if known is not None else max(temperatures.values(), default=None)


def read_throttling(machine: Machine) -> dict[str, Any] | None:
    """What would tell of throttling, as it stands now; None where this machine has nothing of the kind.

    Returns:
        ``cooling``: state of each cooling device that slows something down; ``counters``: events since boot;
        ``firmware``: a Raspberry Pi's bits, None elsewhere.
    """
    cooling: dict[str, int] = {}
    for device in machine.find("sys/class/thermal/cooling_device*"):
        kind, state = machine.text(device / "type"), machine.number(device / "cur_state")
        if kind and state is not None and _SLOWING.search(kind):
            cooling[kind] = max(int(state), cooling.get(kind, 0))  # ACPI names every core "Processor"
    counters = {}
    for pattern, name in _COUNTERS:
        values = [value for path in machine.find(pattern) if (value := machine.number(path)) is not None]
        if values:
            counters[name] = int(sum(values))
    firmware = _read_firmware(machine)
    if not cooling and not counters and firmware is None:
        return None
    return {"cooling": cooling, "counters": counters, "firmware": firmware}


def throttling_evidence(states: Sequence[Mapping[str, Any] | None]) -> list[str] | None:
    """Why the machine was slowed down between the first and the last of `states`, in words.

    Returns:
        Empty where it was not; None where nothing on this machine would tell.
    """
    known = [state for state in states if state is not None]
    if not known:
        return None
    first, last = known[0], known[-1]
    evidence = []
    for name in last["cooling"]:
        steps = max(state["cooling"].get(name, 0) for state in known)
        if steps > 0:
            evidence.append(f"cooling device {name} at step {steps}")
    for name, value in last["counters"].items():
        rise = value - first["counters"].get(name, value)
        if rise > 0:
            evidence.append(f"{name} rose by {rise}")
    bits = [state["firmware"] for state in known if state["firmware"] is not None]
    if bits:
        new = (bits[-1] & ~bits[0]) >> _SINCE_BOOT
        seen = new
        for value in bits:
            seen |= value
        evidence += [f"firmware says: {name}" for bit, name in enumerate(_FIRMWARE_BITS) if seen >> bit & 1]
    return evidence


def earlier_throttling(state: Mapping[str, Any] | None) -> list[str]:
    """What a Raspberry Pi's firmware remembers from before, since it was booted."""
    bits = (state or {}).get("firmware") or 0
    return [name for bit, name in enumerate(_FIRMWARE_BITS) if bits >> (_SINCE_BOOT + bit) & 1]


def _add(found: dict[str, float], name: str, milli_c: float | None) -> None:
    if milli_c is None or not _COLDEST_C < milli_c / 1e3 < _HOTTEST_C:
        return
    while name in found:
        base, _, number = name.partition("#")
        name = f"{base}#{int(number or 1) + 1}"
    found[name] = milli_c / 1e3


def _read_firmware(machine: Machine) -> int | None:
    text = machine.text(_FIRMWARE_FILE)
    if text is None:
        answer = re.search(r"throttled=(0x[0-9a-fA-F]+)", machine.output(["vcgencmd", "get_throttled"]) or "")
        text = answer[1] if answer else None
    try:
        return None if text is None else int(text, 16)
    except ValueError:
        return None
