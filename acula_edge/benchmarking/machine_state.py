"""The machine before, between and after measurements: warmth, clocks, throttling."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from acula_edge.benchmarking.clocks import fastest_core_mhz
from acula_edge.benchmarking.machine import Machine
from acula_edge.benchmarking.thermal import (
    earlier_throttling,
    processor_temperature,
    read_temperatures,
    read_throttling,
    throttling_evidence,
)

_WARMING_C = 15.0


@dataclass(frozen=True)
class State:
    """One look at the machine; None for what it does not tell.

    Attributes:
        temperatures_c: by sensor.
        clock_mhz: of the fastest core.
        throttling: see :func:`acula_edge.benchmarking.thermal.read_throttling`.
    """

    temperatures_c: dict[str, float]
    clock_mhz: float | None
    throttling: dict[str, Any] | None

    @property
    def processor_c(self) -> float | None:
        """Temperature of the processor."""
        return processor_temperature(self.temperatures_c)


def read_state(machine: Machine) -> State:
    """Look at the machine. It takes about a millisecond, so never while something is timed."""
    return State(read_temperatures(machine), fastest_core_mhz(machine), read_throttling(machine))


def summarize_states(states: Sequence[State]) -> dict[str, Any]:
    """What happened to the machine from the first look to the last.

    Returns:
        ``temperatures_c`` and ``throttling`` with ``before`` and ``after``; ``processor_c`` with ``before, after,
        max``; ``throttled``: True, False, or None where nothing would tell; ``evidence`` and ``earlier`` (since boot),
        in words.
    """
    first, last = states[0], states[-1]
    evidence = throttling_evidence([state.throttling for state in states])
    warmth = [state.processor_c for state in states if state.processor_c is not None]
    return {
        "temperatures_c": {"before": first.temperatures_c or None, "after": last.temperatures_c or None},
        "processor_c": {
            "before": first.processor_c,
            "after": last.processor_c,
            "max": max(warmth, default=None),
        },
        "throttling": {"before": first.throttling, "after": last.throttling},
        "throttled": None if evidence is None else bool(evidence),
        "evidence": evidence or [],
        "earlier": earlier_throttling(first.throttling),
    }


def state_warnings(summary: dict[str, Any]) -> list[str]:
    """Sentences for a report."""
    warnings = []
    if summary["throttled"]:
        warnings.append(f"the machine was throttled while it was measured: {'; '.join(summary['evidence'])}")
    if summary["earlier"]:
        warnings.append(f"since it was booted the machine had been through: {', '.join(summary['earlier'])}")
    warmth = summary["processor_c"]
    if warmth["before"] is not None and warmth["max"] - warmth["before"] > _WARMING_C:
        warnings.append(
            f"the processor warmed from {warmth['before']:.0f} to {warmth['max']:.0f} degrees: "
            "figures of a device that runs on may be longer"
        )
    return warnings
