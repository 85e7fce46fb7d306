"""Is one model as good as another on the same subjects? Estimate, interval, one-sided p values, verdict.

Verdicts follow the CONSORT extension for non-inferiority trials (Piaggio et al., JAMA 2012):

* ``identical``: every score is the same number.
* ``non-inferior``: a loss as large as the margin is refuted at the one-sided level.
* ``inferior``: a loss *smaller* than the margin is refuted at the one-sided level.
* ``inconclusive``: neither; or too few subjects to ever say non-inferior.

The level holds where INT8 perturbs every score a little, as rounding does: in simulation a model that loses exactly a
margin of 0.01 passes 3 to 6 % of studies at a nominal 5 % (60, 150 or 500 subjects, float AUROC 0.85 or 0.97; 1 to 4 %
for the mean over four classes). A loss of 0.03 passes at most 2 %.

It does not hold where the loss sits in a few subjects on whom INT8 fails altogether. A loss of the margin passes 6 to
17 % when that is half of it and 10 to 39 % when it is all of it; a loss of 0.03 of that kind passes 7 to 10 % at 60
subjects, at most 4 % at 150 and 0.2 % at 500 (benchmarks/statistics_calibration.py). With 60 subjects, 14 to 23 % of
the latter studies meet nobody whose failure moves the AUROC and look much like studies of a model without any loss; a
test that refused them would refuse those too. No test can see a failure that is not in the test set.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from scipy import stats
from scipy.optimize import brentq

from acula_edge.probe.statistics.bootstrap import Interval
from acula_edge.probe.statistics.delong import Areas, Contrast

Array = NDArray[np.float64]
Verdict = Literal["identical", "non-inferior", "inconclusive", "inferior"]

MIN_SUBJECTS = 10
"""Subjects needed, in each class for AUROC, before a verdict may be ``non-inferior``."""


@dataclass(frozen=True)
class Comparison:
    """One model against another on one task.

    Attributes:
        delta: value of the model minus value of the reference, in the metric's unit (MAE: positive is worse).
        ci95: interval of `delta` from the test's own standard error.
        ci95_bootstrap: the same from resampled subjects, as a check.
        bound: one-sided limit of `delta` on the side of a loss; to be compared with the margin.
        p_noninferiority: of "the loss is at least the margin".
        p_inferiority: of "the loss is at most the margin".
        p_equivalence: MAE only: larger of the two one-sided tests (TOST) against plus and minus the margin.
        margin: loss allowed, in the metric's unit, positive.
        verdict: see the module.
        reason: why a verdict could not be reached, or null.
    """

    delta: float
    ci95: Interval
    ci95_bootstrap: Interval
    bound: float | None
    p_noninferiority: float | None
    p_inferiority: float | None
    p_equivalence: float | None
    margin: float
    verdict: Verdict
    reason: str | None = None

    def to_dict(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        return {key: list(value) if isinstance(value, tuple) else value for key, value in asdict(self).items()}


def identical(margin: float, metric: str) -> Comparison:
    """The comparison of a model with scores equal to the reference's."""
    return Comparison(
        delta=0.0,
        ci95=(0.0, 0.0),
        ci95_bootstrap=(0.0, 0.0),
        bound=0.0,
        p_noninferiority=0.0,
        p_inferiority=1.0,
        p_equivalence=0.0 if metric == "mae" else None,
        margin=margin,
        verdict="identical",
    )


def compare_auroc(
    areas: Areas, model: int, reference: int, margin: float, alpha: float, bootstrap: Interval
) -> Comparison:
    """Compare two columns of `areas`; a loss is a negative difference."""
    weights = np.zeros(len(areas.auroc))
    # Both read the same recordings: what the AUROCs share of their variance cancels in the difference.
    weights[model], weights[reference] = 1.0, -1.0
    contrast = areas.contrast(weights)
    # As many subjects as the smaller class has: those of the larger cannot make up for them.
    classes = (areas.n_positive_subjects, areas.n_negative_subjects)
    if min(classes) < 2:
        reason = f"a class has {min(classes)} subject; no variance can be estimated"
        return _without_test(contrast.estimate, bootstrap, margin, reason)
    error = float(np.sqrt(contrast.guarded_variance))
    student = stats.t(contrast.degrees)
    half = float(student.ppf(0.975)) * error
    p_noninferiority, p_inferiority = auroc_p_values(contrast, margin)
    verdict, reason_ = decide(p_noninferiority, p_inferiority, alpha, min(classes), "subjects in the smaller class")
    return Comparison(
        delta=contrast.estimate,
        # The lower limits invert the test itself, so that an interval and a verdict cannot contradict each other. Above
        # it, the observed spread serves.
        ci95=(_refuted_from(contrast, float(student.ppf(0.975))), min(contrast.estimate + half, 1.0)),
        ci95_bootstrap=bootstrap,
        bound=_refuted_from(contrast, float(student.ppf(1 - alpha))),
        p_noninferiority=p_noninferiority,
        p_inferiority=p_inferiority,
        p_equivalence=None,
        margin=margin,
        verdict=verdict,
        reason=reason_,
    )


