"""The variance that a mean of subjects would have, were its true value another than the one observed.

A loss of AUROC sits in a minority of subjects, so its variance grows with it: a sample that by luck shows less of the
loss also shows less of its spread, and a test with the observed variance calls models non-inferior too often. The
variance is therefore taken under the hypothesis that is to be refuted: subjects are reweighted by exponential tilting
(Efron, Canad. J. Statist. 1981; empirical likelihood's close kin), just as much as moves the value there. One assumed
unseen subject per class makes that possible in samples without any loss, after Chen, Variyath and Abraham's adjusted
empirical likelihood (J. Comput. Graph. Statist. 2008).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import brentq

Array = NDArray[np.float64]

_STRONGEST = 1e4


def tilted_variance(groups: Sequence[Array], shift: float) -> float:
    """Variance of the sum of independent groups' totals, reweighted so that the sum moves by `shift`.

    Args:
        groups: per group (class) [S], what each of its subjects contributes to the deviation of the estimate; sums
            to zero.
        shift: how far the weighted sum is to lie from the observed one.

    Returns:
        At least the variance of the groups as they are; that, too, where no weights reach so far (all weight on the
        most extreme subjects leaves no spread), since such a shift is far from anything seen.
    """
    plain = _moments(groups, 0.0)[1]
    scale = float(np.sqrt(sum(float(group @ group) for group in groups)))
    if shift == 0 or scale == 0:
        return plain
    # In units of the standard error, so that one range of tilts suits every task.
    scaled = [group / scale for group in groups]
    goal, direction = shift / scale, float(np.sign(shift))
    limit = direction
    # The weighted sum rises with the tilt (its derivative is a sum of variances): double until it has passed the goal,
    # then there is exactly one root between.
    while (_moments(scaled, limit)[0] - goal) * direction < 0:
        limit *= 2
        if abs(limit) > _STRONGEST:
            return plain
    tilt = float(brentq(lambda strength: _moments(scaled, strength)[0] - goal, 0.0, limit))
    return max(plain, _moments(scaled, tilt)[1] * scale**2)


def _moments(groups: Sequence[Array], tilt: float) -> tuple[float, float]:
    """Total and its variance under weights proportional to exp(tilt * contribution)."""
    total = variance = 0.0
    for group in groups:
        # Less the largest: no exponential overflows.
        logits = tilt * group
        weights = np.exp(logits - logits.max())
        weights /= weights.sum()
        count, mean = len(group), float(weights @ group)
        total += count * mean
        if count > 1:
            # The variance of a sum of `count` draws, with Bessel's correction.
            variance += count / (count - 1) * count * float(weights @ np.square(group - mean))
    return total, variance
