"""A ``verify.json`` with made-up figures of a likely size."""

from __future__ import annotations

from typing import Any

Json = dict[str, Any]


def _row(value: float, half: float) -> Json:
    return {
        "value": value,
        "ci95": [value - half, value + half * 0.8],
        "per_subject": {"value": value + 0.03, "ci95": [value - half, value + half]},
        "sensitivity_at_95_specificity": 0.46,
        "threshold": 0.31,
        "sensitivity": 0.74,
        "specificity": 0.81,
        "ece": 0.061,
    }


def _comparison(delta: float, half: float, margin: float, verdict: str, reason: str | None = None) -> Json:
    return {
        "delta": delta,
        "ci95": [delta - half, delta + half],
        "ci95_bootstrap": [delta - half, delta + half],
        "bound": delta - half * 0.84,
        "p_noninferiority": 0.0004 if verdict == "non-inferior" else 0.21,
        "p_inferiority": 0.9,
        "p_equivalence": None,
        "margin": margin,
        "verdict": verdict,
        "reason": reason,
    }


def _group(column: str, group: str, n_test: int, n_subjects: int, value: float, delta: float, half: float) -> Json:
    return {
        "column": column,
        "group": group,
        "n_test": n_test,
        "n_subjects": n_subjects,
        "float_student": value,
        "int8": value + delta,
        "int8_vs_student": {"delta": delta, "ci95": [delta - half, delta + half]},
    }


def binary_task(
    name: str, title: str, dataset: str, value: float, half: float, delta: float, spread: float, verdict: str
) -> Json:
    """One AUROC task of ``verify.json``."""
    reason = "the interval reaches beyond the margin" if verdict == "inconclusive" else None
    return {
        "id": name,
        "name": title,
        "dataset": dataset,
        "set": "phantom" if dataset == "phantom" else "real",
        "sound": "heart",
        "metric": "auroc",
        "better": "higher",
        "kind": "binary",
        "labels": ["absent", "present"],
        "unit": "",
        "target": "present = 1, absent = 0, unknown dropped",
        "protocol": "linear probe on the mean embedding of a recording's windows; held-out subjects",
        "assumed": name == "C1",
        "note": "the paper's cardiac tasks are not readable" if name == "C1" else "",
        "licence": "ODC-By 1.0",
        "access": "open",
        "n_test": 604,
        "n_subjects": 188 if half < 0.1 else 22,
        "n_positive": 118,
        "n_negative": 486,
        "n_positive_subjects": 36 if half < 0.1 else 9,
        "n_negative_subjects": 152 if half < 0.1 else 13,
        "baseline": 0.5,
        "float_teacher": _row(value + 0.012, half),
        "float_student": _row(value, half),
        "int8": _row(value + delta, half),
        "int8_vs_student": _comparison(delta, spread, 0.01, verdict, reason),
        "int8_vs_teacher": _comparison(
            delta - 0.012, spread * 2, 0.02, "inconclusive", "the interval reaches beyond the margin"
        ),
        "student_vs_teacher": _comparison(
            -0.012, spread * 2, 0.02, "inconclusive", "the interval reaches beyond the margin"
        ),
        "retrained_probe": {
            "float_student": _row(value, half),
            "int8": _row(value + delta / 2, half),
            "int8_vs_student": _comparison(delta / 2, spread, 0.01, verdict),
        },
        "flips": 7,
        "flip_rate": 7 / 604,
        "ece_change": 0.0,
        "subgroups": [
            _group("sex", "Female", 320, 101, value - 0.01, delta * 2, spread * 1.5),
            _group("sex", "Male", 284, 87, value + 0.01, delta / 2, spread * 1.5),
            _group("device", "Littmann 3200", 604, 188, value, delta, spread),
        ],
        "subgroups_too_small": [{"column": "age_band", "groups": 2, "n_test": 9, "n_subjects": 4}],
        "subgroup_comparisons": 3,
    }


