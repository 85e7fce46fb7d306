"""What the terminal says of the machine: sensors that are missing are said to be."""

from __future__ import annotations

from pathlib import Path

import pytest

from acula_edge.benchmarking.energy import Meter
from acula_edge.benchmarking.environment import describe_environment
from acula_edge.benchmarking.machine import Machine
from acula_edge.benchmarking.machine_state import read_state, summarize_states
from acula_edge.benchmarking.sensors import find_sensor
from acula_edge.cli.benchmark import print_machine
from tests.benchmark.recorded_machines import orin_nano, recorded, x86_notebook


def summary(machine: Machine, meter: Meter, capsys: pytest.CaptureFixture[str]) -> str:
    print_machine(
        {
            "environment": describe_environment(machine),
            "state": summarize_states([read_state(machine), read_state(machine)]),
            "power": meter.describe(),
        }
    )
    return " ".join(capsys.readouterr().out.split())


def test_a_jetson_is_told_whole(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    machine = orin_nano(tmp_path, held=False, throttled=True)
    text = summary(machine, Meter(find_sensor(machine), 4968.0), capsys)
    assert "Orin Nano Engineering Reference Developer Kit Super, Cortex-A78AE" in text
    assert "1728 MHz when it began, limits 730 to 1728, governor schedutil" in text
    assert "temperature 48 before, 48 after, at most 48 C" in text
    assert "throttled cooling device gpu-throttle-alert at step 1" in text
    assert "INA3221 VDD_IN: whole rails; idle power 4.97 W, taken off" in text
    assert "JetPack 6.2.1+b38, L4T 36.4.3, power mode 25W, clocks follow load" in text


def test_a_calm_pc_was_not_throttled(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    machine = x86_notebook(tmp_path)
    text = summary(machine, Meter(find_sensor(machine), None), capsys)
    assert "throttled no" in text and "idle power not measured" in text


def test_a_machine_without_sensors_says_so(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    machine = recorded(tmp_path, {})
    text = summary(machine, Meter.open(machine, 0.0), capsys)
    for name in ("clocks", "temperature", "throttled", "energy"):
        assert f"{name} not measured" in text
