"""Linear probes: one head per task, fitted on training subjects only; or one per subject that is left out.

This is the converged probe (SPEC section 6, choice 6): strength chosen by cross-validation over subjects, classes
weighted equally. Standardization is folded into weight and bias, so that a head is one matrix product on the device.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from acula_edge.data.manifest import Recording
from acula_edge.errors import InputError
from acula_edge.probe.converged import fit_logistic, fit_ridge
from acula_edge.probe.eligibility import why_not_fitted
from acula_edge.probe.statistics.roc import youden_threshold
from acula_edge.probe.tasks import Task
from acula_edge.quantize.heads import TaskHead, score

Array = NDArray[np.float64]

STD_FLOOR = 0.05
"""Least standard deviation of a dimension, relative to the root mean square over dimensions. Dividing by less would
turn rounding noise of a nearly constant dimension into a feature."""

MIN_THRESHOLD_SUBJECTS = 10
"""Validation subjects of each class needed to choose a threshold there rather than on out-of-fold training scores."""


@dataclass(frozen=True)
class CrossHeads:
    """Heads of a task that leaves one subject out at a time.

    Attributes:
        task_id: of the task.
        heads: subject -> the head fitted on all others.
    """

    task_id: str
    heads: Mapping[str, TaskHead]

    def score(self, embeddings: NDArray[Any], subjects: Sequence[str]) -> NDArray[np.float32]:
        """Every row read by the head that has not seen its subject.

        Shape: embeddings [N, D], subjects [N] -> [N, K].
        """
        owner = np.array(subjects)
        scores = np.zeros((len(owner), next(iter(self.heads.values())).columns), np.float32)
        for subject in np.unique(owner):
            rows = owner == subject
            scores[rows] = score([self.heads[subject]], embeddings[rows])
        return scores


@dataclass(frozen=True)
class Probes:
    """Everything fitted on one model's embeddings.

    Attributes:
        heads: one per task that could be fitted; what a bundle ships. Of a task that leaves one subject out at a time
            it has seen all subjects, so it must not be tested on them.
        cross: task -> heads of the tasks that leave one subject out at a time.
    """

    heads: Sequence[TaskHead]
    cross: Mapping[str, CrossHeads]

    def head(self, task_id: str) -> TaskHead | None:
        """The head of a task; None where none was fitted."""
        return next((head for head in self.heads if head.task_id == task_id), None)


def fit_probes(
    embeddings: NDArray[Any], recordings: Sequence[Recording], tasks: Sequence[Task], seed: int = 0
) -> Probes:
    """All that testing needs: :func:`fit_heads`, and :func:`fit_cross` for tasks that leave one subject out."""
    heads = fit_heads(embeddings, recordings, tasks, seed)
    fitted = {head.task_id for head in heads}
    return Probes(
        heads,
        {
            task.id: fit_cross(embeddings, recordings, task)
            for task in tasks
            if task.id in fitted and task.evaluation == "leave-one-subject-out"
        },
    )


def fit_heads(
    embeddings: NDArray[Any], recordings: Sequence[Recording], tasks: Sequence[Task], seed: int = 0
) -> list[TaskHead]:
    """Fit one head per task that can be fitted (see :func:`eligibility.why_not_fitted` for the others).

    A task that leaves one subject out at a time gets the head of all its subjects.

    Args:
        embeddings: [R, D], one row per recording.
        recordings: R recordings with their splits.
        seed: of the inner folds; equal inputs and seed give equal heads.

    Raises:
        InputError: embeddings and recordings differ in number, or an embedding is not finite.
    """
    values = _checked(embeddings, recordings)
    return [fit_head(values, recordings, task, seed) for task in tasks if why_not_fitted(task, recordings) is None]


def fit_head(embeddings: Array, recordings: Sequence[Recording], task: Task, seed: int = 0) -> TaskHead:
    """Fit one head; :func:`eligibility.why_not_fitted` must have nothing against it."""
    positions, targets = task.learned.values(recordings, "train" if task.evaluation == "held-out" else "test")
    return _fit(embeddings, recordings, task, positions, np.array(targets), seed)


def fit_cross(embeddings: NDArray[Any], recordings: Sequence[Recording], task: Task) -> CrossHeads:
    """Fit one head per subject of the test split, on all other subjects of it.

    Args:
        embeddings: [R, D], one row per recording.
        recordings: R recordings with their splits.
        task: a regression against which :func:`eligibility.why_not_fitted` says nothing.

    Raises:
        InputError: embeddings and recordings differ in number, or an embedding is not finite.
    """
    values = _checked(embeddings, recordings)
    positions, targets = (np.array(column) for column in task.values(recordings, "test"))
    subjects = np.array([recordings[position].subject for position in positions])
    return CrossHeads(
        task.id,
        {
            str(subject): _fit(values, recordings, task, positions[others], targets[others], 0)
            for subject in dict.fromkeys(subjects.tolist())
            for others in [subjects != subject]
        },
    )


def _checked(embeddings: NDArray[Any], recordings: Sequence[Recording]) -> Array:
    values = np.asarray(embeddings, dtype=np.float64)
    if values.ndim != 2 or len(values) != len(recordings):
        raise InputError(
            "one embedding per recording is needed", given=f"{values.shape} for {len(recordings)} recordings"
        )
    if not np.isfinite(values).all():
        raise InputError("embeddings must be finite")
    return values


def _fit(
    embeddings: Array,
    recordings: Sequence[Recording],
    task: Task,
    positions: Sequence[int] | NDArray[np.intp],
    target: Array,
    seed: int,
) -> TaskHead:
    """The head of a task from the recordings at `positions`."""
    subjects = np.array([recordings[position].subject for position in positions])
    features = embeddings[positions]
    mean = features.mean(axis=0)
    std = features.std(axis=0)
    std = np.maximum(std, STD_FLOOR * np.sqrt(np.mean(std**2)))
    std[std == 0] = 1.0
    features = (features - mean) / std
    if task.kind == "regression":
        coefficients, intercept = fit_ridge(features, target, subjects)
    else:
        coefficients, intercept, out_of_fold = fit_logistic(features, target, subjects, seed)
    weight = coefficients / std[:, None]
    bias = intercept - mean @ weight
    threshold: float | None = None
    if task.kind == "binary":
        threshold = _threshold((embeddings @ weight + bias)[:, 0], recordings, task)
        if threshold is None:
            known = np.isfinite(out_of_fold[:, 0])
            threshold = youden_threshold(target[known], out_of_fold[known, 0])
        threshold = float(1 / (1 + np.exp(-threshold)))
    return TaskHead(
        task_id=task.id,
        name=task.name,
        kind=task.kind,
        labels=list(task.labels),
        unit=task.unit,
        weight=weight.astype(np.float32),
        bias=bias.astype(np.float32),
        threshold=threshold,
        dataset=task.dataset,
    )


def _threshold(logits: Array, recordings: Sequence[Recording], task: Task) -> float | None:
    """Youden's threshold on validation logits, if the validation split has enough subjects of both classes."""
    positions, targets = task.learned.values(recordings, "val")
    target = np.array(targets)
    for label in (0, 1):
        members = [recordings[p].subject for p, value in zip(positions, targets, strict=True) if value == label]
        if len(set(members)) < MIN_THRESHOLD_SUBJECTS:
            return None
    return youden_threshold(target, logits[positions])
