"""A number: mean absolute error, averaged over subjects."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from acula_edge.probe.metrics import Measured, Pairs, bootstrap_seed, deltas, plain
from acula_edge.probe.scores import TaskScores
from acula_edge.probe.statistics.bootstrap import Interval, subject_intervals, subject_means
from acula_edge.probe.statistics.noninferiority import Comparison, compare_mae, identical
from acula_edge.recipe import VerifyConfig

Array = NDArray[np.float64]


def errors_of(item: TaskScores) -> Array:
    """Mean absolute error of each subject by each model, in the order of ``item.scores``: [S, K]."""
    scores = np.column_stack(list(item.scores.values()))
    return subject_means(np.abs(scores - item.targets[:, None]), item.subjects)


def measure_mae(item: TaskScores, pairs: Pairs, config: VerifyConfig) -> Measured:
    """Values and comparisons of a regression."""
    names = list(item.scores)
    errors = errors_of(item)

    def statistic(counts: Array) -> Array:
        values = (counts @ errors / counts.sum(axis=1, keepdims=True)).T
        return np.concatenate([values, deltas(values, item, pairs)])

    intervals = subject_intervals(
        statistic, np.zeros(len(errors), dtype=int), config.bootstrap, bootstrap_seed(item, config)
    )
    of_pairs = dict(zip(pairs, intervals[len(names) :], strict=True))
    rows = {
        name: {"value": float(errors[:, position].mean()), "ci95": plain(intervals[position])}
        for position, name in enumerate(names)
    }
    comparisons = {pair: compare_errors(item, errors, models, config, of_pairs[pair]) for pair, models in pairs.items()}
    uninformed = np.abs(item.targets - item.uninformed)[:, None]
    return Measured(rows, comparisons, baseline=float(subject_means(uninformed, item.subjects).mean()))


def compare_errors(
    item: TaskScores, errors: Array, models: tuple[str, str], config: VerifyConfig, interval: Interval
) -> Comparison:
    """Compare two models' errors [S, K]."""
    model, reference = models
    names = list(item.scores)
    relative = item.task.margin if item.task.margin is not None else config.margin_mae_relative
    of_reference = errors[:, names.index(reference)]
    if np.array_equal(item.scores[model], item.scores[reference]):
        return identical(relative * float(of_reference.mean()), "mae")
    return compare_mae(errors[:, names.index(model)], of_reference, relative, config.alpha, interval)
