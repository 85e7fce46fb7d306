"""Calibration windows: which, from whom, and in what condition. Definitions are YAML files in ``calibration/``.

Only persons of the training split are ever listened to: an INT8 model whose ranges saw a test person would be tested
on data that helped to make it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import yaml
from numpy.typing import NDArray

from acula_edge.audio.resample import resample
from acula_edge.audio.segment import recording_windows
from acula_edge.data.manifest import Recording
from acula_edge.engines.ort import OrtEngine
from acula_edge.errors import InputError, did_you_mean
from acula_edge.files import sha256_text
from acula_edge.progress import track
from acula_edge.recipe import DataConfig
from acula_edge.shipped import calibration_folder

SCHEMA = "acula-edge/calibration/1"
DEGRADATIONS = ("noise", "clip", "gain")

# Windows looked at per window taken, so that loudness can be spread.
POOL = 3

Array = NDArray[np.float32]


class Waves(Protocol):
    """What this stage needs of a :class:`acula_edge.data.store.WaveStore`."""

    recordings: list[Recording]
    sample_rate_hz: int

    def __len__(self) -> int: ...

    def __getitem__(self, index: int) -> Array: ...


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


@dataclass(frozen=True)
class CalibrationWindows:
    """Windows of training subjects, at the encoder's rate.

    Attributes:
        windows: [N, T].
        recordings: the recording that each came from.
        definition: name of the definition.
        degraded: windows per kind of degradation.
    """

    windows: Array
    recordings: list[Recording]
    definition: str
    degraded: dict[str, int]

    def describe(self) -> dict[str, Any]:
        """For ``quantize.json``; subjects appear as hashes only."""
        subjects = sorted({sha256_text(recording.subject)[:16] for recording in self.recordings})
        datasets = [recording.dataset for recording in self.recordings]
        return {
            "definition": self.definition,
            "n_windows": len(self.windows),
            "n_subjects": len(subjects),
            "datasets": {name: datasets.count(name) for name in sorted(set(datasets))},
            "degraded": self.degraded,
            "subjects_sha256": subjects,
        }


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
        values = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
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
        counts = {key: int(value) for key, value in entries.items() if key not in ("datasets", "description")}
        datasets = [str(item) for item in entries.get("datasets") or []]
        description = str(entries.get("description", ""))
    except (KeyError, IndexError, TypeError, ValueError) as error:
        raise InputError(f"{path}: an entry has the wrong form", given=error) from error
    return CalibrationDefinition(
        path.stem, description=description, datasets=datasets, degradations=degradations, **counts
    )


def pick_windows(
    store: Waves,
    definition: CalibrationDefinition,
    data: DataConfig,
    sample_rate_hz: int,
    n_windows: int | None = None,
) -> CalibrationWindows:
    """Choose windows of training subjects: data sets alike, many subjects, from faint to loud.

    Args:
        store: decoded recordings; those outside the training split are not touched.
        data: how recordings are cut into windows.
        sample_rate_hz: rate that the encoder wants.
        n_windows: instead of the definition's; fewer come back when there are not that many.

    Raises:
        InputError: a subject of the training split is in another split as well, or nothing can be taken.
    """
    wanted = definition.windows if n_windows is None else n_windows
    groups = _training_recordings(store, definition)
    generator = np.random.default_rng(definition.seed)
    picked: list[tuple[str, int, Array]] = []
    most = definition.windows_per_subject
    quotas = spread({name: sum(min(len(s), most) for s in group) for name, group in groups.items()}, wanted)
    for dataset, quota in track(sorted(quotas.items()), "choosing calibration windows"):
        order = _round_robin(groups[dataset], most, generator)
        pool = []
        for index in order[: POOL * quota]:
            window = _random_window(store, index, data, sample_rate_hz, generator)
            if window.any():
                pool.append((store.recordings[index].key, index, window))
        picked += _spread_loudness(pool, quota, definition.loudness_bins)
    if not picked:
        raise InputError("the training split has no window with any sound to calibrate on")
    picked.sort(key=lambda item: item[0])
    windows = np.stack([window for _, _, window in picked]).astype(np.float32)
    degraded = _degrade(windows, definition.degradations, generator)
    return CalibrationWindows(windows, [store.recordings[i] for _, i, _ in picked], definition.name, degraded)


def make_mels(frontend: str | Path, windows: Array) -> list[Array]:
    """Spectrograms of windows, as the exported front end computes them.

    Shape: [N, T] -> N of [1, F, M].
    """
    engine = OrtEngine(frontend)
    return [engine.run({"waveform": window[None]})["mel"] for window in windows]


def spread(available: Mapping[str, int], total: int) -> dict[str, int]:
    """Deal `total` to groups as evenly as what is available allows."""
    dealt = dict.fromkeys(sorted(available), 0)
    left = min(total, sum(available.values()))
    while left:
        open_groups = [name for name in dealt if dealt[name] < available[name]]
        share = max(1, left // len(open_groups))
        for name in open_groups[:left]:
            take = min(share, available[name] - dealt[name])
            dealt[name] += take
            left -= take
    return dealt


def _training_recordings(store: Waves, definition: CalibrationDefinition) -> dict[str, list[list[int]]]:
    """Indices into the store by data set and subject, of persons who are in the training split and in no other.

    A published partition may have persons on two sides; those are left out here whatever the recipe's rule.
    """
    others = {recording.subject for recording in store.recordings if recording.split in ("val", "test", "")}
    known = sorted({recording.dataset for recording in store.recordings})
    for name in definition.datasets:
        if name not in known:
            raise InputError(f"the run has no data set {name} to calibrate on", allowed=known)
    groups: dict[str, dict[str, list[int]]] = {}
    for index, recording in enumerate(store.recordings):
        if recording.split != "train" or (definition.datasets and recording.dataset not in definition.datasets):
            continue
        if recording.subject in others or recording.withheld:
            continue
        groups.setdefault(recording.dataset, {}).setdefault(recording.subject, []).append(index)
    if not groups:
        raise InputError(
            "there is no recording of a person of the training split alone to calibrate on",
            given=f"{len(store)} recordings, data sets {definition.datasets or known}",
            remedy="calibration never uses persons of the validation or test split; give the run training data",
        )
    return {dataset: [subjects[name] for name in sorted(subjects)] for dataset, subjects in groups.items()}


def _round_robin(subjects: Sequence[Sequence[int]], per_subject: int, generator: np.random.Generator) -> list[int]:
    """One recording of every subject, then a second of every subject, and so on."""
    shuffled = [
        [int(index) for index in generator.permutation(subjects[position])[:per_subject]]
        for position in generator.permutation(len(subjects))
    ]
    return [subject[turn] for turn in range(per_subject) for subject in shuffled if turn < len(subject)]


def _random_window(
    store: Waves, index: int, data: DataConfig, sample_rate_hz: int, generator: np.random.Generator
) -> Array:
    wave = resample(np.asarray(store[index], np.float32), store.sample_rate_hz, sample_rate_hz)
    windows = recording_windows(wave, sample_rate_hz, data.window_s, data.hop_s, data.trim_top_db)
    return np.asarray(windows[int(generator.integers(len(windows)))], np.float32)


def _spread_loudness(pool: list[tuple[str, int, Array]], quota: int, bins: int) -> list[tuple[str, int, Array]]:
    if len(pool) <= quota or bins == 1:
        return pool[:quota]
    loudness_db = np.array([20 * np.log10(np.sqrt(np.mean(np.square(window))) + 1e-8) for _, _, window in pool])
    edges = np.linspace(loudness_db.min(), loudness_db.max(), bins + 1)[1:-1]
    steps = [f"{step:03d}" for step in np.searchsorted(edges, loudness_db)]
    quotas = spread({step: steps.count(step) for step in set(steps)}, quota)
    taken = []
    for item, step in zip(pool, steps, strict=True):
        if quotas[step]:
            quotas[step] -= 1
            taken.append(item)
    return taken


def _degrade(windows: Array, degradations: Sequence[Degradation], generator: np.random.Generator) -> dict[str, int]:
    """Change some windows in place; says how many of each kind."""
    order = generator.permutation(len(windows))
    counts: dict[str, int] = {}
    start = 0
    for item in degradations:
        chosen = order[start : start + round(item.share * len(windows))]
        start += len(chosen)
        counts[item.kind] = counts.get(item.kind, 0) + len(chosen)
        for index in chosen:
            amount = generator.uniform(*item.range)
            windows[index] = _apply(item.kind, windows[index], amount, generator)
    return counts


def _apply(kind: str, wave: Array, amount: float, generator: np.random.Generator) -> Array:
    if kind == "gain":
        return np.asarray(np.clip(wave * 10 ** (amount / 20), -1.0, 1.0), np.float32)
    if kind == "clip":
        ceiling = amount * np.abs(wave).max()
        return np.asarray(np.clip(wave, -ceiling, ceiling), np.float32)
    level = np.sqrt(np.mean(np.square(wave))) * 10 ** (-amount / 20)
    return np.asarray(wave + level * generator.standard_normal(len(wave)), np.float32)
