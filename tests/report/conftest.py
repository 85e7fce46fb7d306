"""A run as its files lie on disk, with made-up figures of a likely size."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from acula_edge.bundle.json_files import plain
from acula_edge.bundle.schema import FILES
from acula_edge.files import write_json, write_jsonl, write_text
from acula_edge.recipe import Recipe, dump_recipe, recipe_from_dict
from acula_edge.reporting import write_report
from tests.complete import complete as filled
from tests.report.accuracy_files import verify_of_run
from tests.report.bundle_files import audit_facts, benchmark_of_run, bundle_facts, quantize_facts

SECRET = "metadata-value-that-must-not-appear"
Json = dict[str, Any]
MakeRun = Callable[..., Path]


def _recipe(phantom: bool) -> Recipe:
    sources = (
        {"phantom": {"reader": "phantom"}} if phantom else {"circor": {"reader": "circor"}, "kauh": {"reader": "kauh"}}
    )
    values = {
        "name": "phantom" if phantom else "auscultation",
        "description": "Generated sounds" if phantom else "CirCor heart sounds and KAUH lung sounds at 4 kHz",
        "data": {"sources": sources},
        "align": {"epochs": 8},
        "distill": {"student": "base", "epochs": 8},
    }
    return recipe_from_dict(values)


def _recordings(phantom: bool) -> list[Json]:
    rows = []
    corpora = {"phantom": (60, 4)} if phantom else {"circor": (120, 3), "kauh": (50, 2)}
    for dataset, (persons, each) in corpora.items():
        for person in range(persons):
            split = "test" if person % 5 == 0 else "val" if person % 10 == 1 else "train"
            for number in range(each):
                rows.append(
                    {
                        "recording": f"{person:03d}-{number}",
                        "path": f"/data/{dataset}/{SECRET}/{person:03d}-{number}.wav",
                        "subject": f"{dataset}-{person:03d}",
                        "dataset": dataset,
                        "sample_rate_hz": 4000,
                        "duration_s": 21.0,
                        "sha256": "ab" * 32,
                        "split": split,
                        "stratum": SECRET,
                        "metadata": {"murmur": SECRET, "age": SECRET},
                    }
                )
    return rows


def _metrics() -> list[Json]:
    rows: list[Json] = []
    for epoch in range(1, 9):
        fade = 0.75**epoch
        rows.append(
            {
                "stage": "align",
                "epoch": epoch,
                "step": 40 * epoch,
                "loss": 0.9 + 2.2 * fade,
                "val_cka": 0.31 - 0.25 * fade,
                "val_recall_at_1": 0.22 - 0.15 * fade,
                "val_recall_at_10": 0.71 - 0.4 * fade,
                "val_mrr": 0.41 - 0.2 * fade,
                "learning_rate": 1e-3 * fade,
                "seconds": 31.5,
                "effective_rank": 9.0 + 12 * fade,
                "val_probe_r2": 0.3 - 0.5 * fade,
                "cka_to_start": 0.4 + 0.6 * fade,
            }
        )
    for epoch in range(1, 9):
        rows.append(
            {
                "stage": "distill",
                "student": "base",
                "epoch": epoch,
                "step": 40 * epoch,
                "loss": 0.2 + 0.7 * 0.7**epoch,
                "val_cosine": 0.96 - 0.3 * 0.7**epoch,
                "seconds": 22.0,
            }
        )
    return rows


def _manifest(recipe: Recipe) -> Json:
    return {
        "schema": "acula-edge/run/1",
        "stages": {
            "align": {
                "finished": "2025-01-02T10:00:00+00:00",
                "sha256": "1a" * 32,
                "pairs_train": 1824,
                "pairs_val": 201,
                "epochs": 8,
                "steps": 320,
                "seconds": 251.4,
            },
            "distill-base": {
                "finished": "2025-01-02T10:20:00+00:00",
                "student": "base",
                "sha256": "2b" * 32,
                "parameters": 1034112,
                "windows": 3920,
                "variance_kept": 0.9713,
                "epochs": 8,
                "steps": 320,
                "seconds": 176.0,
            },
        },
        "provenance": {
            "python": "3.12.3",
            "platform": "Linux x86_64",
            "commit": "0123456789abcdef0123456789abcdef01234567",
            "packages": {"acula-edge": "0.1.0", "torch": "2.14.0", "onnxruntime": "1.32.0"},
        },
        "recipe_sha256": recipe.fingerprint(),
    }


def write_run(
    run: Path,
    phantom: bool = False,
    passed: bool = True,
    stages: bool = True,
    bundles: int = 1,
    parts: tuple[str, ...] = ("verify", "benchmark", "quantize", "audit"),
    int8: bool = True,
    change: Callable[[dict[str, Json]], None] | None = None,
) -> Path:
    """Write a run; every argument takes something away from a complete one, or changes it.

    Args:
        passed: the gate.
        stages: training is done.
        bundles: how many.
        parts: JSON files written into each bundle.
        change: a function of the dictionary of JSON files of the first bundle.
    """
    recipe = _recipe(phantom)
    write_text(run / "recipe.yaml", dump_recipe(recipe))
    if stages:
        write_json(run / "manifest.json", _manifest(recipe))
        write_jsonl(run / "recordings.jsonl", _recordings(phantom))
        write_jsonl(run / "set_aside.jsonl", _set_aside())
        write_jsonl(run / "metrics.jsonl", _metrics())
    for number in range(bundles):
        folder = run / "export" / ("base-cpu_x86" if number == 0 else f"small{number}-cpu_x86")
        verify = verify_of_run(phantom, passed)
        files: dict[str, Json] = {
            "bundle": bundle_facts(folder.name, int8),
            "verify": verify,
            "benchmark": benchmark_of_run(phantom, verify),
            "quantize": quantize_facts(),
            "audit": audit_facts(),
        }
        files = json.loads(json.dumps(copy.deepcopy(files)))
        if change is not None and number == 0:
            change(files)
        for part, value in files.items():
            if part == "bundle" or part in parts:
                kind = FILES[f"{part}.json"]
                whole = value if value.get("schema") != kind.SCHEMA else plain(filled(kind, value))
                write_json(folder / f"{part}.json", whole)
    return run


@pytest.fixture
def make_run(tmp_path: Path) -> MakeRun:
    """:func:`write_run` into a folder of the test's own; `name` tells several apart."""
    return lambda name="run", **kinds: write_run(tmp_path / name, **kinds)


@pytest.fixture(scope="session")
def complete(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A complete run with its report; to be read, not changed."""
    run = write_run(tmp_path_factory.mktemp("complete"))
    write_report(run)
    return run


def _set_aside() -> list[Json]:
    folder = f"/data/kauh/{SECRET}"
    same = "holds the same sound as another recording under another diagnosis; one of the labels is wrong"
    return [
        {"recording": "kauh/BP7", "path": f"{folder}/BP7_{SECRET},63,M.wav", "reason": same},
        {"recording": "kauh/BP9", "path": f"{folder}/BP9_{SECRET},12,F.wav", "reason": same},
        {"recording": "kauh/BP8", "path": f"{folder}/BP8_{SECRET},70.wav", "reason": f"BP8_{SECRET},70.wav is cut off"},
        {"recording": "kauh/BP5", "path": f"{folder}/BP5.wav", "reason": f"not listed in {folder}/labels.csv"},
        {"recording": "circor/12-1", "path": f"{folder}/12.wav", "reason": f"{folder}/12.wav is empty"},
    ]
