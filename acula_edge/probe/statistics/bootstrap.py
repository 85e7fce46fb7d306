"""Intervals from resampling subjects (bias-corrected and accelerated, scipy.stats.bootstrap)."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import stats

Array = NDArray[np.float64]
Interval = tuple[float, float] | None
Statistic = Callable[[Array], Array]

LEVEL = 0.95
MIN_SUBJECTS = 3
_BATCH = 250


def subject_means(values: Array, subjects: NDArray[Any]) -> Array:
    """Mean over each subject's recordings: [R, K] -> [S, K], subjects in sorted order."""
    distinct, index = np.unique(subjects, return_inverse=True)
    sums = np.zeros((len(distinct), values.shape[1]))
    np.add.at(sums, index, values)
    return sums / np.bincount(index)[:, None]


def subject_intervals(statistic: Statistic, strata: NDArray[np.int_], resamples: int, seed: int) -> list[Interval]:
    """Intervals of several statistics from the same resamples of subjects.

    Args:
        statistic: counts [B, S] (how often each of S subjects was drawn) -> values [Q, B], NaN where undefined.
        strata: [S], group of each subject; groups keep their size (classes, so that no resample lacks one). If a
            group holds a single subject, subjects are drawn from all of them, and resamples without a value dropped.
        resamples: number of resamples.
        seed: equal seeds give equal intervals.

    Returns:
        One 95 % interval per statistic; None with fewer than three subjects or mostly undefined resamples. A
        statistic that no resample moves gives an interval of length zero.
    """
    n_subjects = len(strata)
    if n_subjects < MIN_SUBJECTS:
        return [None] * len(statistic(np.ones((1, n_subjects))))
    groups = [np.flatnonzero(strata == stratum) for stratum in np.unique(strata)]
    stratified = all(len(group) > 1 for group in groups)
    if not stratified:
        groups = [np.arange(n_subjects)]

    def of_draws(*drawn: NDArray[np.int_], axis: int = -1) -> Array:
        """scipy's view of the statistic: subjects drawn from each group, [..., size of group], to [Q, ...]."""
        del axis
        leading = np.broadcast_shapes(*(group.shape[:-1] for group in drawn))
        # Which subjects were drawn, as how often each was: thousands of resamples are then one weighted sum. Subjects
        # of row r are numbered from r S, so that a single count serves all rows.
        rows = int(np.prod(leading, dtype=int))
        counts = np.zeros((rows, n_subjects))
        for group in drawn:
            flat = np.broadcast_to(group, leading + group.shape[-1:]).reshape(rows, -1)
            offset = np.arange(rows)[:, None] * n_subjects
            counts += np.bincount((flat + offset).ravel(), minlength=rows * n_subjects).reshape(rows, n_subjects)
        values = statistic(counts)
        return values.reshape(values.shape[0], *leading)

    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        result: Any = stats.bootstrap(
            groups,
            of_draws,
            n_resamples=resamples,
            batch=_BATCH,
            vectorized=True,
            confidence_level=LEVEL,
            # The acceleration of BCa leaves out each subject in turn, and without a class's only one there is no value.
            # BCa because an AUROC near 1 has a skewed distribution, whose plain percentiles are off.
            method="BCa" if stratified else "percentile",
            # A generator of its own: an interval does not depend on what was computed before it.
            rng=np.random.default_rng(seed),
        )
    draws: Array = result.bootstrap_distribution
    bounds = zip(
        np.atleast_1d(result.confidence_interval.low), np.atleast_1d(result.confidence_interval.high), strict=True
    )
    return [_interval(low, high, draw) for (low, high), draw in zip(bounds, draws, strict=True)]


def _interval(low: float, high: float, draws: Array) -> Interval:
    if np.isfinite(low) and np.isfinite(high):
        return float(low), float(high)
    # BCa has no limits where no resample moves the statistic: the draws themselves have.
    defined = draws[np.isfinite(draws)]
    if defined.size < draws.size / 2:
        return None
    tail = (1 - LEVEL) / 2
    low, high = np.quantile(defined, [tail, 1 - tail])
    return float(low), float(high)


def perfect_interval(value: float, n_positive_subjects: int, n_negative_subjects: int) -> Interval:
    """Interval of an AUROC of exactly 1 or 0, where resampling and DeLong both claim certainty.

    k disjoint pairs of one positive and one negative subject were all in order (k the smaller class), so chances
    of order below (1 - level) / 2 to the power 1 / k are refuted: exact for independent pairs, hence conservative.
    """
    bound = ((1 - LEVEL) / 2) ** (1 / min(n_positive_subjects, n_negative_subjects))
    return (bound, 1.0) if value == 1 else (0.0, 1 - bound)
