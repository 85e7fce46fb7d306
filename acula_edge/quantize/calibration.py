"""Calibration windows: which, from whom, and in what condition, by a definition in ``calibration/``.

Only persons of the training split are ever listened to: an INT8 model whose ranges saw a test person would be tested
on data that helped to make it. Windows are chosen first and read one at a time afterwards, so that their number costs
time but no memory.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from acula_edge.engines.ort import OrtEngine
from acula_edge.errors import InputError
from acula_edge.files import sha256_text
from acula_edge.progress import track
from acula_edge.quantize.calibration_sets import CalibrationDefinition as CalibrationDefinition
from acula_edge.quantize.calibration_sets import Degradation as Degradation
from acula_edge.quantize.calibration_sets import load_definition as load_definition
from acula_edge.quantize.calibration_windows import CalibrationWindows, Change, Pick, Waves, windows_of
from acula_edge.recipe import DataConfig

# Windows looked at per window taken, so that loudness can be spread.
POOL = 3
# One person in so many judges INT8 models instead of helping to make them.
JUDGES = 5
JUDGE_WINDOWS = (8, 64)

Array = NDArray[np.float32]
Persons = Literal["all", "fit", "judge"]


def pick_windows(
    store: Waves,
    definition: CalibrationDefinition,
    data: DataConfig,
    sample_rate_hz: int,
    n_windows: int | None = None,
    persons: Persons = "all",
) -> CalibrationWindows:
    """Choose windows of training subjects: data sets and their devices' rates alike, many subjects, faint to loud.

    Args:
        store: decoded recordings; those outside the training split are not touched.
        data: how recordings are cut into windows.
        sample_rate_hz: rate that the encoder wants.
        n_windows: instead of the definition's; fewer come back when there are not that many.
        persons: ``fit`` and ``judge`` are disjoint: a fifth of the persons of every data set judges.

    Raises:
        InputError: a subject of the training split is in another split as well, or nothing can be taken.
    """
    wanted = definition.windows if n_windows is None else n_windows
    groups = _training_recordings(store, definition, persons)
    generator = np.random.default_rng(definition.seed)
    most = definition.windows_per_subject
    quotas = _quotas({key: sum(min(len(s), most) for s in group) for key, group in groups.items()}, wanted)
    picks: list[Pick] = []
    for key, quota in track(sorted(quotas.items()), "choosing calibration windows"):
        order = _round_robin(groups[key], most, generator)
        pool = [_random_pick(store, index, data, sample_rate_hz, generator) for index in order[: POOL * quota]]
        audible = [pick for pick in pool if np.isfinite(pick.loudness_db)]
        picks += _spread_loudness(audible, quota, definition.loudness_bins)
    if not picks:
        raise InputError("the training split has no window with any sound to calibrate on")
    picks.sort(key=lambda pick: store.recordings[pick.index].key)
    picks, degraded = _degrade(picks, definition.degradations, generator)
    return CalibrationWindows(store, picks, data, sample_rate_hz, definition.name, degraded)


def pick_judges(
    store: Waves, definition: CalibrationDefinition, data: DataConfig, sample_rate_hz: int, n_windows: int
) -> CalibrationWindows | None:
    """Windows of the training persons who do not calibrate: a quarter of `n_windows`, within :data:`JUDGE_WINDOWS`.

    None where there are none, as with a single training person.
    """
    fewest, most = JUDGE_WINDOWS
    wanted = min(max(n_windows // 4, fewest), most)
    try:
        return pick_windows(store, definition, data, sample_rate_hz, wanted, "judge")
    except InputError:
        return None


def make_mels(frontend: str | Path, windows: Sequence[Array] | Array) -> list[Array]:
    """Spectrograms of windows, all in memory.

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


