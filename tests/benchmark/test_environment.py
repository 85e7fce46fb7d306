"""What is read from a system's files, on file trees made for the purpose."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from acula_edge.benchmark import energy
from acula_edge.benchmark.energy import Ina3221Sensor, Rail, RaplSensor, find_sensor, measure_energy
from acula_edge.benchmark.environment import (
    core_times,
    describe_cpu,
    describe_environment,
    describe_jetson,
    disturbance_warnings,
    memory_mb,
)


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
    cpu = describe_cpu(tmp_path)
    assert cpu["model"] == "Some CPU"
    assert cpu["flags"] == ["avx2", "avx512_vnni"]
    assert cpu["int8_dot_product"] is True and cpu["virtual"] is True
    assert (cpu["governor"], cpu["clock_mhz"], cpu["clock_max_mhz"]) == ("performance", 2400.0, 3600.0)


def test_arm_without_dot_product(tmp_path: Path) -> None:
    write(tmp_path / "proc/cpuinfo", "processor : 0\nFeatures : fp asimd aes\nmodel name : Cortex-A72")
    cpu = describe_cpu(tmp_path)
    assert cpu["flags"] == ["asimd"]
    assert cpu["int8_dot_product"] is False
    assert cpu["governor"] is None and cpu["clock_max_mhz"] is None


def test_jetson_is_recognized(tmp_path: Path) -> None:
    assert describe_jetson(tmp_path) is None
    write(tmp_path / "etc/nv_tegra_release", "# R36 (release), REVISION: 4.0\nmore")
    write(tmp_path / "proc/device-tree/model", "NVIDIA Jetson Orin Nano\0")
    jetson = describe_jetson(tmp_path)
    assert jetson is not None
    assert jetson["board"] == "NVIDIA Jetson Orin Nano"
    assert jetson["release"].startswith("# R36")


def test_memory_and_core_times(tmp_path: Path) -> None:
    write(tmp_path / "proc/meminfo", "MemTotal:       1000000 kB\nMemAvailable: 500000 kB")
    assert memory_mb("MemTotal", tmp_path) == 1024.0
    assert memory_mb("SwapTotal", tmp_path) is None
    write(tmp_path / "proc/stat", "cpu  100 100 100 5000 100 50 50 200 0 0\ncpu0 1 1 1 1 1 1 1 1 0 0")
    times = core_times(tmp_path)
    assert times is not None
    assert times.busy_s == pytest.approx(2 * times.stolen_s)
    assert core_times(tmp_path / "nowhere") is None


def test_disturbed_machines_are_warned_about() -> None:
    assert disturbance_warnings({"busy_cores": 0.01, "stolen_cores": 0.0}) == []
    assert disturbance_warnings(None) == []
    assert "1.5 cores" in disturbance_warnings({"busy_cores": 1.5, "stolen_cores": 0.0})[0]
    assert len(disturbance_warnings({"busy_cores": 1.5, "stolen_cores": 0.5}, governor="powersave")) == 3


def test_without_sensors_energy_is_none_and_the_reason_is_given(tmp_path: Path) -> None:
    runs: list[int] = []
    found = measure_energy(lambda: runs.append(1), 0.0, root=tmp_path)
    assert found.per_run_mj is None and "no energy sensor" in found.scope
    assert runs == []


def test_rapl_counts_packages_once_and_wraps(tmp_path: Path) -> None:
    powercap = tmp_path / "sys/class/powercap"
    counter = write(powercap / "intel-rapl:0/energy_uj", "900")
    write(powercap / "intel-rapl:0/name", "package-0")
    write(powercap / "intel-rapl:0/max_energy_range_uj", "1000")
    write(powercap / "intel-rapl:0:0/energy_uj", "5")
    sensor = find_sensor(tmp_path)
    assert isinstance(sensor, RaplSensor)
    assert "package-0" in sensor.scope
    sensor.start()
    write(counter, "950")
    assert sensor.stop_mj() == pytest.approx(0.050)
    sensor.start()
    write(counter, "30")
    assert sensor.stop_mj() == pytest.approx(0.080)


def test_energy_is_divided_by_runs(tmp_path: Path) -> None:
    counter = write(tmp_path / "sys/class/powercap/intel-rapl:0/energy_uj", "0")

    def run() -> None:
        write(counter, str(int(counter.read_text()) + 2000))

    found = measure_energy(run, 0.02, root=tmp_path)
    assert found.per_run_mj == pytest.approx(2.0)


def test_ina3221_prefers_the_input_rail_and_integrates(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monitor = tmp_path / "sys/class/hwmon/hwmon1"
    write(monitor / "name", "ina3221")
    for number, label in ((1, "VDD_IN"), (2, "VDD_CPU_GPU_CV"), (3, "NC")):
        write(monitor / f"in{number}_label", label)
        write(monitor / f"in{number}_input", "5000")
        write(monitor / f"curr{number}_input", "1000")
    write(tmp_path / "sys/class/hwmon/hwmon0/name", "other")
    sensor = find_sensor(tmp_path)
    assert isinstance(sensor, Ina3221Sensor)
    assert "VDD_IN:" in sensor.scope

    now_s = iter([0.0, 2.0])
    monkeypatch.setattr(energy.time, "perf_counter", lambda: next(now_s))
    rails = [Rail("a", monitor / "in1_input", monitor / "curr1_input")]
    by_hand = Ina3221Sensor(rails)
    monkeypatch.setattr(by_hand, "_watch", lambda: None)
    by_hand.start()
    assert by_hand.stop_mj() == pytest.approx(5000 * 2.0)
