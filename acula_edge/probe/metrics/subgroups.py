"""Values and differences within groups of persons, devices and sites: descriptive, without verdicts."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from acula_edge.probe.metrics import compare_areas, plain
from acula_edge.probe.metrics.binary import areas_of
from acula_edge.probe.metrics.multiclass import macro_areas_of
from acula_edge.probe.metrics.regression import compare_errors, errors_of
from acula_edge.probe.scores import INT8, STUDENT, TaskScores
from acula_edge.probe.statistics.noninferiority import Comparison
from acula_edge.recipe import VerifyConfig

_PAIR = "int8_vs_student"


def measure_subgroups(item: TaskScores, config: VerifyConfig) -> dict[str, Any]:
    """A task's ``subgroups``, ``subgroups_too_small`` and ``subgroup_comparisons``.

    A group with fewer than ``config.min_subgroup_subjects`` subjects (of each class, for AUROC) could point at
    persons and says little; it is counted and not named.
    """
    shown, hidden = [], []
    for column, groups in sorted(item.groups.items()):
        group_of = np.array([group or "" for group in groups])
        small: list[TaskScores] = []
        for group in np.unique(group_of[group_of != ""]):
            members = _restrict(item, group_of == group)
            if _fewest_subjects(members) < config.min_subgroup_subjects:
                small.append(members)
            else:
                shown.append({"column": column, "group": str(group), **_measure(members, config)})
        if small:
            hidden.append(
                {
                    "column": column,
                    "groups": len(small),
                    "n_test": sum(len(members.recordings) for members in small),
                    "n_subjects": len(np.unique(np.concatenate([members.subjects for members in small]))),
                }
            )
    return {
        "subgroups": shown,
        "subgroups_too_small": hidden,
        "subgroup_comparisons": sum(row[_PAIR] is not None for row in shown),
    }


def _restrict(item: TaskScores, keep: NDArray[np.bool_]) -> TaskScores:
    """The recordings [R] to keep, of the models that the rows are about."""
    rows = np.flatnonzero(keep)
    return replace(
        item,
        recordings=[item.recordings[row] for row in rows],
        subjects=item.subjects[rows],
        targets=item.targets[rows],
        scores={model: values[rows] for model, values in item.scores.items() if model in (STUDENT, INT8)},
        uninformed=item.uninformed[rows] if isinstance(item.uninformed, np.ndarray) else item.uninformed,
        groups={},
    )


def _fewest_subjects(item: TaskScores) -> int:
    """Subjects, of the class that has the fewest."""
    if item.task.kind == "regression":
        return len(np.unique(item.subjects))
    return min(len(np.unique(item.subjects[item.targets == number])) for number in range(len(item.task.labels)))


def _measure(item: TaskScores, config: VerifyConfig) -> dict[str, Any]:
    pairs = {_PAIR: (INT8, STUDENT)} if STUDENT in item.scores and INT8 in item.scores else {}
    values = []
    comparison: Comparison | None = None
    if item.task.kind == "regression" and item.scores:
        errors = errors_of(item)
        values = errors.mean(axis=0).tolist()
        if pairs:
            comparison = compare_errors(item, errors, pairs[_PAIR], config, None)
    elif item.scores:
        areas = areas_of(item) if item.task.kind == "binary" else macro_areas_of(item)
        values = areas.auroc.tolist()
        comparison = compare_areas(item, areas, pairs, config, {})[0].get(_PAIR)
    by_model = dict(zip(item.scores, values, strict=True))
    return {
        "n_test": len(item.recordings),
        "n_subjects": len(np.unique(item.subjects)),
        STUDENT: by_model.get(STUDENT),
        INT8: by_model.get(INT8),
        _PAIR: None if comparison is None else {"delta": comparison.delta, "ci95": plain(comparison.ci95)},
    }
