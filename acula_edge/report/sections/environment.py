"""The machine that latency was measured on."""

from __future__ import annotations

from typing import Any

from acula_edge.report.document import Block, Facts, Heading
from acula_edge.report.evidence import Json
from acula_edge.report.numbers import count, fixed, listing, significant


def environment_blocks(benchmark: Json) -> list[Block]:
    """Processor, clocks, memory, GPU, versions; what the system does not tell is left out."""
    environment: Json = benchmark.get("environment") or {}
    cpu: Json = environment.get("cpu") or {}
    packages: Json = environment.get("packages") or {}
    items = [
        ("Processor", processor(environment)),
        ("Instructions for INT8", _instructions(cpu)),
        ("Clock", _clock(cpu)),
        ("Memory", significant(_thousandth(environment.get("memory_mb")), 3, "GB")),
        ("GPU", _gpus(environment.get("gpu"))),
        ("Jetson", _jetson(environment.get("jetson"))),
        (
            "System",
            ", ".join(str(environment[key]) for key in ("distribution", "system", "machine") if environment.get(key)),
        ),
        ("ONNX Runtime", _runtime(packages, environment.get("onnxruntime_providers"))),
        ("PyTorch", str(packages.get("torch") or "")),
        ("TensorRT", str(packages.get("tensorrt") or "not installed")),
        ("Load when it began", _load(benchmark, environment)),
        ("Measured", str(benchmark.get("created") or "")),
        ("Input", str(benchmark.get("input") or "")),
    ]
    return [Heading("Machine"), Facts([(term, text) for term, text in items if text and text != "–"])]


def processor(environment: Json) -> str:
    """Model and cores."""
    cpu: Json = environment.get("cpu") or {}
    parts = [str(cpu.get("model") or "unknown processor")]
    if environment.get("usable_cores"):
        parts.append(f"{count(environment['usable_cores'], 'usable core')}")
    if cpu.get("virtual"):
        parts.append("virtual machine")
    return ", ".join(parts)


def _instructions(cpu: Json) -> str:
    if not cpu.get("flags"):
        return ""
    dot = "with" if cpu.get("int8_dot_product") else "without"
    return f"{', '.join(map(str, cpu['flags']))} ({dot} INT8 dot product)"


def _clock(cpu: Json) -> str:
    if cpu.get("clock_mhz") is None:
        return ""
    text = f"{fixed(cpu['clock_mhz'] / 1000, 2)} GHz when it began"
    if cpu.get("clock_max_mhz"):
        text += f", at most {fixed(cpu['clock_max_mhz'] / 1000, 2)} GHz"
    return text + (f", governor {cpu['governor']}" if cpu.get("governor") else "")


def _thousandth(value: Any) -> float | None:
    return value / 1000 if isinstance(value, (int, float)) else None


def _gpus(gpus: Any) -> str:
    if not isinstance(gpus, list):
        return ""
    names = [
        str(gpu.get("name")) + (f" (driver {gpu['driver']})" if gpu.get("driver") else "")
        for gpu in gpus
        if isinstance(gpu, dict)
    ]
    return listing(names) or "none"


def _jetson(board: Any) -> str:
    if not isinstance(board, dict):
        return ""
    return ", ".join(str(board[key]) for key in ("board", "release", "power_mode") if board.get(key))


def _runtime(packages: Json, providers: Any) -> str:
    if not packages.get("onnxruntime"):
        return ""
    names = [str(name).removesuffix("ExecutionProvider") for name in providers or []]
    return str(packages["onnxruntime"]) + (f", providers {', '.join(names)}" if names else "")


def _load(benchmark: Json, environment: Json) -> str:
    disturbance: Json = benchmark.get("disturbance") or {}
    if disturbance.get("busy_cores") is not None:
        return f"{fixed(disturbance['busy_cores'], 2)} cores busy with other programs"
    averages = environment.get("load_average")
    return f"load average {averages[0]:g}" if averages else ""
