"""The other JSON files of a bundle, with made-up figures of a likely size."""

from __future__ import annotations

from typing import Any

Json = dict[str, Any]


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


def benchmark_of_run(phantom: bool, verify: Json) -> Json:
    """A whole ``benchmark.json``."""
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


def quantize_facts() -> Json:
    """A whole ``quantize.json``."""
    return {
        "schema": "acula-edge/quantize/1",
        "profile": "cpu_x86",
        "method": "minmax",
        "activation_type": "uint8",
        "weight_type": "int8 symmetric, per channel",
        "calibration": {
            "definition": "default",
            "n_windows": 200,
            "n_subjects": 87,
            "datasets": {"circor": 140, "kauh": 60},
            "degraded": {"hum": 20},
            "subjects_sha256": ["feedfacefeedface"],
        },
        "equalization": {"pairs": 8, "balance": 0.5, "sqnr_db": {"0.25": 33.5, "0.5": 34.81}, "plain_sqnr_db": 19.885},
        "nodes": {"quantized": 15, "float": [{"node": "encoder/heads/Gemm", "reason": "heads stay in float"}]},
        "int8_mac_share": 0.9841,
    }


def audit_facts() -> Json:
    """A whole ``audit.json``."""
    return {
        "schema": "acula-edge/audit/1",
        "model": "model.int8.onnx",
        "profile": "cpu_x86",
        "passed": True,
        "findings": [
            {
                "rule": "fallback",
                "severity": "warning",
                "node": "encoder/stem/Conv",
                "message": "Conv in float: 7.2% of the encoder's multiplications",
            }
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


def bundle_facts(name: str, int8: bool) -> Json:
    """A whole ``bundle.json``."""
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
