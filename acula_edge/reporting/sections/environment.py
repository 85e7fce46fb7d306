"""The machine that latency was measured on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from acula_edge.bundle.schema import Benchmark, Cpu, Environment
from acula_edge.reporting.document import Block, Facts, Heading
from acula_edge.reporting.numbers import count, fixed, listing, significant


def environment_blocks(benchmark: Benchmark) -> list[Block]:
    """Processor, clocks, memory, GPU, versions; what the system does not tell is left out."""
    environment = benchmark.environment
    cpu, packages = environment.cpu, environment.packages
    items = [
        ("Processor", processor(environment)),
        ("Instructions for INT8", _instructions(cpu)),
        ("Clock", _clock(cpu)),
        ("Memory", significant(None if environment.memory_mb is None else environment.memory_mb / 1000, 3, "GB")),
        ("GPU", _gpus(environment.gpu)),
        ("Jetson", _jetson(environment.jetson)),
        (
            "System",
            ", ".join(filter(None, (environment.distribution, environment.system, environment.machine))),
        ),
        ("ONNX Runtime", _runtime(packages, environment.onnxruntime_providers)),
        ("PyTorch", packages.get("torch") or ""),
        ("TensorRT", packages.get("tensorrt") or "not installed"),
        ("Load when it began", _load(benchmark, environment)),
        ("Measured", benchmark.created),
        ("Input", benchmark.input),
    ]
    return [Heading("Machine"), Facts([(term, text) for term, text in items if text and text != "–"])]


def processor(environment: Environment) -> str:
    """Model and cores."""
    cpu = environment.cpu
    parts = [str(cpu.model or "unknown processor")]
    if environment.usable_cores:
        parts.append(f"{count(environment.usable_cores, 'usable core')}")
    if cpu.virtual:
        parts.append("virtual machine")
    return ", ".join(parts)


def _instructions(cpu: Cpu) -> str:
    if not cpu.flags:
        return ""
    dot = "with" if cpu.int8_dot_product else "without"
    return f"{', '.join(map(str, cpu.flags))} ({dot} INT8 dot product)"


def _clock(cpu: Cpu) -> str:
    if cpu.clock_mhz is None:
        return ""
    text = f"{fixed(cpu.clock_mhz / 1000, 2)} GHz when it began"
    if cpu.clock_max_mhz:
        text += f", at most {fixed(cpu.clock_max_mhz / 1000, 2)} GHz"
    return text + (f", governor {cpu.governor}" if cpu.governor else "")


def _gpus(gpus: Sequence[dict[str, Any]]) -> str:
    names = [str(gpu.get("name")) + (f" (driver {gpu['driver']})" if gpu.get("driver") else "") for gpu in gpus]
    return listing(names) or "none"


def _jetson(board: dict[str, Any] | None) -> str:
    if board is None:
        return ""
    return ", ".join(str(board[key]) for key in ("board", "release", "power_mode") if board.get(key))


def _runtime(packages: Mapping[str, str | None], providers: Sequence[str] | None) -> str:
    if not packages.get("onnxruntime"):
        return ""
    names = [name.removesuffix("ExecutionProvider") for name in providers or []]
    return str(packages["onnxruntime"]) + (f", providers {', '.join(names)}" if names else "")


def _load(benchmark: Benchmark, environment: Environment) -> str:
    disturbance = benchmark.disturbance or {}
    if disturbance.get("busy_cores") is not None:
        return f"{fixed(disturbance['busy_cores'], 2)} cores busy with other programs"
    averages = environment.load_average
    return f"load average {averages[0]:g}" if averages else ""