def regression_task() -> Json:
    """One MAE task."""
    task = binary_task("P4", "Respiratory rate (phantom)", "phantom", 0.8, 0.02, 0.0, 0.01, "inconclusive")
    for key in ("n_positive", "n_negative", "n_positive_subjects", "n_negative_subjects"):
        del task[key]
    task |= {
        "metric": "mae",
        "better": "lower",
        "kind": "regression",
        "labels": [],
        "unit": "breaths/min",
        "baseline": 4.1,
    }
    for model, value in (("float_teacher", 1.81), ("float_student", 1.93), ("int8", 1.942)):
        task[model] = {"value": value, "ci95": [value - 0.3, value + 0.33]}
    task["int8_vs_student"] = _comparison(0.012, 0.03, 0.0386, "non-inferior") | {"p_equivalence": 0.01}
    task["int8_vs_teacher"] = _comparison(0.132, 0.2, 0.0362, "inconclusive", "the interval reaches beyond the margin")
    task["student_vs_teacher"] = _comparison(
        0.12, 0.2, 0.0362, "inconclusive", "the interval reaches beyond the margin"
    )
    task["retrained_probe"] = {
        "float_student": task["float_student"],
        "int8": task["int8"],
        "int8_vs_student": _comparison(0.004, 0.03, 0.0386, "non-inferior"),
    }
    task |= {"flips": None, "flip_rate": None, "ece_change": None}
    task["subgroups"] = [_group("site", "chest", 300, 40, 1.871, 0.02, 0.05)]
    return task


def verify_of_run(phantom: bool, passed: bool) -> Json:
    """A whole ``verify.json``."""
    if phantom:
        tasks = [
            binary_task("P1", "Murmur (phantom)", "phantom", 0.941, 0.03, -0.0006, 0.0021, "non-inferior"),
            binary_task("P2", "Wheeze or crackle (phantom)", "phantom", 0.912, 0.05, 0.0, 0.0, "identical"),
            binary_task("P3", "Cough (phantom)", "phantom", 0.873, 0.06, -0.031, 0.012, "inferior"),
            regression_task(),
        ]
        missing = [{"id": "C1", "reason": "no recordings of the data set circor"}]
    else:
        tasks = [
            binary_task("C1", "Heart murmur (CirCor)", "circor", 0.842, 0.036, -0.0012, 0.0035, "non-inferior"),
            binary_task("T10", "Obstructive disease (KAUH, clean)", "kauh", 0.791, 0.12, 0.0041, 0.019, "inconclusive"),
        ]
        missing = []
    ranked = [task for task in tasks if task["metric"] == "auroc"]
    means = {
        model: sum(task[model]["value"] for task in ranked) / len(ranked)
        for model in ("float_teacher", "float_student", "int8")
    }
    deltas = {}
    for pair in ("int8_vs_student", "int8_vs_teacher", "student_vs_teacher"):
        delta = sum(task[pair]["delta"] for task in ranked) / len(ranked)
        deltas[pair] = {"delta": delta, "ci95": [delta - 0.006, delta + 0.006], "tasks": len(ranked)}
    return {
        "schema": "acula-edge/verify/1",
        "method": {
            "unit": "subject",
            "bootstrap": 2000,
            "alpha_one_sided": 0.05,
            "margin_auroc_student": 0.01,
            "min_subgroup_subjects": 10,
        },
        "tasks": tasks,
        "summary": {
            "tasks_evaluated": [task["id"] for task in tasks],
            "tasks_missing": missing,
            "means": means,
            "means_by_set": {"real": {**means, "tasks": len(ranked)}, "phantom": {**means, "tasks": 0}},
            "mean_delta": deltas,
            "mean_relative_mae_change": {"int8_vs_student": 0.006 if phantom else None},
            "verdicts_holm": {
                "int8_vs_student": {task["id"]: {"p_adjusted": 0.01, "verdict": "inconclusive"} for task in tasks[-1:]}
            },
            "flips": 14,
            "flip_rate": 0.01,
        },
        "parity": {
            "int8_vs_student": {"cosine_mean": 0.99741, "cosine_min": 0.9812, "sqnr_db": 22.4, "max_abs_error": 0.0921},
            "onnx_vs_torch": {
                "n": 7,
                "cosine_mean": 1.0,
                "cosine_min": 0.9999999,
                "sqnr_db": 118.2,
                "max_abs_error": 2e-6,
            },
        },
        "gate": {
            "passed": passed,
            "criteria": {
                "evaluated": {"limit": 1, "value": len(tasks), "passed": True, "where": None},
                "max_mean_drop": {"limit": 0.01, "value": 0.0012, "passed": True, "where": None},
                "max_task_drop": {"limit": 0.03, "value": 0.0012, "passed": True, "where": tasks[0]["id"]},
                "min_cosine": {"limit": 0.97, "value": 0.99741, "passed": True, "where": None},
                "refuse_inferior": {
                    "limit": 0,
                    "value": 0 if passed else 1,
                    "passed": passed,
                    "where": None if passed else "P3",
                },
                "refuse_inconclusive": {"limit": 0, "value": 1, "passed": None, "where": tasks[1]["id"]},
            },
            "reasons": [] if passed else ["the INT8 model is inferior on P3"],
            "decided_by": ["refuse_inferior"],
        },
    }
