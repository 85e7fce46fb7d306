"""What a figure was measured on. Nothing here names a person, a host or a folder."""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from acula_edge.provenance import versions

# What INT8 kernels look for: x86 first, then Arm.
_FLAGS = (
    "avx2", "fma", "avx512f", "avx_vnni", "avx512_vnni", "amx_int8", "amx_bf16",
    "asimd", "asimddp", "i8mm", "bf16", "sve", "sve2",
)  # fmt: skip
_INT8_DOT_PRODUCT = ("avx_vnni", "avx512_vnni", "amx_int8", "asimddp", "i8mm")
_BUSY_CORES = 0.2
_TIMEOUT_S = 10
_BYTES_PER_MB = 1e6


def describe_environment() -> dict[str, Any]:
    """Processor, clocks, memory, GPU, power mode, versions and load; None for what this system does not tell."""
    return {
        "system": f"{platform.system()} {platform.release()}",
        "distribution": _distribution(),
        "machine": platform.machine(),
        "python": platform.python_version(),
        "cpu": describe_cpu(),
        "memory_mb": memory_mb("MemTotal"),
        "memory_available_mb": memory_mb("MemAvailable"),
        "gpu": describe_gpus(),
        "jetson": describe_jetson(),
        "packages": versions(),
        "onnxruntime_providers": onnxruntime_providers(),
        "load_average": load_average(),
        "usable_cores": usable_cores(),
        "thread_variables": {
            name: os.environ[name] for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS") if name in os.environ
        },
    }


def describe_cpu(root: Path = Path("/")) -> dict[str, Any]:
    """Model, cores, instructions that matter to INT8, governor, clocks and whether a hypervisor lies below.

    Args:
        root: where ``proc`` and ``sys`` lie.
    """
    fields = _cpu_fields(root)
    flags = set((fields.get("flags") or fields.get("Features") or "").split())
    frequency = root / "sys/devices/system/cpu/cpu0/cpufreq"
    current_khz, maximum_khz = (_number(frequency / name) for name in ("scaling_cur_freq", "cpuinfo_max_freq"))
    now_mhz = current_khz / 1e3 if current_khz else float(fields["cpu MHz"]) if "cpu MHz" in fields else None
    return {
        "model": fields.get("model name") or _lscpu_model() or platform.processor() or None,
        "logical_cores": os.cpu_count(),
        "flags": [flag for flag in _FLAGS if flag in flags],
        "int8_dot_product": any(flag in flags for flag in _INT8_DOT_PRODUCT),
        "governor": _text(frequency / "scaling_governor"),
        "clock_mhz": now_mhz,
        "clock_max_mhz": maximum_khz / 1e3 if maximum_khz else None,
        "virtual": "hypervisor" in flags if flags else None,
    }


def describe_gpus() -> list[dict[str, Any]]:
    """NVIDIA GPUs, as nvidia-smi tells; empty without one."""
    fields = ("name", "driver_version", "memory.total", "clocks.sm", "clocks.max.sm", "power.limit", "compute_cap")
    text = _output(["nvidia-smi", f"--query-gpu={','.join(fields)}", "--format=csv,noheader,nounits"])
    gpus = []
    for line in (text or "").splitlines():
        values = [value.strip() for value in line.split(",")]
        if len(values) == len(fields):
            name, driver, memory_mib, clock, clock_max, power, capability = values
            gpus.append(
                {
                    "name": name,
                    "driver": driver,
                    "memory_mib": _as_number(memory_mib),
                    "clock_mhz": _as_number(clock),
                    "clock_max_mhz": _as_number(clock_max),
                    "power_limit_w": _as_number(power),
                    "compute_capability": capability,
                }
            )
    return gpus