def auroc_p_values(contrast: Contrast, margin: float) -> tuple[float, float]:
    """One-sided p values of "the loss is at least the margin" and of "the loss is at most the margin"."""
    student = stats.t(contrast.degrees)
    above = contrast.estimate + margin
    error = float(np.sqrt(contrast.guarded_variance))
    # Refuted is a loss of the margin, so the spread is that of such a loss.
    error_at_margin = float(np.sqrt(contrast.variance_at(-margin))) if above > 0 else error
    return _tail(student, above, error_at_margin), _tail(student, -above, error)


def _refuted_from(contrast: Contrast, quantile: float) -> float:
    """The smallest loss that the test refutes at a quantile, as a (negative) difference: its lower limit."""

    def excess(value: float) -> float:
        spread = contrast.variance_at(value)
        return (contrast.estimate - value) / np.sqrt(spread) - quantile if spread > 0 else np.inf

    # Each loss tried has a spread of its own (:meth:`Contrast.variance_at`), so there is no formula for the smallest
    # one refuted: steps down to the first that is, then the crossing between the last two.
    step = float(np.sqrt(contrast.guarded_variance))
    if step == 0:
        return contrast.estimate
    kept, tried = contrast.estimate, contrast.estimate - 0.5 * quantile * step
    while tried > -1.0 and excess(tried) < 0:
        kept, tried = tried, tried - 0.25 * quantile * step
    if tried <= -1.0:
        return -1.0
    return float(brentq(excess, kept, tried, xtol=1e-9)) if excess(kept) < 0 else kept


def compare_mae(
    model: Array, reference: Array, relative_margin: float, alpha: float, bootstrap: Interval
) -> Comparison:
    """Compare mean absolute errors; a loss is a positive difference.

    The margin is a share of the reference's own, estimated, error. The tests are therefore of
    ``error - (1 + share) * reference error`` per subject, so that the margin's uncertainty enters.

    Args:
        model, reference: [S] mean absolute error of each subject.
        relative_margin: share of the reference's mean error that may be lost.
    """
    count = len(model)
    difference = model - reference
    delta, margin = float(difference.mean()), relative_margin * float(reference.mean())
    if count < 2:
        return _without_test(delta, bootstrap, margin, f"{count} subject; no variance can be estimated")
    student = stats.t(count - 1)
    error = _standard_error(difference)
    # Whether a mean error ratio is below 1 + share, without a ratio: the sign of a mean of differences decides, whose
    # spread is that of paired subjects.
    upper = model - (1 + relative_margin) * reference
    lower = model - (1 - relative_margin) * reference
    p_noninferiority = _tail(student, -float(upper.mean()), _standard_error(upper))
    p_inferiority = _tail(student, float(upper.mean()), _standard_error(upper))
    p_lower = _tail(student, float(lower.mean()), _standard_error(lower))
    verdict, reason = decide(p_noninferiority, p_inferiority, alpha, count, "subjects")
    half = float(student.ppf(0.975)) * error
    return Comparison(
        delta=delta,
        ci95=(delta - half, delta + half),
        ci95_bootstrap=bootstrap,
        bound=delta + float(student.ppf(1 - alpha)) * error,
        p_noninferiority=p_noninferiority,
        p_inferiority=p_inferiority,
        # TOST: equivalent is who is refuted to be worse by the margin and to be better by it; the weaker test decides.
        p_equivalence=max(p_noninferiority, p_lower),
        margin=margin,
        verdict=verdict,
        reason=reason,
    )


def decide(
    p_noninferiority: float, p_inferiority: float, alpha: float, count: int, counted: str
) -> tuple[Verdict, str | None]:
    """Verdict and, where there is none, the reason."""
    # Harm may be shown by few subjects; that there is none may not.
    if p_inferiority < alpha:
        return "inferior", None
    if count < MIN_SUBJECTS:
        return "inconclusive", f"{count} {counted}; non-inferiority needs at least {MIN_SUBJECTS}"
    if p_noninferiority < alpha:
        return "non-inferior", None
    return "inconclusive", "the interval reaches beyond the margin"


def adjusted(comparison: Comparison, p_noninferiority: float, p_inferiority: float, alpha: float) -> Verdict:
    """The verdict that remains once p values are adjusted for the number of tasks."""
    # Adjusted p values are never smaller: adjustment takes verdicts away and gives none.
    if comparison.verdict == "non-inferior":
        return "non-inferior" if p_noninferiority < alpha else "inconclusive"
    if comparison.verdict == "inferior":
        return "inferior" if p_inferiority < alpha else "inconclusive"
    return comparison.verdict


def _without_test(delta: float, bootstrap: Interval, margin: float, reason: str) -> Comparison:
    empty = Comparison(delta, None, bootstrap, None, None, None, None, margin, "inconclusive")
    return replace(empty, reason=reason)


def _standard_error(values: Array) -> float:
    return float(values.std(ddof=1) / np.sqrt(len(values)))


def _tail(student: Any, distance: float, error: float) -> float:
    """Upper tail of distance / error; a sample without any spread decides by the sign alone."""
    if error == 0:
        return 0.0 if distance > 0 else 1.0
    return float(student.sf(distance / error))
