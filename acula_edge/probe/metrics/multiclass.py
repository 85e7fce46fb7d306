"""More than two classes: mean over "this class or another" of the AUROC."""

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
from acula_edge.probe.statistics.bootstrap import subject_intervals
from acula_edge.probe.statistics.calibration_error import calibration_error
from acula_edge.probe.statistics.macro import MacroAuroc, macro_auroc, weighted_macro_auroc
from acula_edge.recipe import VerifyConfig

Array = NDArray[np.float64]


def macro_areas_of(item: TaskScores) -> MacroAuroc:
    """Mean AUROCs of all models, in the order of ``item.scores``."""
    return macro_auroc(item.targets, np.stack(list(item.scores.values()), axis=-1), item.subjects)


def measure_macro_auroc(item: TaskScores, pairs: Pairs, config: VerifyConfig) -> Measured:
    """Values and comparisons of a task with more than two classes; resamples that lack a class are dropped."""
    names = list(item.scores)
    scores = np.stack([item.scores[name] for name in names], axis=-1)
    areas = macro_areas_of(item)
    _, index = np.unique(item.subjects, return_inverse=True)
    unit_subject, unit_label, unit_scores = units(scores, item.targets, index)

    def statistic(counts: Array) -> Array:
        values = weighted_macro_auroc(item.targets, scores, counts[:, index])
        subject_values = weighted_macro_auroc(unit_label, unit_scores, counts[:, unit_subject])
        return np.concatenate([values, deltas(values, item, pairs), subject_values])

    intervals = subject_intervals(
        statistic, _strata(unit_subject, unit_label), config.bootstrap, bootstrap_seed(item, config)
    )
    of_subjects = intervals[len(names) + len(pairs) :]
    subject_value = weighted_macro_auroc(unit_label, unit_scores, np.ones((1, len(unit_label))))[:, 0]

    rows = {}
    for position, name in enumerate(names):
        value, of_subject = float(areas.auroc[position]), float(subject_value[position])
        rows[name] = {
            "value": value,
            "ci95": area_interval(value, intervals[position], areas),
            "per_subject": {"value": of_subject, "ci95": area_interval(of_subject, of_subjects[position], areas)},
            "per_class": {
                label: float(one.auroc[position]) for label, one in zip(item.task.labels, areas.classes, strict=True)
            },
            "sensitivity_at_95_specificity": None,
            "threshold": None,
            "sensitivity": None,
            "specificity": None,
            "ece": calibration_error(item.targets, item.scores[name]),
        }
    comparisons, differences = compare_areas(
        item, areas, pairs, config, dict(zip(pairs, intervals[len(names) :], strict=False))
    )
    counts = {
        "n_per_class": {label: int((item.targets == number).sum()) for number, label in enumerate(item.task.labels)},
        "n_subjects_per_class": {
            label: one.n_positive_subjects for label, one in zip(item.task.labels, areas.classes, strict=True)
        },
    }
    return Measured(rows, comparisons, differences, counts, float(np.mean(item.uninformed)), _flips(item))


def _strata(unit_subject: NDArray[np.intp], unit_label: Array) -> NDArray[np.int_]:
    """[S], equal for subjects with recordings of the same classes."""
    has = np.zeros((int(unit_subject.max()) + 1, int(unit_label.max()) + 1), dtype=bool)
    has[unit_subject, unit_label.astype(int)] = True
    return np.unique(has, axis=0, return_inverse=True)[1].ravel()


def _flips(item: TaskScores) -> int | None:
    if STUDENT not in item.scores or INT8 not in item.scores:
        return None
    return int((item.scores[STUDENT].argmax(axis=1) != item.scores[INT8].argmax(axis=1)).sum())
