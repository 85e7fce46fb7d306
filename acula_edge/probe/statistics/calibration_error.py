"""Do probabilities mean what they say? Expected calibration error, with bins of equal mass.

Heads are fitted with all classes weighted equally, so what they say, in a report and on a device, is a probability at
even odds: of a person from a population in which every class is equally common. That is what is judged here: test
recordings are weighted so that their classes are equally common. Against recordings as they come, a perfect head of a
task with few positives would seem far off; shifting its answers to the training prevalence would judge numbers that
nobody is shown, by a prevalence that the test set need not share.

The estimate is not zero for perfect probabilities and few recordings (gaps of either sign count as positive), so it
tells less by itself than by its difference between two models on the same recordings.

Expected calibration error: Naeini, Cooper and Hauskrecht (AAAI 2015); bins of equal mass rather than equal width and
the top label of several classes: Nguyen and O'Connor (EMNLP 2015), Guo et al. (ICML 2017).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

MAX_BINS = 10
PER_BIN = 10
"""Recordings, as many as the weights amount to (Kish's effective number), that a bin needs."""


def calibration_error(targets: Array, probabilities: Array) -> float:
    """Expected calibration error at even odds.

    Args:
        targets: [R] classes 0, 1, ...
        probabilities: [R] of class 1, or [R, K] of each class; then the most probable one's is judged.

    Returns:
        Mean absolute gap between stated probability and frequency over bins, from 0 to 1.
    """
    weights = even_odds(targets)
    if probabilities.ndim == 1:
        return weighted_calibration_error(probabilities, targets, weights)
    # Of several classes the top label is judged, and whether it was right: the answer that is shown.
    best = probabilities.argmax(axis=1)
    return weighted_calibration_error(probabilities.max(axis=1), (best == targets).astype(float), weights)


def even_odds(targets: Array) -> Array:
    """Weights [R] that make the classes that occur equally common; they sum to 1."""
    _, index, counts = np.unique(targets, return_inverse=True, return_counts=True)
    result: Array = 1 / (len(counts) * counts[index])
    return result


def weighted_calibration_error(stated: Array, happened: Array, weights: Array) -> float:
    """Expected calibration error of recordings that count differently; equal statements share a bin.

    Args:
        stated: [R] probabilities.
        happened: [R] 0 or 1.
        weights: [R], summing to 1.
    """
    # Kish: unequal weights tell as much as this many equal ones, and gaps in nearly empty bins are mostly chance.
    effective = 1 / float(weights @ weights)
    bins = int(np.clip(effective // PER_BIN, 1, MAX_BINS))
    # Recordings that were told the same cannot be told apart, so they share a bin, wherever its edge would fall.
    _, level = np.unique(stated, return_inverse=True)
    mass = np.bincount(level, weights)
    middle = np.cumsum(mass) - mass / 2
    chosen = np.minimum((middle * bins).astype(int), bins - 1)[level]
    # A bin's share times |mean stated - frequency| is the absolute sum of its weighted differences.
    gaps = np.bincount(chosen, weights * (stated - happened), minlength=bins)
    return float(np.abs(gaps).sum())
