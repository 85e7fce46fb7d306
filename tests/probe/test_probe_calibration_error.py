"""Expected calibration error: none for probabilities that hold, the known gap for those that do not."""

from __future__ import annotations

import numpy as np
import pytest

from acula_edge.probe.statistics.calibration_error import calibration_error, even_odds, weighted_calibration_error

COUNT = 40_000


def at_even_odds(prevalence: float, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Labels and log odds that hold where both classes are equally common: scores normal, one apart."""
    rng = np.random.default_rng(seed)
    labels = (rng.random(COUNT) < prevalence).astype(float)
    scores = rng.normal(size=COUNT) + 1.5 * labels
    return labels, 1.5 * (scores - 0.75)


def logistic(logits: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-logits))


@pytest.mark.parametrize("prevalence", [0.5, 0.1])
def test_what_holds_at_even_odds_has_no_error_at_any_prevalence(prevalence: float) -> None:
    labels, logits = at_even_odds(prevalence)
    assert calibration_error(labels, logistic(logits)) < 0.015


def test_without_weights_a_rare_class_would_look_like_an_error() -> None:
    labels, logits = at_even_odds(0.1)
    assert weighted_calibration_error(logistic(logits), labels, np.full(COUNT, 1 / COUNT)) > 0.15


def test_known_gaps() -> None:
    labels, logits = at_even_odds(0.5)
    assert calibration_error(labels, logistic(3 * logits)) > 0.08
    assert calibration_error(labels, np.full(COUNT, 0.8)) == pytest.approx(0.3)
    halves = np.array([0.0, 0.0, 1.0, 1.0] * 50)
    assert calibration_error(halves, np.where(halves == 1, 0.7, 0.1)) == pytest.approx(0.2)


def test_bins_of_equal_mass_see_opposite_gaps() -> None:
    """Too high below and too low above: the mean gap is nil, the error is not."""
    stated = np.repeat([0.4, 0.6], 500)
    happened = np.concatenate([np.arange(500) < 100, np.arange(500) < 400]).astype(float)
    weights = np.full(1000, 1e-3)
    assert stated.mean() == pytest.approx(happened.mean())
    assert weighted_calibration_error(stated, happened, weights) == pytest.approx(0.2)


def test_several_classes_are_judged_by_the_most_probable() -> None:
    rng = np.random.default_rng(1)
    truth = rng.choice(3, COUNT, p=[0.7, 0.2, 0.1])
    centers = 1.5 * np.eye(3)
    points = centers[truth] + rng.normal(size=(COUNT, 3))
    logits = points @ centers.T
    probabilities = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    assert calibration_error(truth.astype(float), probabilities) < 0.02
    sharp = probabilities**4 / (probabilities**4).sum(axis=1, keepdims=True)
    assert calibration_error(truth.astype(float), sharp) > 0.1


def test_order_and_ties_do_not_matter() -> None:
    rng = np.random.default_rng(2)
    labels = (rng.random(300) < 0.3).astype(float)
    stated = np.round(rng.random(300), 1)
    order = rng.permutation(300)
    assert calibration_error(labels[order], stated[order]) == pytest.approx(calibration_error(labels, stated))


def test_few_recordings_share_one_bin() -> None:
    labels = np.array([0.0, 0.0, 1.0])
    stated = np.array([0.2, 0.4, 0.9])
    weights = even_odds(labels)
    assert weights == pytest.approx([0.25, 0.25, 0.5])
    assert calibration_error(labels, stated) == pytest.approx(abs(float(weights @ (stated - labels))))
