"""One task's part of ``verify.json``: values, intervals and comparisons from its test scores."""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from acula_edge.probe.scores import INT8, MODELS, RETRAINED_INT8, STUDENT, TEACHER, TaskScores
from acula_edge.probe.statistics.across_tasks import TaskDifference
from acula_edge.probe.statistics.bootstrap import Interval, perfect_interval, subject_intervals
from acula_edge.probe.statistics.delong import ClusteredAuroc, Contrast, clustered_auroc
from acula_edge.probe.statistics.noninferiority import Comparison, compare_auroc, compare_mae, identical
from acula_edge.probe.statistics.roc import rates_at, sensitivity_at, weighted_auroc
from acula_edge.probe.statistics.subjects import subject_means
from acula_edge.recipe import VerifyConfig

Array = NDArray[np.float64]

SPECIFICITY = 0.95

PAIRS = {
    "int8_vs_student": (INT8, STUDENT),
    "int8_vs_teacher": (INT8, TEACHER),
    "student_vs_teacher": (STUDENT, TEACHER),
}
RETRAINED_PAIR = (RETRAINED_INT8, STUDENT)


@dataclass(frozen=True)
class TaskResult:
    """What statistics over tasks need of one task.

    Attributes:
        facts: the task's entry in ``verify.json``.
        comparisons: by name in PAIRS.
        differences: the same as AUROC contrasts; empty for regression.
        flips: test recordings on which student and INT8 decide differently, or None.
    """

    facts: dict[str, Any]
    comparisons: dict[str, Comparison]
    differences: dict[str, TaskDifference]
    flips: int | None


def analyze(item: TaskScores, config: VerifyConfig) -> TaskResult:
    """Values, intervals and comparisons of one task."""
    pairs = {name: pair for name, pair in PAIRS.items() if all(model in item.scores for model in pair)}
    if all(model in item.scores for model in RETRAINED_PAIR):
        pairs["retrained"] = RETRAINED_PAIR
    measure = _measure_auroc if item.task.kind == "binary" else _measure_mae
    rows, comparisons, differences, counts, baseline = measure(item, pairs, config)
    flips = _flips(item)
    facts = {
        **_describe(item),
        **counts,
        "baseline": baseline,
        **{model: rows.get(model) for model in MODELS},
        **{name: comparisons[name].to_dict() if name in comparisons else None for name in PAIRS},
        "retrained_probe": None
        if "retrained" not in comparisons
        else {
            STUDENT: rows[STUDENT],
            INT8: rows[RETRAINED_INT8],
            "int8_vs_student": comparisons["retrained"].to_dict(),
        },
        "flips": flips,
        "flip_rate": None if flips is None else flips / len(item.recordings),
    }
    comparisons.pop("retrained", None)
    differences.pop("retrained", None)
    return TaskResult(facts, comparisons, differences, flips)


Measured = tuple[
    dict[str, dict[str, Any]], dict[str, Comparison], dict[str, TaskDifference], dict[str, int], float | None
]


def _measure_auroc(item: TaskScores, pairs: dict[str, tuple[str, str]], config: VerifyConfig) -> Measured:
    names = list(item.scores)
    column = {name: index for index, name in enumerate(names)}
    scores = np.column_stack([item.scores[name] for name in names])
    areas = clustered_auroc(item.targets, scores, item.subjects)
    _, index = np.unique(item.subjects, return_inverse=True)
    share = subject_means(item.targets[:, None], item.subjects)[:, 0]
    unit_subject, unit_label, unit_scores = _subject_units(scores, item.targets, index)

    def statistic(counts: Array) -> Array:
        values = weighted_auroc(item.targets, scores, counts[:, index])
        deltas = [values[column[model]] - values[column[reference]] for model, reference in pairs.values()]
        subject_values = weighted_auroc(unit_label, unit_scores, counts[:, unit_subject])
        return np.concatenate([values, np.reshape(deltas, (-1, len(counts))), subject_values])

    strata = (share > 0) * 2 + (share < 1) * 1
    intervals = subject_intervals(statistic, strata, config.bootstrap, _seed(item, config))
    intervals_of_pairs = dict(zip(pairs, intervals[len(names) :], strict=False))
    intervals_of_subjects = intervals[len(names) + len(pairs) :]
    subject_value = weighted_auroc(unit_label, unit_scores, np.ones((1, len(unit_label))))[:, 0]

    rows = {}
    for name in names:
        position = column[name]
        threshold = item.thresholds[name]
        rates = rates_at(item.targets, item.scores[name], threshold) if threshold is not None else (None, None)
        rows[name] = {
            "value": float(areas.auroc[position]),
            "ci95": _auroc_interval(float(areas.auroc[position]), intervals[position], areas),
            "per_subject": {
                "value": float(subject_value[position]),
                "ci95": _auroc_interval(float(subject_value[position]), intervals_of_subjects[position], areas),
            },
            "sensitivity_at_95_specificity": sensitivity_at(item.targets, item.scores[name], SPECIFICITY),
            "threshold": threshold,
            "sensitivity": rates[0],
            "specificity": rates[1],
        }
    comparisons, differences = {}, {}
    for pair, (model, reference) in pairs.items():
        margin = _margin_auroc(item, pair, config)
        if np.array_equal(item.scores[model], item.scores[reference]):
            comparisons[pair] = identical(margin, "auroc")
            contrast = Contrast(0.0, 0.0, 0.0, float("inf"), np.zeros(len(areas.subjects)))
        else:
            comparisons[pair] = compare_auroc(
                areas, column[model], column[reference], margin, config.alpha, intervals_of_pairs[pair]
            )
            weights = np.zeros(len(names))
            weights[column[model]], weights[column[reference]] = 1.0, -1.0
            contrast = areas.contrast(weights)
        differences[pair] = TaskDifference(contrast, [str(subject) for subject in areas.subjects])
    counts = {
        "n_positive": int(item.targets.sum()),
        "n_negative": int((1 - item.targets).sum()),
        "n_positive_subjects": areas.n_positive_subjects,
        "n_negative_subjects": areas.n_negative_subjects,
    }
    return rows, comparisons, differences, counts, float(item.uninformed)


