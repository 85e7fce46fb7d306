"""The machines: what they are, and in what state they were."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from acula_edge.reporting.compare.cells import NOT_MEASURED, named
from acula_edge.reporting.compare.entries import Entry
from acula_edge.reporting.document import Block, Cell, Column, Notice, Table
from acula_edge.reporting.numbers import (
    capitalized,
    count,
    fixed,
    listing,
)

Json = dict[str, Any]


def entry_blocks(entries: Sequence[Entry]) -> list[Block]:
    """What is compared, and a notice for each warning."""
    columns = [
        Column("Benchmark"),
        Column("Processor"),
        Column("System"),
        Column("ONNX Runtime"),
        Column("Measured"),
    ]
    rows = [
        [
            named(entry),
            Cell(*_processor(entry.environment)),
            Cell(*_system(entry.environment)),
            Cell(*_runtime(entry)),
            Cell(_date(entry.benchmark), _mode(entry.benchmark)),
        ]
        for entry in entries
    ]
    warnings = [
        Notice(f"{entry.letter}: {capitalized(str(warning))}.")
        for entry in entries
        for warning in entry.benchmark.get("warnings") or []
    ]
    return [Table("Benchmarks", columns, rows), *warnings]


def state_blocks(entries: Sequence[Entry]) -> list[Block]:
    """Clocks, power mode of Jetsons, warmth, throttling and disturbance."""
    has_jetson = any(entry.environment.get("jetson") for entry in entries)
    columns = [
        Column("Machine"),
        Column("Clock limits"),
        *([Column("Power mode")] if has_jetson else []),
        Column("Processor temperature"),
        Column("Throttled"),
        Column("Other programs"),
    ]
    rows = [
        [
            named(entry),
            Cell(*_clocks(entry.environment)),
            *([_power_mode(entry.environment)] if has_jetson else []),
            _warmth(entry.benchmark.get("state") or {}),
            _throttled(entry.benchmark.get("state") or {}),
            _disturbed(entry.benchmark.get("disturbance")),
        ]
        for entry in entries
    ]
    note = "Read before, between and after the measurements, never while one was timed."
    return [Table("The state that each machine was in", columns, rows, note)]


def _processor(environment: Json) -> tuple[str, str]:
    cpu = environment.get("cpu") or {}
    parts = [count(environment.get("usable_cores"), "usable core")] if environment.get("usable_cores") else []
    parts += ["virtual machine"] if cpu.get("virtual") else []
    if cpu.get("flags"):
        parts.append("INT8 dot product" if cpu.get("int8_dot_product") else "no INT8 dot product")
    return str(cpu.get("model") or "not told"), ", ".join(parts)


def _system(environment: Json) -> tuple[str, str]:
    return (
        str(environment.get("distribution") or environment.get("system") or "not told"),
        ", ".join(str(environment[key]) for key in ("system", "machine") if environment.get(key)),
    )


def _runtime(entry: Entry) -> tuple[str, str]:
    version = (entry.environment.get("packages") or {}).get("onnxruntime")
    threads = count(entry.threads, "thread") if entry.threads else "threads differ"
    return str(version or "not told"), threads


def _date(benchmark: Json) -> str:
    """The day, in one piece."""
    return str(benchmark.get("created") or "not told")[:10].replace("-", "\u2011")


def _mode(benchmark: Json) -> str:
    plan, mode = benchmark.get("plan") or {}, str(benchmark.get("mode") or "mode not told")
    known = plan.get("loops") and plan.get("loop_s")
    return f"{mode}, {plan['loops']}\u00a0×\u00a0{plan['loop_s']:g}\u00a0s" if known else mode


def _clocks(environment: Json) -> tuple[str, str]:
    clocks = environment.get("clocks") or {}
    cores = [
        core
        for core in clocks.get("cores") or []
        if core.get("max_mhz") is not None and core.get("min_mhz") is not None
    ]
    governor = (environment.get("cpu") or {}).get("governor")
    if not cores:
        now = (environment.get("cpu") or {}).get("clock_mhz")
        return "not told", f"{fixed(now / 1000, 2)} GHz when it began" if now else ""
    limits = dict.fromkeys(
        f"{fixed(core['min_mhz'] / 1000, 2)}\u2013{fixed(core['max_mhz'] / 1000, 2, 'GHz')}"
        if core["min_mhz"] != core["max_mhz"]
        else f"held at {fixed(core['max_mhz'] / 1000, 2, 'GHz')}"
        for core in cores
    )
    return listing(list(limits)), f"governor {governor}" if governor else ""


def _power_mode(environment: Json) -> Cell:
    jetson = environment.get("jetson")
    if not jetson:
        return Cell("not a Jetson", tone="quiet")
    release = f"JetPack {jetson['jetpack']}" if jetson.get("jetpack") else f"L4T {jetson.get('l4t') or 'not told'}"
    held = {True: "on", False: "off"}.get(jetson.get("jetson_clocks"), "not told")
    return Cell(str(jetson.get("power_mode") or "not told"), f"jetson_clocks {held}, {release}")


def _warmth(state: Json) -> Cell:
    warmth = state.get("processor_c") or {}
    if warmth.get("before") is None:
        return Cell(NOT_MEASURED, tone="quiet")
    return Cell(f"{warmth['before']:.0f} to {warmth['after']:.0f} °C", f"at most {warmth['max']:.0f} °C")


def _throttled(state: Json) -> Cell:
    throttled = state.get("throttled")
    if throttled is None:
        return Cell(NOT_MEASURED, tone="quiet")
    evidence = "; ".join(str(text) for text in state.get("evidence") or [])
    return Cell("throttled", evidence, "bad") if throttled else Cell("no", tone="good")


def _disturbed(disturbance: Json | None) -> Cell:
    if disturbance is None:
        return Cell(NOT_MEASURED, tone="quiet")
    busy = disturbance["busy_cores"]
    text = f"{fixed(busy, 1)} cores busy"
    return Cell("disturbed", text, "caution") if busy > 0.2 else Cell("calm", text, "good")