def describe_jetson(root: Path = Path("/")) -> dict[str, Any] | None:
    """Board, L4T release and power mode of a Jetson; None elsewhere."""
    release = _text(root / "etc/nv_tegra_release")
    if release is None:
        return None
    board = _text(root / "proc/device-tree/model")
    power_mode = _output(["nvpmodel", "-q"])
    return {
        "board": board.rstrip("\0") if board else None,
        "release": release.splitlines()[0],
        "power_mode": " ".join(power_mode.split()) if power_mode else None,
    }


def memory_mb(field: str, root: Path = Path("/")) -> float | None:
    """A line of ``/proc/meminfo`` in MB (10^6 bytes); None where there is none."""
    for line in (_text(root / "proc/meminfo") or "").splitlines():
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


@dataclass(frozen=True)
class CoreTimes:
    """Seconds since boot, summed over cores: busy for any program, and taken by a hypervisor for other guests."""

    busy_s: float
    stolen_s: float


def core_times(root: Path = Path("/")) -> CoreTimes | None:
    """The first line of ``/proc/stat``; None where there is none."""
    words = (_text(root / "proc/stat") or "").split("\n", 1)[0].split()
    if len(words) < 9 or words[0] != "cpu":
        return None
    user, nice, system, _, _, irq, softirq, stolen = (int(word) / os.sysconf("SC_CLK_TCK") for word in words[1:9])
    return CoreTimes(user + nice + system + irq + softirq, stolen)


def measure_disturbance(duration_s: float = 0.5) -> dict[str, float] | None:
    """Cores that other programs and other guests keep busy while this process sleeps; None if not told.

    A load average would not do: it remembers this process's own work of the last minute.
    """
    before = core_times()
    time.sleep(duration_s)
    after = core_times()
    if before is None or after is None:
        return None
    return {
        "busy_cores": (after.busy_s - before.busy_s) / duration_s,
        "stolen_cores": (after.stolen_s - before.stolen_s) / duration_s,
    }


def disturbance_warnings(disturbance: dict[str, float] | None, governor: str | None = None) -> list[str]:
    """Sentences for a report when this machine was not left alone, or saves power."""
    warnings = []
    if disturbance is not None and disturbance["busy_cores"] > _BUSY_CORES:
        warnings.append(
            f"other programs kept {disturbance['busy_cores']:.1f} cores busy when the measurement began: "
            "latencies are too long, ratios of pairs are sounder"
        )
    if disturbance is not None and disturbance["stolen_cores"] > _BUSY_CORES / 2:
        warnings.append(f"the hypervisor gave {disturbance['stolen_cores']:.1f} cores to other guests")
    if governor == "powersave":
        warnings.append("the clock governor is powersave: set performance for figures that can be compared")
    return warnings


def onnxruntime_providers() -> list[str] | None:
    """Providers that this build of ONNX Runtime has; None without it."""
    try:
        import onnxruntime
    except ImportError:
        return None
    return list(onnxruntime.get_available_providers())


def _cpu_fields(root: Path) -> dict[str, str]:
    """The first processor's block of ``/proc/cpuinfo``."""
    fields: dict[str, str] = {}
    for line in (_text(root / "proc/cpuinfo") or "").splitlines():
        key, separator, value = line.partition(":")
        if separator:
            fields.setdefault(key.strip(), value.strip())
    return fields


def _lscpu_model() -> str | None:
    for line in (_output(["lscpu"]) or "").splitlines():
        if line.startswith("Model name:"):
            return line.partition(":")[2].strip()
    return None


def _distribution() -> str | None:
    try:
        return platform.freedesktop_os_release().get("PRETTY_NAME")
    except OSError:
        return None


def _text(path: Path) -> str | None:
    try:
        return path.read_text(encoding="utf-8", errors="replace").strip()
    except OSError:
        return None


def _number(path: Path) -> float | None:
    return _as_number(_text(path) or "")


def _as_number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None


def _output(command: list[str]) -> str | None:
    if shutil.which(command[0]) is None:
        return None
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=_TIMEOUT_S, check=True)
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout
