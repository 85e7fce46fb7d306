"""What a figure was measured on. Nothing here names a person, a host or a folder."""

from __future__ import annotations

import os
import platform
import re
from typing import Any

from acula_edge.benchmarking.clocks import describe_clocks
from acula_edge.benchmarking.machine import HERE, Machine, as_number
from acula_edge.provenance import versions

# What INT8 kernels look for: x86 first, then Arm.
_FLAGS = (
    "avx2", "fma", "avx512f", "avx_vnni", "avx512_vnni", "amx_int8", "amx_bf16",
    "asimd", "asimddp", "i8mm", "bf16", "sve", "sve2",
)  # fmt: skip
_INT8_DOT_PRODUCT = ("avx_vnni", "avx512_vnni", "amx_int8", "asimddp", "i8mm")
_BYTES_PER_MB = 1e6


def describe_environment(machine: Machine = HERE) -> dict[str, Any]:
    """Board, processor, clocks, memory, GPU, power mode, versions and load; None for what this system does not tell.

    Args:
        machine: whose files and programs are asked; what Python knows by itself is of this machine always.
    """
    return {
        "system": f"{platform.system()} {platform.release()}",
        "distribution": _distribution(),
        "machine": platform.machine(),
        "python": platform.python_version(),
        "board": describe_board(machine),
        "cpu": describe_cpu(machine),
        "clocks": describe_clocks(machine),
        "memory_mb": memory_mb("MemTotal", machine),
        "memory_available_mb": memory_mb("MemAvailable", machine),
        "gpu": describe_gpus(machine),
        "jetson": describe_jetson(machine),
        "packages": versions(),
        "onnxruntime_providers": onnxruntime_providers(),
        "load_average": load_average(),
        "usable_cores": usable_cores(),
        "thread_variables": {
            name: os.environ[name] for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS") if name in os.environ
        },
    }


def describe_cpu(machine: Machine = HERE) -> dict[str, Any]:
    """Model, cores, instructions that matter to INT8, governor, clocks and whether a hypervisor lies below."""
    fields = _cpu_fields(machine)
    flags = set((fields.get("flags") or fields.get("Features") or "").split())
    first: dict[str, Any] = next(iter(describe_clocks(machine)["cores"]), {})
    return {
        "model": fields.get("model name") or _lscpu_model(machine) or platform.processor() or None,
        "logical_cores": os.cpu_count(),
        "flags": [flag for flag in _FLAGS if flag in flags],
        "int8_dot_product": any(flag in flags for flag in _INT8_DOT_PRODUCT),
        "governor": first.get("governor"),
        "clock_mhz": first.get("mhz"),
        "clock_max_mhz": first.get("hardware_max_mhz"),
        "virtual": "hypervisor" in flags if flags else None,
    }


def describe_gpus(machine: Machine = HERE) -> list[dict[str, Any]]:
    """NVIDIA GPUs, as nvidia-smi tells; empty without one."""
    fields = ("name", "driver_version", "memory.total", "clocks.sm", "clocks.max.sm", "power.limit", "compute_cap")
    text = machine.output(["nvidia-smi", f"--query-gpu={','.join(fields)}", "--format=csv,noheader,nounits"])
    gpus = []
    for line in (text or "").splitlines():
        values = [value.strip() for value in line.split(",")]
        if len(values) == len(fields):
            name, driver, memory_mib, clock, clock_max, power, capability = values
            gpus.append(
                {
                    "name": name,
                    "driver": driver,
                    "memory_mib": as_number(memory_mib),
                    "clock_mhz": as_number(clock),
                    "clock_max_mhz": as_number(clock_max),
                    "power_limit_w": as_number(power),
                    "compute_capability": capability,
                }
            )
    return gpus


def memory_mb(field: str, machine: Machine = HERE) -> float | None:
    """A line of ``/proc/meminfo`` in MB (10^6 bytes); None where there is none."""
    for line in (machine.text("proc/meminfo") or "").splitlines():
        if line.startswith(f"{field}:"):
            return int(line.split()[1]) * 1024 / _BYTES_PER_MB
    return None


def load_average() -> list[float] | None:
    """Over 1, 5 and 15 minutes."""
    try:
        return [round(value, 2) for value in os.getloadavg()]
    except OSError:
        return None


def usable_cores() -> int:
    """Cores that this process may run on."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def onnxruntime_providers() -> list[str] | None:
    """Providers that this build of ONNX Runtime has; None without it."""
    try:
        import onnxruntime
    except ImportError:
        return None
    return list(onnxruntime.get_available_providers())


def _cpu_fields(machine: Machine) -> dict[str, str]:
    """The first processor's block of ``/proc/cpuinfo``."""
    fields: dict[str, str] = {}
    for line in (machine.text("proc/cpuinfo") or "").splitlines():
        key, separator, value = line.partition(":")
        if separator:
            fields.setdefault(key.strip(), value.strip())
    return fields


def _lscpu_model(machine: Machine) -> str | None:
    for line in (machine.output(["lscpu"]) or "").splitlines():
        if line.startswith("Model name:"):
            return line.partition(":")[2].strip()
    return None


def _distribution() -> str | None:
    try:
        return platform.freedesktop_os_release().get("PRETTY_NAME")
    except OSError:
        return None


_RELEASE = re.compile(r"# R(\d+) \(release\), REVISION: ([\d.]+)")


def describe_board(machine: Machine) -> str | None:
    """The board by name: of the device tree on Arm, of the firmware on a PC; None where neither tells."""
    return machine.text("proc/device-tree/model") or machine.text("sys/class/dmi/id/product_name") or None


def describe_jetson(machine: Machine) -> dict[str, Any] | None:
    """A Jetson's releases, power mode and whether its clocks are held; None elsewhere.

    Returns:
        ``board``; ``release``, the line of ``/etc/nv_tegra_release``; ``l4t`` ("36.4.3"); ``jetpack``, version of the
        package nvidia-jetpack, None where it is not installed (containers, minimal images); ``power_mode`` and
        ``power_mode_id`` of ``nvpmodel -q``; ``jetson_clocks``, whether clocks are held at their maximum, told from
        the limits that the program sets: itself it answers to root alone.
    """
    release = machine.text("etc/nv_tegra_release")
    if release is None:
        return None
    version = _RELEASE.search(release)
    mode, mode_id = _power_mode(machine)
    return {
        "board": describe_board(machine),
        "release": release.splitlines()[0],
        "l4t": f"{version[1]}.{version[2]}" if version else None,
        "jetpack": (machine.output(["dpkg-query", "-W", "-f=${Version}", "nvidia-jetpack"]) or "").strip() or None,
        "power_mode": mode,
        "power_mode_id": mode_id,
        "jetson_clocks": describe_clocks(machine)["held"],
    }


def _power_mode(machine: Machine) -> tuple[str | None, int | None]:
    """``NV Power Mode: 25W`` and, on the next line, the mode's number."""
    answer = machine.output(["nvpmodel", "-q"]) or ""
    name = re.search(r"NV Power Mode:\s*(\S+)", answer)
    number = re.search(r"^\s*(\d+)\s*$", answer, re.MULTILINE)
    return name[1] if name else None, int(number[1]) if number else None
