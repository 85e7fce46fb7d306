"""How a task's scores become values, intervals and comparisons: one module per kind of task."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from acula_edge.probe.scores import TaskScores
from acula_edge.probe.statistics.across_tasks import TaskDifference
from acula_edge.probe.statistics.bootstrap import Interval, perfect_interval
from acula_edge.probe.statistics.delong import Areas, Contrast
from acula_edge.probe.statistics.noninferiority import Comparison, compare_auroc, identical
from acula_edge.recipe import VerifyConfig

Array = NDArray[np.float64]
Pairs = Mapping[str, tuple[str, str]]


@dataclass(frozen=True)
class Measured:
    """Values and comparisons of one task.

    Attributes:
        rows: by model, as in ``verify.json``.
        comparisons: by pair.
        differences: the same as AUROC contrasts; empty for regression.
        counts: further entries of the task.
        baseline: value of the answer that ignores the sound.
        flips: test recordings on which student and INT8 decide differently; None without decisions.
    """

    rows: dict[str, dict[str, Any]]
    comparisons: dict[str, Comparison]
    differences: dict[str, TaskDifference] = field(default_factory=dict)
    counts: dict[str, Any] = field(default_factory=dict)
    baseline: float | None = None
    flips: int | None = None


Measure = Callable[[TaskScores, Pairs, VerifyConfig], Measured]


def compare_areas(
    item: TaskScores, areas: Areas, pairs: Pairs, config: VerifyConfig, intervals: Mapping[str, Interval]
) -> tuple[dict[str, Comparison], dict[str, TaskDifference]]:
    """Comparisons of pairs of models and their contrasts.

    Args:
        areas: AUROCs of the models, in the order of ``item.scores``.
        intervals: by pair, from resampling.
    """
    column = {name: index for index, name in enumerate(item.scores)}
    subjects = [str(subject) for subject in areas.subjects]
    comparisons, differences = {}, {}
    for pair, (model, reference) in pairs.items():
        margin = margin_auroc(item, pair, config)
        if np.array_equal(item.scores[model], item.scores[reference]):
            comparisons[pair] = identical(margin, "auroc")
            contrast = Contrast(0.0, 0.0, 0.0, float("inf"), np.zeros(len(subjects)))
        else:
            comparisons[pair] = compare_auroc(
                areas, column[model], column[reference], margin, config.alpha, intervals.get(pair)
            )
            weights = np.zeros(len(column))
            weights[column[model]], weights[column[reference]] = 1.0, -1.0
            contrast = areas.contrast(weights)
        differences[pair] = TaskDifference(contrast, subjects)
    return comparisons, differences


def deltas(values: Array, item: TaskScores, pairs: Pairs) -> Array:
    """Differences of pairs of models: values [K, B] in the order of ``item.scores`` -> [P, B]."""
    column = {name: index for index, name in enumerate(item.scores)}
    rows = [values[column[model]] - values[column[reference]] for model, reference in pairs.values()]
    return np.reshape(rows, (-1, values.shape[1]))


def units(scores: Array, targets: Array, index: NDArray[np.intp]) -> tuple[NDArray[np.intp], Array, Array]:
    """Subjects as units: position of the subject [U], label [U] and mean scores [U, ...].

    A subject whose recordings differ in label (seen twice with and without a murmur) is one unit for each label.

    Args:
        scores: [R, ...].
        targets: [R] classes.
        index: [R] positions of the subjects.
    """
    keys, unit = np.unique(np.column_stack([index, targets.astype(int)]), axis=0, return_inverse=True)
    sums = np.zeros((len(keys), *scores.shape[1:]))
    np.add.at(sums, unit.ravel(), scores)
    means = sums / np.bincount(unit.ravel()).reshape(-1, *[1] * (scores.ndim - 1))
    return keys[:, 0], keys[:, 1].astype(float), means


def margin_auroc(item: TaskScores, pair: str, config: VerifyConfig) -> float:
    """Loss of AUROC that a pair of models is allowed."""
    if item.task.margin is not None:
        return item.task.margin
    return config.margin_auroc_teacher if pair.endswith("teacher") else config.margin_auroc_student


def area_interval(value: float, interval: Interval, areas: Areas) -> list[float] | None:
    """Interval of an AUROC; one of exactly 0 or 1 gets that of a perfect one."""
    if value in (0.0, 1.0):
        return plain(perfect_interval(value, areas.n_positive_subjects, areas.n_negative_subjects))
    return plain(interval)


def bootstrap_seed(item: TaskScores, config: VerifyConfig) -> int:
    """Seed of a task's resamples."""
    return zlib.crc32(f"{config.seed}/{item.task.id}".encode())


def plain(interval: Interval) -> list[float] | None:
    """For JSON."""
    return None if interval is None else list(interval)
