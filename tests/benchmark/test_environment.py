"""What is read from a system's files, on file trees made for the purpose."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from acula_edge.benchmarking.disturbance import core_times, disturbance_warnings
from acula_edge.benchmarking.environment import describe_cpu, describe_environment, memory_mb
from acula_edge.benchmarking.machine import Machine


def write(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text + "\n", encoding="utf-8")
    return path


def test_this_machine_is_described_in_json() -> None:
    environment = describe_environment()
    json.dumps(environment, allow_nan=False)
    assert environment["cpu"]["logical_cores"] >= 1
    assert "CPUExecutionProvider" in environment["onnxruntime_providers"]
    assert environment["packages"]["numpy"]


def test_x86_flags_governor_and_clocks(tmp_path: Path) -> None:
    write(
        tmp_path / "proc/cpuinfo",
        "processor\t: 0\nmodel name\t: Some CPU\nflags\t\t: fpu avx2 avx512_vnni hypervisor\n\nprocessor\t: 1\n"
        "model name\t: Another",
    )
    frequency = tmp_path / "sys/devices/system/cpu/cpu0/cpufreq"
    write(frequency / "scaling_governor", "performance")
    write(frequency / "scaling_cur_freq", "2400000")
    write(frequency / "cpuinfo_max_freq", "3600000")
    cpu = describe_cpu(Machine(tmp_path))
    assert cpu["model"] == "Some CPU"
    assert cpu["flags"] == ["avx2", "avx512_vnni"]
    assert cpu["int8_dot_product"] is True and cpu["virtual"] is True
    assert (cpu["governor"], cpu["clock_mhz"], cpu["clock_max_mhz"]) == ("performance", 2400.0, 3600.0)


def test_arm_without_dot_product(tmp_path: Path) -> None:
    write(tmp_path / "proc/cpuinfo", "processor : 0\nFeatures : fp asimd aes\nmodel name : Cortex-A72")
    cpu = describe_cpu(Machine(tmp_path))
    assert cpu["flags"] == ["asimd"]
    assert cpu["int8_dot_product"] is False
    assert cpu["governor"] is None and cpu["clock_max_mhz"] is None


def test_memory_and_core_times(tmp_path: Path) -> None:
    write(tmp_path / "proc/meminfo", "MemTotal:       1000000 kB\nMemAvailable: 500000 kB")
    assert memory_mb("MemTotal", Machine(tmp_path)) == 1024.0
    assert memory_mb("SwapTotal", Machine(tmp_path)) is None
    write(tmp_path / "proc/stat", "cpu  100 100 100 5000 100 50 50 200 0 0\ncpu0 1 1 1 1 1 1 1 1 0 0")
    times = core_times(Machine(tmp_path))
    assert times is not None
    assert times.busy_s == pytest.approx(2 * times.stolen_s)
    assert core_times(Machine(tmp_path / "nowhere")) is None


def test_disturbed_machines_are_warned_about() -> None:
    assert disturbance_warnings({"busy_cores": 0.01, "stolen_cores": 0.0}) == []
    assert disturbance_warnings(None) == []
    assert "1.5 cores" in disturbance_warnings({"busy_cores": 1.5, "stolen_cores": 0.0})[0]
    assert len(disturbance_warnings({"busy_cores": 1.5, "stolen_cores": 0.5}, governor="powersave")) == 3
