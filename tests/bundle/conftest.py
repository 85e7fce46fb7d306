"""A bundle with all of its evidence, made from the tiny one."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest

from acula_edge.bundle.acceptance import begin_acceptance
from acula_edge.bundle.criteria import collect_criteria, fix_criteria
from acula_edge.bundle.schema import Bundle
from acula_edge.bundle.writer import changed_bundle, seal
from acula_edge.files import write_json
from acula_edge.recipe import BenchmarkConfig, Recipe
from tests.tiny_bundle import DIM, TASKS, describe_input, write_info, write_tiny_bundle

RECIPE = Recipe(benchmark=BenchmarkConfig(max_p95_ms=3.0))


def _comparison(verdict: str) -> dict[str, Any]:
    numbers = ("bound", "p_noninferiority", "p_inferiority", "p_equivalence", "ci95_bootstrap", "reason")
    return {"delta": -0.01, "ci95": [-0.05, 0.03], "margin": 0.01, "verdict": verdict, **dict.fromkeys(numbers)}


_PAIRS = ("int8_vs_student", "int8_vs_teacher", "student_vs_teacher")
_NO_MEANS = {"float_teacher": None, "float_student": None, "int8": None}

VERIFY: dict[str, Any] = {
    "schema": "acula-edge/verify/1",
    "method": {
        "unit": "subject", "bootstrap": 50, "interval_level": 0.95, "alpha_one_sided": 0.05,
        "margin_auroc_student": 0.01, "margin_auroc_teacher": 0.02, "margin_mae_relative": 0.02,
        "min_subjects_for_noninferiority": 10, "min_subgroup_subjects": 10, "seed": 0,
        **dict.fromkeys(("auroc_test", "auroc_interval", "mae_test", "multiplicity"), "as usual"),
    },
    "tasks": [
        {
            "id": "M", "name": "Murmur", "dataset": "phantom", "set": "phantom", "sound": "heart", "metric": "auroc",
            "better": "higher", "kind": "binary", "labels": ["absent", "present"], "unit": "", "target": "murmur",
            "protocol": "probe", "assumed": False, "note": "", "licence": "generated", "access": "", "n_test": 20,
            "n_subjects": 20, "undetectable_failure_share": 0.14, "baseline": 0.5, "float_teacher": None,
            "float_student": {"value": 0.81, "ci95": [0.7, 0.9]}, "int8": {"value": 0.8, "ci95": [0.69, 0.89]},
            "int8_vs_student": _comparison("inconclusive"), "int8_vs_teacher": None, "student_vs_teacher": None,
            "flips": 1, "flip_rate": 0.05, "ece_change": None, "subgroup_comparisons": 0,
            "subgroups": [
                {"column": "sex", "group": "f", "n_test": 11, "n_subjects": 11, "float_student": 0.8, "int8": 0.79}
            ],
            "subgroups_too_small": [],
        }
    ],
    "summary": {
        "tasks_evaluated": ["M"], "tasks_missing": [{"id": "K", "reason": "no data"}], "means": _NO_MEANS,
        "means_by_set": {name: {**_NO_MEANS, "tasks": 0} for name in ("real", "phantom")},
        "mean_delta": {pair: {"delta": None, "ci95": None, "tasks": 0, "left_out": []} for pair in _PAIRS},
        "mean_relative_mae_change": dict.fromkeys(_PAIRS), "verdicts_holm": {pair: {} for pair in _PAIRS},
        "flips": 1, "flip_rate": 0.05,
    },
    "parity": {},
    "gate": {
        "passed": True, "reasons": [], "decided_by": ["max_mean_drop"],
        "criteria": {"max_mean_drop": {"limit": 0.01, "value": 0.01, "passed": True, "where": None}},
    },
}  # fmt: skip
BENCHMARK: dict[str, Any] = {
    "schema": "acula-edge/benchmark/1", "created": "2026-01-01T00:00:00+00:00", "mode": "smoke", "plan": {},
    "bundle": "tiny-cpu_x86", "window_s": 2.0, "input": "noise", "environment": {"cpu": {"model": "Cortex-A72"}},
    "disturbance": None, "stolen_core_s": None, "power": {}, "state": {}, "warnings": [], "samples_file": None,
    "measurements": [
        {
            "artifact": name, "provider": "CPU", "precision": "int8", "threads": 1, "stage": stage, "p50_ms": 1.5,
            "p90_ms": 2.0, "p95_ms": 2.25, "p99_ms": 2.5, "min_ms": 1.0, "loop_p50_ms": [1.5], "n": 9, "loops": 1,
            "processor_c": {"before": None, "after": None}, "not_measured": {}, "samples_key": name,
            "accuracy": {"tasks": [], "reason": "none"},
            **dict.fromkeys(
                ("cold_start_ms", "peak_rss_mb", "rtf", "energy_mj", "energy_gross_mj", "power_mw", "energy_scope",
                 "clock_mhz", "model", "size_bytes", "sha256")
            ),
        }
        for name, stage in (("model.int8.onnx", "end_to_end"), ("encoder.int8.onnx", "encoder"))
    ],
    "comparisons": [],
}  # fmt: skip


@pytest.fixture(scope="session")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("run")
    bundle = write_tiny_bundle(folder / "tiny-cpu_x86")
    info: dict[str, Any] = {
        "schema": Bundle.SCHEMA, "name": "tiny-cpu_x86", "disclaimer": "Not a medical device.", "student": "tiny",
        "encoder": "clap", "profile": "cpu_x86", "input": describe_input(), "embedding_dim": DIM, "tasks": TASKS,
        "parameters": 1000, "recommended": "int8", "recommended_because": "it is faster",
        "provenance": {
            "python": "3.11", "platform": "Linux", "packages": {"numpy": "2"}, "commit": None,
            "os": "Linux", "recipe_sha256": "1" * 64, "weights_sha256": "2" * 64, "encoder_sha256": "3" * 64,
        },
    }  # fmt: skip
    datasets = {"phantom": {"title": None, "licence": "generated", "access": None, "recordings": 9, "subjects": 3,
                            "synthetic": True, "version": "4" * 64}}  # fmt: skip
    info["provenance"]["datasets"] = datasets
    write_info(bundle, info)
    with changed_bundle(bundle, in_place=True) as writer:
        fixed = fix_criteria(folder, RECIPE)
        writer.acceptance = begin_acceptance(fixed, collect_criteria(RECIPE), "model.int8.onnx")
    return bundle


@pytest.fixture
def bundle(made: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(made, tmp_path / made.name))


@pytest.fixture
def measured(bundle: Path) -> Path:
    """The same after ``verify`` and ``benchmark``."""
    write_json(bundle / "verify.json", VERIFY)
    write_json(bundle / "benchmark.json", BENCHMARK)
    seal(bundle)
    return bundle
