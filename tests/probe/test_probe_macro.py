"""Mean AUROC over classes: two classes as the binary case, the variance against jackknife and simulation."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from acula_edge.errors import InputError
from acula_edge.probe.statistics.delong import clustered_auroc
from acula_edge.probe.statistics.macro import macro_auroc, weighted_macro_auroc
from acula_edge.probe.statistics.noninferiority import compare_auroc

DIFFERENCE = np.array([1.0, -1.0])


def sample(
    rng: np.random.Generator, subjects: int, classes: int = 4, noise: float = 0.5, by_recording: bool = False
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Labels [R], probabilities [R, C, 2] and subjects [R]; subjects have 1-4 recordings that resemble each other."""
    subject = np.repeat(np.arange(subjects), rng.integers(1, 5, subjects))
    label = (rng.integers(0, classes, len(subject)) if by_recording else (subject * 7) % classes).astype(float)
    shared, own = rng.normal(size=(subjects, classes))[subject], rng.normal(size=(len(subject), classes))
    reference = 1.5 * np.eye(classes)[label.astype(int)] + 0.8 * shared + 0.6 * own
    model = reference + noise * rng.normal(size=(subjects, classes))[subject]
    logits = np.exp(np.stack([model, reference], axis=-1))
    return label, logits / logits.sum(axis=1, keepdims=True), subject.astype(str)


def test_values_match_scikit_learn() -> None:
    label, probabilities, subjects = sample(np.random.default_rng(0), 40)
    areas = macro_auroc(label, probabilities, subjects)
    for model in range(2):
        expected = roc_auc_score(label, probabilities[:, :, model], multi_class="ovr", average="macro")
        assert areas.auroc[model] == pytest.approx(expected)
    weights = np.random.default_rng(1).integers(0, 3, (6, len(label))).astype(float)
    for row, values in zip(weights, weighted_macro_auroc(label, probabilities, weights).T, strict=True):
        drawn = np.repeat(np.arange(len(label)), row.astype(int))
        assert values == pytest.approx(macro_auroc(label[drawn], probabilities[drawn], subjects[drawn]).auroc)


def test_two_classes_are_the_binary_case() -> None:
    label, probabilities, subjects = sample(np.random.default_rng(2), 50, classes=2)
    macro = macro_auroc(label, probabilities, subjects)
    binary = clustered_auroc(label, probabilities[:, 1], subjects)
    assert macro.auroc == pytest.approx(binary.auroc)
    ours, theirs = macro.contrast(DIFFERENCE), binary.contrast(DIFFERENCE)
    assert ours.estimate == pytest.approx(theirs.estimate)
    assert ours.variance == pytest.approx(theirs.variance)
    assert ours.influence == pytest.approx(theirs.influence)
    assert ours.guarded_variance == pytest.approx(theirs.guarded_variance)
    assert ours.degrees == pytest.approx(theirs.degrees)


@pytest.mark.parametrize("by_recording", [False, True])
def test_variance_is_near_that_of_the_jackknife(by_recording: bool) -> None:
    """Leaving out one subject at a time, on samples in which a subject has one class, or several."""
    label, probabilities, subjects = sample(np.random.default_rng(3), 120, by_recording=by_recording)
    names = np.unique(subjects)
    estimates = []
    for name in names:
        kept = subjects != name
        estimates.append(macro_auroc(label[kept], probabilities[kept], subjects[kept]).auroc @ DIFFERENCE)
    jackknife = (len(names) - 1) * np.var(estimates)
    assert macro_auroc(label, probabilities, subjects).contrast(DIFFERENCE).variance == pytest.approx(
        jackknife, rel=0.1
    )


def test_variance_is_that_of_repeated_samples() -> None:
    """Mean estimated variance against the variance over 400 studies; classes taken as independent would be off."""
    rng = np.random.default_rng(4)
    estimates, variances, independent = [], [], []
    for _ in range(400):
        areas = macro_auroc(*sample(rng, 80))
        contrast = areas.contrast(DIFFERENCE)
        estimates.append(contrast.estimate)
        variances.append(contrast.variance)
        independent.append(sum(one.contrast(DIFFERENCE).variance for one in areas.classes) / len(areas.classes) ** 2)
    assert np.mean(variances) == pytest.approx(np.var(estimates), rel=0.2)
    assert abs(np.mean(independent) / np.var(estimates) - 1) > 0.25


def test_the_smallest_class_decides_who_may_pass() -> None:
    rng = np.random.default_rng(5)
    subject = np.repeat(np.arange(100), 2)
    label = np.where(subject < 8, 2, subject % 2).astype(float)
    logits = np.exp(3 * np.eye(3)[label.astype(int)] + rng.normal(size=(200, 3)))
    probabilities = logits / logits.sum(axis=1, keepdims=True)
    areas = macro_auroc(label, np.stack([probabilities**1.0001, probabilities], axis=-1), subject.astype(str))
    assert areas.n_positive_subjects == 8 and areas.n_negative_subjects == 54
    comparison = compare_auroc(areas, 0, 1, 0.2, 0.05, None)
    assert comparison.verdict == "inconclusive" and "8 subjects in the smaller class" in str(comparison.reason)


def test_degrees_and_guard_are_on_the_safe_side() -> None:
    areas = macro_auroc(*sample(np.random.default_rng(6), 60))
    contrast = areas.contrast(DIFFERENCE)
    parts = [one.contrast(DIFFERENCE) for one in areas.classes]
    assert contrast.degrees == min(part.degrees for part in parts)
    assert contrast.guarded_variance > contrast.variance
    assert contrast.variance_at(-0.05) > contrast.variance, "a larger loss sits in some subjects, and spreads"


def test_a_class_without_recordings() -> None:
    label, probabilities, subjects = sample(np.random.default_rng(7), 30)
    with pytest.raises(InputError, match="recordings of each"):
        macro_auroc(np.where(label == 3, 0.0, label), probabilities, subjects)
    without = (label != 3).astype(float)[None]
    assert np.isnan(weighted_macro_auroc(label, probabilities, without)).all()
