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
from pathlib import Path
from typing import Protocol

from acula_edge.benchmarking.machine import HERE, Machine
from acula_edge.benchmarking.rails import WHOLE_BOARD, find_rails, name_rails, power_of_rails, read_whole

_FILE_SAMPLE_S = 0.02
_PROGRAM_SAMPLE_S = 0.2
_TEGRASTATS_MS = 100

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
    counters = [domain for domain in _rapl_domains(machine) if read_whole(domain / "energy_uj") is not None]
    if counters:
        return RaplSensor(counters)
    rails = find_rails(machine)
    if rails:
        return PolledSensor(f"{name_rails(rails)}: whole rails", lambda: power_of_rails(rails), _FILE_SAMPLE_S)
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
        names = [Machine(domain).text("name") or domain.name for domain in domains]
        self.scope = f"RAPL {', '.join(names)}: whole processor"

    def start(self) -> None:
        self._started = [read_whole(domain / "energy_uj") or 0 for domain in self._domains]

    def stop_mj(self) -> float:
        total_uj = 0
        for domain, before in zip(self._domains, self._started, strict=True):
            after = read_whole(domain / "energy_uj") or 0
            wrap = read_whole(domain / "max_energy_range_uj") or 0
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
    return next((rails[name] for name in WHOLE_BOARD if name in rails), sum(rails.values()))


def pmic_power_mw(machine: Machine) -> float | None:
    """Sum over the rails of a Raspberry Pi 5's power chip that tell both current and voltage; None elsewhere."""
    answer = machine.output(["vcgencmd", "pmic_read_adc"]) or ""
    values: dict[str, dict[str, float]] = {}
    for rail, unit, value in _PMIC_TEXT.findall(answer):
        values.setdefault(rail, {})[unit] = float(value)
    powers = [rail["A"] * rail["V"] for rail in values.values() if len(rail) == 2]
    return sum(powers) * 1e3 if powers else None


def _rapl_domains(machine: Machine) -> list[Path]:
    """Packages. Their parts (two colons) are in them; psys is the whole platform and would count them twice."""
    return [
        domain
        for domain in machine.find("sys/class/powercap/intel-rapl:*")
        if domain.name.count(":") == 1 and machine.text(domain / "name") != "psys"
    ]
