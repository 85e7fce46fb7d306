"""Supply rails that a board's own monitors watch (kernel hwmon): Jetsons have INA3221, Thor an INA238 as well."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from acula_edge.benchmarking.machine import Machine

_MONITORS = ("ina3221", "ina226", "ina238")
# A rail through which the whole board is fed makes the others parts of it: Orin Nano and NX, the first Nano, Thor.
WHOLE_BOARD = ("VDD_IN", "POM_5V_IN", "VIN")


@dataclass(frozen=True)
class Rail:
    """One supply rail, as files: its power, or its millivolts and milliamperes.

    Attributes:
        chip: name of the monitor.
        power: file with microwatts; None where there is none.
    """

    name: str
    chip: str
    voltage: Path | None = None
    current: Path | None = None
    power: Path | None = None

    def power_mw(self) -> float | None:
        """Now; None where it cannot be read."""
        if self.power is not None:
            power_uw = read_whole(self.power)
            return None if power_uw is None else power_uw / 1e3
        if self.voltage is None or self.current is None:
            return None
        voltage_mv, current_ma = read_whole(self.voltage), read_whole(self.current)
        return None if voltage_mv is None or current_ma is None else voltage_mv * current_ma / 1e3


def find_rails(machine: Machine) -> list[Rail]:
    """The board's input rail where a monitor watches it, else every rail that has a name."""
    rails = []
    for monitor in machine.find("sys/class/hwmon/hwmon*"):
        chip = machine.text(monitor / "name") or ""
        if chip in _MONITORS:
            rails += [rail for rail in _rails_of(machine, monitor, chip) if rail.power_mw() is not None]
    whole = [rail for name in WHOLE_BOARD for rail in rails if rail.name == name]
    return whole[:1] or rails


def _rails_of(machine: Machine, monitor: Path, chip: str) -> list[Rail]:
    """Channels 1 to 3 of an INA3221 (4 to 7 are shunts and their sum), the one channel of the others."""
    rails = []
    for number in (1, 2, 3):
        label = machine.text(monitor / f"in{number}_label")
        current = monitor / f"curr{number}_input"
        if label and label != "NC" and current.is_file():
            rails.append(Rail(label, chip, voltage=monitor / f"in{number}_input", current=current))
    power = monitor / "power1_input"
    if not rails and power.is_file():
        rails.append(Rail(machine.text(monitor / "power1_label") or "VIN", chip, power=power))
    return rails


def power_of_rails(rails: list[Rail]) -> float | None:
    """Milliwatts of all of them now; None where one cannot be read."""
    powers = [rail.power_mw() for rail in rails]
    return None if None in powers else sum(power for power in powers if power is not None)


def name_rails(rails: list[Rail]) -> str:
    """``INA3221 VDD_IN``"""
    return f"{', '.join(sorted({rail.chip.upper() for rail in rails}))} {' + '.join(rail.name for rail in rails)}"


def read_whole(path: Path) -> int | None:
    """A file that holds one whole number; None where it cannot be read."""
    text = Machine(path.parent).text(path.name)
    return int(text) if text and text.lstrip("-").isdigit() else None
