"""The machine that was measured, in a few lines: what could not be measured is said, never left out."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from acula_edge.cli.console import print_facts, print_line

_NONE = "not measured"


def print_machine(benchmark: Mapping[str, Any]) -> None:
    """Board, clocks, power mode, warmth, throttling and power of one ``benchmark.json``."""
    environment, state, power = benchmark["environment"], benchmark["state"], benchmark["power"]
    facts = {
        "machine": ", ".join(filter(None, (environment["board"], environment["cpu"]["model"]))) or "unknown",
        "clocks": _clocks(environment["clocks"]),
        "temperature": _warmth(state["processor_c"]),
        "throttled": _NONE if state["throttled"] is None else "; ".join(state["evidence"]) or "no",
        "energy": _power(power),
    }
    if environment["jetson"] is not None:
        facts["Jetson"] = _jetson(environment["jetson"])
    print_line()
    print_facts(facts)


def _clocks(clocks: Mapping[str, Any]) -> str:
    cores = [core for core in clocks["cores"] if core["mhz"] is not None]
    if not cores:
        return _NONE
    fastest = max(cores, key=lambda core: core["mhz"])
    text = f"{fastest['mhz']:.0f} MHz when it began"
    if fastest["min_mhz"] is not None and fastest["max_mhz"] is not None:
        text += f", limits {fastest['min_mhz']:.0f} to {fastest['max_mhz']:.0f}"
    return text + (f", governor {fastest['governor']}" if fastest["governor"] else "")


def _warmth(processor_c: Mapping[str, float | None]) -> str:
    if processor_c["before"] is None:
        return _NONE
    return f"{processor_c['before']:.0f} before, {processor_c['after']:.0f} after, at most {processor_c['max']:.0f} C"


def _power(power: Mapping[str, Any]) -> str:
    if power["sensor"] is None:
        return f"{_NONE}: {power['reason']}"
    idle = _NONE if power["idle_mw"] is None else f"{power['idle_mw'] / 1e3:.2f} W, taken off"
    return f"{power['sensor']}; idle power {idle}"


def _jetson(jetson: Mapping[str, Any]) -> str:
    held = {True: "clocks held (jetson_clocks)", False: "clocks follow load", None: "clocks unknown"}
    parts = [
        f"JetPack {jetson['jetpack']}" if jetson["jetpack"] else None,
        f"L4T {jetson['l4t']}" if jetson["l4t"] else jetson["release"],
        f"power mode {jetson['power_mode']}" if jetson["power_mode"] else "power mode not told",
        held[jetson["jetson_clocks"]],
    ]
    return ", ".join(part for part in parts if part)
