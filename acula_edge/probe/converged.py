"""Logistic and ridge regression whose strength is chosen by cross-validation over subjects."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import cho_factor, cho_solve
from scipy.special import logsumexp
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GroupKFold, StratifiedGroupKFold

Array = NDArray[np.float64]

FOLDS = 5
LOGISTIC_C = (1e-4, 1e-3, 3e-3, 1e-2, 3e-2, 1e-1, 1.0)
RIDGE_ALPHA = (1e5, 1e4, 1e3, 1e2, 1e1, 1e0)
"""Both from strong to weak. The strongest whose out-of-fold error is within TOLERANCE of the least is taken: log loss
with all classes weighted equally, so that scores are probabilities at even odds, and mean absolute error."""

TOLERANCE = 0.002
GIVE_UP = 0.02
"""Weaker logistic probes are not tried once the error is this far, relatively, above the least; they take longest."""


def fit_logistic(features: Array, target: Array, subjects: NDArray[np.str_], seed: int) -> tuple[Array, Array, Array]:
    """Logistic regression of two classes, or multinomial of more.

    Shape: features [R, D], target [R] in 0..K-1 -> coefficients [D, L], intercepts [L] and out-of-fold logits [R, L],
    NaN where no fold had every class to learn from; L is 1 for two classes and K for more.
    """
    labels, index = np.unique(target.astype(int), return_inverse=True)
    per_class = min(len(np.unique(subjects[index == label])) for label in range(len(labels)))
    splitter = StratifiedGroupKFold(min(FOLDS, per_class), shuffle=True, random_state=seed)
    folds = [
        (fit, held_out)
        for fit, held_out in splitter.split(features, target, subjects)
        if len(np.unique(target[fit])) == len(labels)
    ]
    balance = len(target) / np.bincount(index)[index]
    models = [_logistic(LOGISTIC_C[0]) for _ in folds]
    path: list[Array] = []
    errors: list[float] = []
    for strength in LOGISTIC_C:
        logits = np.full((len(target), 1 if len(labels) == 2 else len(labels)), np.nan)
        for model, (fit, held_out) in zip(models, folds, strict=True):
            model.set_params(C=strength).fit(features[fit], target[fit])
            logits[held_out] = model.decision_function(features[held_out]).reshape(len(held_out), -1)
        path.append(logits)
        errors.append(float(np.nansum(balance * _log_loss(logits, index))))
        if errors[-1] > min(errors) * (1 + GIVE_UP):
            break
    chosen = _strongest(errors)
    model = _logistic(LOGISTIC_C[chosen]).fit(features, target)
    return model.coef_.T, model.intercept_, path[chosen]


def fit_ridge(features: Array, target: Array, subjects: NDArray[np.str_]) -> tuple[Array, Array]:
    """Ridge regression.

    Shape: features [R, D], target [R] -> coefficients [D, 1] and intercept [1].
    """
    basis = None
    if features.shape[0] < features.shape[1]:
        # Coefficients lie in the span of the recordings: in its own axes there are fewer of them, and no other change.
        left, values, basis = np.linalg.svd(features, full_matrices=False)
        features = left * values
    folds = GroupKFold(min(FOLDS, len(np.unique(subjects)))).split(features, target, subjects)
    everything = _moments(features, target)
    predicted = np.empty((len(RIDGE_ALPHA), len(target)))
    for _, held_out in folds:
        rest = everything - _moments(features[held_out], target[held_out])
        for row, strength in enumerate(RIDGE_ALPHA):
            coefficients, intercept = _solve(rest, strength)
            predicted[row, held_out] = features[held_out] @ coefficients + intercept
    errors = np.abs(predicted - target).mean(axis=1)
    coefficients, intercept = _solve(everything, RIDGE_ALPHA[_strongest(errors.tolist())])
    if basis is not None:
        coefficients = basis.T @ coefficients
    return coefficients[:, None], np.array([intercept])


def _moments(features: Array, target: Array) -> Array:
    """Sums of products [D + 2, D + 2] of features, target and 1: what ridge regression needs to know of recordings.

    Those of the recordings outside a fold are a difference, so a fold costs its own size only.
    """
    columns = np.column_stack([features, target, np.ones(len(target))])
    moments: Array = columns.T @ columns
    return moments


def _solve(moments: Array, strength: float) -> tuple[Array, float]:
    """Coefficients [D] and the intercept, which is not penalized."""
    count, means = moments[-1, -1], moments[-1, :-1] / moments[-1, -1]
    centered = moments[:-1, :-1] - count * np.outer(means, means)
    penalized = centered[:-1, :-1]
    penalized.flat[:: len(penalized) + 1] += strength
    coefficients: Array = cho_solve(cho_factor(penalized, check_finite=False), centered[:-1, -1], check_finite=False)
    return coefficients, float(means[-1] - means[:-1] @ coefficients)


def _log_loss(logits: Array, index: NDArray[np.intp]) -> Array:
    """Shape: logits [R, K], or [R, 1] of class 1 against class 0, and classes [R] -> [R]."""
    if logits.shape[1] == 1:
        logits = np.hstack([np.zeros_like(logits), logits])
    loss: Array = logsumexp(logits, axis=1) - logits[np.arange(len(index)), index]
    return loss


def _strongest(errors: Sequence[float]) -> int:
    return next(index for index, error in enumerate(errors) if error <= min(errors) * (1 + TOLERANCE))


def _logistic(strength: float) -> LogisticRegression:
    return LogisticRegression(C=strength, class_weight="balanced", max_iter=2000, warm_start=True)