def _subject_units(scores: Array, targets: Array, index: NDArray[np.intp]) -> tuple[NDArray[np.intp], Array, Array]:
    """Subjects as units: position of the subject [U], label [U] and mean scores [U, K].

    A subject whose recordings differ in label (seen twice with and without a murmur) is two units.
    """
    keys, unit = np.unique(2 * index + targets.astype(int), return_inverse=True)
    return keys // 2, (keys % 2).astype(float), subject_means(scores, unit)


def _measure_mae(item: TaskScores, pairs: dict[str, tuple[str, str]], config: VerifyConfig) -> Measured:
    names = list(item.scores)
    column = {name: index for index, name in enumerate(names)}
    scores = np.column_stack([item.scores[name] for name in names])
    errors = subject_means(np.abs(scores - item.targets[:, None]), item.subjects)

    def statistic(counts: Array) -> Array:
        values = (counts @ errors / counts.sum(axis=1, keepdims=True)).T
        deltas = [values[column[model]] - values[column[reference]] for model, reference in pairs.values()]
        return np.concatenate([values, np.reshape(deltas, (-1, len(counts)))])

    intervals = subject_intervals(statistic, np.zeros(len(errors), dtype=int), config.bootstrap, _seed(item, config))
    intervals_of_pairs = dict(zip(pairs, intervals[len(names) :], strict=True))
    rows = {
        name: {"value": float(errors[:, column[name]].mean()), "ci95": _plain(intervals[column[name]])}
        for name in names
    }
    comparisons = {}
    for pair, (model, reference) in pairs.items():
        relative = item.task.margin if item.task.margin is not None else config.margin_mae_relative
        if np.array_equal(item.scores[model], item.scores[reference]):
            comparisons[pair] = identical(relative * float(errors[:, column[reference]].mean()), "mae")
        else:
            comparisons[pair] = compare_mae(
                errors[:, column[model]], errors[:, column[reference]], relative, config.alpha, intervals_of_pairs[pair]
            )
    uninformed = np.abs(item.targets - item.uninformed)[:, None]
    return rows, comparisons, {}, {}, float(subject_means(uninformed, item.subjects).mean())


def _describe(item: TaskScores) -> dict[str, Any]:
    task = item.task
    return {
        "id": task.id,
        "name": task.name,
        "dataset": task.dataset,
        "set": "phantom" if item.synthetic else "real",
        "sound": task.sound,
        "metric": task.metric,
        "better": "higher" if task.metric == "auroc" else "lower",
        "kind": task.kind,
        "labels": list(task.labels),
        "unit": task.unit,
        "target": task.target_text,
        "protocol": task.protocol,
        "assumed": task.assumed,
        "note": task.note,
        "licence": task.licence,
        "access": task.access,
        "n_test": len(item.recordings),
        "n_subjects": len(np.unique(item.subjects)),
        "undetectable_failure_share": 1 - 0.05 ** (1 / len(np.unique(item.subjects))),
    }


def _margin_auroc(item: TaskScores, pair: str, config: VerifyConfig) -> float:
    if item.task.margin is not None:
        return item.task.margin
    return config.margin_auroc_teacher if pair.endswith("teacher") else config.margin_auroc_student


def _auroc_interval(value: float, interval: Interval, areas: ClusteredAuroc) -> list[float] | None:
    if value in (0.0, 1.0):
        return _plain(perfect_interval(value, areas.n_positive_subjects, areas.n_negative_subjects))
    return _plain(interval)


def _flips(item: TaskScores) -> int | None:
    threshold = item.thresholds.get(STUDENT)
    if threshold is None or INT8 not in item.scores:
        return None
    return int(((item.scores[STUDENT] >= threshold) != (item.scores[INT8] >= threshold)).sum())


def _seed(item: TaskScores, config: VerifyConfig) -> int:
    return zlib.crc32(f"{config.seed}/{item.task.id}".encode())


def _plain(interval: Interval) -> list[float] | None:
    return None if interval is None else list(interval)
