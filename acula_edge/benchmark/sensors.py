"""Sensors of power and energy: RAPL counters on x86, a Jetson's monitors, a Raspberry Pi 5's power chip.

All of them see whole rails, other programs included; each says which.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from acula_edge.benchmark.machine import HERE, Machine

_FILE_SAMPLE_S = 0.02
_PROGRAM_SAMPLE_S = 0.2
_TEGRASTATS_MS = 100

_MONITORS = ("ina3221", "ina226", "ina238")
# A rail through which the whole board is fed makes the others parts of it: Orin Nano and NX, the first Nano, Thor.
_WHOLE = ("VDD_IN", "POM_5V_IN", "VIN")
# "VDD_IN 4968mW/4968mW": now, and the mean since tegrastats began.
_RAIL_TEXT = re.compile(r"\b([A-Z][A-Z0-9_]*) (\d+)mW")
_PMIC_TEXT = re.compile(r"(\S+)_([AV]) (?:current|volt)\(\d+\)=([\d.]+)[AV]")


class EnergySensor(Protocol):
    """Energy between two moments.

    Attributes:
        scope: what the sensor sees, in words.
    """

    scope: str

    def start(self) -> None:
        """Begin."""

    def stop_mj(self) -> float:
        """Millijoules since :meth:`start`."""


def find_sensor(machine: Machine = HERE) -> EnergySensor | None:
    """The sensor of this machine that can be read; None without one."""
    counters = [domain for domain in _rapl_domains(machine) if _read(domain / "energy_uj") is not None]
    if counters:
        return RaplSensor(counters)
    rails = _find_rails(machine)
    if rails:
        return PolledSensor(f"{_names(rails)}: whole rails", lambda: _power_of(rails), _FILE_SAMPLE_S)
    if machine.root == HERE.root and shutil.which("tegrastats"):
        return TegrastatsSensor()
    if pmic_power_mw(machine) is not None:
        # A look starts a program, which costs power of its own: idle power, measured in the same way, holds it too.
        return PolledSensor("rails of the power chip (vcgencmd pmic_read_adc), USB and fan left out",
                            lambda: pmic_power_mw(machine), _PROGRAM_SAMPLE_S)  # fmt: skip
    return None


def why_no_sensor(machine: Machine = HERE) -> str:
    """Why :func:`find_sensor` found none."""
    if _rapl_domains(machine):
        return "this user may not read the RAPL counters (sudo chmod a+r /sys/class/powercap/intel-rapl:*/energy_uj)"
    return "no energy sensor (looked for RAPL counters, INA monitors, tegrastats and a Raspberry Pi's power chip)"


class RaplSensor:
    """Energy counters of processor packages (``/sys/class/powercap``), which wrap around."""

    def __init__(self, domains: list[Path]) -> None:
        self._domains = domains
        self._started: list[int] = []
        names = [_text(domain / "name") or domain.name for domain in domains]
        self.scope = f"RAPL {', '.join(names)}: whole processor"

    def start(self) -> None:
        self._started = [_read(domain / "energy_uj") or 0 for domain in self._domains]

    def stop_mj(self) -> float:
        total_uj = 0
        for domain, before in zip(self._domains, self._started, strict=True):
            after = _read(domain / "energy_uj") or 0
            wrap = _read(domain / "max_energy_range_uj") or 0
            total_uj += after - before if after >= before else after - before + wrap
        return total_uj / 1e3


class PolledSensor:
    """Power that is looked at again and again by a thread, and integrated by the trapezoidal rule.

    Args:
        scope: what is seen.
        power_mw: looks once; None where the look failed.
        interval_s: between looks.
    """

    def __init__(self, scope: str, power_mw: Callable[[], float | None], interval_s: float) -> None:
        self.scope = scope
        self._power_mw = power_mw
        self._interval_s = interval_s
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None
        self._samples: list[tuple[float, float]] = []

    def start(self) -> None:
        self._stop.clear()
        self._samples = []
        self._look()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()

    def stop_mj(self) -> float:
        self._stop.set()
        if self._thread is not None:
            self._thread.join()
        self._look()
        pairs = zip(self._samples, self._samples[1:], strict=False)
        return sum((after[0] - before[0]) * (after[1] + before[1]) / 2 for before, after in pairs)

    def _watch(self) -> None:
        while not self._stop.wait(self._interval_s):
            self._look()

    def _look(self) -> None:
        power_mw = self._power_mw()
        if power_mw is not None:
            self._samples.append((time.perf_counter(), power_mw))


class TegrastatsSensor:
    """The program ``tegrastats``, for Jetsons whose monitors cannot be read as files: mean power times time."""

    scope = "tegrastats: whole rails"

    def __init__(self) -> None:
        self._process: subprocess.Popen[str] | None = None
        self._thread: threading.Thread | None = None
        self._powers_mw: list[float] = []
        self._started_s = 0.0

    def start(self) -> None:
        self._powers_mw = []
        command = ["tegrastats", "--interval", str(_TEGRASTATS_MS)]
        self._process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()
        self._started_s = time.perf_counter()

    def stop_mj(self) -> float:
        duration_s = time.perf_counter() - self._started_s
        assert self._process is not None and self._thread is not None
        self._process.terminate()
        self._thread.join()
        self._process.wait()
        if not self._powers_mw:
            return float("nan")
        return sum(self._powers_mw) / len(self._powers_mw) * duration_s

    def _read(self) -> None:
        assert self._process is not None and self._process.stdout is not None
        for line in self._process.stdout:
            power_mw = tegrastats_power_mw(line)
            if power_mw is not None:
                self._powers_mw.append(power_mw)


def tegrastats_power_mw(line: str) -> float | None:
    """Power in one line of tegrastats: the board's input where it is told, else all rails together."""
    rails = {name: float(value) for name, value in _RAIL_TEXT.findall(line)}
    if not rails:
        return None
    return next((rails[name] for name in _WHOLE if name in rails), sum(rails.values()))


