"""Verdicts: what may be called as good, what not, and what too little data may never be called."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats
from statsmodels.stats.weightstats import ttost_paired

from acula_edge.probe.statistics.across_tasks import TaskDifference, holm, mean_difference
from acula_edge.probe.statistics.delong import Contrast, clustered_auroc
from acula_edge.probe.statistics.noninferiority import (
    MIN_SUBJECTS,
    Comparison,
    adjusted,
    compare_auroc,
    compare_mae,
    identical,
)


def simulated(subjects: int, noise: float, loss: float = 0.0, seed: int = 0) -> Comparison:
    rng = np.random.default_rng(seed)
    subject = np.repeat(np.arange(subjects), rng.integers(1, 5, subjects))
    labels = (subject % 2).astype(float)
    reference = 1.3 * labels + rng.normal(size=len(subject))
    model = reference - loss * labels + noise * rng.normal(size=len(subject))
    areas = clustered_auroc(labels, np.column_stack([model, reference]), subject.astype(str))
    return compare_auroc(areas, 0, 1, margin=0.01, alpha=0.05, bootstrap=None)


def test_small_noise_on_many_subjects_is_non_inferior() -> None:
    comparison = simulated(300, noise=0.02)
    assert comparison.verdict == "non-inferior" and comparison.reason is None
    assert comparison.ci95 is not None and comparison.ci95[0] < comparison.delta < comparison.ci95[1]
    assert comparison.bound is not None and -0.01 < comparison.bound < comparison.delta


def test_a_large_loss_is_inferior() -> None:
    comparison = simulated(300, noise=0.1, loss=1.0)
    assert comparison.verdict == "inferior" and comparison.delta < -0.05
    assert comparison.p_inferiority is not None and comparison.p_inferiority < 0.001
    assert comparison.p_noninferiority is not None and comparison.p_noninferiority > 0.99


def test_noise_beyond_the_margin_is_inconclusive() -> None:
    comparison = simulated(40, noise=1.0)
    assert comparison.verdict == "inconclusive" and comparison.reason == "the interval reaches beyond the margin"


def test_p_value_bound_and_margin_agree() -> None:
    """The one-sided p value is alpha exactly where the one-sided limit meets the margin."""
    labels = np.repeat([0.0, 1.0], 40)
    rng = np.random.default_rng(1)
    reference = labels + rng.normal(size=80)
    scores = np.column_stack([reference + 0.3 * rng.normal(size=80), reference])
    areas = clustered_auroc(labels, scores, np.arange(80).astype(str))
    first = compare_auroc(areas, 0, 1, 0.01, 0.05, None)
    assert first.bound is not None
    second = compare_auroc(areas, 0, 1, -first.bound, 0.05, None)
    assert second.p_noninferiority == pytest.approx(0.05)


@pytest.mark.parametrize("subjects", [4, 2 * MIN_SUBJECTS - 2])
def test_too_few_subjects_never_pass(subjects: int) -> None:
    labels = np.arange(subjects) % 2 * 1.0
    scores = np.column_stack([labels + 1e-6 * np.arange(subjects), labels])
    comparison = compare_auroc(clustered_auroc(labels, scores, np.arange(subjects).astype(str)), 0, 1, 0.5, 0.05, None)
    assert comparison.verdict == "inconclusive" and "at least 10" in str(comparison.reason)


def test_one_subject_in_a_class_has_no_test() -> None:
    labels = np.array([1.0, 0, 0])
    areas = clustered_auroc(labels, np.array([[1.0, 3], [2, 2], [3, 1]]), np.array(["a", "b", "c"]))
    comparison = compare_auroc(areas, 0, 1, 0.01, 0.05, None)
    assert comparison.verdict == "inconclusive" and comparison.p_noninferiority is None and comparison.ci95 is None


def test_perfect_but_different_scores_on_few_subjects_do_not_pass_a_tight_margin() -> None:
    labels = np.repeat([0.0, 1.0], 12)
    scores = np.column_stack([labels + 0.01 * np.arange(24), labels])
    comparison = compare_auroc(clustered_auroc(labels, scores, np.arange(24).astype(str)), 0, 1, 0.01, 0.05, None)
    assert comparison.delta == 0 and comparison.verdict == "inconclusive"


def test_identical_is_certain() -> None:
    comparison = identical(0.01, "auroc").to_dict()
    assert comparison["verdict"] == "identical" and comparison["p_noninferiority"] == 0.0
    assert comparison["delta"] == 0.0 and comparison["ci95"] == [0.0, 0.0]


def errors(seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    reference = rng.gamma(4, 0.5, 60)
    return reference + rng.normal(0, 0.02, 60), reference


def test_mae_interval_and_equivalence_match_paired_tests() -> None:
    model, reference = errors()
    comparison = compare_mae(model, reference, 0.02, 0.05, None)
    interval = stats.ttest_rel(model, reference).confidence_interval(0.95)
    assert comparison.ci95 == pytest.approx((interval.low, interval.high))
    assert comparison.margin == pytest.approx(0.02 * reference.mean())
    # A margin known beforehand: statsmodels' TOST. Equal here up to the margin's own uncertainty, which is small.
    p, _, _ = ttost_paired(model, reference, -comparison.margin, comparison.margin)
    assert comparison.p_equivalence == pytest.approx(p, rel=0.5)
    upper = stats.ttest_rel(model, 1.02 * reference, alternative="less").pvalue
    assert comparison.p_noninferiority == pytest.approx(upper)
    assert comparison.verdict == "non-inferior"


def test_mae_verdicts() -> None:
    model, reference = errors()
    assert compare_mae(model * 1.3, reference, 0.02, 0.05, None).verdict == "inferior"
    assert compare_mae(model + np.random.default_rng(1).normal(0, 1, 60), reference, 0.02, 0.05, None).verdict == (
        "inconclusive"
    )
    better = compare_mae(model * 0.8, reference, 0.02, 0.05, None)
    assert better.verdict == "non-inferior" and better.p_equivalence is not None and better.p_equivalence > 0.5
    few = compare_mae(model[:3], reference[:3], 0.5, 0.05, None)
    assert few.verdict == "inconclusive" and few.p_noninferiority is not None
    assert compare_mae(model[:1], reference[:1], 0.5, 0.05, None).p_noninferiority is None
    shifted = compare_mae(np.full(12, 2.001), np.full(12, 2.0), 0.02, 0.05, None)
    assert shifted.verdict == "non-inferior" and shifted.p_noninferiority == 0.0


def test_holm() -> None:
    assert holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])
    assert holm([]) == []
    comparison = simulated(300, noise=0.02)
    assert adjusted(comparison, 0.2, 1.0, 0.05) == "inconclusive"
    assert adjusted(comparison, 0.01, 1.0, 0.05) == "non-inferior"
    assert adjusted(identical(0.01, "auroc"), 1.0, 1.0, 0.05) == "identical"


def test_mean_difference_does_not_count_the_same_persons_twice() -> None:
    influence = np.random.default_rng(0).normal(0, 0.01, 50)
    variance = float(np.square(influence).sum())
    contrast = Contrast(-0.004, variance, variance, 40.0, influence)
    persons = [f"s{i}" for i in range(50)]
    _, alone = mean_difference({"A": TaskDifference(contrast, persons)})
    delta, same = mean_difference({"A": TaskDifference(contrast, persons), "B": TaskDifference(contrast, persons)})
    _, others = mean_difference(
        {"A": TaskDifference(contrast, persons), "B": TaskDifference(contrast, [f"t{i}" for i in range(50)])}
    )
    assert alone is not None and same is not None and others is not None
    assert delta == pytest.approx(-0.004)
    assert same == pytest.approx(alone)
    narrower = stats.t.ppf(0.975, 80) / stats.t.ppf(0.975, 40) / np.sqrt(2)
    assert others[1] - others[0] == pytest.approx((alone[1] - alone[0]) * narrower)


def test_a_task_with_few_degrees_of_freedom_weighs_by_its_variance() -> None:
    """One that hardly varies must not widen the interval of the mean as if all rested on it."""
    rng = np.random.default_rng(0)
    wide, narrow = rng.normal(0, 0.01, 50), np.full(3, 1e-5)
    large = Contrast(0.0, float(wide @ wide), float(wide @ wide), 40.0, wide)
    small = Contrast(0.0, float(narrow @ narrow), float(narrow @ narrow), 1.0, narrow)
    people = [f"s{i}" for i in range(50)]
    _, interval = mean_difference({"A": TaskDifference(large, people), "B": TaskDifference(small, ["u", "v", "w"])})
    assert interval is not None
    assert interval[1] == pytest.approx(stats.t.ppf(0.975, 40) * np.sqrt(large.variance) / 2, rel=1e-3)
