"""Scores of every model on the test recordings of a task: what all statistics are computed from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from acula_edge.data.manifest import Recording
from acula_edge.files import atomic_path
from acula_edge.probe.groupings import groupings
from acula_edge.probe.heads import Probes
from acula_edge.probe.tasks import Task
from acula_edge.quantize.heads import score

Array = NDArray[np.float64]

TEACHER, STUDENT, INT8 = MODELS = ("float_teacher", "float_student", "int8")
RETRAINED_INT8 = "int8_retrained"
"""INT8 embeddings with heads fitted on INT8 embeddings; everything else is read by its model's float heads."""


@dataclass(frozen=True)
class TaskScores:
    """Test recordings of one task and what each model says of them.

    Attributes:
        task: the task.
        recordings: [R] keys of the recordings.
        subjects: [R] their persons.
        targets: [R]; of classes, their indices 0, 1, ...
        scores: model -> [R], the probability of class 1 or the estimate itself; of more than two classes [R, K], their
            probabilities.
        thresholds: model -> threshold of the head that reads it; None where there is none.
        synthetic: whether any of the recordings is generated.
        uninformed: the answer that ignores the sound: 0.5, or the median of the training targets; [R] where one
            subject is left out at a time, as each has other training targets.
        groups: grouping -> [R] group of each recording, or None (:func:`groupings.groupings`).
    """

    task: Task
    recordings: list[str]
    subjects: NDArray[np.str_]
    targets: Array
    scores: dict[str, Array]
    thresholds: dict[str, float | None]
    uninformed: float | Array
    synthetic: bool = False
    groups: dict[str, list[str | None]] = field(default_factory=dict)


def score_task(
    task: Task,
    embeddings: Mapping[str, NDArray[Any]],
    probes: Mapping[str, Probes],
    recordings: Sequence[Recording],
) -> TaskScores:
    """Score one task's test recordings with every model that has embeddings and a head.

    The INT8 model is read by the float student's head (engine swap) and, as ``int8_retrained``, by its own. Where one
    subject is left out at a time, a subject's recordings are read by the head that has not seen the subject.
    """
    readers = {
        TEACHER: (TEACHER, TEACHER),
        STUDENT: (STUDENT, STUDENT),
        INT8: (INT8, STUDENT),
        RETRAINED_INT8: (INT8, INT8),
    }
    positions, targets = task.values(recordings, "test")
    subjects = [recordings[position].subject for position in positions]
    scores: dict[str, Array] = {}
    thresholds: dict[str, float | None] = {}
    for name, (model, reader) in readers.items():
        if model not in embeddings or reader not in probes or (head := probes[reader].head(task.id)) is None:
            continue
        rows = embeddings[model][positions]
        if task.evaluation == "held-out":
            columns, thresholds[name] = score([head], rows), head.threshold
        else:
            columns, thresholds[name] = probes[reader].cross[task.id].score(rows, subjects), None
        scores[name] = (columns if task.kind == "multiclass" else columns[:, 0]).astype(np.float64)
    return TaskScores(
        task=task,
        recordings=[recordings[position].key for position in positions],
        subjects=np.array(subjects),
        targets=np.array(targets),
        scores=scores,
        thresholds=thresholds,
        synthetic=any(recordings[position].synthetic for position in positions),
        uninformed=_uninformed(task, recordings, np.array(targets), np.array(subjects)),
        groups=groupings([recordings[position].metadata for position in positions]),
    )


def _uninformed(
    task: Task, recordings: Sequence[Recording], targets: Array, subjects: NDArray[np.str_]
) -> float | Array:
    if task.metric == "auroc":
        return 0.5
    if task.evaluation == "held-out":
        return float(np.median(task.values(recordings, "train")[1]))
    of_others = {subject: float(np.median(targets[subjects != subject])) for subject in np.unique(subjects)}
    return np.array([of_others[subject] for subject in subjects])


def write_scores(path: str | Path, scores: Sequence[TaskScores]) -> None:
    """Write recording keys and scores, and nothing else about them, as ``<task>/recordings`` and ``<task>/<model>``.

    Whoever has the data set can join the labels and analyze again.
    """
    arrays: dict[str, NDArray[Any]] = {}
    for item in scores:
        arrays[f"{item.task.id}/recordings"] = np.array(item.recordings)
        arrays.update({f"{item.task.id}/{model}": values for model, values in item.scores.items()})
    with atomic_path(path) as temporary:
        np.savez_compressed(temporary, **arrays)  # type: ignore[arg-type]