def _training_recordings(
    store: Waves, definition: CalibrationDefinition, persons: Persons
) -> dict[tuple[str, int], list[list[int]]]:
    """Indices into the store by data set, device's rate and subject, of persons in the training split and no other.

    A published partition may have persons on two sides; those are left out here whatever the recipe's rule.
    """
    others = {recording.subject for recording in store.recordings if recording.split in ("val", "test", "")}
    known = sorted({recording.dataset for recording in store.recordings})
    for name in definition.datasets:
        if name not in known:
            raise InputError(f"the run has no data set {name} to calibrate on", allowed=known)
    rows: dict[str, dict[str, list[int]]] = {}
    for index, recording in enumerate(store.recordings):
        if recording.split != "train" or (definition.datasets and recording.dataset not in definition.datasets):
            continue
        if recording.subject in others or recording.withheld:
            continue
        rows.setdefault(recording.dataset, {}).setdefault(recording.subject, []).append(index)
    groups: dict[tuple[str, int], dict[str, list[int]]] = {}
    for dataset, subjects in rows.items():
        for subject in _side(list(subjects), persons):
            for index in subjects[subject]:
                rate_hz = store.recordings[index].sample_rate_hz if definition.device_rates else 0
                groups.setdefault((dataset, rate_hz), {}).setdefault(subject, []).append(index)
    if not groups:
        raise InputError(
            "there is no recording of a person of the training split alone to calibrate on",
            given=f"{len(store)} recordings, data sets {definition.datasets or known}",
            remedy="calibration never uses persons of the validation or test split; give the run training data",
        )
    return {key: [subjects[name] for name in sorted(subjects)] for key, subjects in groups.items()}


def _side(subjects: list[str], persons: Persons) -> list[str]:
    """The persons of one data set who fit, or who judge; by their hashes, so that names and order mean nothing."""
    if persons == "all":
        return subjects
    shuffled = sorted(subjects, key=sha256_text)
    judges = shuffled[: max(len(shuffled) // JUDGES, min(1, len(shuffled) - 1))]
    return judges if persons == "judge" else shuffled[len(judges) :]


def _quotas(available: Mapping[tuple[str, int], int], total: int) -> dict[tuple[str, int], int]:
    """Windows per data set and device's rate: data sets alike, and the rates of each alike."""
    datasets: dict[str, int] = {}
    for (dataset, _), count in available.items():
        datasets[dataset] = datasets.get(dataset, 0) + count
    quotas = {}
    for dataset, quota in spread(datasets, total).items():
        # As text of one width, so that rates sort as numbers.
        rates = {f"{rate:09d}": count for (name, rate), count in available.items() if name == dataset}
        quotas.update({(dataset, int(rate)): share for rate, share in spread(rates, quota).items()})
    return quotas


def _round_robin(subjects: Sequence[Sequence[int]], per_subject: int, generator: np.random.Generator) -> list[int]:
    """One recording of every subject, then a second of every subject, and so on."""
    shuffled = [
        [int(index) for index in generator.permutation(subjects[position])[:per_subject]]
        for position in generator.permutation(len(subjects))
    ]
    return [subject[turn] for turn in range(per_subject) for subject in shuffled if turn < len(subject)]


def _random_pick(
    store: Waves, index: int, data: DataConfig, sample_rate_hz: int, generator: np.random.Generator
) -> Pick:
    windows = windows_of(store, index, data, sample_rate_hz)
    chosen = int(generator.integers(len(windows)))
    window = windows[chosen]
    loudness_db = 20 * np.log10(np.sqrt(np.mean(np.square(window))) + 1e-8) if window.any() else -np.inf
    return Pick(index, chosen, float(loudness_db))


def _spread_loudness(pool: list[Pick], quota: int, bins: int) -> list[Pick]:
    if len(pool) <= quota or bins == 1:
        return pool[:quota]
    loudness_db = np.array([pick.loudness_db for pick in pool])
    edges = np.linspace(loudness_db.min(), loudness_db.max(), bins + 1)[1:-1]
    steps = [f"{step:03d}" for step in np.searchsorted(edges, loudness_db)]
    quotas = spread({step: steps.count(step) for step in set(steps)}, quota)
    taken = []
    for item, step in zip(pool, steps, strict=True):
        if quotas[step]:
            quotas[step] -= 1
            taken.append(item)
    return taken


def _degrade(
    picks: Sequence[Pick], degradations: Sequence[Degradation], generator: np.random.Generator
) -> tuple[list[Pick], dict[str, int]]:
    """Some of the windows changed; says how many of each kind."""
    changed = list(picks)
    order = generator.permutation(len(picks))
    counts: dict[str, int] = {}
    start = 0
    for item in degradations:
        chosen = order[start : start + round(item.share * len(picks))]
        start += len(chosen)
        counts[item.kind] = counts.get(item.kind, 0) + len(chosen)
        for index in chosen:
            change = Change(item.kind, float(generator.uniform(*item.range)), int(generator.integers(2**32)))
            changed[index] = replace(picks[index], change=change)
    return changed, counts
