"""A run as its files lie on disk, with made-up figures of a likely size."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from acula_edge.files import write_json, write_jsonl, write_text
from acula_edge.recipe import Recipe, dump_recipe, recipe_from_dict

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


def _row(value: float, half: float) -> Json:
    return {
        "value": value,
        "ci95": [value - half, value + half * 0.8],
        "per_subject": {"value": value + 0.03, "ci95": [value - half, value + half]},
        "sensitivity_at_95_specificity": 0.46,
        "threshold": 0.31,
        "sensitivity": 0.74,
        "specificity": 0.81,
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
    task |= {"flips": None, "flip_rate": None}
    return task


def _verify(phantom: bool, passed: bool) -> Json:
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
        "method": {"unit": "subject", "bootstrap": 2000, "alpha_one_sided": 0.05, "margin_auroc_student": 0.01},
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
            "torch_vs_onnx": {
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


def _measurement(artifact: str, stage: str, precision: str | None, p50: float, model: str | None) -> Json:
    is_file = artifact.endswith(".onnx")
    return {
        "artifact": artifact,
        "provider": "CPUExecutionProvider" if is_file else None,
        "precision": precision,
        "threads": 1,
        "stage": stage,
        "p50_ms": p50,
        "p90_ms": p50 * 1.04,
        "p95_ms": p50 * 1.07,
        "p99_ms": p50 * 1.21,
        "min_ms": p50 * 0.97,
        "loop_p50_ms": [p50] * 5,
        "n": 4000,
        "loops": 5,
        "cold_start_ms": 182.0 if is_file else None,
        "peak_rss_mb": 71.5 if is_file else None,
        "rtf": p50 / 8160,
        "energy_mj": None,
        "energy_scope": None,
        "model": model,
        "size_bytes": 1_000_000 if is_file else None,
        "sha256": digest(artifact) if is_file else None,
        "not_measured": {
            "energy_mj": "no energy sensor that this user may read",
            **({} if is_file else {"cold_start_ms": "given by the caller as a callable"}),
        },
    }


def digest(name: str) -> str:
    """A made-up hash of a file."""
    return (name.encode().hex() * 4)[:64].ljust(64, "0")


def _benchmark(phantom: bool, verify: Json) -> Json:
    accuracy = {
        "tasks": [
            {
                "id": task["id"],
                "metric": task["metric"],
                "n_subjects": task["n_subjects"],
                "reference": {"value": task["float_student"]["value"], "ci95": task["float_student"]["ci95"]},
                "candidate": {"value": task["int8"]["value"], "ci95": task["int8"]["ci95"]},
            }
            for task in verify["tasks"]
        ],
        "reason": None,
    }

    def pair(reference: str, candidate: str, stage: str, speedup: float) -> Json:
        return {
            "reference": reference,
            "candidate": candidate,
            "stage": stage,
            "threads": 1,
            "speedup": speedup,
            "speedup_ci95": [speedup * 0.97, speedup * 1.02],
            "verdict": "faster",
            "pairs": 20,
            "reference_p50_ms": 2.0,
            "candidate_p50_ms": 2.0 / speedup,
            "accuracy": accuracy,
            "samples_key": "pairs",
        }

    teacher = "float teacher, PyTorch"
    return {
        "schema": "acula-edge/benchmark/1",
        "created": "2025-01-02T10:40:00+00:00",
        "mode": "smoke" if phantom else "quick",
        "plan": {"loops": 5, "loop_s": 2.0, "warmup_runs": 10, "warmup_s": 2.0, "pairs": 20, "block_s": 0.15},
        "bundle": "base-cpu_x86",
        "window_s": 8.16,
        "input": "the bundle's self-test waveform",
        "environment": {
            "system": "Linux 6.8",
            "distribution": "Ubuntu 24.04",
            "machine": "x86_64",
            "python": "3.12.3",
            "cpu": {
                "model": "AMD EPYC 9R14",
                "logical_cores": 2,
                "flags": ["avx2", "fma", "avx512f", "avx512_vnni"],
                "int8_dot_product": True,
                "governor": None,
                "clock_mhz": 2600.0,
                "clock_max_mhz": None,
                "virtual": True,
            },
            "memory_mb": 16384.0,
            "gpu": [],
            "jetson": None,
            "packages": {"onnxruntime": "1.32.0", "torch": "2.14.0"},
            "onnxruntime_providers": ["CPUExecutionProvider"],
            "load_average": [0.3, 0.4, 0.5],
            "usable_cores": 2,
        },
        "disturbance": {"busy_cores": 0.02, "stolen_cores": 0.0},
        "warnings": ["other programs kept 0.4 cores busy when the measurement began"] if phantom else [],
        "measurements": [
            _measurement("frontend.onnx", "frontend", "float32", 0.34, None),
            _measurement("encoder.onnx", "encoder", "float32", 2.31, "float_student"),
            _measurement("encoder.int8.onnx", "encoder", "int8", 0.86, "int8"),
            _measurement("model.onnx", "end_to_end", "float32", 2.66, "float_student"),
            _measurement("model.int8.onnx", "end_to_end", "int8", 1.21, "int8"),
            _measurement(teacher, "end_to_end", None, 14.8, "float_teacher"),
        ],
        "comparisons": [
            pair("encoder.onnx", "encoder.int8.onnx", "encoder", 2.69),
            pair("model.onnx", "model.int8.onnx", "end_to_end", 2.2),
            pair(teacher, "model.int8.onnx", "end_to_end", 12.2),
        ],
    }


FILES = (
    "frontend.onnx",
    "encoder.onnx",
    "model.onnx",
    "encoder.int8.onnx",
    "model.int8.onnx",
    "selftest.npz",
    "verify.json",
)


def _bundle(name: str, int8: bool) -> Json:
    files = [file for file in FILES if int8 or "int8" not in file]
    sizes = {
        "model.onnx": 4_312_000,
        "encoder.onnx": 4_180_000,
        "encoder.int8.onnx": 1_121_000,
        "model.int8.onnx": 1_253_000,
    }
    return {
        "schema": "acula-edge/bundle/1",
        "name": name,
        "created_by": {"version": "0.1.0"},
        "student": "base",
        "encoder": "opera-ce",
        "profile": "cpu_x86",
        "disclaimer": "not a medical device",
        "input": {"name": "waveform", "sample_rate_hz": 4000, "samples": 32640, "window_s": 8.16, "dtype": "float32"},
        "embedding_dim": 256,
        "parameters": 1034112,
        "sizes_bytes": {file: sizes.get(file, 132_000) for file in files},
        "opset": 18,
        "files": {file: digest(file) for file in files},
    }


@pytest.fixture
def make_run(tmp_path: Path) -> MakeRun:
    """Write a run; every argument takes something away from a complete one, or changes it.

    Arguments: `phantom`; `passed` (the gate); `stages` (training done); `bundles` (how many); `parts` (JSON files
    written into each bundle); `int8`; `change`: a function of the dictionary of JSON files of the first bundle.
    """

    def make(
        phantom: bool = False,
        passed: bool = True,
        stages: bool = True,
        bundles: int = 1,
        parts: tuple[str, ...] = ("verify", "benchmark", "quantize", "audit"),
        int8: bool = True,
        change: Callable[[dict[str, Json]], None] | None = None,
        name: str = "run",
    ) -> Path:
        run = tmp_path / name
        recipe = _recipe(phantom)
        write_text(run / "recipe.yaml", dump_recipe(recipe))
        if stages:
            write_json(run / "manifest.json", _manifest(recipe))
            write_jsonl(run / "recordings.jsonl", _recordings(phantom))
            write_jsonl(run / "set_aside.jsonl", _set_aside())
            write_jsonl(run / "metrics.jsonl", _metrics())
        for number in range(bundles):
            folder = run / "export" / ("base-cpu_x86" if number == 0 else f"small{number}-cpu_x86")
            verify = _verify(phantom, passed)
            files: dict[str, Json] = {
                "bundle": _bundle(folder.name, int8),
                "verify": verify,
                "benchmark": _benchmark(phantom, verify),
            }
            files = json.loads(json.dumps(copy.deepcopy(files)))
            if change is not None and number == 0:
                change(files)
            for part, value in files.items():
                if part == "bundle" or part in parts:
                    write_json(folder / f"{part}.json", value)
        return run

    return make


def _set_aside() -> list[Json]:
    folder = f"/data/kauh/{SECRET}"
    same = "holds the same sound as another recording under another diagnosis; one of the labels is wrong"
    return [
        {"recording": "kauh/BP7", "path": f"{folder}/BP7_{SECRET},63,M.wav", "reason": same},
        {"recording": "kauh/BP9", "path": f"{folder}/BP9_{SECRET},12,F.wav", "reason": same},
        {"recording": "circor/12-1", "path": f"{folder}/12.wav", "reason": f"{folder}/12.wav is empty"},
    ]
