"""Energy from the sensors of each kind of machine, with idle power taken off. Nothing here is timed."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from acula_edge.benchmarking import energy, sensors
from acula_edge.benchmarking.energy import Meter, energy_per_run, measure_idle
from acula_edge.benchmarking.sensors import (
    PolledSensor,
    RaplSensor,
    TegrastatsSensor,
    find_sensor,
    pmic_power_mw,
    tegrastats_power_mw,
    why_no_sensor,
)
from tests.benchmark.recorded_machines import (
    TEGRASTATS,
    orin_nano,
    raspberry_pi_5,
    recorded,
    write_tree,
    x86_notebook,
)

COUNTER = "sys/class/powercap/intel-rapl:0/energy_uj"


class Counting:
    """A sensor that saw what it is told."""

    scope = "a rail"

    def __init__(self, energy_mj: float) -> None:
        self.energy_mj = energy_mj

    def start(self) -> None: ...

    def stop_mj(self) -> float:
        return self.energy_mj


def test_without_sensors_energy_is_none_and_the_reason_is_given(tmp_path: Path) -> None:
    meter = Meter.open(recorded(tmp_path, {}), 0.0)
    runs: list[int] = []
    found = meter.measure(lambda: runs.append(1), 0.0)
    assert found.per_run_mj is None and "no energy sensor" in str(found.reason)
    assert runs == []
    assert meter.describe() == {"sensor": None, "idle_mw": None, "reason": found.reason}


def test_counters_that_only_root_may_read_are_named(tmp_path: Path) -> None:
    machine = recorded(tmp_path, {"sys/class/powercap/intel-rapl:0/name": "package-0"})
    assert find_sensor(machine) is None
    assert "may not read the RAPL counters" in why_no_sensor(machine)


def test_rapl_counts_packages_once_and_wraps(tmp_path: Path) -> None:
    machine = x86_notebook(tmp_path, energy_uj=900)
    write_tree(tmp_path, {"sys/class/powercap/intel-rapl:0/max_energy_range_uj": "1000"})
    sensor = find_sensor(machine)
    assert isinstance(sensor, RaplSensor)
    assert sensor.scope == "RAPL package-0: whole processor"
    sensor.start()
    write_tree(tmp_path, {COUNTER: "950"})
    assert sensor.stop_mj() == pytest.approx(0.050)
    sensor.start()
    write_tree(tmp_path, {COUNTER: "30"})
    assert sensor.stop_mj() == pytest.approx(0.080)


def test_a_jetson_is_read_at_its_input_rail(tmp_path: Path) -> None:
    sensor = find_sensor(orin_nano(tmp_path))
    assert isinstance(sensor, PolledSensor)
    assert sensor.scope == "INA3221 VDD_IN: whole rails"
    assert sensor._power_mw() == 5000.0


def test_without_an_input_rail_all_named_rails_are_added_and_shunts_are_not(tmp_path: Path) -> None:
    machine = orin_nano(tmp_path)
    write_tree(tmp_path, {"sys/class/hwmon/hwmon1/in1_label": "NC"})
    sensor = find_sensor(machine)
    assert isinstance(sensor, PolledSensor)
    assert "VDD_CPU_GPU_CV + VDD_SOC" in sensor.scope
    assert sensor._power_mw() == pytest.approx(5 * (120 + 300))


def test_thor_is_read_at_its_ina238(tmp_path: Path) -> None:
    machine = orin_nano(tmp_path)
    write_tree(
        tmp_path,
        {
            "sys/class/hwmon/hwmon1/in1_label": "VDD_GPU",
            "sys/class/hwmon/hwmon4/name": "ina238",
            "sys/class/hwmon/hwmon4/power1_input": "23000000",
        },
    )
    sensor = find_sensor(machine)
    assert isinstance(sensor, PolledSensor)
    assert sensor.scope == "INA238 VIN: whole rails" and sensor._power_mw() == 23000.0


def test_polled_power_is_integrated_by_trapezoids(monkeypatch: pytest.MonkeyPatch) -> None:
    now_s = iter([0.0, 2.0])
    power_mw = iter([4000.0, 6000.0])
    monkeypatch.setattr(sensors.time, "perf_counter", lambda: next(now_s))
    sensor = PolledSensor("a rail", lambda: next(power_mw), 1.0)
    monkeypatch.setattr(sensor, "_watch", lambda: None)
    sensor.start()
    assert sensor.stop_mj() == pytest.approx(5000 * 2.0)


def test_a_polled_sensor_looks_again_and_again() -> None:
    looks: list[int] = []

    def look() -> float:
        looks.append(1)
        return 1000.0

    sensor = PolledSensor("a rail", look, 0.001)
    began = time.perf_counter()
    sensor.start()
    while len(looks) < 5:
        time.sleep(0.001)
    energy_mj = sensor.stop_mj()
    assert 0 < energy_mj <= 1000.0 * (time.perf_counter() - began)


def test_a_raspberry_pis_power_chip_is_summed_over_rails_with_both_figures(tmp_path: Path) -> None:
    machine = raspberry_pi_5(tmp_path)
    assert pmic_power_mw(machine) == pytest.approx(1e3 * (0.1 * 3.3 + 2.0 * 0.75))
    sensor = find_sensor(machine)
    assert isinstance(sensor, PolledSensor) and "power chip" in sensor.scope
    assert pmic_power_mw(recorded(tmp_path / "older", {}, {"vcgencmd pmic_read_adc": "error=1"})) is None


def test_tegrastats_tells_the_input_rail_or_the_sum() -> None:
    assert tegrastats_power_mw(TEGRASTATS) == 4968.0
    assert (
        tegrastats_power_mw("tj@55C VDD_GPU 0mW/0mW VDD_CPU_SOC_MSS 6510mW/6510mW VIN_SYS_5V0 6520mW/6500mW") == 13030
    )
    assert tegrastats_power_mw("RAM 1982/7620MB (lfb 4x4MB)") is None


def test_tegrastats_is_started_read_and_stopped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = tmp_path / "tegrastats"
    program.write_text(f"#!/bin/sh\ntouch {tmp_path}/started\nwhile echo '{TEGRASTATS}'; do sleep 0.01; done\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    sensor = TegrastatsSensor()
    sensor.start()
    began = time.perf_counter()
    while not sensor._powers_mw:
        time.sleep(0.005)
    energy_mj = sensor.stop_mj()
    assert 0 < energy_mj <= 4968.0 * (time.perf_counter() - began + 1.0)
    assert sensor._process is not None and sensor._process.poll() is not None


def test_idle_power_is_the_mean_while_nothing_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = iter([10.0, 12.0])
    monkeypatch.setattr(energy.time, "perf_counter", lambda: next(clock))
    monkeypatch.setattr(energy.time, "sleep", lambda seconds: None)
    assert measure_idle(Counting(3000.0), 2.0) == pytest.approx(1500.0)


@pytest.mark.parametrize("seen_mj", [0.0, float("nan")])
def test_a_silent_sensor_gives_no_figure(seen_mj: float) -> None:
    assert measure_idle(Counting(seen_mj), 0.0) is None
    found = energy_per_run(seen_mj, 1.0, 10, 100.0, "a rail")
    assert (found.per_run_mj, found.gross_per_run_mj, found.power_mw) == (None, None, None)
    assert found.reason is not None and "did not move" in found.reason


def test_idle_power_is_taken_off() -> None:
    found = energy_per_run(energy_mj=12_000.0, took_s=2.0, runs=100, idle_mw=4_000.0, scope="a rail")
    assert found.per_run_mj == pytest.approx(40.0)
    assert found.gross_per_run_mj == pytest.approx(120.0)
    assert found.power_mw == pytest.approx(6_000.0)
    assert found.reason is None


def test_what_is_not_above_idle_is_not_a_figure() -> None:
    found = energy_per_run(energy_mj=8_000.0, took_s=2.0, runs=100, idle_mw=4_100.0, scope="a rail")
    assert found.per_run_mj is None and found.gross_per_run_mj == pytest.approx(80.0)
    assert found.reason == "power while it ran (4000 mW) was not above idle (4100 mW)"
    unknown = energy_per_run(energy_mj=8_000.0, took_s=2.0, runs=100, idle_mw=None, scope="a rail")
    assert unknown.per_run_mj is None and unknown.reason == "idle power could not be measured"


def test_energy_is_divided_by_runs(tmp_path: Path) -> None:
    machine = x86_notebook(tmp_path)
    counter = tmp_path / COUNTER

    def run() -> None:
        write_tree(tmp_path, {COUNTER: str(int(counter.read_text()) + 2000)})

    sensor = find_sensor(machine)
    found = Meter(sensor, 1e-9).measure(run, 0.02)
    assert found.gross_per_run_mj == pytest.approx(2.0)
    assert found.per_run_mj == pytest.approx(2.0)
