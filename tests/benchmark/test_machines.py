"""What a Jetson, a Raspberry Pi and a PC tell of themselves, on miniature file trees."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from acula_edge.benchmarking.clocks import describe_clocks, fastest_core_mhz
from acula_edge.benchmarking.environment import describe_environment, describe_jetson
from acula_edge.benchmarking.machine import Machine, execute
from acula_edge.benchmarking.machine_state import read_state, state_warnings, summarize_states
from acula_edge.benchmarking.thermal import read_temperatures, read_throttling, throttling_evidence
from tests.benchmark.recorded_machines import orin_nano, raspberry_pi_5, recorded, write_tree, x86_notebook


def test_a_jetson_tells_releases_power_mode_and_whether_clocks_are_held(tmp_path: Path) -> None:
    assert describe_jetson(recorded(tmp_path / "other", {})) is None
    assert describe_jetson(orin_nano(tmp_path)) == {
        "board": "NVIDIA Jetson Orin Nano Engineering Reference Developer Kit Super",
        "release": "# R36 (release), REVISION: 4.3, GCID: 38968081, BOARD: generic, EABI: aarch64",
        "l4t": "36.4.3",
        "jetpack": "6.2.1+b38",
        "power_mode": "25W",
        "power_mode_id": 1,
        "jetson_clocks": True,
    }
    free = describe_jetson(orin_nano(tmp_path / "free", held=False))
    assert free is not None and free["jetson_clocks"] is False


def test_what_a_jetson_does_not_tell_is_null(tmp_path: Path) -> None:
    jetson = describe_jetson(recorded(tmp_path, {"etc/nv_tegra_release": "# unheard of"}))
    assert jetson is not None
    assert all(jetson[key] is None for key in ("board", "l4t", "jetpack", "power_mode", "jetson_clocks"))


def test_every_machine_is_described_in_json(tmp_path: Path) -> None:
    machines = {"a": orin_nano(tmp_path / "a"), "b": raspberry_pi_5(tmp_path / "b"), "c": x86_notebook(tmp_path / "c")}
    found = {name: describe_environment(machine) for name, machine in machines.items()}
    json.dumps(found, allow_nan=False)
    assert [found[name]["cpu"]["model"] for name in "abc"] == ["Cortex-A78AE", "Cortex-A76", "Some Core i7"]
    assert [found[name]["board"] for name in "bc"] == ["Raspberry Pi 5 Model B Rev 1.0", "Notebook 14"]
    assert [found[name]["cpu"]["governor"] for name in "abc"] == ["schedutil", "ondemand", "performance"]
    assert all(found[name]["cpu"]["int8_dot_product"] for name in "abc")
    assert found["b"]["memory_mb"] == pytest.approx(8442.88)
    assert found["b"]["jetson"] is None


def test_clocks_of_every_core_with_their_limits(tmp_path: Path) -> None:
    clocks = describe_clocks(raspberry_pi_5(tmp_path))
    assert [core["core"] for core in clocks["cores"]] == [0, 1, 2, 3]
    assert clocks["cores"][3] == {
        "core": 3,
        "governor": "ondemand",
        "mhz": 2400.0,
        "min_mhz": 1500.0,
        "max_mhz": 2400.0,
        "hardware_max_mhz": 2400.0,
    }
    assert clocks["held"] is False and clocks["devices"] == []


def test_a_gpu_that_moves_is_not_held_even_if_the_cores_are(tmp_path: Path) -> None:
    machine = orin_nano(tmp_path)
    assert describe_clocks(machine)["devices"][0]["mhz"] == 1020.0
    write_tree(tmp_path, {"sys/class/devfreq/17000000.gpu/min_freq": "306000000"})
    assert describe_clocks(machine)["held"] is False


def test_cores_beyond_nine_are_in_order(tmp_path: Path) -> None:
    files = {f"sys/devices/system/cpu/cpu{core}/cpufreq/scaling_cur_freq": str(core * 1000) for core in range(12)}
    cores = describe_clocks(recorded(tmp_path, files))["cores"]
    assert [core["mhz"] for core in cores] == [float(core) for core in range(12)]


def test_virtual_machines_tell_clocks_in_cpuinfo_and_hold_nothing(tmp_path: Path) -> None:
    machine = recorded(tmp_path, {"proc/cpuinfo": "processor: 0\ncpu MHz : 2400.5\n\nprocessor: 1\ncpu MHz : 2600.0"})
    clocks = describe_clocks(machine)
    assert [core["mhz"] for core in clocks["cores"]] == [2400.5, 2600.0]
    assert clocks["held"] is None and clocks["cores"][0]["governor"] is None
    assert fastest_core_mhz(machine) == 2600.0
    assert fastest_core_mhz(Machine(tmp_path / "nowhere")) is None


def test_temperatures_leave_out_zones_that_are_switched_off(tmp_path: Path) -> None:
    assert read_temperatures(orin_nano(tmp_path / "a")) == {"cpu-thermal": 47.5, "tj-thermal": 48.125}
    assert read_state(orin_nano(tmp_path / "b")).processor_c == 48.125
    assert read_state(x86_notebook(tmp_path / "c")).processor_c == 55.0
    assert read_state(recorded(tmp_path / "d", {})).processor_c is None


def test_amd_and_intel_chips_are_read_where_there_is_no_zone(tmp_path: Path) -> None:
    chip = "sys/class/hwmon/hwmon3"
    files = {f"{chip}/name": "k10temp", f"{chip}/temp1_input": "61000", f"{chip}/temp1_label": "Tctl"}
    assert read_temperatures(recorded(tmp_path, files)) == {"k10temp Tctl": 61.0}


def test_a_fan_that_turns_is_no_throttling(tmp_path: Path) -> None:
    state = read_throttling(orin_nano(tmp_path))
    assert state is not None and "pwm-fan" not in state["cooling"]
    assert throttling_evidence([state, state]) == []


def test_throttling_is_found_on_each_machine(tmp_path: Path) -> None:
    calm, hot = read_throttling(orin_nano(tmp_path / "a")), read_throttling(orin_nano(tmp_path / "b", throttled=True))
    assert throttling_evidence([calm, hot, calm]) == ["cooling device gpu-throttle-alert at step 1"]

    before, after = read_throttling(x86_notebook(tmp_path / "c", 3)), read_throttling(x86_notebook(tmp_path / "d", 5))
    assert throttling_evidence([before, after]) == ["core throttle count rose by 4"]
    assert throttling_evidence([before, before]) == []

    bits = [read_throttling(raspberry_pi_5(tmp_path / name, name)) for name in ("0x50000", "0xd0008")]
    assert throttling_evidence(bits) == ["firmware says: soft temperature limit"]
    assert throttling_evidence([bits[0], bits[0]]) == []


def test_nothing_to_tell_is_none_not_false(tmp_path: Path) -> None:
    states = [read_state(recorded(tmp_path, {}))] * 2
    summary = summarize_states(states)
    assert summary["throttled"] is None and summary["processor_c"]["max"] is None
    assert summary["temperatures_c"] == {"before": None, "after": None}
    assert state_warnings(summary) == []


def test_a_machine_that_throttled_or_warmed_up_is_warned_about(tmp_path: Path) -> None:
    machine = raspberry_pi_5(tmp_path, "0x50000")
    states = [read_state(machine)]
    write_tree(tmp_path, {"sys/class/thermal/thermal_zone0/temp": "81000"})
    hot = Machine(tmp_path, lambda command: "throttled=0x5000a\n")
    summary = summarize_states([*states, read_state(hot)])
    assert summary["processor_c"] == {"before": 51.25, "after": 81.0, "max": 81.0}
    throttled, earlier, warmed = state_warnings(summary)
    assert "clock capped; firmware says: soft temperature limit" in throttled
    assert "since it was booted the machine had been through: under-voltage, throttled" in earlier
    assert "from 51 to 81 degrees" in warmed


def test_programs_that_are_missing_or_fail_say_nothing() -> None:
    assert execute(["no-such-program-of-any-machine"]) is None
    assert execute(["false"]) is None
    assert execute(["echo", "here"]) == "here\n"
