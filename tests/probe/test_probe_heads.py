"""Linear probes: what they learn, what they must not see, and that they repeat exactly."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.metrics import log_loss
from sklearn.model_selection import GroupKFold, StratifiedGroupKFold

from acula_edge.data.manifest import Recording
from acula_edge.errors import InputError
from acula_edge.probe.converged import LOGISTIC_C, RIDGE_ALPHA, TOLERANCE
from acula_edge.probe.heads import STD_FLOOR, fit_cross, fit_head, fit_heads, fit_probes
from acula_edge.probe.scores import score_task
from acula_edge.probe.statistics.roc import auroc
from acula_edge.probe.tasks import number, tasks
from acula_edge.quantize.heads import TaskHead, score


def apply_head(head: TaskHead, values: np.ndarray) -> np.ndarray:
    return score([head], values)[:, 0].astype(np.float64)


def test_heads_fold_standardization(study) -> None:
    """An affine change of the embedding's scale leaves every score as it was."""
    values = study.embeddings["float_student"].astype(np.float64)
    heads = study.probes["float_student"].heads
    moved = fit_heads(values * 7.0 + 3.0, study.recordings, study.tasks)
    for head, other in zip(heads, moved, strict=True):
        assert head.weight.shape == (12, 1) and head.bias.shape == (1,)
        expected = apply_head(head, values)
        assert apply_head(other, values * 7.0 + 3.0) == pytest.approx(expected, abs=1e-3, rel=1e-3)


def test_heads_repeat_and_answer(study) -> None:
    values = study.embeddings["float_student"]
    again = fit_heads(values, study.recordings, study.tasks)
    for head, other in zip(study.probes["float_student"].heads, again, strict=True):
        assert np.array_equal(head.weight, other.weight) and head.threshold == other.threshold
    murmur, lung, rate = again
    positions, targets = tasks["P1"].values(study.recordings, "test")
    assert (auroc(np.array(targets), apply_head(murmur, values[positions])) or 0) > 0.7
    assert murmur.kind == "binary" and 0 < murmur.threshold < 1 and murmur.labels == ["murmur absent", "murmur present"]
    positions, targets = tasks["P4"].values(study.recordings, "test")
    errors = np.abs(apply_head(rate, values[positions]) - targets)
    assert errors.mean() < 0.5 * np.abs(np.array(targets) - np.median(targets)).mean()
    assert rate.threshold is None and rate.unit == "breaths/min"
    scores = apply_head(lung, values)
    assert scores.min() >= 0 and scores.max() <= 1


def test_test_subjects_never_enter(study) -> None:
    values = study.embeddings["float_student"].copy()
    held_out = [row for row, recording in enumerate(study.recordings) if recording.split == "test"]
    values[held_out] = 1e3
    for head, other in zip(
        study.probes["float_student"].heads, fit_heads(values, study.recordings, study.tasks), strict=True
    ):
        assert np.array_equal(head.weight, other.weight) and head.threshold == other.threshold


def test_threshold_falls_back_to_out_of_fold_scores(study) -> None:
    values = study.embeddings["float_student"].astype(np.float64)
    without_val = [replace(r, split="") if r.split == "val" else r for r in study.recordings]
    head = fit_head(values, without_val, tasks["P1"])
    assert head.threshold is not None and 0.2 < head.threshold < 0.8
    assert np.array_equal(head.weight, fit_head(values, study.recordings, tasks["P1"]).weight)


def test_scores_are_probabilities_at_even_odds(study) -> None:
    """Log loss chooses the strength: scores spread as far as the evidence goes, instead of crowding at one half."""
    head = study.probes["float_student"].heads[0]
    positions, targets = tasks["P1"].values(study.recordings, "test")
    scores = apply_head(head, study.embeddings["float_student"][positions])
    loss = [-np.log(scores if label else 1 - scores)[np.array(targets) == label].mean() for label in (0, 1)]
    assert np.mean(loss) < 0.62 and scores.std() > 0.15


def test_noise_gets_strong_regularization(study) -> None:
    """Many useless dimensions must not separate training subjects perfectly and unseen ones by chance."""
    noise = np.random.default_rng(0).normal(size=(len(study.recordings), 200))
    head = fit_head(noise, study.recordings, tasks["P1"])
    positions, _ = tasks["P1"].values(study.recordings, "train")
    assert apply_head(head, noise[positions]).std() < 0.1