def pmic_power_mw(machine: Machine) -> float | None:
    """Sum over the rails of a Raspberry Pi 5's power chip that tell both current and voltage; None elsewhere."""
    answer = machine.output(["vcgencmd", "pmic_read_adc"]) or ""
    values: dict[str, dict[str, float]] = {}
    for rail, unit, value in _PMIC_TEXT.findall(answer):
        values.setdefault(rail, {})[unit] = float(value)
    powers = [rail["A"] * rail["V"] for rail in values.values() if len(rail) == 2]
    return sum(powers) * 1e3 if powers else None


@dataclass(frozen=True)
class Rail:
    """One supply rail, as files: its power, or its millivolts and milliamperes.

    Attributes:
        chip: name of the monitor.
        power: file with microwatts; None where there is none.
    """

    name: str
    chip: str
    voltage: Path | None = None
    current: Path | None = None
    power: Path | None = None

    def power_mw(self) -> float | None:
        """Now; None where it cannot be read."""
        if self.power is not None:
            power_uw = _read(self.power)
            return None if power_uw is None else power_uw / 1e3
        if self.voltage is None or self.current is None:
            return None
        voltage_mv, current_ma = _read(self.voltage), _read(self.current)
        return None if voltage_mv is None or current_ma is None else voltage_mv * current_ma / 1e3


def _find_rails(machine: Machine) -> list[Rail]:
    """The board's input rail where a monitor watches it, else every rail that has a name."""
    rails = []
    for monitor in machine.find("sys/class/hwmon/hwmon*"):
        chip = machine.text(monitor / "name") or ""
        if chip in _MONITORS:
            rails += [rail for rail in _rails_of(machine, monitor, chip) if rail.power_mw() is not None]
    whole = [rail for name in _WHOLE for rail in rails if rail.name == name]
    return whole[:1] or rails


def _rails_of(machine: Machine, monitor: Path, chip: str) -> list[Rail]:
    """Channels 1 to 3 of an INA3221 (4 to 7 are shunts and their sum), the one channel of the others."""
    rails = []
    for number in (1, 2, 3):
        label = machine.text(monitor / f"in{number}_label")
        current = monitor / f"curr{number}_input"
        if label and label != "NC" and current.is_file():
            rails.append(Rail(label, chip, voltage=monitor / f"in{number}_input", current=current))
    power = monitor / "power1_input"
    if not rails and power.is_file():
        rails.append(Rail(machine.text(monitor / "power1_label") or "VIN", chip, power=power))
    return rails


def _power_of(rails: list[Rail]) -> float | None:
    powers = [rail.power_mw() for rail in rails]
    return None if None in powers else sum(power for power in powers if power is not None)


def _names(rails: list[Rail]) -> str:
    return f"{', '.join(sorted({rail.chip.upper() for rail in rails}))} {' + '.join(rail.name for rail in rails)}"


def _rapl_domains(machine: Machine) -> list[Path]:
    """Packages. Their parts (two colons) are in them; psys is the whole platform and would count them twice."""
    return [
        domain
        for domain in machine.find("sys/class/powercap/intel-rapl:*")
        if domain.name.count(":") == 1 and machine.text(domain / "name") != "psys"
    ]


def _text(path: Path) -> str | None:
    return Machine(path.parent).text(path.name)


def _read(path: Path) -> int | None:
    text = _text(path)
    return int(text) if text and text.lstrip("-").isdigit() else None
