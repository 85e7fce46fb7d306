"""Why a task cannot be fitted or tested on given recordings: sentences for the report, never exceptions."""

from __future__ import annotations

from collections.abc import Sequence

from acula_edge.data.manifest import Recording
from acula_edge.probe.tasks import Task

MIN_TRAIN_SUBJECTS = 4
"""Subjects (of each class) needed to choose the probe's strength on subjects it has not seen."""


def obstacle(task: Task, recordings: Sequence[Recording]) -> str | None:
    """What stands between these recordings and an answer to the task; None for nothing."""
    if not any(recording.dataset == task.dataset for recording in recordings):
        return f"no recordings of the data set {task.dataset}"
    return fit_obstacle(task, recordings) or _obstacle(task, recordings, "test", 1)


def fit_obstacle(task: Task, recordings: Sequence[Recording]) -> str | None:
    """What keeps a head from being fitted on the training split; None for nothing."""
    return _obstacle(task, recordings, "train", MIN_TRAIN_SUBJECTS)


def _obstacle(task: Task, recordings: Sequence[Recording], split: str, needed: int) -> str | None:
    positions, targets = task.values(recordings, split)
    if not positions:
        return f"no usable recordings in the {split} split"
    groups: list[tuple[str, float | None]] = [(label, index) for index, label in enumerate(task.labels)]
    for label, value in groups or [("any target", None)]:
        subjects = {
            recordings[position].subject
            for position, target in zip(positions, targets, strict=True)
            if value is None or target == value
        }
        if len(subjects) < needed:
            return f"{len(subjects)} subjects with {label} in the {split} split, {needed} needed"
    return None
