"""One task's part of ``verify.json``: values, intervals and comparisons from its test scores."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from acula_edge.probe.metrics import Measure
from acula_edge.probe.metrics.binary import measure_auroc
from acula_edge.probe.metrics.multiclass import measure_macro_auroc
from acula_edge.probe.metrics.regression import measure_mae
from acula_edge.probe.metrics.subgroups import measure_subgroups
from acula_edge.probe.scores import INT8, MODELS, RETRAINED_INT8, STUDENT, TEACHER, TaskScores
from acula_edge.probe.statistics.across_tasks import TaskDifference
from acula_edge.probe.statistics.noninferiority import Comparison
from acula_edge.recipe import VerifyConfig

PAIRS = {
    "int8_vs_student": (INT8, STUDENT),
    "int8_vs_teacher": (INT8, TEACHER),
    "student_vs_teacher": (STUDENT, TEACHER),
}
RETRAINED_PAIR = (RETRAINED_INT8, STUDENT)

MEASURES: dict[str, Measure] = {
    "binary": measure_auroc,
    "multiclass": measure_macro_auroc,
    "regression": measure_mae,
}


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
    measured = MEASURES[item.task.kind](item, pairs, config)
    rows, comparisons, differences = measured.rows, measured.comparisons, measured.differences
    facts = {
        **_describe(item),
        **measured.counts,
        "baseline": measured.baseline,
        **{model: rows.get(model) for model in MODELS},
        **{name: comparisons[name].to_dict() if name in comparisons else None for name in PAIRS},
        "retrained_probe": None
        if "retrained" not in comparisons
        else {
            STUDENT: rows[STUDENT],
            INT8: rows[RETRAINED_INT8],
            "int8_vs_student": comparisons["retrained"].to_dict(),
        },
        "flips": measured.flips,
        "flip_rate": None if measured.flips is None else measured.flips / len(item.recordings),
        "ece_change": _ece_change(rows),
        **measure_subgroups(item, config),
    }
    return TaskResult(
        facts,
        {name: comparisons[name] for name in PAIRS if name in comparisons},
        {name: differences[name] for name in PAIRS if name in differences},
        measured.flips,
    )


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


def _ece_change(rows: dict[str, dict[str, Any]]) -> float | None:
    if STUDENT not in rows or INT8 not in rows or "ece" not in rows[STUDENT]:
        return None
    return float(rows[INT8]["ece"] - rows[STUDENT]["ece"])
