"""Which report belongs to a recording? Recall at 1, 5 and 10 on validation persons, with what chance would give.

Reports of test recordings are never written (SPEC fact 9), so held-out pairs are those of the validation split. Nothing
is fitted on them; where a recipe keeps the best epoch or stops early, they chose the epoch, which flatters slightly.

The candidates are the distinct reports of the split: reports that state the same facts, in whatever words, are one
candidate (their mean vector), and it is correct for every recording of which they are told.
"""

from __future__ import annotations

import zlib
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from acula_edge.probe.statistics.bootstrap import subject_intervals

Array = NDArray[np.float64]

CUTOFFS = (1, 5, 10)
POOLED = None
"""Name of the scope in which reports of all data sets are candidates."""


def ranks(audio: Array, text: Array, facts: NDArray[np.int_]) -> tuple[NDArray[np.int_], NDArray[np.int_]]:
    """Rank of every candidate for every recording.

    Args:
        audio: [N, K] recordings.
        text: [N, K] their reports.
        facts: [N], equal for reports that say the same.

    Returns:
        Ranks [N, G] from 1 (the most similar; of equally similar ones all get the last place), and the correct
        candidate of each recording, [N].
    """
    distinct, own = np.unique(facts, return_inverse=True)
    candidates = np.stack([text[facts == number].mean(axis=0) for number in distinct])
    similarity = _unit(audio) @ _unit(candidates).T
    order = np.sort(-similarity, axis=1)
    placed = [np.searchsorted(row, -values, side="right") for row, values in zip(order, similarity, strict=True)]
    return np.stack(placed), own


def measure_retrieval(
    audio: Mapping[str, Array],
    text: Array,
    facts: NDArray[np.int_],
    datasets: Sequence[str],
    subjects: Sequence[str],
    resamples: int,
    seed: int,
) -> list[dict[str, Any]]:
    """Recall within each data set, and with the reports of all data sets as candidates.

    Args:
        audio: model -> [N, K] recordings, centered within data set.
        text: [N, K] their reports, centered within data set.
        facts: [N], equal for reports that say the same.
        datasets, subjects: [N].

    Returns:
        One entry per scope with two candidates at least: ``dataset`` (null for all together), ``n_recordings``,
        ``n_subjects``, ``n_reports`` (candidates), ``chance`` (a random order) and, per model,
        ``recall_at_K: {value, ci95, shuffled}``. ``shuffled`` is the exact expectation with reports dealt out at
        random among the recordings of a data set: what naming the usual report earns. Intervals resample subjects.
    """
    names, persons = np.array(datasets), np.array(subjects)
    scopes: list[tuple[str | None, NDArray[np.bool_]]] = [(str(name), names == name) for name in np.unique(names)]
    if len(scopes) > 1:
        scopes.append((POOLED, np.ones(len(names), dtype=bool)))
    entries = []
    for name, chosen in scopes:
        candidates = len(np.unique(facts[chosen]))
        if candidates < 2:
            continue
        draw = zlib.crc32(f"{seed}/retrieval/{name}".encode())
        entry: dict[str, Any] = {
            "dataset": name,
            "n_recordings": int(chosen.sum()),
            "n_subjects": len(np.unique(persons[chosen])),
            "n_reports": candidates,
            "chance": {f"recall_at_{cutoff}": min(1.0, cutoff / candidates) for cutoff in CUTOFFS},
        }
        for model, values in audio.items():
            placed, own = ranks(values[chosen], text[chosen], facts[chosen])
            entry[model] = _recalls(placed, own, names[chosen], persons[chosen], resamples, draw)
        entries.append(entry)
    return entries


def _recalls(
    placed: NDArray[np.int_],
    own: NDArray[np.int_],
    datasets: NDArray[np.str_],
    subjects: NDArray[np.str_],
    resamples: int,
    seed: int,
) -> dict[str, Any]:
    found = placed[np.arange(len(own)), own][:, None] <= np.array(CUTOFFS)
    _, person = np.unique(subjects, return_inverse=True)
    hits = np.zeros((person.max() + 1, len(CUTOFFS)))
    np.add.at(hits, person, found)
    sizes = np.bincount(person)

    def statistic(counts: Array) -> Array:
        recall: Array = (counts @ hits / (counts @ sizes)[:, None]).T
        return recall

    intervals = subject_intervals(statistic, np.zeros(len(hits), dtype=int), resamples, seed)
    return {
        f"recall_at_{cutoff}": {
            "value": float(found[:, column].mean()),
            "ci95": None if intervals[column] is None else list(intervals[column] or ()),
            "shuffled": _shuffled(placed <= cutoff, own, datasets),
        }
        for column, cutoff in enumerate(CUTOFFS)
    }


def _shuffled(within: NDArray[np.bool_], own: NDArray[np.int_], datasets: NDArray[np.str_]) -> float:
    """Mean over recordings, and over whose report of the same data set each is given."""
    total = 0.0
    for name in np.unique(datasets):
        rows = datasets == name
        share = np.bincount(own[rows], minlength=within.shape[1]) / rows.sum()
        total += float((within[rows] @ share).sum())
    return total / len(own)


def _unit(rows: Array) -> Array:
    unit: Array = rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-12)
    return unit
