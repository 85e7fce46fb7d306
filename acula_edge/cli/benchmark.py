"""acula-edge benchmark"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from acula_edge.bundle.layout import MODEL_FILE, MODEL_INT8_FILE
from acula_edge.cli.command import verb


@verb(
    "benchmark",
    "acula-edge benchmark runs/latest/export/base-cpu_x86",
    f"acula-edge benchmark --full a/{MODEL_FILE} b/{MODEL_INT8_FILE}",
    "acula-edge benchmark base-cpu_arm --full --json pi5.json",
    "acula-edge benchmark runs/latest/export/base-cpu_x86 --json - | jq .measurements",
)
@click.argument("paths", nargs=-1, required=True, type=click.Path(path_type=Path), metavar="BUNDLE|MODEL.onnx...")
@click.option("--quick", "mode", flag_value="quick", help="5 loops of at least 2 s per measurement (the default).")
@click.option("--full", "mode", flag_value="full", help="5 loops of at least 10 s per measurement.")
@click.option("--threads", type=click.IntRange(min=1), metavar="N", help="Of ONNX Runtime; default the recipe's, or 1.")
@click.option(
    "--json",
    "json_path",
    metavar="FILE",
    help="Write the result to FILE, its raw samples beside it; - prints it instead of tables.",
)
def command(paths: tuple[Path, ...], mode: str | None, threads: int | None, json_path: str | None) -> None:
    """Measure latency, memory and, where sensors allow it, energy on this machine.

    Close other programs first. The provider that ran is asserted, never assumed. With --json FILE a bundle outside its
    run is left as it was made; acula-edge report --compare sets such files side by side.
    """
    from acula_edge import pipeline
    from acula_edge.cli.console import print_json
    from acula_edge.cli.summary import print_benchmark

    to_stdout = json_path == "-"
    target = None if json_path is None or to_stdout else Path(json_path)
    result = pipeline.benchmark(list(paths), mode=mode, json=target, threads=threads)
    if to_stdout:
        print_json(result)
    else:
        print_benchmark(result)
        print_machine(result)


_NONE = "not measured"


def print_machine(benchmark: Mapping[str, Any]) -> None:
    """Board, clocks, power mode, warmth, throttling and power of one ``benchmark.json``."""
    from acula_edge.cli.console import print_facts, print_line

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
