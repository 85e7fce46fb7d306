"""Why a task cannot be fitted or tested on given recordings: sentences for the report, never exceptions."""

from __future__ import annotations

from collections.abc import Sequence

from acula_edge.data.manifest import Recording
from acula_edge.probe.tasks import Task

MIN_TRAIN_SUBJECTS = 4
"""Subjects (of each class) needed to choose the probe's strength on subjects it has not seen."""

MIN_TRAIN_SUBJECTS_OF_MANY = 3
"""The same for each of more than two classes: a published data set has no more."""

MIN_PUBLISHED_FOLDS = 3
"""Subjects of which one is tested, one is validation and one is learned from."""


def why_not_evaluated(task: Task, recordings: Sequence[Recording]) -> str | None:
    """What stands between these recordings and an answer to the task; None for nothing."""
    absent = _absence(task, recordings)
    if absent:
        return absent
    fit = why_not_fitted(task, recordings)
    return fit if fit or task.evaluation != "held-out" else _shortfall(task, recordings, "test", 1)


def why_not_fitted(task: Task, recordings: Sequence[Recording]) -> str | None:
    """What keeps a head from being fitted; None for nothing.

    A task that leaves one subject out at a time learns from its test split.
    """
    if task.evaluation == "leave-one-subject-out":
        if task.kind != "regression":
            return "leaving one subject out is for regressions only"
        return _shortfall(task, recordings, "test", MIN_TRAIN_SUBJECTS)
    needed = MIN_TRAIN_SUBJECTS_OF_MANY if task.kind == "multiclass" else MIN_TRAIN_SUBJECTS
    absent = _absence(task.learned, recordings)
    return absent or _shortfall(task.learned, recordings, "train", needed)


def why_not_published(task: Task, recordings: Sequence[Recording]) -> str | None:
    """What keeps the published probe from being trained, chosen or tested; None for nothing."""
    if task.published_probe is None:
        return "no published protocol"
    absent = _absence(task, recordings)
    if absent:
        return absent
    if task.kind == "regression":
        if task.evaluation != "leave-one-subject-out":
            return "the published protocol for regressions leaves one subject out at a time"
        return _shortfall(task, recordings, "test", MIN_PUBLISHED_FOLDS)
    reasons = (_shortfall(task, recordings, split, 1) for split in ("train", "val", "test"))
    return next((reason for reason in reasons if reason is not None), None)


def _absence(task: Task, recordings: Sequence[Recording]) -> str | None:
    if any(recording.dataset == task.dataset for recording in recordings):
        return None
    where = f" ({task.access})" if task.access else ""
    return f"data not found: this run holds no recordings of {task.dataset}{where}; --data {task.dataset}=DIR adds them"


def _shortfall(task: Task, recordings: Sequence[Recording], split: str, needed: int) -> str | None:
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