def test_a_nearly_constant_dimension_is_not_blown_up(study) -> None:
    """Rounding noise of 1e-5 in a dead dimension must not move a score."""
    values = study.embeddings["float_student"].astype(np.float64)
    dead = 1e-5 * np.random.default_rng(0).normal(size=(len(values), 1))
    head = fit_head(np.hstack([values, dead]), study.recordings, tasks["P1"])
    scale = np.sqrt(np.mean(values.std(axis=0) ** 2))
    assert abs(head.weight[-1, 0]) * 1e-5 < 1e-3 / (STD_FLOOR * scale)
    constant = fit_head(np.zeros((len(values), 3)), study.recordings, tasks["P1"])
    assert np.isfinite(constant.weight).all() and not constant.weight.any()


def test_tasks_without_enough_subjects_are_left_out(study) -> None:
    few = [r for r in study.recordings if r.split != "train" or r.recording.split("-")[1] in {"0", "1", "2", "3"}]
    values = np.zeros((len(few), 4))
    assert [head.task_id for head in fit_heads(values, few, [tasks["P1"], tasks["P3"]])] == []


@pytest.mark.parametrize("values", [np.zeros((3, 2)), None])
def test_bad_embeddings_are_refused(study, values: np.ndarray | None) -> None:
    if values is None:
        values = np.full((len(study.recordings), 2), np.nan)
    with pytest.raises(InputError):
        fit_heads(values, study.recordings, study.tasks)


PATIENTS = {"COPD0": 4, "COPD1": 3, "COPD2": 5, "COPD3": 4, "COPD4": 10}


def graded(patients: dict[str, int], dimensions: int = 30) -> tuple[list[Recording], np.ndarray, np.ndarray]:
    """Patients by grade with four channels each, in train and in test; grades are told apart by five dimensions."""
    rng = np.random.default_rng(0)
    recordings = [
        Recording(f"{patient}-{take}", "", patient, "respiratory_tr", 4000, 8.0, "", split, "", {"severity": severity})
        for split in ("train", "test")
        for severity, count in patients.items()
        for patient in [f"{split}-{severity}-{n}" for n in range(count)]
        for take in range(4)
    ]
    grades = np.array([int(recording.metadata["severity"][-1]) for recording in recordings])
    values = rng.normal(size=(len(recordings), dimensions))
    values[np.arange(len(grades)), grades] += 2.0
    return recordings, values, grades


@pytest.mark.parametrize("dimensions", [30, 200])
def test_many_classes(dimensions: int) -> None:
    recordings, values, grades = graded(PATIENTS, dimensions)
    (head,) = fit_heads(values, recordings, [tasks["T11"]])
    assert head.kind == "multiclass" and head.weight.shape == (dimensions, 5) and head.threshold is None
    probes = {"float_student": fit_probes(values, recordings, [tasks["T11"]])}
    item = score_task(tasks["T11"], {"float_student": values}, probes, recordings)
    probabilities = item.scores["float_student"]
    test = np.array([recording.split == "test" for recording in recordings])
    assert probabilities.shape == (test.sum(), 5) and probabilities.sum(axis=1) == pytest.approx(1.0, abs=1e-6)
    assert np.array_equal(item.targets, grades[test]) and item.uninformed == 0.5
    areas = [auroc((item.targets == grade).astype(float), probabilities[:, grade]) for grade in range(5)]
    assert min(area or 0 for area in areas) > (0.85 if dimensions == 30 else 0.7)


def test_many_classes_choose_their_strength_by_balanced_log_loss() -> None:
    """Against plain refits: the strongest penalty whose out-of-fold loss is near the least."""
    recordings, values, grades = graded(PATIENTS)
    train = np.array([recording.split == "train" for recording in recordings])
    x, y = values[train], grades[train]
    x = (x - x.mean(axis=0)) / x.std(axis=0)
    subjects = [recording.subject for recording in recordings if recording.split == "train"]
    folds = list(StratifiedGroupKFold(3, shuffle=True, random_state=7).split(x, y, subjects))
    losses = []
    for strength in LOGISTIC_C:
        model = LogisticRegression(C=strength, class_weight="balanced", max_iter=2000)
        out = np.zeros((len(y), 5))
        for fit, held_out in folds:
            out[held_out] = model.fit(x[fit], y[fit]).predict_proba(x[held_out])
        losses.append(log_loss(y, out, sample_weight=1 / np.bincount(y)[y]))
    chosen = next(c for c, loss in zip(LOGISTIC_C, losses, strict=True) if loss <= min(losses) * (1 + TOLERANCE))
    model = LogisticRegression(C=chosen, class_weight="balanced", max_iter=2000).fit(x, y)
    head = fit_head(values, recordings, tasks["T11"], seed=7)
    assert score([head], values[train]) == pytest.approx(model.predict_proba(x), abs=2e-3)


