"""Definitions of calibration sets: YAML files in ``calibration/``, read and checked."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path

from acula_edge.errors import InputError, did_you_mean
from acula_edge.shipped import calibration_folder
from acula_edge.untrusted.yaml_text import read_yaml

SCHEMA = "acula-edge/calibration/1"
DEGRADATIONS = ("noise", "clip", "gain")


@dataclass(frozen=True)
class Degradation:
    """Something done to a share of the windows: ``noise`` (SNR in dB), ``clip`` (share of the peak), ``gain`` (dB)."""

    kind: str
    share: float
    range: tuple[float, float]

    def __post_init__(self) -> None:
        if self.kind not in DEGRADATIONS:
            raise InputError("unknown degradation", given=self.kind, allowed=DEGRADATIONS)
        low, high = self.range
        if not 0 <= self.share <= 1 or low > high or (self.kind == "clip" and not 0 < low <= high <= 1):
            raise InputError(f"the degradation {self.kind} is out of range", given=f"share {self.share}, {self.range}")


@dataclass(frozen=True)
class CalibrationDefinition:
    """One file of ``calibration/``; its comments say what each entry means."""

    name: str
    description: str = ""
    datasets: list[str] = field(default_factory=list)
    windows: int = 200
    windows_per_subject: int = 4
    loudness_bins: int = 5
    device_rates: bool = True
    degradations: list[Degradation] = field(default_factory=list)
    seed: int = 0

    def __post_init__(self) -> None:
        if self.windows < 1 or self.windows_per_subject < 1 or self.loudness_bins < 1:
            raise InputError(
                f"the calibration definition {self.name} needs positive counts",
                given=f"windows {self.windows}, per subject {self.windows_per_subject}, bins {self.loudness_bins}",
            )
        if sum(item.share for item in self.degradations) > 1:
            raise InputError(f"the degradations of {self.name} add up to more than all windows")


def load_definition(name: str | Path) -> CalibrationDefinition:
    """Load a shipped definition by name, or one of your own by path.

    Raises:
        InputError: there is none, or it has an unknown entry or a value that cannot be used.
    """
    path = Path(name) if Path(name).suffix in (".yaml", ".yml") else calibration_folder() / f"{name}.yaml"
    if not path.is_file():
        shipped = sorted(file.stem for file in calibration_folder().glob("*.yaml"))
        raise InputError(
            f"there is no calibration definition {name}",
            allowed=[*shipped, "or a path to a YAML file"],
            remedy=did_you_mean(Path(name).stem, shipped),
        )
    try:
        values = read_yaml(path)
    except (OSError, ValueError) as error:
        raise InputError(f"{path} cannot be read as YAML", given=error) from error
    if not isinstance(values, Mapping) or values.get("schema") != SCHEMA:
        raise InputError(f"{path} is no calibration definition", allowed=f"a mapping with schema: {SCHEMA}")
    known = [item.name for item in fields(CalibrationDefinition) if item.name != "name"]
    entries = {key: value for key, value in values.items() if key != "schema"}
    for key in entries:
        if key not in known:
            raise InputError(f"{path}: there is no entry {key!r}", allowed=known, remedy=did_you_mean(str(key), known))
    try:
        degradations = [
            Degradation(item["kind"], float(item["share"]), (float(item["range"][0]), float(item["range"][1])))
            for item in entries.pop("degradations", None) or []
        ]
        device_rates = entries.get("device_rates", True)
        if not isinstance(device_rates, bool):
            raise TypeError(f"device_rates is true or false, not {device_rates!r}")
        texts = ("datasets", "description", "device_rates")
        counts = {key: int(value) for key, value in entries.items() if key not in texts}
        datasets = [str(item) for item in entries.get("datasets") or []]
        description = str(entries.get("description", ""))
    except (KeyError, IndexError, TypeError, ValueError) as error:
        raise InputError(f"{path}: an entry has the wrong form", given=error) from error
    return CalibrationDefinition(
        path.stem,
        description=description,
        datasets=datasets,
        degradations=degradations,
        device_rates=device_rates,
        **counts,
    )
