"""Benchmark files of machines that nobody measured: facts of the miniature trees, figures made up. For tests only."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from acula_edge.benchmarking.energy import Meter, energy_per_run
from acula_edge.benchmarking.environment import describe_environment
from acula_edge.benchmarking.machine import Machine
from acula_edge.benchmarking.machine_state import read_state, state_warnings, summarize_states
from acula_edge.benchmarking.paired import Pairs
from acula_edge.benchmarking.sensors import find_sensor
from acula_edge.bundle.schema import Benchmark
from acula_edge.files import sha256_file, write_json
from tests.report.bundle_files import digest

Json = dict[str, Any]
FILES = (
    ("frontend.onnx", "frontend", "float32", None, 0.15),
    ("encoder.onnx", "encoder", "float32", "float_student", 0.9),
    ("encoder.int8.onnx", "encoder", "int8", "int8", 0.4),
    ("model.onnx", "end_to_end", "float32", "float_student", 1.06),
    ("model.int8.onnx", "end_to_end", "int8", "int8", 0.56),
)
PAIRS = (("encoder.onnx", "encoder.int8.onnx"), ("model.onnx", "model.int8.onnx"))
VALUES = {"float_student": 0.82, "int8": 0.815}


def write_benchmark(
    target: Path,
    machine: Machine,
    arch: str,
    unit_ms: float,
    idle_mw: float | None = None,
    busy_cores: float = 0.0,
    digest_of: Callable[[str], str] = digest,
    noted: bool = True,
    change: Callable[[Json], None] | None = None,
) -> Path:
    """Write ``NAME.json`` and ``NAME_samples.npz``.

    Args:
        unit_ms: milliseconds that stand for 1 in the made-up figures.
        digest_of: SHA-256 of a file by its name.
        noted: the benchmark noted the accuracy of its files.
        change: of the content, before it is written.
    """
    draw = np.random.default_rng(len(target.stem))
    meter = Meter(find_sensor(machine), idle_mw, "no energy sensor")
    states = [read_state(machine), read_state(machine)]
    state = summarize_states(states)
    samples, rows = {}, []
    for name, stage, precision, model, size in FILES:
        raw = unit_ms * size * np.concatenate([draw.gamma(60, 1 / 3000, 1500) + 0.98, draw.gamma(4, 0.05, 60) + 1.05])
        key = f"latency/{name}"
        samples[key] = raw.astype(np.float32)
        p50, p90, p95, p99 = (float(value) for value in np.percentile(raw, (50, 90, 95, 99)))
        energy = energy_per_run(p50 * 6.0 + 1, p50 / 1e3, 1, idle_mw, "") if meter.sensor and idle_mw else None
        tasks = [{"id": "M", "metric": "auroc", "n_subjects": 40, "value": VALUES.get(str(model)), "ci95": [0.7, 0.9]}]
        reason = "verify.json does not evaluate it" if model is None else "not verified"
        rows.append(
            {
                **{"artifact": name, "provider": "CPUExecutionProvider", "precision": precision, "threads": 1},
                **{"stage": stage, "p50_ms": p50, "p90_ms": p90, "p95_ms": p95, "p99_ms": p99, "n": raw.size},
                **{"load_ms": 20.0 * unit_ms, "first_run_ms": 2.0 * unit_ms, "cold_start_ms": 180.0 * unit_ms},
                **{"peak_rss_mb": 72.5, "rtf": p50 / 8160, "model": model},
                "energy_mj": energy.per_run_mj if energy else None,
                "energy_gross_mj": energy.gross_per_run_mj if energy else None,
                "power_mw": energy.power_mw if energy else None,
                "energy_scope": meter.sensor.scope if meter.sensor and energy else None,
                "size_bytes": 1_250_000 if precision == "int8" else 4_312_000,
                "sha256": digest_of(name),
                "accuracy": {"tasks": tasks if model and noted else [], "reason": None if model and noted else reason},
                "not_measured": {} if energy else {"energy_mj": "no energy sensor"},
                "samples_key": key,
            }
        )
    comparisons = []
    for reference, candidate in PAIRS:
        ratio = 1.85 + 0.1 * draw.random(20)
        measured = Pairs(ratio, np.ones(20)).summary()
        pair = {
            "reference": reference,
            "candidate": candidate,
            "stage": "encoder" if "enc" in reference else "end_to_end",
        }
        comparisons.append({**pair, **measured, "accuracy": {"tasks": [], "reason": "not verified"}})
    result: Json = {
        "schema": Benchmark.SCHEMA,
        "created": "2025-01-02T10:40:00+00:00",
        "mode": "quick",
        "plan": {"loops": 5, "loop_s": 2.0},
        "bundle": "base-cpu_arm" if arch == "aarch64" else "base-cpu_x86",
        "window_s": 8.16,
        "environment": {**describe_environment(machine), "machine": arch, "distribution": "a test's own Linux"},
        "disturbance": {"busy_cores": busy_cores, "stolen_cores": 0.0},
        "power": meter.describe(),
        "state": state,
        "warnings": state_warnings(state) + (["other programs kept a core busy"] if busy_cores > 0.2 else []),
        "samples_file": f"{target.stem}_samples.npz",
        "measurements": rows,
        "comparisons": comparisons,
    }
    if change is not None:
        change(result)
    target.parent.mkdir(parents=True, exist_ok=True)
    np.savez_compressed(target.with_name(f"{target.stem}_samples.npz"), **samples)
    write_json(target, result)
    return target


def digests_of(bundle: Path) -> Callable[[str], str]:
    """Hashes of a bundle's own files: as if they had been copied to the machine."""
    return lambda name: sha256_file(bundle / name)