def lungs(subjects: int, takes: int, dimensions: int) -> tuple[list[Recording], np.ndarray, np.ndarray]:
    rng = np.random.default_rng(3)
    recordings = [
        Recording(f"{n}-{take}", "", f"mmlung/{n}", "mmlung", 16000, 5.0, split="test", metadata={"y": float(fvc)})
        for n, fvc in enumerate(3.5 + rng.normal(size=subjects))
        for take in range(takes + n % 2)
    ]
    target = np.array([recording.metadata["y"] for recording in recordings])
    values = rng.normal(size=(len(recordings), dimensions))
    values[:, :3] += 2 * target[:, None]
    return recordings, values, target


def refit(x: np.ndarray, y: np.ndarray, subjects: np.ndarray) -> tuple[np.ndarray, float]:
    """Ridge regression written plainly: weights and bias on the embedding itself."""
    mean, std = x.mean(axis=0), x.std(axis=0)
    z = (x - mean) / std
    errors = []
    for strength in RIDGE_ALPHA:
        predicted = np.empty(len(y))
        for fit, held_out in GroupKFold(5).split(z, y, subjects):
            predicted[held_out] = Ridge(alpha=strength).fit(z[fit], y[fit]).predict(z[held_out])
        errors.append(np.abs(predicted - y).mean())
    chosen = next(a for a, error in zip(RIDGE_ALPHA, errors, strict=True) if error <= min(errors) * (1 + TOLERANCE))
    model = Ridge(alpha=chosen).fit(z, y)
    return model.coef_ / std, model.intercept_ - mean @ (model.coef_ / std)


@pytest.mark.parametrize(("takes", "dimensions"), [(1, 60), (5, 20)])
def test_leaving_one_out_fits_every_head_on_the_others(takes: int, dimensions: int) -> None:
    recordings, values, target = lungs(12, takes, dimensions)
    task = replace(tasks["T13"], target=number("y"))
    subjects = np.array([recording.subject for recording in recordings])
    cross = fit_cross(values, recordings, task)
    assert list(cross.heads) == [f"mmlung/{n}" for n in range(12)]
    for subject, head in cross.heads.items():
        others = subjects != subject
        weight, bias = refit(values[others], target[others], subjects[others])
        assert head.weight[:, 0] == pytest.approx(weight, abs=1e-5) and head.bias[0] == pytest.approx(bias, abs=1e-4)
    (shipped,) = fit_heads(values, recordings, [task])
    weight, bias = refit(values, target, subjects)
    assert shipped.weight[:, 0] == pytest.approx(weight, abs=1e-5) and shipped.bias[0] == pytest.approx(bias, abs=1e-4)


def test_a_left_out_subject_is_read_by_the_head_that_has_not_seen_it() -> None:
    recordings, values, target = lungs(10, 2, 8)
    task = replace(tasks["T13"], target=number("y"))
    noisy = values + 0.1 * np.random.default_rng(0).normal(size=values.shape)
    embeddings = {"float_student": values, "int8": noisy}
    probes = {name: fit_probes(rows, recordings, [task, tasks["T14"]]) for name, rows in embeddings.items()}
    assert [head.task_id for head in probes["int8"].heads] == ["T13"] == list(probes["int8"].cross)
    item = score_task(task, embeddings, probes, recordings)
    assert set(item.scores) == {"float_student", "int8", "int8_retrained"} == set(item.thresholds)
    readers = {
        "float_student": (values, "float_student"),
        "int8": (noisy, "float_student"),
        "int8_retrained": (noisy, "int8"),
    }
    for row, recording in enumerate(recordings):
        for name, (heard, reader) in readers.items():
            head = probes[reader].cross["T13"].heads[recording.subject]
            assert item.scores[name][row] == pytest.approx(apply_head(head, heard[row : row + 1])[0], abs=1e-6)
    others = [np.median(target[[r.subject != recording.subject for r in recordings]]) for recording in recordings]
    assert item.uninformed == pytest.approx(np.array(others)) and len(set(others)) > 1

    moved = values.copy()
    moved[[recording.subject == "mmlung/3" for recording in recordings]] += 100.0
    again = fit_cross(moved, recordings, task).heads
    for subject, head in probes["float_student"].cross["T13"].heads.items():
        assert np.array_equal(head.weight, again[subject].weight) == (subject == "mmlung/3")
