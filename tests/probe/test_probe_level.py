"""How often a model that loses the margin passes: in about alpha of studies (benchmarks/statistics_calibration.py)."""

from __future__ import annotations

import numpy as np
from scipy import stats

from acula_edge.probe.statistics.delong import clustered_auroc
from acula_edge.probe.statistics.noninferiority import auroc_p_values, compare_mae

AREA, MARGIN, ALPHA = 0.85, 0.01, 0.05
STUDIES = 400


def p_values(rng: np.random.Generator, subjects: int, loss: float) -> tuple[float, float]:
    """Of non-inferiority and inferiority; noise lowers a binormal AUROC by `loss`, 1-4 recordings per subject."""
    subject = np.repeat(np.arange(subjects), rng.integers(1, 5, subjects))
    labels = (subject % 4 == 0).astype(float)

    def deviates() -> np.ndarray:
        return np.sqrt(0.6) * rng.normal(size=subjects)[subject] + np.sqrt(0.4) * rng.normal(size=len(subject))

    spread = np.sqrt((stats.norm.ppf(AREA) / stats.norm.ppf(AREA - loss)) ** 2 - 1)
    reference = np.sqrt(2) * stats.norm.ppf(AREA) * labels + deviates()
    scores = np.column_stack([reference + spread * deviates(), reference])
    areas = clustered_auroc(labels, scores, subject.astype(str))
    return auroc_p_values(areas.contrast(np.array([1.0, -1.0])), MARGIN)


def test_a_loss_of_the_margin_passes_in_about_one_of_twenty_studies() -> None:
    rng = np.random.default_rng(0)
    passed = np.mean([p_values(rng, 150, MARGIN)[0] < ALPHA for _ in range(STUDIES)])
    assert 0.025 <= passed <= 0.08


def test_a_loss_of_three_margins_hardly_passes_and_is_often_seen() -> None:
    rng = np.random.default_rng(1)
    found = np.array([p_values(rng, 150, 3 * MARGIN) for _ in range(STUDIES // 2)])
    assert np.mean(found[:, 0] < ALPHA) <= 0.02
    assert np.mean(found[:, 1] < ALPHA) >= 0.25


def test_no_loss_passes() -> None:
    rng = np.random.default_rng(2)
    assert np.mean([p_values(rng, 150, 1e-5)[0] < ALPHA for _ in range(50)]) >= 0.95


def test_errors_larger_by_the_margin_pass_in_about_one_of_twenty_studies() -> None:
    rng = np.random.default_rng(3)
    passed = 0
    for _ in range(STUDIES):
        reference = rng.gamma(2.0, 1.0, 100)
        model = 1.02 * reference + rng.normal(0, 0.1, 100)
        passed += compare_mae(model, reference, 0.02, ALPHA, None).verdict == "non-inferior"
    assert 0.025 <= passed / STUDIES <= 0.08
