"""Equal scores, three subjects, ties everywhere, classes that resamples lack: numbers or null, and nothing passes."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from acula_edge.probe.analysis import analyze
from acula_edge.probe.scores import TaskScores
from acula_edge.probe.statistics.across_tasks import mean_difference
from acula_edge.probe.statistics.bootstrap import subject_intervals
from acula_edge.probe.statistics.macro import weighted_macro_auroc
from acula_edge.probe.statistics.roc import weighted_auroc
from acula_edge.probe.tasks import tasks
from acula_edge.recipe import VerifyConfig

CONFIG = VerifyConfig(bootstrap=200)
KINDS = {"binary": "P1", "multiclass": "T11", "regression": "P4"}

Change = Callable[[np.ndarray], np.ndarray]


def item(kind: str, subjects: int, change: Change, per_subject: int = 2) -> TaskScores:
    """INT8 scores are the student's after `change`; classes take turns."""
    rng = np.random.default_rng(0)
    task = tasks[KINDS[kind]]
    subject = np.repeat(np.arange(subjects), per_subject)
    classes = max(len(task.labels), 1)
    target = (subject % classes).astype(float) if kind != "regression" else 20 + rng.normal(size=len(subject))
    student = target + 0.2 * rng.normal(size=len(subject))
    if kind == "binary":
        student = 1 / (1 + np.exp(0.5 - student))
    if kind == "multiclass":
        logits = np.exp(np.eye(classes)[target.astype(int)] + rng.normal(size=(len(subject), classes)))
        student = logits / logits.sum(axis=1, keepdims=True)
    return TaskScores(
        task=task,
        recordings=[str(row) for row in range(len(subject))],
        subjects=np.array([f"s{number:04d}" for number in subject]),
        targets=target,
        scores={"float_student": student, "int8": change(student)},
        thresholds=dict.fromkeys(("float_student", "int8"), 0.5 if kind == "binary" else None),
        uninformed=0.5,
        groups={"sex": ["Female"] * len(subject)},
    )


def is_plain(facts: dict[str, Any]) -> bool:
    """Whether JSON takes it without NaN."""
    return bool(json.dumps(facts, allow_nan=False, default=float))


@pytest.mark.parametrize("kind", KINDS)
def test_equal_scores_are_identical(kind: str) -> None:
    result = analyze(item(kind, 60, np.copy), CONFIG)
    comparison = result.facts["int8_vs_student"]
    assert comparison["verdict"] == "identical" and comparison["delta"] == 0 and comparison["ci95"] == [0, 0]
    assert result.facts["ece_change"] in (0, None) and result.facts["flips"] in (0, None)
    assert is_plain(result.facts)
    if kind != "regression":
        assert mean_difference({"a": result.differences["int8_vs_student"]}) == (0.0, (0.0, 0.0))


@pytest.mark.parametrize("kind", KINDS)
def test_as_few_subjects_as_there_are_classes_or_three(kind: str) -> None:
    count = 5 if kind == "multiclass" else 3
    result = analyze(item(kind, count, lambda scores: scores + 1e-3 * np.sin(50 * scores)), CONFIG)
    comparison = result.facts["int8_vs_student"]
    assert comparison["verdict"] == "inconclusive" and comparison["reason"]
    assert result.facts["subgroups"] == [] and result.facts["subgroups_too_small"][0]["n_subjects"] == count
    assert is_plain(result.facts)
    if kind == "multiclass":
        assert comparison["p_noninferiority"] is None and comparison["ci95"] is None


@pytest.mark.parametrize("kind", ["binary", "multiclass"])
def test_a_model_that_says_the_same_of_everyone(kind: str) -> None:
    """Ties everywhere: AUROC one half, and a difference to an informed student that is inferior."""
    result = analyze(item(kind, 100, lambda scores: np.full(scores.shape, 1 / max(scores[:1].size, 2))), CONFIG)
    row = result.facts["int8"]
    assert row["value"] == 0.5 and row["ci95"] == [0.5, 0.5] and row["per_subject"]["value"] == 0.5
    assert result.facts["int8_vs_student"]["verdict"] == "inferior"
    assert is_plain(result.facts)


@pytest.mark.parametrize("kind", ["binary", "multiclass"])
def test_two_models_that_say_the_same_of_everyone(kind: str) -> None:
    ties = item(kind, 100, np.copy)
    ties.scores["float_student"] = np.full_like(ties.scores["float_student"], 0.5)
    ties.scores["int8"] = np.full_like(ties.scores["int8"], 0.4)
    result = analyze(ties, CONFIG)
    comparison = result.facts["int8_vs_student"]
    assert comparison["delta"] == 0 and comparison["ci95"][0] < 0 < comparison["ci95"][1]
    assert comparison["ci95_bootstrap"] == [0, 0]
    assert is_plain(result.facts)


def test_resamples_that_lack_a_class_are_dropped() -> None:
    """One positive subject among five: a third of the resamples miss it, the interval rests on the others."""
    label = np.array([1.0, 0.0, 0.0, 0.0, 0.0])
    scores = np.array([0.5, 0.1, 0.9, 0.2, 0.6])[:, None]
    (interval,) = subject_intervals(lambda counts: weighted_auroc(label, scores, counts), label.astype(int), 500, 0)
    assert interval is not None and 0 <= interval[0] < 0.5 < interval[1] <= 1


def test_where_most_resamples_lack_a_class_there_is_no_interval() -> None:
    label = np.arange(5.0)
    scores = np.eye(5)[:, :, None] + 0.1
    strata = np.arange(5)
    (interval,) = subject_intervals(lambda counts: weighted_macro_auroc(label, scores, counts), strata, 500, 0)
    assert interval is None
