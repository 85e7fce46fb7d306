"""Two classes: AUROC, operating points, calibration."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from acula_edge.probe.metrics import (
    Measured,
    Pairs,
    area_interval,
    bootstrap_seed,
    compare_areas,
    deltas,
    units,
)
from acula_edge.probe.scores import INT8, STUDENT, TaskScores
from acula_edge.probe.statistics.bootstrap import subject_intervals, subject_means
from acula_edge.probe.statistics.calibration_error import calibration_error
from acula_edge.probe.statistics.delong import ClusteredAuroc, clustered_auroc
from acula_edge.probe.statistics.roc import rates_at, sensitivity_at, weighted_auroc
from acula_edge.recipe import VerifyConfig

Array = NDArray[np.float64]

SPECIFICITY = 0.95


def areas_of(item: TaskScores) -> ClusteredAuroc:
    """AUROCs of all models, in the order of ``item.scores``."""
    return clustered_auroc(item.targets, np.column_stack(list(item.scores.values())), item.subjects)


def measure_auroc(item: TaskScores, pairs: Pairs, config: VerifyConfig) -> Measured:
    """Values and comparisons of a task with two classes."""
    names = list(item.scores)
    scores = np.column_stack([item.scores[name] for name in names])
    areas = areas_of(item)
    _, index = np.unique(item.subjects, return_inverse=True)
    share = subject_means(item.targets[:, None], item.subjects)[:, 0]
    unit_subject, unit_label, unit_scores = units(scores, item.targets, index)

    def statistic(counts: Array) -> Array:
        values = weighted_auroc(item.targets, scores, counts[:, index])
        subject_values = weighted_auroc(unit_label, unit_scores, counts[:, unit_subject])
        return np.concatenate([values, deltas(values, item, pairs), subject_values])

    strata = (share > 0) * 2 + (share < 1) * 1
    intervals = subject_intervals(statistic, strata, config.bootstrap, bootstrap_seed(item, config))
    of_subjects = intervals[len(names) + len(pairs) :]
    subject_value = weighted_auroc(unit_label, unit_scores, np.ones((1, len(unit_label))))[:, 0]

    rows = {}
    for position, name in enumerate(names):
        threshold = item.thresholds[name]
        rates = rates_at(item.targets, item.scores[name], threshold) if threshold is not None else (None, None)
        value, of_subject = float(areas.auroc[position]), float(subject_value[position])
        rows[name] = {
            "value": value,
            "ci95": area_interval(value, intervals[position], areas),
            "per_subject": {"value": of_subject, "ci95": area_interval(of_subject, of_subjects[position], areas)},
            "sensitivity_at_95_specificity": sensitivity_at(item.targets, item.scores[name], SPECIFICITY),
            "threshold": threshold,
            "sensitivity": rates[0],
            "specificity": rates[1],
            "ece": calibration_error(item.targets, item.scores[name]),
        }
    comparisons, differences = compare_areas(
        item, areas, pairs, config, dict(zip(pairs, intervals[len(names) :], strict=False))
    )
    return Measured(
        rows,
        comparisons,
        differences,
        counts={
            "n_positive": int(item.targets.sum()),
            "n_negative": int((1 - item.targets).sum()),
            "n_positive_subjects": areas.n_positive_subjects,
            "n_negative_subjects": areas.n_negative_subjects,
        },
        baseline=float(np.mean(item.uninformed)),
        flips=_flips(item),
    )


def _flips(item: TaskScores) -> int | None:
    threshold = item.thresholds.get(STUDENT)
    if threshold is None or INT8 not in item.scores:
        return None
    return int(((item.scores[STUDENT] >= threshold) != (item.scores[INT8] >= threshold)).sum())
