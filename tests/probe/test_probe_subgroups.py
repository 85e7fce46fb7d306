"""Groups of persons, devices and sites; which are shown and which only counted."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from acula_edge.probe.analysis import analyze
from acula_edge.probe.groupings import age_band, groupings
from acula_edge.probe.scores import TaskScores, score_task
from acula_edge.probe.statistics.roc import auroc
from acula_edge.probe.tasks import tasks
from acula_edge.recipe import VerifyConfig

CONFIG = VerifyConfig(bootstrap=100)


@pytest.mark.parametrize(
    ("age", "band"),
    [
        (0, "child"), (17.9, "child"), (18, "adult"), (64, "adult"), (65, "elderly"), ("10 months", "child"),
        ("1 year", "child"), ("70 years", "elderly"), ("Adolescent", "Adolescent"), ("20-29", "20-29"),
        (None, None), ("", None), (float("nan"), None), (-1, None), (True, None),
    ],
)  # fmt: skip
def test_age_bands(age: Any, band: str | None) -> None:
    assert age_band(age) == band


def test_groupings_of_metadata() -> None:
    facts = [{"sex": "Female", "age": 70, "location": "AV"}, {"sex": None, "location": "MV", "note": "x"}, {}]
    assert groupings(facts) == {
        "sex": ["Female", None, None],
        "location": ["AV", "MV", None],
        "age_band": ["elderly", None, None],
    }
    assert groupings([{"channel": 3, "device": 2.0}]) == {"channel": ["3"], "device": ["2"]}


def scores(subjects: int = 144, kind: str = "P1", seed: int = 0) -> TaskScores:
    """Two recordings per subject; every third is positive, every fourth male, one of a third sex."""
    rng = np.random.default_rng(seed)
    subject = np.repeat(np.arange(subjects), 2)
    label = (subject % 3 == 0).astype(float)
    student = 1 / (1 + np.exp(-2 * (label - 0.5) - rng.normal(size=len(subject))))
    task = tasks[kind]
    if task.kind == "multiclass":
        label = (subject % len(task.labels)).astype(float)
        logits = np.exp(1.5 * np.eye(len(task.labels))[label.astype(int)] + rng.normal(size=(len(subject), 5)))
        student = logits / logits.sum(axis=1, keepdims=True)
    if task.kind == "regression":
        label = 20 + 5 * rng.normal(size=len(subject))
        student = label + rng.normal(size=len(subject))
    int8 = student + 0.002 * rng.normal(size=student.shape)
    sexes: list[str | None] = ["Male" if number % 4 == 0 else "Female" for number in subject]
    sexes[0:2] = ["Intersex", "Intersex"]
    sexes[2:4] = [None, None]
    return TaskScores(
        task=task,
        recordings=[f"r{row}" for row in range(len(subject))],
        subjects=subject.astype(str),
        targets=label,
        scores={"float_student": student, "int8": int8},
        thresholds=dict.fromkeys(("float_student", "int8"), 0.5 if task.kind == "binary" else None),
        uninformed=0.5,
        groups={"sex": sexes, "site": ["left", "right"] * subjects},
    )


def test_values_are_those_of_the_members() -> None:
    item = scores()
    facts = analyze(item, CONFIG).facts
    rows = {(row["column"], row["group"]): row for row in facts["subgroups"]}
    assert set(rows) == {("sex", "Female"), ("sex", "Male"), ("site", "left"), ("site", "right")}
    members = np.array([sex == "Female" for sex in item.groups["sex"]])
    female = rows["sex", "Female"]
    assert female["n_test"] == members.sum() and female["n_subjects"] == members.sum() / 2
    for model in ("float_student", "int8"):
        assert female[model] == pytest.approx(auroc(item.targets[members], item.scores[model][members]))
    delta, interval = female["int8_vs_student"]["delta"], female["int8_vs_student"]["ci95"]
    assert delta == pytest.approx(female["int8"] - female["float_student"])
    assert set(female["int8_vs_student"]) == {"delta", "ci95"} and interval[0] < delta < interval[1]
    assert rows["site", "left"]["n_subjects"] == 144, "a subject may be in several groups of a column"
    assert facts["subgroup_comparisons"] == 4


def test_small_groups_are_counted_and_not_named() -> None:
    facts = analyze(scores(), CONFIG).facts
    assert facts["subgroups_too_small"] == [{"column": "sex", "groups": 1, "n_test": 2, "n_subjects": 1}]
    assert "Intersex" not in json.dumps(facts)
    larger = analyze(scores(), replace(CONFIG, min_subgroup_subjects=25)).facts
    assert {(row["column"], row["group"]) for row in larger["subgroups"]} == {
        ("sex", "Female"), ("site", "left"), ("site", "right"),
    }  # fmt: skip
    assert larger["subgroups_too_small"] == [{"column": "sex", "groups": 2, "n_test": 72, "n_subjects": 36}]


def test_a_group_with_one_class_is_too_small() -> None:
    item = scores()
    item.groups["device"] = ["A" if label else "B" for label in item.targets]
    facts = analyze(item, CONFIG).facts
    assert not [row for row in facts["subgroups"] if row["column"] == "device"]
    assert {"column": "device", "groups": 2, "n_test": 288, "n_subjects": 144} in facts["subgroups_too_small"]


@pytest.mark.parametrize("kind", ["P4", "T11"])
def test_numbers_and_more_than_two_classes(kind: str) -> None:
    facts = analyze(scores(200, kind), CONFIG).facts
    assert {(row["column"], row["group"]) for row in facts["subgroups"]} >= {("site", "left"), ("sex", "Female")}
    for row in facts["subgroups"]:
        assert row["int8_vs_student"]["delta"] == pytest.approx(row["int8"] - row["float_student"])


def test_equal_scores_and_an_absent_model() -> None:
    item = scores()
    same = analyze(replace(item, scores=dict.fromkeys(item.scores, item.scores["int8"])), CONFIG).facts
    assert all(row["int8_vs_student"] == {"delta": 0.0, "ci95": [0.0, 0.0]} for row in same["subgroups"])
    alone = analyze(replace(item, scores={"float_student": item.scores["float_student"]}), CONFIG).facts
    assert alone["subgroups"] and alone["subgroup_comparisons"] == 0
    assert all(row["int8"] is None and row["int8_vs_student"] is None for row in alone["subgroups"])


def test_groups_come_from_the_metadata(study) -> None:
    recordings = [
        replace(recording, metadata={**recording.metadata, "sex": "Male", "age": 30}) for recording in study.recordings
    ]
    item = score_task(tasks["P1"], study.embeddings, study.probes, recordings)
    assert item.groups == {
        "sex": ["Male"] * len(item.recordings),
        "age_band": ["adult"] * len(item.recordings),
    }
