"""A whole bundle in a few kilobytes, made by hand: real graphs, real checksums, real golden waveforms, no torch."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from acula_edge.bundle.folder import read_bundle
from acula_edge.bundle.golden import write_selftest
from acula_edge.bundle.json_files import parse_facts, plain
from acula_edge.bundle.layout import BUNDLE_FILE
from acula_edge.bundle.schema import Bundle, Input
from acula_edge.bundle.writer import BundleWriter, write_bundle_file

RATE_HZ = 1000
SAMPLES = 2000
HOP = 800
FRAMES, FRAME, BANDS, DIM = 20, 100, 8, 6

TASKS: list[dict[str, Any]] = [
    {"id": "M", "name": "Murmur", "dataset": "d", "kind": "binary", "labels": ["absent", "present"], "unit": "",
     "threshold": 0.5, "start": 0, "stop": 1},
    {"id": "K", "name": "Kind", "dataset": "d", "kind": "multiclass", "labels": ["a", "b", "c"], "unit": "",
     "threshold": None, "start": 1, "stop": 4},
    {"id": "R", "name": "Rate", "dataset": "d", "kind": "regression", "labels": [], "unit": "1/min",
     "threshold": None, "start": 4, "stop": 5},
]  # fmt: skip

_DRAW = np.random.default_rng(7)
BAND_WEIGHT = np.abs(_DRAW.normal(size=(FRAME, BANDS))).astype(np.float32)
WEIGHT = _DRAW.normal(size=(BANDS, DIM)).astype(np.float32)
HEAD_WEIGHT = _DRAW.normal(size=(DIM, 5)).astype(np.float32) * 0.3
HEAD_BIAS = np.array([0.1, 0.0, 0.1, -0.1, 15.0], dtype=np.float32)


def embed_by_hand(windows: np.ndarray) -> np.ndarray:
    """What model.onnx computes. Shape: [N, SAMPLES] -> [N, DIM]."""
    mel = np.abs(windows.reshape(-1, FRAMES, FRAME)) @ BAND_WEIGHT
    return np.maximum(mel @ WEIGHT, 0).mean(axis=1)


def write_tiny_bundle(folder: Path, *, int8: bool = True, trim_top_db: float | None = None) -> Path:
    """Write it into `folder`, which may exist."""
    folder.mkdir(parents=True, exist_ok=True)
    front, back, quantized = _frontend_nodes(), _encoder_nodes("mel"), _encoder_nodes("mel_dequantized")
    _save(folder / "frontend.onnx", front, ("waveform", [1, SAMPLES]), [("mel", [1, FRAMES, BANDS])])
    outputs = [("embedding", [1, DIM]), ("scores", [1, 5])]
    _save(folder / "encoder.onnx", back, ("mel", [1, FRAMES, BANDS]), outputs)
    _save(folder / "model.onnx", front + back, ("waveform", [1, SAMPLES]), outputs)
    models = {"float": "model.onnx"}
    if int8:
        _save(folder / "encoder.int8.onnx", _rounding() + quantized, ("mel", [1, FRAMES, BANDS]), outputs)
        _save(folder / "model.int8.onnx", front + _rounding() + quantized, ("waveform", [1, SAMPLES]), outputs)
        models["int8"] = "model.int8.onnx"
    write_selftest(folder, msgspec.convert(describe_input(trim_top_db), Input), models)
    seal_tiny_bundle(folder, trim_top_db)
    return folder


def describe_input(trim_top_db: float | None = None) -> dict[str, Any]:
    """``input`` of bundle.json."""
    return {
        "name": "waveform",
        "sample_rate_hz": RATE_HZ,
        "samples": SAMPLES,
        "window_s": SAMPLES / RATE_HZ,
        "hop_s": HOP / RATE_HZ,
        "trim_top_db": trim_top_db,
        "dtype": "float32",
        "range": [-1.0, 1.0],
    }


def seal_tiny_bundle(folder: Path, trim_top_db: float | None = None) -> None:
    """Write bundle.json for the files as they are."""
    info = {
        "schema": Bundle.SCHEMA,
        "name": "tiny-cpu_x86",
        "disclaimer": "Not a medical device.",
        "input": describe_input(trim_top_db),
        "embedding_dim": DIM,
        "tasks": TASKS,
    }
    write_info(folder, info)


def write_info(folder: Path, info: dict[str, Any]) -> None:
    """Seal a bundle whose ``bundle.json`` says this beside the hashes of its files."""
    facts = parse_facts({**info, "files": {}, "sizes_bytes": {}}, Bundle, folder / BUNDLE_FILE)
    write_bundle_file(folder, BundleWriter(folder, folder, facts).list_files())


def reseal(folder: Path, **changes: Any) -> None:
    """Seal files as they are now, whatever was done to them; `changes` are entries of ``bundle.json``."""
    write_info(folder, {**plain(read_bundle(folder, verify=False)), **changes})


def make_sound(seconds: float, rate_hz: int = RATE_HZ, seed: int = 0) -> np.ndarray:
    """Noise whose level swells and fades. Shape: [seconds * rate_hz] float32."""
    count = round(seconds * rate_hz)
    swell = 0.15 + 0.1 * np.sin(np.linspace(0, 20, count))
    return np.clip(np.random.default_rng(seed).standard_normal(count) * swell, -0.99, 0.99).astype(np.float32)


def _frontend_nodes() -> list[Any]:
    return [
        _constant("frame_shape", np.array([1, FRAMES, FRAME], dtype=np.int64)),
        _constant("band_weight", BAND_WEIGHT),
        helper.make_node("Reshape", ["waveform", "frame_shape"], ["framed"]),
        helper.make_node("Abs", ["framed"], ["magnitude"]),
        helper.make_node("MatMul", ["magnitude", "band_weight"], ["mel"]),
    ]


def _rounding() -> list[Any]:
    return [
        _constant("mel_scale", np.array(0.15, dtype=np.float32)),
        _constant("mel_zero", np.array(0, dtype=np.uint8)),
        helper.make_node("QuantizeLinear", ["mel", "mel_scale", "mel_zero"], ["mel_quantized"]),
        helper.make_node("DequantizeLinear", ["mel_quantized", "mel_scale", "mel_zero"], ["mel_dequantized"]),
    ]


def _encoder_nodes(mel: str) -> list[Any]:
    return [
        _constant("weight", WEIGHT),
        _constant("frame_axis", np.array([1], dtype=np.int64)),
        _constant("head_weight", HEAD_WEIGHT),
        _constant("head_bias", HEAD_BIAS),
        _constant("widths", np.array([1, 3, 1], dtype=np.int64)),
        helper.make_node("MatMul", [mel, "weight"], ["hidden"]),
        helper.make_node("Relu", ["hidden"], ["active"]),
        helper.make_node("ReduceMean", ["active", "frame_axis"], ["embedding"], keepdims=0),
        helper.make_node("Gemm", ["embedding", "head_weight", "head_bias"], ["logits"]),
        helper.make_node("Split", ["logits", "widths"], ["binary_logit", "class_logits", "value"], axis=1),
        helper.make_node("Sigmoid", ["binary_logit"], ["binary"]),
        helper.make_node("Softmax", ["class_logits"], ["classes"], axis=1),
        helper.make_node("Concat", ["binary", "classes", "value"], ["scores"], axis=1),
    ]


def _constant(name: str, value: np.ndarray) -> Any:
    return helper.make_node("Constant", [], [name], value=numpy_helper.from_array(value, name))


def _save(path: Path, nodes: list[Any], source: tuple[str, list[int]], outputs: list[tuple[str, list[int]]]) -> None:
    def tensor(name: str, shape: list[int]) -> Any:
        return helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)

    graph = helper.make_graph(nodes, "tiny", [tensor(*source)], [tensor(*output) for output in outputs])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    onnx.checker.check_model(model)
    onnx.save(model, str(path))
