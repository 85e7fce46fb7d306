"""Miniature file trees of three machines, written from their documentation. None of them was measured.

Formats: kernel's thermal, hwmon, cpufreq and powercap ABI; NVIDIA's Jetson Linux guide (tegrastats, nvpmodel, thermal
zones and throttle alerts of Orin); Raspberry Pi's documentation of vcgencmd.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from acula_edge.benchmarking.machine import Machine

PMIC = """ 3V3_SYS_A current(1)=0.10000000A
  VDD_CORE_A current(7)=2.00000000A
   3V3_SYS_V volt(9)=3.30000000V
  VDD_CORE_V volt(15)=0.75000000V
     EXT5V_V volt(24)=5.09000000V
      BATT_V volt(25)=0.00000000V
"""
TEGRASTATS = (
    "11-26-2026 10:00:00 RAM 1982/7620MB (lfb 4x4MB) SWAP 0/3810MB (cached 0MB) CPU [1%@729,0%@729,off,off] "
    "GR3D_FREQ 0% cpu@47.5C soc2@46.2C tj@48.1C VDD_IN 4968mW/4912mW VDD_CPU_GPU_CV 560mW/560mW VDD_SOC 1480mW/1470mW"
)


def write_tree(root: Path, files: Mapping[str, str]) -> None:
    """Write files under `root`."""
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"{text}\n", encoding="utf-8")


def recorded(root: Path, files: Mapping[str, str], answers: Mapping[str, str] | None = None) -> Machine:
    """A machine of `files`, whose programs give `answers` by command line and are missing otherwise."""
    write_tree(root, files)

    def output(command: Sequence[str]) -> str | None:
        return (answers or {}).get(" ".join(command))

    return Machine(root, output)


def orin_nano(root: Path, held: bool = True, throttled: bool = False) -> Machine:
    """A Jetson Orin Nano with JetPack 6.2: six cores, GPU, INA3221 with the board's input on channel 1.

    Args:
        held: jetson_clocks was run.
        throttled: the GPU's alarm is up.
    """
    files = {
        "etc/nv_tegra_release": "# R36 (release), REVISION: 4.3, GCID: 38968081, BOARD: generic, EABI: aarch64",
        "proc/device-tree/model": "NVIDIA Jetson Orin Nano Engineering Reference Developer Kit Super\0",
        "proc/cpuinfo": "processor\t: 0\nFeatures\t: fp asimd asimddp\nCPU implementer\t: 0x41",
        "proc/meminfo": "MemTotal:        7802468 kB\nMemAvailable:    5432100 kB",
        "sys/class/hwmon/hwmon0/name": "tmp451",
        "sys/class/hwmon/hwmon1/name": "ina3221",
        "sys/class/hwmon/hwmon1/in4_input": "16",
        "sys/class/hwmon/hwmon1/in7_label": "sum of shunt voltages",
        "sys/class/hwmon/hwmon1/in7_input": "20",
        "sys/class/hwmon/hwmon1/curr4_input": "1500",
        "sys/class/hwmon/hwmon2/name": "soctherm_oc",
        "sys/class/hwmon/hwmon2/oc1_event_cnt": "0",
        "sys/class/thermal/thermal_zone0/type": "cpu-thermal",
        "sys/class/thermal/thermal_zone0/temp": "47500",
        "sys/class/thermal/thermal_zone2/type": "cv0-thermal",
        "sys/class/thermal/thermal_zone2/temp": "-256000",
        "sys/class/thermal/thermal_zone8/type": "tj-thermal",
        "sys/class/thermal/thermal_zone8/temp": "48125",
        "sys/class/thermal/cooling_device0/type": "pwm-fan",
        "sys/class/thermal/cooling_device0/cur_state": "3",
        "sys/class/thermal/cooling_device1/type": "cpufreq-cpu0",
        "sys/class/thermal/cooling_device1/cur_state": "0",
        "sys/class/thermal/cooling_device2/type": "gpu-throttle-alert",
        "sys/class/thermal/cooling_device2/cur_state": "1" if throttled else "0",
        "sys/class/devfreq/17000000.gpu/governor": "nvhost_podgov",
        "sys/class/devfreq/17000000.gpu/cur_freq": "1020000000",
        "sys/class/devfreq/17000000.gpu/min_freq": "1020000000" if held else "306000000",
        "sys/class/devfreq/17000000.gpu/max_freq": "1020000000",
    }
    for number, (label, current) in enumerate((("VDD_IN", 1000), ("VDD_CPU_GPU_CV", 120), ("VDD_SOC", 300)), 1):
        files[f"sys/class/hwmon/hwmon1/in{number}_label"] = label
        files[f"sys/class/hwmon/hwmon1/in{number}_input"] = "5000"
        files[f"sys/class/hwmon/hwmon1/curr{number}_input"] = str(current)
    files |= _cpufreq(6, "schedutil", 1728000, 1728000 if held else 729600, 1728000)
    answers = {
        "nvpmodel -q": "NV Power Mode: 25W\n1\n",
        "dpkg-query -W -f=${Version} nvidia-jetpack": "6.2.1+b38",
        "lscpu": "Architecture:          aarch64\nModel name:            Cortex-A78AE\n",
    }
    return recorded(root, files, answers)


def raspberry_pi_5(root: Path, bits: str = "0x0") -> Machine:
    """A Raspberry Pi 5, whose power chip is read by vcgencmd.

    Args:
        bits: of get_throttled.
    """
    files = {
        "proc/device-tree/model": "Raspberry Pi 5 Model B Rev 1.0\0",
        "proc/cpuinfo": "processor\t: 0\nFeatures\t: fp asimd asimddp",
        "proc/meminfo": "MemTotal:        8245000 kB\nMemAvailable:    7432100 kB",
        "sys/class/thermal/thermal_zone0/type": "cpu-thermal",
        "sys/class/thermal/thermal_zone0/temp": "51250",
        "sys/class/thermal/cooling_device0/type": "pwm-fan",
        "sys/class/thermal/cooling_device0/cur_state": "1",
        "sys/class/hwmon/hwmon0/name": "cpu_thermal",
        "sys/class/hwmon/hwmon2/name": "rpi_volt",
    }
    files |= _cpufreq(4, "ondemand", 2400000, 1500000, 2400000)
    answers = {
        "vcgencmd get_throttled": f"throttled={bits}\n",
        "vcgencmd pmic_read_adc": PMIC,
        "lscpu": "Model name:            Cortex-A76\n",
    }
    return recorded(root, files, answers)


def x86_notebook(root: Path, throttle_count: int = 0, energy_uj: int = 0) -> Machine:
    """An Intel notebook: RAPL with a package, its parts and the platform; counters of throttling."""
    files = {
        "proc/cpuinfo": "processor\t: 0\nmodel name\t: Some Core i7\nflags\t\t: fpu avx2 avx_vnni\ncpu MHz\t\t: 3100.0",
        "proc/meminfo": "MemTotal:       16245000 kB\nMemAvailable:    9432100 kB",
        "sys/class/dmi/id/product_name": "Notebook 14",
        "sys/class/thermal/thermal_zone0/type": "acpitz",
        "sys/class/thermal/thermal_zone0/temp": "27800",
        "sys/class/thermal/thermal_zone1/type": "x86_pkg_temp",
        "sys/class/thermal/thermal_zone1/temp": "55000",
        "sys/class/thermal/cooling_device0/type": "Processor",
        "sys/class/thermal/cooling_device0/cur_state": "0",
        "sys/class/thermal/cooling_device1/type": "Processor",
        "sys/class/thermal/cooling_device1/cur_state": "0",
        "sys/class/thermal/cooling_device2/type": "TCC Offset",
        "sys/class/thermal/cooling_device2/cur_state": "5",
        "sys/class/powercap/intel-rapl:0/name": "package-0",
        "sys/class/powercap/intel-rapl:0/energy_uj": str(energy_uj),
        "sys/class/powercap/intel-rapl:0/max_energy_range_uj": "262143328850",
        "sys/class/powercap/intel-rapl:0:0/name": "core",
        "sys/class/powercap/intel-rapl:0:0/energy_uj": "7",
        "sys/class/powercap/intel-rapl:1/name": "psys",
        "sys/class/powercap/intel-rapl:1/energy_uj": "9",
    }
    for core in (0, 1):
        folder = f"sys/devices/system/cpu/cpu{core}/thermal_throttle"
        files[f"{folder}/core_throttle_count"] = str(throttle_count)
        files[f"{folder}/package_throttle_count"] = "0"
    files |= _cpufreq(2, "performance", 3100000, 400000, 4700000)
    return recorded(root, files)


def _cpufreq(cores: int, governor: str, now_khz: int, min_khz: int, max_khz: int) -> dict[str, str]:
    files = {}
    for core in range(cores):
        folder = f"sys/devices/system/cpu/cpu{core}/cpufreq"
        files[f"{folder}/scaling_governor"] = governor
        files[f"{folder}/scaling_cur_freq"] = str(now_khz)
        files[f"{folder}/scaling_min_freq"] = str(min_khz)
        files[f"{folder}/scaling_max_freq"] = str(max_khz)
        files[f"{folder}/cpuinfo_max_freq"] = str(max_khz)
    return files
