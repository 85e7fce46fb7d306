"""Paired AUROCs and their covariance when a subject has several recordings.

DeLong, DeLong and Clarke-Pearson (Biometrics 1988) in the form of Obuchowski (Biometrics 1997), which sums a
subject's recordings before it takes variances. With one recording per subject it is DeLong's estimator exactly.
The libraries at hand (MLstatkit, pauc) treat recordings as independent persons, which makes intervals too narrow.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from scipy.stats import rankdata

from acula_edge.errors import InputError
from acula_edge.probe.statistics.tilting import tilted_variance

Array = NDArray[np.float64]

_ROUNDING = 1e-12

UNSEEN_SHIFT = 0.025
"""Share of the other class past which one unseen subject is assumed to move, when every subject's rank can move ..."""

MAX_SHIFT = 1 / 3
"""... and its limit. Where most subjects are ranked perfectly, a given loss sits in fewer of them and is larger there:
the assumed shift is UNSEEN_SHIFT over the share of subjects that are not, up to this."""

UNSEEN_SHARE = 0.75
"""The assumed shift is also at least this share of the largest seen."""


@dataclass(frozen=True)
class Contrast:
    """A linear combination of AUROCs.

    Attributes:
        estimate: its value.
        variance: Obuchowski's variance.
        guarded_variance: `variance` plus the square of what one more subject of each class might contribute: nearly
            as much as the most affected one seen, and at least UNSEEN_SHIFT. A difference of two nearly equal models
            rests on the few subjects whose ranks moved; without this the test says non-inferior too often, and two
            models that both separate the classes perfectly would pass with a handful of subjects
            (benchmarks/statistics_calibration.py).
        degrees: Welch-Satterthwaite degrees of freedom over subjects with positive and with negative recordings.
        influence: [S], every subject's contribution to the deviation; its squares sum to the variance when no
            subject has recordings of both classes.
        contributions: per class [S + 1], what its subjects and the unseen one, whose loss is assumed, contribute.
    """

    estimate: float
    variance: float
    guarded_variance: float
    degrees: float
    influence: Array
    contributions: tuple[Array, ...] = ()

    def variance_at(self, value: float) -> float:
        """Variance if the true value were `value`, below the estimate."""
        if not self.contributions:
            return self.guarded_variance
        return tilted_variance(self.contributions, value - self.estimate)


class Areas(Protocol):
    """AUROCs [K] of K models on the same recordings of subjects [S]."""

    @property
    def auroc(self) -> Array:
        """[K]."""

    @property
    def subjects(self) -> NDArray[np.str_]:
        """[S] distinct subjects, sorted."""

    @property
    def n_positive_subjects(self) -> int:
        """Subjects with a recording of the class; of several classes the fewest."""

    @property
    def n_negative_subjects(self) -> int:
        """Subjects with a recording of another class; of several classes the fewest."""

    def contrast(self, weights: Array) -> Contrast:
        """The combination `weights` [K] of the AUROCs."""


@dataclass(frozen=True)
class ClusteredAuroc:
    """AUROCs of K models on the same recordings.

    Attributes:
        auroc: [K].
        subjects: [S] distinct subjects, sorted.
        positive, negative: [S, K] centered sums of placement values, over the number of positive (negative) recordings.
        positive_raw, negative_raw: the same, not centered.
        positive_imperfect, negative_imperfect: [S, K] whether any of the subject's such recordings is ranked wrongly
            against any of the other class.
        has_positive, has_negative: [S] whether the subject has such a recording.
    """

    auroc: Array
    subjects: NDArray[np.str_]
    positive: Array
    negative: Array
    positive_raw: Array
    negative_raw: Array
    positive_imperfect: NDArray[np.bool_]
    negative_imperfect: NDArray[np.bool_]
    has_positive: NDArray[np.bool_]
    has_negative: NDArray[np.bool_]

    @property
    def n_positive_subjects(self) -> int:
        """Subjects with at least one positive recording."""
        return int(self.has_positive.sum())

    @property
    def n_negative_subjects(self) -> int:
        """Subjects with at least one negative recording."""
        return int(self.has_negative.sum())

    @property
    def covariance(self) -> Array:
        """[K, K] covariance of the AUROCs."""
        scale_positive, scale_negative, scale_both = self._scales()
        # Obuchowski's three terms: a subject's recordings are summed before they are squared, so that what is alike in
        # them counts as that. The last term is 0 unless somebody has recordings of both classes.
        cross = self.positive.T @ self.negative
        result: Array = (
            scale_positive * self.positive.T @ self.positive
            + scale_negative * self.negative.T @ self.negative
            + scale_both * (cross + cross.T)
        )
        return result

    def contrast(self, weights: Array) -> Contrast:
        """The combination `weights` [K] of the AUROCs, for example (-1, 1) for a difference."""
        scale_positive, scale_negative, scale_both = self._scales()
        positive, negative = self.positive @ weights, self.negative @ weights
        part_positive = scale_positive * float(positive @ positive)
        part_negative = scale_negative * float(negative @ negative)
        cross = 2 * scale_both * float(positive @ negative)
        # The three terms estimate a variance without being one: in small samples they can add up to less than 0.
        variance = max(part_positive + part_negative + cross, 0.0)
        # A subject whom only other models rank wrongly says nothing of these.
        used = weights != 0
        unseen_positive = _unseen(
            self.positive_raw @ weights, self.positive_imperfect[:, used], self.n_positive_subjects
        )
        unseen_negative = _unseen(
            self.negative_raw @ weights, self.negative_imperfect[:, used], self.n_negative_subjects
        )
        guard_positive, guard_negative = unseen_positive**2, unseen_negative**2
        return Contrast(
            estimate=float(self.auroc @ weights),
            variance=variance,
            guarded_variance=variance + guard_positive + guard_negative,
            degrees=_satterthwaite(
                (part_positive + guard_positive, self.n_positive_subjects - 1),
                (part_negative + guard_negative, self.n_negative_subjects - 1),
            ),
            influence=np.sqrt(scale_positive) * positive + np.sqrt(scale_negative) * negative,
            contributions=(
                _with_unseen(positive[self.has_positive], unseen_positive),
                _with_unseen(negative[self.has_negative], unseen_negative),
            ),
        )

    def least_unseen(self, weights: Array) -> tuple[float, float]:
        """What an unseen subject with positive (negative) recordings is at least assumed to contribute to a loss."""
        used = weights != 0
        return (
            _least_unseen(self.positive_imperfect[:, used], self.n_positive_subjects),
            _least_unseen(self.negative_imperfect[:, used], self.n_negative_subjects),
        )

    def _scales(self) -> tuple[float, float, float]:
        def scale(count: int) -> float:
            # From a mean of squares to the unbiased variance: Bessel's correction, over subjects instead of recordings.
            return count / (count - 1) if count > 1 else 1.0

        return scale(self.n_positive_subjects), scale(self.n_negative_subjects), scale(len(self.subjects))


