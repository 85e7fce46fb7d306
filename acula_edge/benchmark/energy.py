"""Energy of a run from the machine's own sensors: RAPL counters on x86, INA3221 monitors on Jetson.

Both see a whole rail, idle power and other programs included; what was seen is named beside the figure.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

_SAMPLE_S = 0.02
_NOTHING_FOUND = "no energy sensor that this user may read (looked for RAPL counters and INA3221 monitors)"


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


@dataclass(frozen=True)
class Energy:
    """Energy of one run of something.

    Attributes:
        per_run_mj: None where there is no sensor.
        scope: what the sensor saw, or why there is none.
    """

    per_run_mj: float | None
    scope: str


def measure_energy(run: Callable[[], object], duration_s: float, root: Path = Path("/")) -> Energy:
    """Energy per run over at least `duration_s`, in a pass of its own: reading a sensor would disturb latency."""
    sensor = find_sensor(root)
    if sensor is None:
        return Energy(None, _NOTHING_FOUND)
    runs = 0
    deadline = time.perf_counter() + duration_s
    sensor.start()
    while runs == 0 or time.perf_counter() < deadline:
        run()
        runs += 1
    return Energy(sensor.stop_mj() / runs, sensor.scope)


def find_sensor(root: Path = Path("/")) -> EnergySensor | None:
    """The sensor of this machine; None without one.

    Args:
        root: where ``sys`` lies.
    """
    counters = [
        domain
        for domain in sorted((root / "sys/class/powercap").glob("intel-rapl:*"))
        if domain.name.count(":") == 1 and _read(domain / "energy_uj") is not None
    ]
    if counters:
        return RaplSensor(counters)
    rails = _find_rails(root)
    return Ina3221Sensor(rails) if rails else None


class RaplSensor:
    """Energy counters of processor packages (``/sys/class/powercap``), which wrap around."""

    def __init__(self, domains: list[Path]) -> None:
        self._domains = domains
        self._started: list[int] = []
        names = [_text(domain / "name") or domain.name for domain in domains]
        self.scope = f"RAPL {', '.join(names)}: whole processor, idle power included"

    def start(self) -> None:
        self._started = [_read(domain / "energy_uj") or 0 for domain in self._domains]

    def stop_mj(self) -> float:
        total_uj = 0
        for domain, before in zip(self._domains, self._started, strict=True):
            after = _read(domain / "energy_uj") or 0
            wrap = _read(domain / "max_energy_range_uj") or 0
            total_uj += after - before if after >= before else after - before + wrap
        return total_uj / 1e3


@dataclass(frozen=True)
class Rail:
    """One supply rail: files with its millivolts and milliamperes."""

    name: str
    voltage: Path
    current: Path


class Ina3221Sensor:
    """Power monitors of a Jetson, sampled by a thread and integrated by the trapezoidal rule."""

    def __init__(self, rails: list[Rail]) -> None:
        self._rails = rails
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None
        self._samples: list[tuple[float, float]] = []
        self.scope = f"INA3221 {' + '.join(rail.name for rail in rails)}: whole rails, idle power included"

    def start(self) -> None:
        self._stop.clear()
        self._samples = [self._sample()]
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()

    def stop_mj(self) -> float:
        self._stop.set()
        if self._thread is not None:
            self._thread.join()
        self._samples.append(self._sample())
        pairs = zip(self._samples, self._samples[1:], strict=False)
        return sum((after[0] - before[0]) * (after[1] + before[1]) / 2 for before, after in pairs)

    def _watch(self) -> None:
        while not self._stop.wait(_SAMPLE_S):
            self._samples.append(self._sample())

    def _sample(self) -> tuple[float, float]:
        """Seconds, milliwatts."""
        power_uw = sum((_read(rail.voltage) or 0) * (_read(rail.current) or 0) for rail in self._rails)
        return time.perf_counter(), power_uw / 1e3


def _find_rails(root: Path) -> list[Rail]:
    """The board's input rail where a monitor watches it (VDD_IN), else every rail that has a name."""
    rails = []
    for monitor in sorted((root / "sys/class/hwmon").glob("hwmon*")):
        if _text(monitor / "name") != "ina3221":
            continue
        for voltage in sorted(monitor.glob("in[1-3]_input")):
            number = voltage.name[2]
            current = monitor / f"curr{number}_input"
            label = _text(monitor / f"in{number}_label")
            if label and label != "NC" and _read(current) is not None and _read(voltage) is not None:
                rails.append(Rail(label, voltage, current))
    whole = [rail for rail in rails if rail.name == "VDD_IN"]
    return whole or rails


def _text(path: Path) -> str | None:
    try:
        return path.read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError):
        return None


def _read(path: Path) -> int | None:
    text = _text(path)
    return int(text) if text and text.lstrip("-").isdigit() else None
