"""Scores of every model on the test recordings of a task: what all statistics are computed from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from acula_edge.data.manifest import Recording
from acula_edge.files import atomic_path
from acula_edge.probe.tasks import Task
from acula_edge.quantize.heads import TaskHead, score

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
        targets: [R].
        scores: model -> [R]; probability of class 1, or the estimate itself.
        thresholds: model -> threshold of the head that reads it; None for regression.
        synthetic: whether any of the recordings is generated.
        uninformed: the answer that ignores the sound: 0.5, or the median of the training targets.
    """

    task: Task
    recordings: list[str]
    subjects: NDArray[np.str_]
    targets: Array
    scores: dict[str, Array]
    thresholds: dict[str, float | None]
    uninformed: float
    synthetic: bool = False


def score_task(
    task: Task,
    embeddings: Mapping[str, NDArray[Any]],
    heads: Mapping[str, Sequence[TaskHead]],
    recordings: Sequence[Recording],
) -> TaskScores:
    """Score one task's test recordings with every model that has embeddings and a head.

    The INT8 model is read by the float student's head (engine swap) and, as ``int8_retrained``, by its own.
    """
    own = {model: head for model in heads for head in heads[model] if head.task_id == task.id}
    readers = {
        TEACHER: (TEACHER, TEACHER),
        STUDENT: (STUDENT, STUDENT),
        INT8: (INT8, STUDENT),
        RETRAINED_INT8: (INT8, INT8),
    }
    positions, targets = task.values(recordings, "test")
    _, train_targets = task.values(recordings, "train")
    usable = {name: pair for name, pair in readers.items() if pair[0] in embeddings and pair[1] in own}
    return TaskScores(
        task=task,
        recordings=[recordings[position].key for position in positions],
        subjects=np.array([recordings[position].subject for position in positions]),
        targets=np.array(targets),
        scores={
            name: score([own[reader]], embeddings[model][positions])[:, 0].astype(np.float64)
            for name, (model, reader) in usable.items()
        },
        thresholds={name: own[reader].threshold for name, (_, reader) in usable.items()},
        synthetic=any(recordings[position].synthetic for position in positions),
        uninformed=0.5 if task.kind == "binary" else float(np.median(train_targets)),
    )


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