def clustered_auroc(labels: Array, scores: Array, subjects: NDArray[np.str_]) -> ClusteredAuroc:
    """AUROCs of scores [R, K] for labels [R], recordings grouped by subjects [R].

    Raises:
        InputError: a class is absent, or a score is not finite.
    """
    positives, negatives = labels == 1, labels == 0
    if not positives.any() or not negatives.any():
        raise InputError("an AUROC needs recordings of both classes")
    if not np.isfinite(scores).all():
        raise InputError("scores must be finite")
    # A positive's rank among all, less its rank among the positives, counts the negatives below it, ties as one half:
    # divided by their number, its placement value. Sorting gives so what DeLong defines by all pairs (Sun and Xu, IEEE
    # Signal Process. Lett. 2014). A negative's counts the positives above it.
    ranks = rankdata(scores, axis=0)
    n_positive, n_negative = int(positives.sum()), int(negatives.sum())
    above = (ranks[positives] - rankdata(scores[positives], axis=0)) / n_negative
    below = 1 - (ranks[negatives] - rankdata(scores[negatives], axis=0)) / n_positive
    # The mean of either kind of placement values is the AUROC.
    area = above.mean(axis=0)
    distinct, index = np.unique(subjects, return_inverse=True)

    def per_subject(values: Array, rows: NDArray[np.intp], count: int) -> Array:
        sums = np.zeros((len(distinct), scores.shape[1]))
        # add.at, as a subject may have many recordings: sums[rows] += values would keep one of each.
        np.add.at(sums, rows, values)
        return sums / count

    return ClusteredAuroc(
        auroc=area,
        subjects=distinct,
        positive=per_subject(above - area, index[positives], n_positive),
        negative=per_subject(below - area, index[negatives], n_negative),
        positive_raw=per_subject(above, index[positives], n_positive),
        negative_raw=per_subject(below, index[negatives], n_negative),
        positive_imperfect=per_subject(1 - above, index[positives], n_positive) > _ROUNDING,
        negative_imperfect=per_subject(1 - below, index[negatives], n_negative) > _ROUNDING,
        has_positive=np.isin(np.arange(len(distinct)), index[positives]),
        has_negative=np.isin(np.arange(len(distinct)), index[negatives]),
    )


def _unseen(contributions: Array, imperfect: NDArray[np.bool_], n_subjects: int) -> float:
    """What one subject that was not met might contribute to a loss."""
    return max(UNSEEN_SHARE * float(np.abs(contributions).max()), _least_unseen(imperfect, n_subjects))


def _least_unseen(imperfect: NDArray[np.bool_], n_subjects: int) -> float:
    # The fewer subjects whose rank can fall at all, the more of a given loss each of them carries.
    share = max(int(imperfect.any(axis=1).sum()), 1) / n_subjects
    return min(UNSEEN_SHIFT / share, MAX_SHIFT) / n_subjects


def _with_unseen(contributions: Array, loss: float) -> Array:
    # Tilting asks for contributions that sum to zero.
    extended = np.append(contributions, -loss)
    return np.asarray(extended - extended.mean())


def _satterthwaite(*parts: tuple[float, int]) -> float:
    # A sum of independent variance estimates is nearly a multiple of chi-squared with these degrees of freedom: chosen
    # so that the variance of the estimate is right.
    total = sum(variance for variance, _ in parts)
    spread = sum(variance**2 / max(degrees, 1) for variance, degrees in parts)
    return total**2 / spread if spread > 0 else 1.0
