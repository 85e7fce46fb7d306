"""verify.json: its shape, its numbers, and its behavior on degenerate input."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from acula_edge.bundle.schema import Verify
from acula_edge.data.manifest import Recording
from acula_edge.errors import InputError
from acula_edge.probe.heads import fit_probes
from acula_edge.probe.scores import write_scores
from acula_edge.probe.statistics.roc import auroc
from acula_edge.probe.tasks import tasks
from acula_edge.probe.verify import score_tasks, verify_embeddings
from acula_edge.recipe import VerifyConfig

CONFIG = VerifyConfig(bootstrap=300)

NUMBER, NUMBER_OR_NULL, TEXT = (int, float), (int, float, type(None)), (str,)
INTERVAL = (list, type(None))
ROW = {"value": NUMBER, "ci95": INTERVAL}
AUROC_ROW = {
    **ROW,
    "per_subject": (dict,),
    "sensitivity_at_95_specificity": NUMBER,
    "threshold": NUMBER_OR_NULL,
    "sensitivity": NUMBER_OR_NULL,
    "specificity": NUMBER_OR_NULL,
    "ece": NUMBER,
}
COMPARISON = {
    "delta": NUMBER,
    "ci95": INTERVAL,
    "ci95_bootstrap": INTERVAL,
    "bound": NUMBER_OR_NULL,
    "p_noninferiority": NUMBER_OR_NULL,
    "p_inferiority": NUMBER_OR_NULL,
    "p_equivalence": NUMBER_OR_NULL,
    "margin": NUMBER,
    "verdict": TEXT,
    "reason": (str, type(None)),
}
TASK = {
    **dict.fromkeys(
        ("id", "name", "dataset", "set", "sound", "metric", "better", "kind", "unit", "target", "protocol", "note"),
        TEXT,
    ),
    "licence": TEXT,
    "access": TEXT,
    "assumed": (bool,),
    "labels": (list,),
    "n_test": (int,),
    "n_subjects": (int,),
    "undetectable_failure_share": NUMBER,
    "baseline": NUMBER,
    "flips": (int, type(None)),
    "flip_rate": NUMBER_OR_NULL,
    "ece_change": NUMBER_OR_NULL,
    "subgroups": (list,),
    "subgroups_too_small": (list,),
    "subgroup_comparisons": (int,),
    **dict.fromkeys(("float_teacher", "float_student", "int8"), (dict, type(None))),
    **dict.fromkeys(
        (
            "int8_vs_student",
            "int8_vs_teacher",
            "student_vs_teacher",
            "retrained_probe",
            "published_probe",
        ),
        (dict, type(None)),
    ),  # fmt: skip
}
COUNTS = dict.fromkeys(("n_positive", "n_negative", "n_positive_subjects", "n_negative_subjects"), (int,))
MANY_COUNTS = {"n_per_class": (dict,), "n_subjects_per_class": (dict,)}
MANY_ROW = {
    **ROW,
    "per_subject": (dict,),
    "per_class": (dict,),
    **dict.fromkeys(("sensitivity_at_95_specificity", "threshold", "sensitivity", "specificity"), (type(None),)),
    "ece": NUMBER,
}
ROWS = {"binary": AUROC_ROW, "multiclass": MANY_ROW, "regression": ROW}
COUNTS_OF = {"binary": COUNTS, "multiclass": MANY_COUNTS, "regression": {}}
SUBGROUP = {
    "column": TEXT,
    "group": TEXT,
    "n_test": (int,),
    "n_subjects": (int,),
    "float_student": NUMBER_OR_NULL,
    "int8": NUMBER_OR_NULL,
    "int8_vs_student": (dict, type(None)),
}
SUBGROUPS_TOO_SMALL = {"column": TEXT, "groups": (int,), "n_test": (int,), "n_subjects": (int,)}
VERDICTS = {"identical", "non-inferior", "inconclusive", "inferior"}


def assert_shape(value: dict[str, Any], shape: dict[str, tuple[type, ...]]) -> None:
    assert set(value) == set(shape)
    for key, kinds in shape.items():
        assert isinstance(value[key], kinds), f"{key}: {value[key]!r}"


def assert_schema(report: dict[str, Any]) -> None:
    assert set(report) == {"schema", "method", "tasks", "summary", "parity", "gate"}
    assert report["schema"] == Verify.SCHEMA
    assert json.loads(json.dumps(report, allow_nan=False)) == report
    for task in report["tasks"]:
        assert_shape(task, TASK | COUNTS_OF[task["kind"]])
        row_shape = ROWS[task["kind"]]
        for model in ("float_teacher", "float_student", "int8"):
            if task[model] is not None:
                assert_shape(task[model], row_shape)
        for pair in ("int8_vs_student", "int8_vs_teacher", "student_vs_teacher"):
            if task[pair] is not None:
                assert_shape(task[pair], COMPARISON)
                assert task[pair]["verdict"] in VERDICTS
        for group in task["subgroups"]:
            assert_shape(group, SUBGROUP)
        for groups in task["subgroups_too_small"]:
            assert_shape(groups, SUBGROUPS_TOO_SMALL)
        if task["retrained_probe"] is not None:
            assert_shape(
                task["retrained_probe"], {"float_student": (dict,), "int8": (dict,), "int8_vs_student": (dict,)}
            )
            assert_shape(task["retrained_probe"]["int8"], row_shape)
            assert_shape(task["retrained_probe"]["int8_vs_student"], COMPARISON)
    assert set(report["summary"]) == {
        "tasks_evaluated", "tasks_missing", "means", "means_by_set", "mean_delta", "mean_relative_mae_change",
        "verdicts_holm", "flips", "flip_rate",
    }  # fmt: skip
    assert set(report["gate"]) == {"passed", "criteria", "reasons", "decided_by"}


@pytest.fixture(scope="module")
def report(study) -> dict[str, Any]:
    return verify_embeddings(
        study.embeddings, study.probes, study.recordings, [*study.tasks, tasks["P3"], tasks["C1"]], CONFIG
    )


def test_schema(report: dict[str, Any]) -> None:
    assert_schema(report)


def by_person_and_label(study, name: str) -> float:
    (item,), _ = score_tasks(study.embeddings, study.probes, study.recordings, [tasks[name]])
    means: dict[tuple[str, float], list[float]] = {}
    for subject, target, value in zip(item.subjects, item.targets, item.scores["float_student"], strict=True):
        means.setdefault((subject, target), []).append(value)
    labels = np.array([target for _, target in means])
    area = auroc(labels, np.array([np.mean(values) for values in means.values()]))
    assert area is not None
    return area


def test_values_are_those_of_the_definition(report: dict[str, Any], study) -> None:
    (scores, *_), _ = score_tasks(study.embeddings, study.probes, study.recordings, [tasks["P1"]])
    murmur = report["tasks"][0]
    assert murmur["id"] == "P1" and murmur["set"] == "phantom" and murmur["n_subjects"] == 60
    assert murmur["n_positive"] + murmur["n_negative"] == murmur["n_test"] == len(scores.recordings)
    for model in ("float_teacher", "float_student", "int8"):
        row = murmur[model]
        assert row["value"] == pytest.approx(auroc(scores.targets, scores.scores[model]))
        assert row["ci95"][0] < row["value"] < row["ci95"][1]
        assert row["per_subject"]["ci95"][0] < row["per_subject"]["value"] < row["per_subject"]["ci95"][1]
    delta = murmur["int8"]["value"] - murmur["float_student"]["value"]
    assert murmur["int8_vs_student"]["delta"] == pytest.approx(delta)
    assert murmur["int8_vs_student"]["margin"] == 0.01 and murmur["int8_vs_teacher"]["margin"] == 0.02
    bootstrap, own = murmur["int8_vs_teacher"]["ci95_bootstrap"], murmur["int8_vs_teacher"]["ci95"]
    assert own[1] - own[0] == pytest.approx(bootstrap[1] - bootstrap[0], rel=0.4)
    lung = report["tasks"][1]
    assert lung["n_positive_subjects"] + lung["n_negative_subjects"] > lung["n_subjects"], "some are both"
    assert lung["float_student"]["per_subject"]["value"] == pytest.approx(by_person_and_label(study, "P2"))
    rate = report["tasks"][2]
    assert rate["metric"] == "mae" and rate["better"] == "lower"
    assert rate["float_student"]["value"] < 0.5 * rate["baseline"]
    assert rate["int8_vs_student"]["margin"] == pytest.approx(0.02 * rate["float_student"]["value"])


def test_summary(report: dict[str, Any]) -> None:
    summary = report["summary"]
    assert summary["tasks_evaluated"] == ["P1", "P2", "P4"]
    missing = {item["id"]: item["reason"] for item in summary["tasks_missing"]}
    assert missing.pop("C1").startswith("data not found: this run holds no recordings of circor")
    assert missing == {"P3": "0 subjects with cough in the train split, 4 needed"}
    ranked = report["tasks"][:2]
    for model, mean in summary["means"].items():
        assert mean == pytest.approx(np.mean([task[model]["value"] for task in ranked]))
    assert summary["means_by_set"]["real"] == {"float_teacher": None, "float_student": None, "int8": None, "tasks": 0}
    deltas = [task["int8_vs_student"]["delta"] for task in ranked]
    mean_delta = summary["mean_delta"]["int8_vs_student"]
    assert mean_delta["delta"] == pytest.approx(np.mean(deltas)) and mean_delta["tasks"] == 2
    assert mean_delta["ci95"][0] < mean_delta["delta"] < mean_delta["ci95"][1]
    flips = sum(task["flips"] for task in ranked)
    assert summary["flips"] == flips
    assert summary["flip_rate"] == pytest.approx(flips / sum(task["n_test"] for task in ranked))
    holm = summary["verdicts_holm"]["int8_vs_student"]
    assert set(holm) == {"P1", "P2", "P4"}
    assert all(holm[t["id"]]["p_adjusted"] >= t["int8_vs_student"]["p_noninferiority"] for t in report["tasks"])


def test_the_report_repeats(report: dict[str, Any], study) -> None:
    again = verify_embeddings(
        study.embeddings, study.probes, study.recordings, [*study.tasks, tasks["P3"], tasks["C1"]], CONFIG
    )
    assert again == report


def test_no_metadata_leaves(report: dict[str, Any], study) -> None:
    text = json.dumps(report)
    assert "phantom/test-0" not in text and "test-0-0" not in text


def test_identical_models(study) -> None:
    student = study.embeddings["float_student"]
    report = verify_embeddings(
        {"float_student": student, "int8": student.copy()},
        {"float_student": study.probes["float_student"], "int8": study.probes["float_student"]},
        study.recordings,
        study.tasks,
        CONFIG,
    )
    assert_schema(report)
    for task in report["tasks"]:
        comparison = task["int8_vs_student"]
        assert comparison["verdict"] == "identical" and comparison["delta"] == 0
        assert comparison["ci95"] == [0, 0] and comparison["p_noninferiority"] == 0
        assert task["float_teacher"] is None and task["int8_vs_teacher"] is None
        assert task["retrained_probe"]["int8_vs_student"]["verdict"] == "identical"
    summary = report["summary"]
    assert summary["mean_delta"]["int8_vs_student"] == {"delta": 0, "ci95": [0, 0], "tasks": 2, "left_out": []}
    assert summary["means"]["float_teacher"] is None and summary["flip_rate"] == 0
    assert summary["verdicts_holm"]["int8_vs_student"]["P1"] == {"p_adjusted": 0, "verdict": "identical"}
    assert report["parity"]["int8_vs_student"]["cosine_mean"] == 1
    assert report["parity"]["int8_vs_student"]["sqnr_db"] is None
    assert report["gate"]["passed"]


def test_a_broken_int8_model_is_inferior_and_refused(study) -> None:
    broken = study.embeddings["int8"].copy()
    broken[:] = np.random.default_rng(0).permutation(broken)
    probes = {**study.probes, "int8": fit_probes(broken, study.recordings, study.tasks)}
    report = verify_embeddings({**study.embeddings, "int8": broken}, probes, study.recordings, study.tasks, CONFIG)
    assert_schema(report)
    assert {task["int8_vs_student"]["verdict"] for task in report["tasks"]} == {"inferior"}
    assert not report["gate"]["passed"]
    assert report["summary"]["flip_rate"] > 0.1


@pytest.mark.parametrize("subjects", [2, 3, 4])
def test_a_handful_of_test_subjects(study, subjects: int) -> None:
    """Every number exists or is null, nothing passes."""
    keep = [
        row
        for row, recording in enumerate(study.recordings)
        if recording.split != "test" or int(recording.recording.split("-")[1]) < subjects
    ]
    recordings = [study.recordings[row] for row in keep]
    embeddings = {model: values[keep] for model, values in study.embeddings.items()}
    report = verify_embeddings(embeddings, study.probes, recordings, study.tasks, CONFIG)
    assert_schema(report)
    assert "P1" in report["summary"]["tasks_evaluated"]
    for task in report["tasks"]:
        assert task["int8_vs_student"]["verdict"] in {"inconclusive", "identical"}
        assert task["int8_vs_student"]["verdict"] == "identical" or task["int8_vs_student"]["reason"]


def test_more_than_two_classes_with_subgroups() -> None:
    """From embeddings and metadata to values per class, flips of the most probable class, and groups."""
    recordings = [
        Recording(
            f"{split}-{patient}-{take}", "", f"{split}-{patient}", "respiratory_tr", 4000, 8.0, "", split, "",
            {"severity": f"COPD{patient % 5}", "sex": "Male" if patient % 3 else "Female", "channel": take},
        )
        for split in ("train", "test") for patient in range(60) for take in range(2)
    ]  # fmt: skip
    rng = np.random.default_rng(0)
    grades = np.array([int(str(recording.metadata["severity"])[-1]) for recording in recordings])
    student = rng.normal(size=(len(recordings), 12)) + 2.0 * np.eye(12)[grades]
    embeddings = {"float_student": student, "int8": student + 0.05 * rng.normal(size=student.shape)}
    probes = {model: fit_probes(values, recordings, [tasks["T11"]]) for model, values in embeddings.items()}
    config = replace(CONFIG, min_subgroup_subjects=8)
    report = verify_embeddings(embeddings, probes, recordings, [tasks["T11"]], config)
    assert_schema(report)
    (task,) = report["tasks"]
    assert task["n_per_class"] == {f"COPD{grade}": 24 for grade in range(5)}
    assert task["n_subjects_per_class"] == {f"COPD{grade}": 12 for grade in range(5)}
    for model in ("float_student", "int8"):
        assert task[model]["value"] == pytest.approx(np.mean(list(task[model]["per_class"].values())))
        assert set(task[model]["per_class"]) == set(task["labels"])
    (item,), _ = score_tasks(embeddings, probes, recordings, [tasks["T11"]])
    chosen = {model: item.scores[model].argmax(axis=1) for model in embeddings}
    assert task["flips"] == report["summary"]["flips"] == (chosen["int8"] != chosen["float_student"]).sum()
    assert task["ece_change"] == pytest.approx(task["int8"]["ece"] - task["float_student"]["ece"])
    assert [(row["column"], row["group"]) for row in task["subgroups"]] == [
        ("channel", "0"), ("channel", "1"), ("sex", "Male"),
    ]  # fmt: skip
    assert task["subgroups_too_small"] == [{"column": "sex", "groups": 1, "n_test": 40, "n_subjects": 20}]
    mean = report["summary"]["mean_delta"]["int8_vs_student"]
    assert mean["tasks"] == 1 and mean["delta"] == pytest.approx(task["int8_vs_student"]["delta"])
    assert mean["ci95"][0] < mean["delta"] < mean["ci95"][1]


def test_only_a_float_student(study) -> None:
    report = verify_embeddings(
        {"float_student": study.embeddings["float_student"]},
        {"float_student": study.probes["float_student"]},
        study.recordings,
        study.tasks,
        CONFIG,
    )
    assert_schema(report)
    assert report["summary"]["mean_delta"]["int8_vs_student"] == {
        "delta": None,
        "ci95": None,
        "tasks": 0,
        "left_out": [],
    }
    assert report["parity"] == {} and not report["gate"]["passed"]


def test_nothing_to_evaluate(study) -> None:
    report = verify_embeddings(study.embeddings, study.probes, study.recordings, [tasks["C1"]], CONFIG)
    assert_schema(report)
    assert report["tasks"] == [] and report["gate"]["reasons"] == [
        "no task compares the INT8 model with its float student"
    ]


def test_a_task_may_have_its_own_margin(study) -> None:
    task = replace(tasks["P1"], margin=0.3)
    report = verify_embeddings(study.embeddings, study.probes, study.recordings, [task], CONFIG)
    assert report["tasks"][0]["int8_vs_student"]["margin"] == 0.3
    assert report["tasks"][0]["int8_vs_student"]["verdict"] == "non-inferior"


def test_given_parity_is_kept(study) -> None:
    parity = {"onnx_vs_torch": {"max_abs_error": 1e-6}, "int8_vs_student": {"cosine_mean": 0.5}}
    report = verify_embeddings(study.embeddings, study.probes, study.recordings, study.tasks, CONFIG, parity)
    assert report["parity"] == parity and "min_cosine" in report["gate"]["decided_by"]


def test_wrong_input_is_named(study) -> None:
    with pytest.raises(InputError, match="unknown model"):
        verify_embeddings({"int4": study.embeddings["int8"]}, {}, study.recordings, study.tasks, CONFIG)
    with pytest.raises(InputError, match="one embedding per recording"):
        verify_embeddings({"int8": study.embeddings["int8"][1:]}, {}, study.recordings, study.tasks, CONFIG)


def test_scores_on_disk(study, tmp_path: Path) -> None:
    scores, _ = score_tasks(study.embeddings, study.probes, study.recordings, study.tasks)
    write_scores(tmp_path / "verify_scores.npz", scores)
    write_scores(tmp_path / "again.npz", scores)
    assert (tmp_path / "verify_scores.npz").read_bytes() == (tmp_path / "again.npz").read_bytes()
    with np.load(tmp_path / "verify_scores.npz") as saved:
        models = ("float_teacher", "float_student", "int8", "int8_retrained")
        assert set(saved) == {f"{t}/{name}" for t in ("P1", "P2", "P4") for name in ("recordings", *models)}
        assert saved["P1/recordings"][0].startswith("phantom/test-")
        assert np.array_equal(saved["P1/int8"], scores[0].scores["int8"])
