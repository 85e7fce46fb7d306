"""Rank statistics of one score: AUROC (also weighted, for resampling), operating points."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from acula_edge.errors import InputError

Array = NDArray[np.float64]


def weighted_auroc(labels: Array, scores: Array, weights: Array) -> Array:
    """AUROC under many weightings of the same recordings at once; ties count one half.

    Args:
        labels: [R], 0 or 1.
        scores: [R, K], one column per model.
        weights: [B, R], for example how often a resample drew each recording.

    Returns:
        [K, B]; NaN where a weighting leaves one class empty.
    """
    result = np.empty((scores.shape[1], weights.shape[0]))
    positives = weights @ labels
    negatives = weights.sum(axis=1) - positives
    for column in range(scores.shape[1]):
        order = np.argsort(scores[:, column], kind="stable")
        ordered = scores[order, column]
        # Equal scores are one step of the curve: weights are summed over each, and of a tied pair half counts.
        starts = np.concatenate(([0], np.flatnonzero(np.diff(ordered)) + 1))
        drawn = weights[:, order]
        tied = np.add.reduceat(drawn, starts, axis=1)
        tied_positive = np.add.reduceat(drawn * labels[order], starts, axis=1)
        tied_negative = tied - tied_positive
        below = np.cumsum(tied_negative, axis=1) - 0.5 * tied_negative
        with np.errstate(invalid="ignore", divide="ignore"):
            # Mann and Whitney's count, weighted: how often a positive lies above a negative, over all pairs.
            result[column] = (tied_positive * below).sum(axis=1) / (positives * negatives)
    return result


def auroc(labels: Array, scores: Array) -> float | None:
    """Area under the ROC curve of scores [R] for labels [R]; None when a class is absent.

    >>> auroc(np.array([0, 0, 1, 1]), np.array([0.1, 0.4, 0.4, 0.9]))  # one tied pair of four
    0.875
    """
    value = weighted_auroc(labels, scores[:, None], np.ones((1, len(labels))))[0, 0]
    return float(value) if np.isfinite(value) else None


def operating_points(labels: Array, scores: Array) -> tuple[Array, Array, Array]:
    """Thresholds (descending, first above every score), sensitivity and specificity of "score >= threshold"."""
    if not labels.any() or labels.all():
        raise InputError("an operating point needs both classes")
    values = np.unique(scores)[::-1]
    # Above every score nobody is called positive: where the curve begins.
    thresholds = np.concatenate(([np.inf], values))
    positive, negative = np.sort(scores[labels == 1]), np.sort(scores[labels == 0])
    sensitivity = 1 - np.searchsorted(positive, thresholds, side="left") / positive.size
    specificity = np.searchsorted(negative, thresholds, side="left") / negative.size
    return thresholds, sensitivity, specificity


def youden_threshold(labels: Array, scores: Array) -> float:
    """Threshold with the largest sensitivity + specificity, midway to the next lower score.

    Among equals the one nearest to equal sensitivity and specificity. Midway, because a threshold that *is* a
    training score would let rounding decide about that score's neighbors.
    """
    thresholds, sensitivity, specificity = operating_points(labels, scores)
    # Sums that are equal but for rounding are equal, on every machine.
    best = np.flatnonzero(np.isclose(sensitivity + specificity, (sensitivity + specificity).max(), atol=1e-12))
    chosen = best[np.argmin(np.abs(sensitivity - specificity)[best])]
    if chosen == 0:
        return float(thresholds[1])
    if chosen == len(thresholds) - 1:
        return float(thresholds[-1])
    return float((thresholds[chosen] + thresholds[chosen + 1]) / 2)


def sensitivity_at(labels: Array, scores: Array, specificity: float) -> float:
    """Largest sensitivity of any threshold with at least this specificity."""
    _, sensitivities, specificities = operating_points(labels, scores)
    return float(sensitivities[specificities >= specificity - 1e-12].max())


def rates_at(labels: Array, scores: Array, threshold: float) -> tuple[float, float]:
    """Sensitivity and specificity of "score >= threshold"."""
    decisions = scores >= threshold
    return float(decisions[labels == 1].mean()), float((~decisions[labels == 0]).mean())
