"""Resampling of subjects, weighted AUROC and operating points."""

from __future__ import annotations

import time

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from acula_edge.probe.statistics.bootstrap import perfect_interval, subject_intervals
from acula_edge.probe.statistics.roc import auroc, rates_at, sensitivity_at, weighted_auroc, youden_threshold


def test_weighted_auroc_equals_repeating_rows() -> None:
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 2, 60).astype(float)
    scores = np.round(rng.normal(size=(60, 2)), 1)
    weights = rng.integers(0, 4, (5, 60)).astype(float)
    values = weighted_auroc(labels, scores, weights)
    for row, weight in enumerate(weights):
        drawn = np.repeat(np.arange(60), weight.astype(int))
        for column in range(2):
            assert values[column, row] == pytest.approx(roc_auc_score(labels[drawn], scores[drawn, column]))


def test_weighted_auroc_without_a_class_is_undefined() -> None:
    labels = np.array([0.0, 1.0, 1.0])
    weights = np.array([[1.0, 1, 1], [0, 1, 1], [1, 0, 0]])
    values = weighted_auroc(labels, np.array([[0.1], [0.2], [0.05]]), weights)
    assert values[0, 0] == 0.5 and np.isnan(values[0, 1:]).all()
    assert auroc(np.ones(3), np.arange(3.0)) is None


def test_mean_interval_covers_and_moves_with_skew() -> None:
    """BCa of a mean: near the t interval for normal data, shifted towards the long tail for skewed data."""
    rng = np.random.default_rng(1)
    values = rng.normal(size=80)
    skewed = rng.exponential(size=80)
    data = np.column_stack([values, skewed])

    def means(counts: np.ndarray) -> np.ndarray:
        return (counts @ data / counts.sum(axis=1, keepdims=True)).T

    normal, exponential = subject_intervals(means, np.zeros(80, dtype=int), 2000, seed=3)
    assert normal is not None and exponential is not None
    half = 1.99 * values.std(ddof=1) / np.sqrt(80)
    assert normal == pytest.approx((values.mean() - half, values.mean() + half), abs=0.04)
    assert exponential[1] - skewed.mean() > 1.1 * (skewed.mean() - exponential[0])


def test_intervals_repeat_with_the_seed_and_only_then() -> None:
    values = np.random.default_rng(2).normal(size=20)

    def mean(counts: np.ndarray) -> np.ndarray:
        return (counts @ values / counts.sum(axis=1))[None]

    strata = np.repeat([0, 1], 10)
    assert subject_intervals(mean, strata, 300, 5) == subject_intervals(mean, strata, 300, 5)
    assert subject_intervals(mean, strata, 300, 5) != subject_intervals(mean, strata, 300, 6)


def test_strata_keep_their_size() -> None:
    seen = []

    def record(counts: np.ndarray) -> np.ndarray:
        seen.append(counts)
        return counts[:, :1].T.copy()

    strata = np.repeat([0, 1], [4, 6])
    subject_intervals(record, strata, 100, 0)
    resamples = np.concatenate([counts for counts in seen if (counts.sum(axis=1) == 10).all()])
    assert (resamples[:, :4].sum(axis=1) == 4).all() and len(resamples) >= 100


@pytest.mark.parametrize("labels", [[0.0, 1.0], [1.0, 0.0, 0.0], [1.0, 0.0, 0.0, 0.0, 0.0]])
def test_a_handful_of_subjects_gives_an_interval_or_none(labels: list[float]) -> None:
    target = np.array(labels)
    scores = np.arange(len(labels), dtype=float)[:, None]

    def area(counts: np.ndarray) -> np.ndarray:
        return weighted_auroc(target, scores, counts)

    (interval,) = subject_intervals(area, target.astype(int), 400, 0)
    assert interval is None or 0 <= interval[0] <= interval[1] <= 1
    assert (interval is None) == (len(labels) < 3)


def test_an_unmoved_statistic_has_length_zero() -> None:
    def zero(counts: np.ndarray) -> np.ndarray:
        return np.zeros((1, len(counts)))

    assert subject_intervals(zero, np.zeros(30, dtype=int), 200, 0) == [(0.0, 0.0)]


def test_a_perfect_area_is_not_certain() -> None:
    interval = perfect_interval(1.0, 5, 40)
    assert interval == (pytest.approx(0.025 ** (1 / 5)), 1.0)
    assert perfect_interval(0.0, 5, 40) == (0.0, pytest.approx(1 - 0.025 ** (1 / 5)))


def test_coverage_of_a_clustered_area() -> None:
    """95 % intervals for AUROC 0.8 with 50 subjects of 1-4 recordings, 200 studies."""
    rng = np.random.default_rng(11)
    covered = 0
    for study in range(200):
        subject = np.repeat(np.arange(50), rng.integers(1, 5, 50))
        label = (np.arange(50) < 20).astype(float)
        scores = 1.1902 * label[subject] + np.sqrt(0.7) * rng.normal(size=50)[subject]
        scores += np.sqrt(0.3) * rng.normal(size=len(subject))

        def area(counts: np.ndarray, labels=label[subject], s=scores[:, None], index=subject) -> np.ndarray:
            return weighted_auroc(labels, s, counts[:, index])

        (interval,) = subject_intervals(area, label.astype(int), 300, study)
        assert interval is not None
        covered += interval[0] <= 0.8 <= interval[1]
    assert 0.89 <= covered / 200 <= 0.99


def test_two_thousand_resamples_of_a_thousand_subjects_are_quick() -> None:
    rng = np.random.default_rng(0)
    subject = np.repeat(np.arange(1000), 3)
    labels = (subject % 5 == 0).astype(float)
    scores = rng.normal(size=(3000, 3)) + labels[:, None]

    def area(counts: np.ndarray) -> np.ndarray:
        return weighted_auroc(labels, scores, counts[:, subject])

    started = time.process_time()
    subject_intervals(area, (np.arange(1000) % 5 == 0).astype(int), 2000, 0)
    assert time.process_time() - started < 20


def test_operating_points() -> None:
    labels = np.array([0.0, 0, 0, 0, 1, 1, 1, 1])
    scores = np.array([0.1, 0.2, 0.3, 0.8, 0.4, 0.7, 0.9, 0.95])
    threshold = youden_threshold(labels, scores)
    assert threshold == pytest.approx(0.35)
    assert rates_at(labels, scores, threshold) == (1.0, 0.75)
    assert sensitivity_at(labels, scores, 0.95) == 0.5
    assert sensitivity_at(labels, scores, 0.75) == 1.0
    assert np.isfinite(youden_threshold(np.array([0.0, 1.0]), np.array([0.5, 0.5])))
