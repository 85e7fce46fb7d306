"""A bundle with all of its evidence, made from the tiny one."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest

from acula_edge.engines.bundle_files import BUNDLE_SCHEMA, write_bundle_file
from acula_edge.evidence.criteria import collect_criteria, fix_criteria
from acula_edge.evidence.sealing import seal_evidence, write_evidence
from acula_edge.files import write_json
from acula_edge.recipe import BenchmarkConfig, Recipe
from tests.tiny_bundle import DIM, TASKS, describe_input, write_tiny_bundle

RECIPE = Recipe(benchmark=BenchmarkConfig(max_p95_ms=3.0))

VERIFY: dict[str, Any] = {
    "schema": "acula-edge/verify/1",
    "method": {"alpha_one_sided": 0.05, "margin_auroc_student": 0.01},
    "tasks": [
        {
            "id": "M",
            "name": "Murmur",
            "dataset": "phantom",
            "metric": "auroc",
            "n_subjects": 20,
            "float_student": {"value": 0.81, "ci95": [0.7, 0.9]},
            "int8": {"value": 0.8, "ci95": [0.69, 0.89]},
            "int8_vs_student": {"delta": -0.01, "verdict": "inconclusive"},
            "subgroups": [{"column": "sex", "group": "f", "n_subjects": 11, "float_student": 0.8, "int8": 0.79}],
        }
    ],
    "summary": {"tasks_missing": [{"id": "K", "reason": "no data"}]},
    "parity": {},
    "gate": {"passed": True, "criteria": {"max_mean_drop": {"limit": 0.01, "value": 0.01, "passed": True}}},
}
BENCHMARK: dict[str, Any] = {
    "schema": "acula-edge/benchmark/1",
    "window_s": 2.0,
    "environment": {"cpu": {"model": "Cortex-A72"}},
    "comparisons": [],
    "measurements": [
        {"artifact": name, "stage": stage, "p50_ms": 1.5, "p95_ms": 2.25, "threads": 1}
        for name, stage in (("model.int8.onnx", "end_to_end"), ("encoder.int8.onnx", "encoder"))
    ],
}


@pytest.fixture(scope="session")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("run")
    bundle = write_tiny_bundle(folder / "tiny-cpu_x86")
    info = {
        "schema": BUNDLE_SCHEMA, "name": "tiny-cpu_x86", "disclaimer": "Not a medical device.", "student": "tiny",
        "encoder": "clap", "profile": "cpu_x86", "input": describe_input(), "embedding_dim": DIM, "tasks": TASKS,
        "parameters": 1000, "recommended": "int8", "recommended_because": "it is faster",
        "provenance": {
            "python": "3.11", "platform": "Linux", "packages": {"numpy": "2"}, "commit": None,
            "recipe_sha256": "1" * 64, "weights_sha256": "2" * 64, "encoder_sha256": "3" * 64,
        },
    }  # fmt: skip
    write_bundle_file(bundle, info)
    datasets = {"phantom": {"title": None, "licence": "generated", "access": None, "recordings": 9, "subjects": 3,
                            "synthetic": True, "version": "4" * 64}}  # fmt: skip
    write_evidence(bundle, {"datasets": datasets}, fix_criteria(folder, RECIPE), collect_criteria(RECIPE))
    return bundle


@pytest.fixture
def bundle(made: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(made, tmp_path / made.name))


@pytest.fixture
def measured(bundle: Path) -> Path:
    """The same after ``verify`` and ``benchmark``."""
    write_json(bundle / "verify.json", VERIFY)
    write_json(bundle / "benchmark.json", BENCHMARK)
    seal_evidence(bundle)
    return bundle
