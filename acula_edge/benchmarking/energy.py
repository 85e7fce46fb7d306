"""Energy of one run: what the machine's own sensor saw, less what it sees while nothing runs."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from acula_edge.benchmarking.machine import Machine
from acula_edge.benchmarking.sensors import EnergySensor, find_sensor, why_no_sensor


@dataclass(frozen=True)
class Energy:
    """Energy of one run of something; None for what was not measured.

    Attributes:
        per_run_mj: above idle.
        gross_per_run_mj: idle power included.
        power_mw: mean while it ran, idle power included.
        scope: what the sensor saw.
        reason: why there is no `per_run_mj`.
    """

    per_run_mj: float | None = None
    gross_per_run_mj: float | None = None
    power_mw: float | None = None
    scope: str | None = None
    reason: str | None = None

    def row(self) -> dict[str, Any]:
        """As in ``benchmark.json``."""
        return {
            "energy_mj": self.per_run_mj,
            "energy_gross_mj": self.gross_per_run_mj,
            "power_mw": self.power_mw,
            "energy_scope": self.scope,
        }


@dataclass(frozen=True)
class Meter:
    """The machine's energy sensor with the idle power that it saw first.

    Attributes:
        sensor: None without one.
        idle_mw: mean power while this process slept; None where it was not measured.
        why_none: why there is no sensor; "" with one.
    """

    sensor: EnergySensor | None
    idle_mw: float | None
    why_none: str = ""

    @classmethod
    def open(cls, machine: Machine, idle_s: float) -> Meter:
        """Find the sensor and measure idle power, before anything runs."""
        sensor = find_sensor(machine)
        if sensor is None:
            return cls(None, None, why_no_sensor(machine))
        return cls(sensor, measure_idle(sensor, idle_s))

    def measure(self, run: Callable[[], object], duration_s: float) -> Energy:
        """Energy per run over at least `duration_s`, in a pass of its own: reading a sensor would disturb latency."""
        if self.sensor is None:
            return Energy(reason=self.why_none)
        runs = 0
        self.sensor.start()
        began_s = time.perf_counter()
        while runs == 0 or time.perf_counter() < began_s + duration_s:
            run()
            runs += 1
        energy_mj = self.sensor.stop_mj()
        return energy_per_run(energy_mj, time.perf_counter() - began_s, runs, self.idle_mw, self.sensor.scope)

    def describe(self) -> dict[str, Any]:
        """As in ``benchmark.json``."""
        return {
            "sensor": None if self.sensor is None else self.sensor.scope,
            "idle_mw": self.idle_mw,
            "reason": self.why_none or None,
        }


def measure_idle(sensor: EnergySensor, duration_s: float) -> float | None:
    """Mean power in milliwatts while this process sleeps; None where the sensor fell silent."""
    sensor.start()
    began_s = time.perf_counter()
    time.sleep(duration_s)
    energy_mj = sensor.stop_mj()
    power_mw = energy_mj / (time.perf_counter() - began_s)
    return power_mw if math.isfinite(power_mw) and power_mw > 0 else None


def energy_per_run(energy_mj: float, took_s: float, runs: int, idle_mw: float | None, scope: str) -> Energy:
    """Energy of one run, from what a sensor saw over `runs` of them in `took_s`; nothing is made up, and never 0."""
    if not math.isfinite(energy_mj) or energy_mj <= 0:
        return Energy(scope=scope, reason="the energy sensor did not move while it ran")
    gross_mj, power_mw = energy_mj / runs, energy_mj / took_s
    if idle_mw is None:
        return Energy(None, gross_mj, power_mw, scope, "idle power could not be measured")
    net_mj = (energy_mj - idle_mw * took_s) / runs
    if net_mj <= 0:
        reason = f"power while it ran ({power_mw:.0f} mW) was not above idle ({idle_mw:.0f} mW)"
        return Energy(None, gross_mj, power_mw, scope, reason)
    return Energy(net_mj, gross_mj, power_mw, scope)
