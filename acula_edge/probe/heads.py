"""Linear probes: one head per task, fitted on training subjects only.

This is the converged probe (SPEC section 6, choice 6): strength chosen by cross-validation over subjects, classes
weighted equally. Standardization is folded into weight and bias, so that a head is one matrix product on the device.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.model_selection import GroupKFold, StratifiedGroupKFold

from acula_edge.data.manifest import Recording
from acula_edge.errors import InputError
from acula_edge.probe.obstacles import fit_obstacle
from acula_edge.probe.statistics.roc import youden_threshold
from acula_edge.probe.tasks import Task
from acula_edge.quantize.heads import TaskHead

Array = NDArray[np.float64]

FOLDS = 5
LOGISTIC_C = (1e-4, 1e-3, 3e-3, 1e-2, 3e-2, 1e-1, 1.0)
RIDGE_ALPHA = (1e5, 1e4, 1e3, 1e2, 1e1, 1e0)
"""Both from strong to weak. The strongest whose out-of-fold error is within TOLERANCE of the least is taken: log loss
with both classes weighted equally, so that scores are probabilities at even odds, and mean absolute error."""

TOLERANCE = 0.002
GIVE_UP = 0.02
"""Weaker logistic probes are not tried once the error is this far, relatively, above the least; they take longest."""

STD_FLOOR = 0.05
"""Least standard deviation of a dimension, relative to the root mean square over dimensions. Dividing by less would
turn rounding noise of a nearly constant dimension into a feature."""

MIN_THRESHOLD_SUBJECTS = 10
"""Validation subjects of each class needed to choose a threshold there rather than on out-of-fold training scores."""


def fit_heads(
    embeddings: NDArray[Any], recordings: Sequence[Recording], tasks: Sequence[Task], seed: int = 0
) -> list[TaskHead]:
    """Fit one head per task that the training split can answer (see :func:`obstacles.fit_obstacle` for the others).

    Args:
        embeddings: [R, D], one row per recording.
        recordings: R recordings with their splits.
        seed: of the inner folds; equal inputs and seed give equal heads.

    Raises:
        InputError: embeddings and recordings differ in number, or an embedding is not finite.
    """
    values = np.asarray(embeddings, dtype=np.float64)
    if values.ndim != 2 or len(values) != len(recordings):
        raise InputError(
            "one embedding per recording is needed", given=f"{values.shape} for {len(recordings)} recordings"
        )
    if not np.isfinite(values).all():
        raise InputError("embeddings must be finite")
    return [fit_head(values, recordings, task, seed) for task in tasks if fit_obstacle(task, recordings) is None]


def fit_head(embeddings: Array, recordings: Sequence[Recording], task: Task, seed: int = 0) -> TaskHead:
    """Fit one head; the task must have no :func:`obstacles.fit_obstacle`."""
    train, targets = task.values(recordings, "train")
    target = np.array(targets)
    subjects = np.array([recordings[position].subject for position in train])
    features = embeddings[train]
    mean = features.mean(axis=0)
    std = features.std(axis=0)
    std = np.maximum(std, STD_FLOOR * np.sqrt(np.mean(std**2)))
    std[std == 0] = 1.0
    features = (features - mean) / std
    threshold: float | None = None
    if task.kind == "binary":
        coefficients, intercept, out_of_fold = _fit_logistic(features, target, subjects, seed)
    else:
        coefficients, intercept = _fit_ridge(features, target, subjects)
    weight = coefficients / std
    bias = intercept - float(mean @ weight)
    if task.kind == "binary":
        threshold = _threshold(embeddings @ weight + bias, recordings, task)
        if threshold is None:
            known = np.isfinite(out_of_fold)
            threshold = youden_threshold(target[known], out_of_fold[known])
        threshold = float(1 / (1 + np.exp(-threshold)))
    return TaskHead(
        task_id=task.id,
        name=task.name,
        kind=task.kind,
        labels=list(task.labels),
        unit=task.unit,
        weight=weight[:, None].astype(np.float32),
        bias=np.array([bias], dtype=np.float32),
        threshold=threshold,
        dataset=task.dataset,
    )


def _threshold(logits: Array, recordings: Sequence[Recording], task: Task) -> float | None:
    """Youden's threshold on validation logits, if the validation split has enough subjects of both classes."""
    positions, targets = task.values(recordings, "val")
    target = np.array(targets)
    for label in (0, 1):
        members = [recordings[p].subject for p, value in zip(positions, targets, strict=True) if value == label]
        if len(set(members)) < MIN_THRESHOLD_SUBJECTS:
            return None
    return youden_threshold(target, logits[positions])


def _fit_logistic(features: Array, target: Array, subjects: NDArray[np.str_], seed: int) -> tuple[Array, float, Array]:
    """Coefficients [D], intercept, and out-of-fold logits of the training recordings (NaN where no fold had both
    classes to learn from)."""
    per_class = min(len(np.unique(subjects[target == label])) for label in (0, 1))
    splitter = StratifiedGroupKFold(min(FOLDS, per_class), shuffle=True, random_state=seed)
    folds = [
        (fit, held_out)
        for fit, held_out in splitter.split(features, target, subjects)
        if len(np.unique(target[fit])) == 2
    ]
    balance = np.where(target == 1, 1 / target.mean(), 1 / (1 - target.mean()))
    models = [_logistic(LOGISTIC_C[0]) for _ in folds]
    path: list[Array] = []
    errors: list[float] = []
    for strength in LOGISTIC_C:
        logits = np.full(len(target), np.nan)
        for model, (fit, held_out) in zip(models, folds, strict=True):
            model.set_params(C=strength).fit(features[fit], target[fit])
            logits[held_out] = model.decision_function(features[held_out])
        path.append(logits)
        errors.append(float(np.nansum(balance * np.logaddexp(0.0, np.where(target == 1, -logits, logits)))))
        if errors[-1] > min(errors) * (1 + GIVE_UP):
            break
    chosen = _strongest(errors)
    model = _logistic(LOGISTIC_C[chosen]).fit(features, target)
    return model.coef_[0], float(model.intercept_[0]), path[chosen]


def _fit_ridge(features: Array, target: Array, subjects: NDArray[np.str_]) -> tuple[Array, float]:
    """Coefficients [D] and intercept."""
    count = len(np.unique(subjects))
    folds = list(GroupKFold(min(FOLDS, count)).split(features, target, subjects))
    errors = []
    for strength in RIDGE_ALPHA:
        predicted = np.empty(len(target))
        for fit, held_out in folds:
            predicted[held_out] = Ridge(alpha=strength).fit(features[fit], target[fit]).predict(features[held_out])
        errors.append(float(np.abs(predicted - target).mean()))
    model = Ridge(alpha=RIDGE_ALPHA[_strongest(errors)]).fit(features, target)
    return model.coef_, float(model.intercept_)


def _strongest(errors: Sequence[float]) -> int:
    return next(index for index, error in enumerate(errors) if error <= min(errors) * (1 + TOLERANCE))


def _logistic(strength: float) -> LogisticRegression:
    return LogisticRegression(C=strength, class_weight="balanced", max_iter=2000, warm_start=True)
