"""Clustered DeLong against R's pROC on its aSAH example, and against simulation."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from scipy import stats

from acula_edge.errors import InputError
from acula_edge.probe.statistics.delong import MAX_SHIFT, UNSEEN_SHIFT, clustered_auroc
from acula_edge.probe.statistics.roc import auroc

# Ranks of the markers wfns, s100b and ndka in pROC's aSAH data (Turck et al., Intensive Care Med 2010), patients with
# good outcome first (72, then 41). Ranks are all that an AUROC and its variance depend on.
WFNS = """
1 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1 2 2 2 2 2 2 2 2 2 2 2 2 2
2 2 2 2 2 2 2 3 3 3 4 4 4 4 4 4 4 4 5 5 5 5 1 1 2 2 2 2 2 2 2 2 2 2 2 2 3 4 4 4 4 4 4 4 4 5 5 5 5 5
5 5 5 5 5 5 5 5 5 5 5 5 5
"""
S100B = """
2 2 2 2 3 3 4 4 5 5 5 5 6 6 6 6 7 7 7 7 8 8 8 8 9 9 11 11 12 12 12 13 14 16 17 37 39 2 5 6 6 7 7 8 8
8 9 9 11 12 13 13 13 14 15 17 32 3 5 27 14 15 24 26 28 30 34 36 20 35 36 39 5 6 5 5 7 7 8 8 9 12 21
25 31 42 11 11 14 19 22 23 37 44 49 1 10 18 26 27 29 33 33 38 40 41 43 44 45 46 47 48 50
"""
NDKA = """
42 59 67 80 20 106 19 53 10 13 21 54 3 16 43 57 12 22 75 104 23 85 95 102 18 31 1 108 27 63 84 92 65
76 62 68 15 79 47 30 86 34 58 9 83 96 11 60 64 91 26 39 94 45 56 29 74 35 51 81 36 71 30 46 4 44 101
40 37 33 8 14 100 107 87 97 70 98 33 61 88 99 25 48 38 52 82 6 66 93 76 89 90 24 17 55 78 7 73 105
72 5 77 49 2 32 63 28 50 41 103 69 109
"""
LABELS = np.repeat([0.0, 1.0], [72, 41])
MARKERS = np.column_stack([np.array(text.split(), dtype=float) for text in (WFNS, S100B, NDKA)])
PATIENTS = np.array([f"patient-{number}" for number in range(113)])


def test_areas_and_covariance_match_proc() -> None:
    areas = clustered_auroc(LABELS, MARKERS, PATIENTS)
    assert areas.auroc == pytest.approx([0.823678861788618, 0.731368563685637, 0.611957994579946], rel=1e-12)
    assert np.diag(areas.covariance) == pytest.approx([0.00146991470882363, 0.00266868245717244, 0.0031908105493913])
    covariance = areas.covariance[[0, 2, 1], [2, 1, 0]]
    assert covariance == pytest.approx([-0.000532967856762438, -0.000756164938056579, 0.00119615567376754])


@pytest.mark.parametrize(
    ("first", "second", "z", "p", "interval"),
    [
        (0, 1, 2.20898359144091, 0.0271757822291882, (0.0104061769564846, 0.174214419249478)),
        (0, 2, 2.79777591868904, 0.00514557970691098, (0.0634011709339876, 0.3600405634833566)),
        (2, 1, -1.39077002573558, 0.164295175223054, (-0.2876917446341914, 0.0488706064228094)),
    ],
)
def test_paired_differences_match_proc(
    first: int, second: int, z: float, p: float, interval: tuple[float, float]
) -> None:
    areas = clustered_auroc(LABELS, MARKERS, PATIENTS)
    weights = np.zeros(3)
    weights[first], weights[second] = 1, -1
    contrast = areas.contrast(weights)
    error = np.sqrt(contrast.variance)
    assert contrast.estimate / error == pytest.approx(z, rel=1e-10)
    assert 2 * stats.norm.sf(abs(contrast.estimate / error)) == pytest.approx(p, rel=1e-9)
    half = stats.norm.ppf(0.975) * error
    assert (contrast.estimate - half, contrast.estimate + half) == pytest.approx(interval, rel=1e-9)
    assert contrast.guarded_variance > contrast.variance
    assert np.square(contrast.influence).sum() == pytest.approx(contrast.variance)


def test_repeating_every_recording_changes_nothing() -> None:
    """Copies of a person's recording are no new evidence; counting them as persons would halve the variance."""
    once = clustered_auroc(LABELS, MARKERS, PATIENTS)
    twice = clustered_auroc(np.tile(LABELS, 2), np.tile(MARKERS, (2, 1)), np.tile(PATIENTS, 2))
    assert twice.auroc == pytest.approx(once.auroc)
    assert twice.covariance == pytest.approx(once.covariance)
    naive = clustered_auroc(np.tile(LABELS, 2), np.tile(MARKERS, (2, 1)), np.arange(226).astype(str))
    assert np.diag(naive.covariance) == pytest.approx(np.diag(once.covariance) / 2, rel=0.02)


