"""Measures of many heads at once: areas under ROC curves, and where training stops."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import rankdata

MIN_DELTA = 0.001
"""Least improvement of the validation error that keeps training alive (SPEC section 2.2)."""


def macro_auroc(labels: NDArray[np.integer[Any]], probabilities: NDArray[np.float32]) -> NDArray[np.float64]:
    """Mean area of "this class or another"; for two classes the ordinary area. Ties count one half.

    Shape: labels [R] in 0..K-1, probabilities [..., R, K] -> [...]; NaN where a class is absent.
    """
    if probabilities.shape[-1] == 2:
        return _areas(labels == 1, probabilities[..., 1])
    areas = [_areas(labels == label, probabilities[..., label]) for label in range(probabilities.shape[-1])]
    return np.asarray(np.mean(areas, axis=0))


def _areas(positive: NDArray[np.bool_], scores: NDArray[np.float32]) -> NDArray[np.float64]:
    """Shape: positive [R], scores [..., R] -> [...]."""
    positives, negatives = int(positive.sum()), int((~positive).sum())
    if not positives or not negatives:
        return np.full(scores.shape[:-1], np.nan)
    ranks = rankdata(scores, axis=-1)[..., positive].sum(axis=-1)
    areas: NDArray[np.float64] = (ranks - positives * (positives + 1) / 2) / (positives * negatives)
    return areas


def stopping_epoch(errors: NDArray[np.floating[Any]], patience: int | None) -> int:
    """How many of the epochs [E] take place: all, or until `patience` in a row did not lower the error by MIN_DELTA."""
    best, waited = np.inf, 0
    for epoch, error in enumerate(errors, start=1):
        if error < best - MIN_DELTA:
            best, waited = float(error), 0
        else:
            waited += 1
        if waited == patience:
            return epoch
    return len(errors)
