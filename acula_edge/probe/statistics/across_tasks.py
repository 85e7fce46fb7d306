"""Statements over several tasks: Holm's adjustment and the mean paired difference."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy import stats

from acula_edge.probe.statistics.bootstrap import Interval
from acula_edge.probe.statistics.delong import Contrast


def holm(p_values: Sequence[float]) -> list[float]:
    """Holm's step-down adjustment.

    >>> holm([0.04, 0.01, 0.03])
    [0.06, 0.03, 0.06]
    """
    from statsmodels.stats.multitest import multipletests

    if not p_values:
        return []
    # Holm bounds the chance of any false verdict however the tasks depend, and tasks that share persons do.
    return [float(p) for p in multipletests(list(p_values), method="holm")[1]]


@dataclass(frozen=True)
class TaskDifference:
    """A task's AUROC difference with what each subject contributes to it."""

    contrast: Contrast
    subjects: Sequence[str]


def mean_difference(differences: Mapping[str, TaskDifference]) -> tuple[float, Interval]:
    """Mean AUROC difference over tasks and its interval.

    A subject that takes part in several tasks contributes to all of them at once, so tasks on the same persons are
    not counted as independent evidence. Degrees of freedom are Satterthwaite's over groups of tasks that share
    persons, each group with the least of its tasks'.

    Args:
        differences: by task id; subject ids must be unique over data sets.
    """
    count = len(differences)
    estimate = float(np.mean([item.contrast.estimate for item in differences.values()]))
    parts = [_variance(group, count) for group in _sharing_persons(list(differences.values()))]
    total = sum(variance for variance, _ in parts)
    spread = sum(variance**2 / degrees for variance, degrees in parts)
    # Groups without a person in common are independent: their variances add, and so do Satterthwaite's terms.
    degrees = total**2 / spread if spread > 0 else float("inf")
    half = float(stats.t.ppf(0.975, degrees)) * float(np.sqrt(total))
    return estimate, (estimate - half, estimate + half)


def _variance(group: Sequence[TaskDifference], count: int) -> tuple[float, float]:
    """What tasks that share persons contribute to the variance of the mean over `count` tasks; degrees of freedom."""
    influence: dict[str, float] = {}
    guard = 0.0
    for item in group:
        guard += (item.contrast.guarded_variance - item.contrast.variance) / count**2
        for subject, value in zip(item.subjects, item.contrast.influence, strict=True):
            influence[subject] = influence.get(subject, 0.0) + float(value) / count
    # Squared only after a person's contributions to all tasks were summed, so that the tasks' covariance is in it.
    return sum(value**2 for value in influence.values()) + guard, min(item.contrast.degrees for item in group)


def _sharing_persons(items: Sequence[TaskDifference]) -> list[list[TaskDifference]]:
    groups: list[tuple[set[str], list[TaskDifference]]] = []
    for item in items:
        persons, members = set(item.subjects), [item]
        apart = []
        # A task may share persons with several groups that had none in common so far; it makes them one.
        for known, others in groups:
            if known & persons:
                persons, members = persons | known, [*others, *members]
            else:
                apart.append((known, others))
        groups = [*apart, (persons, members)]
    return [members for _, members in groups]
