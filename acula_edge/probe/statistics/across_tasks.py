"""Statements over several tasks: Holm's adjustment and the mean paired difference."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy import stats

from acula_edge.probe.statistics.bootstrap import Interval
from acula_edge.probe.statistics.delong import Contrast


def holm(p_values: Sequence[float]) -> list[float]:
    """Holm's step-down adjustment."""
    from statsmodels.stats.multitest import multipletests

    if not p_values:
        return []
    return [float(p) for p in multipletests(list(p_values), method="holm")[1]]


@dataclass(frozen=True)
class TaskDifference:
    """A task's AUROC difference with what each subject contributes to it."""

    contrast: Contrast
    subjects: Sequence[str]


def mean_difference(differences: Mapping[str, TaskDifference]) -> tuple[float, Interval]:
    """Mean AUROC difference over tasks and its interval.

    A subject that takes part in several tasks contributes to all of them at once, so tasks on the same persons are
    not counted as independent evidence.

    Args:
        differences: by task id; subject ids must be unique over data sets.
    """
    count = len(differences)
    estimate = float(np.mean([item.contrast.estimate for item in differences.values()]))
    influence: dict[str, float] = {}
    guard = 0.0
    for item in differences.values():
        guard += (item.contrast.guarded_variance - item.contrast.variance) / count**2
        for subject, value in zip(item.subjects, item.contrast.influence, strict=True):
            influence[subject] = influence.get(subject, 0.0) + float(value) / count
    error = float(np.sqrt(sum(value**2 for value in influence.values()) + guard))
    degrees = min(item.contrast.degrees for item in differences.values())
    half = float(stats.t.ppf(0.975, degrees)) * error
    return estimate, (estimate - half, estimate + half)
