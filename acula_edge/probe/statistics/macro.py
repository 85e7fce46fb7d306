"""AUROC of more than two classes: the mean over "this class or another", with the covariance between classes.

Each class's AUROC deviates by a sum over subjects (DeLong; :mod:`acula_edge.probe.statistics.delong`), so the mean's
deviation is the sum over subjects of what each contributes to all classes. A subject's contributions to several
classes go together (who is ranked too high for one is ranked too low for others); summed before they are squared,
they enter with their covariance.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from acula_edge.errors import InputError
from acula_edge.probe.statistics.delong import UNSEEN_SHARE, ClusteredAuroc, Contrast, clustered_auroc
from acula_edge.probe.statistics.roc import weighted_auroc

Array = NDArray[np.float64]


@dataclass(frozen=True)
class MacroAuroc:
    """Mean AUROCs of K models over classes.

    Attributes:
        classes: per class, the AUROCs of "this class or another", all on the same recordings and subjects.
    """

    classes: tuple[ClusteredAuroc, ...]

    @property
    def auroc(self) -> Array:
        """[K]."""
        result: Array = np.mean([areas.auroc for areas in self.classes], axis=0)
        return result

    @property
    def subjects(self) -> NDArray[np.str_]:
        """[S] distinct subjects, sorted."""
        return self.classes[0].subjects

    @property
    def n_positive_subjects(self) -> int:
        """Subjects of the smallest class."""
        return min(areas.n_positive_subjects for areas in self.classes)

    @property
    def n_negative_subjects(self) -> int:
        """Subjects outside of the class that has the fewest such."""
        return min(areas.n_negative_subjects for areas in self.classes)

    def contrast(self, weights: Array) -> Contrast:
        """The combination `weights` [K] of the mean AUROCs.

        One unseen subject per class is assumed, as with two classes. The degrees of freedom are those of the class that
        has the fewest, which is on the safe side. Every subject takes part in each class's AUROC, so the contributions
        are one group of all subjects and the unseen ones.
        """
        parts = [areas.contrast(weights) for areas in self.classes]
        influence: Array = np.mean([part.influence for part in parts], axis=0)
        # Here the squares are of sums over classes, so that the covariance between classes is in them.
        variance = float(influence @ influence)
        unseen = self._unseen(weights)
        extended = np.concatenate([influence, -unseen])
        return Contrast(
            estimate=float(np.mean([part.estimate for part in parts])),
            variance=variance,
            guarded_variance=variance + float(unseen @ unseen),
            degrees=min(part.degrees for part in parts),
            influence=influence,
            contributions=(extended - extended.mean(),),
        )

    def _unseen(self, weights: Array) -> Array:
        """What an unseen subject of each class [C] might contribute to a loss, through all classes' AUROCs."""
        contributions: Array = np.mean(
            [(areas.positive_raw + areas.negative_raw) @ weights for areas in self.classes], axis=0
        )
        seen = np.array([np.abs(contributions[areas.has_positive]).max() for areas in self.classes])
        positive, negative = np.array([areas.least_unseen(weights) for areas in self.classes]).T
        # An unseen subject of one class is a positive of that class's AUROC and a negative of every other's.
        least = (positive + negative.sum() - negative) / len(self.classes)
        result: Array = np.maximum(UNSEEN_SHARE * seen, least)
        return result


def macro_auroc(labels: Array, probabilities: Array, subjects: NDArray[np.str_]) -> MacroAuroc:
    """Mean AUROCs over classes.

    Args:
        labels: [R] classes 0, 1, ..., C - 1.
        probabilities: [R, C, K], of each class by each of K models.
        subjects: [R].

    Raises:
        InputError: a class has no recording, or all, or a score is not finite.
    """
    count = probabilities.shape[1]
    absent = sorted(set(range(count)) - set(labels.astype(int).tolist()))
    if absent:
        raise InputError("a mean over classes needs recordings of each", given=f"none of class {absent}")
    return MacroAuroc(
        tuple(
            clustered_auroc((labels == number).astype(float), probabilities[:, number], subjects)
            for number in range(count)
        )
    )


def weighted_macro_auroc(labels: Array, probabilities: Array, weights: Array) -> Array:
    """Mean over classes of :func:`roc.weighted_auroc`: probabilities [R, C, K], weights [B, R] -> [K, B].

    NaN where a weighting leaves a class empty: a mean over the other classes would be another quantity.
    """
    areas = [
        weighted_auroc((labels == number).astype(float), probabilities[:, number], weights)
        for number in range(probabilities.shape[1])
    ]
    result: Array = np.mean(areas, axis=0)
    return result
