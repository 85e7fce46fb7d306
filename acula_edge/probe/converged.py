"""Logistic and ridge regression whose strength is chosen by cross-validation over subjects."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.special import logsumexp
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.model_selection import GroupKFold, StratifiedGroupKFold, cross_val_predict

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
    folds = GroupKFold(min(FOLDS, len(np.unique(subjects))))
    every = Ridge(np.array(RIDGE_ALPHA))  # one strength per column of targets: what they share is computed once
    columns = np.tile(target[:, None], len(RIDGE_ALPHA))
    predicted = cross_val_predict(every, features, columns, groups=subjects, cv=folds)
    errors = np.abs(predicted - columns).mean(axis=0)
    model = Ridge(RIDGE_ALPHA[_strongest(errors.tolist())]).fit(features, target)
    return model.coef_[:, None], np.array([model.intercept_])


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
