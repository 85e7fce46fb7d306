"""Linear probes: what they learn, what they must not see, and that they repeat exactly."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from acula_edge.errors import InputError
from acula_edge.probe.heads import STD_FLOOR, fit_head, fit_heads
from acula_edge.probe.statistics.roc import auroc
from acula_edge.probe.tasks import tasks
from acula_edge.quantize.heads import TaskHead, score


def apply_head(head: TaskHead, values: np.ndarray) -> np.ndarray:
    return score([head], values)[:, 0].astype(np.float64)


def test_heads_fold_standardization(study) -> None:
    """An affine change of the embedding's scale leaves every score as it was."""
    values = study.embeddings["float_student"].astype(np.float64)
    heads = study.heads["float_student"]
    moved = fit_heads(values * 7.0 + 3.0, study.recordings, study.tasks)
    for head, other in zip(heads, moved, strict=True):
        assert head.weight.shape == (12, 1) and head.bias.shape == (1,)
        expected = apply_head(head, values)
        assert apply_head(other, values * 7.0 + 3.0) == pytest.approx(expected, abs=1e-3, rel=1e-3)


def test_heads_repeat_and_answer(study) -> None:
    values = study.embeddings["float_student"]
    again = fit_heads(values, study.recordings, study.tasks)
    for head, other in zip(study.heads["float_student"], again, strict=True):
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
    for head, other in zip(study.heads["float_student"], fit_heads(values, study.recordings, study.tasks), strict=True):
        assert np.array_equal(head.weight, other.weight) and head.threshold == other.threshold


def test_threshold_falls_back_to_out_of_fold_scores(study) -> None:
    values = study.embeddings["float_student"].astype(np.float64)
    without_val = [replace(r, split="") if r.split == "val" else r for r in study.recordings]
    head = fit_head(values, without_val, tasks["P1"])
    assert head.threshold is not None and 0.2 < head.threshold < 0.8
    assert np.array_equal(head.weight, fit_head(values, study.recordings, tasks["P1"]).weight)


def test_scores_are_probabilities_at_even_odds(study) -> None:
    """Log loss chooses the strength: scores spread as far as the evidence goes, instead of crowding at one half."""
    head = study.heads["float_student"][0]
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