def test_placements_against_all_pairs_with_ties_and_mixed_subjects() -> None:
    """Obuchowski's three sums of squares, written out over every pair."""
    rng = np.random.default_rng(4)
    labels = rng.integers(0, 2, 40).astype(float)
    scores = rng.integers(0, 6, (40, 2)).astype(float) + labels[:, None]
    subjects = rng.integers(0, 12, 40).astype(str)
    areas = clustered_auroc(labels, scores, subjects)
    positive, negative = np.flatnonzero(labels == 1), np.flatnonzero(labels == 0)
    names = sorted(set(subjects))
    first, second = np.zeros((len(names), 2)), np.zeros((len(names), 2))
    for i, j in itertools.product(positive, negative):
        won = (scores[i] > scores[j]) + 0.5 * (scores[i] == scores[j])
        first[names.index(subjects[i])] += (won - areas.auroc) / len(negative)
        second[names.index(subjects[j])] += (won - areas.auroc) / len(positive)
    m, n = len(positive), len(negative)
    i10, i01, i = len(set(subjects[positive])), len(set(subjects[negative])), len(names)
    expected = (
        i10 / (i10 - 1) / m * first.T @ first / m
        + i01 / (i01 - 1) / n * second.T @ second / n
        + i / (i - 1) * (first.T @ second + second.T @ first) / (m * n)
    )
    assert areas.auroc[0] == pytest.approx(auroc(labels, scores[:, 0]))
    assert areas.covariance == pytest.approx(expected)


def test_variance_is_that_of_repeated_samples() -> None:
    """Mean estimated variance of a paired difference against its variance over 600 simulated studies."""
    rng = np.random.default_rng(7)
    estimates, variances = [], []
    for _ in range(600):
        per_subject = rng.integers(1, 5, 80)
        subject = np.repeat(np.arange(80), per_subject)
        labels = (subject < 25).astype(float)
        shared = 1.2 * labels + rng.normal(size=80)[subject] + 0.5 * rng.normal(size=len(subject))
        scores = np.column_stack([shared, shared + 0.6 * rng.normal(size=80)[subject]])
        contrast = clustered_auroc(labels, scores, subject.astype(str)).contrast(np.array([-1.0, 1.0]))
        estimates.append(contrast.estimate)
        variances.append(contrast.variance)
    assert np.mean(variances) == pytest.approx(np.var(estimates), rel=0.15)


def test_perfect_and_equal_models_keep_an_uncertainty() -> None:
    labels = np.repeat([0.0, 1.0], 12)
    scores = np.column_stack([labels, labels + np.linspace(0, 0.1, 24)])
    contrast = clustered_auroc(labels, scores, np.arange(24).astype(str)).contrast(np.array([-1.0, 1.0]))
    assert contrast.estimate == 0 and contrast.variance == 0
    assert contrast.guarded_variance == pytest.approx(2 * (min(MAX_SHIFT, 12 * UNSEEN_SHIFT) / 12) ** 2)


def test_equal_ranks_of_imperfect_models_keep_a_smaller_uncertainty() -> None:
    labels = np.tile([0.0, 1.0], 20)
    scores = np.arange(40.0)[:, None] * np.array([1.0, 2.0])
    contrast = clustered_auroc(labels, scores, np.arange(40).astype(str)).contrast(np.array([-1.0, 1.0]))
    imperfect = 19 / 20  # the best positive and the worst negative are in order with everyone
    assert contrast.variance == 0
    assert contrast.guarded_variance == pytest.approx(2 * (UNSEEN_SHIFT / imperfect / 20) ** 2)


@pytest.mark.parametrize("scores", [np.ones((4, 1)), np.array([[0.1], [0.2], [np.nan], [0.3]])])
def test_one_class_or_not_finite_is_an_error(scores: np.ndarray) -> None:
    labels = np.array([0.0, 1.0, 1.0, 0.0]) if np.isnan(scores).any() else np.ones(4)
    with pytest.raises(InputError):
        clustered_auroc(labels, scores, np.array(list("abcd")))
