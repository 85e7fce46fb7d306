"""The tiny bundle with everything that the page can use: limits, prompts, and a front end for half its rate."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from acula_edge.audio.quality_limits import QualityLimits, describe_quality
from acula_edge.bundle.layout import FRONTEND_SELFTEST_FILE
from acula_edge.bundle.prompt_vectors import PromptTask, PromptVectors, save_prompt_vectors
from tests.tiny_bundle import BAND_WEIGHT, BANDS, DIM, FRAME, FRAMES, RATE_HZ, SAMPLES, reseal, write_tiny_bundle

NATIVE_HZ = RATE_HZ // 2
NATIVE_FILE = f"frontend-{NATIVE_HZ}.onnx"
NATIVE_WEIGHT = 2 * BAND_WEIGHT[: FRAME // 2]

FRONTEND = {
    "sample_rate_hz": RATE_HZ, "n_fft": FRAME, "hop_length": FRAME, "n_mels": BANDS, "fmin_hz": 25.0, "fmax_hz": 500.0,
    "kind": "log-mel", "mel_scale": "slaney",
}  # fmt: skip


def write_listening_bundle(folder: Path) -> Path:
    """Write it into `folder`."""
    write_tiny_bundle(folder, trim_top_db=60.0)
    _write_native_frontend(folder / NATIVE_FILE)
    pcm = np.random.default_rng(5).integers(-9000, 9000, (2, SAMPLES // 2)).astype(np.int16)
    mel = np.abs((pcm.astype(np.float32) / 32768).reshape(2, FRAMES, FRAME // 2)) @ NATIVE_WEIGHT
    np.savez(folder / FRONTEND_SELFTEST_FILE, **{f"{NATIVE_FILE}/pcm": pcm, f"{NATIVE_FILE}/mel": mel})
    save_prompt_vectors(folder, _prompts())
    native = {"kind": "native", "file": NATIVE_FILE, "sample_rate_hz": NATIVE_HZ, "samples": SAMPLES // 2}
    # The tiny bundle's sounds are too low and too short for a stethoscope's limits.
    limits = QualityLimits(min_bandwidth_hz=100.0, min_snr_db=None)
    reseal(
        folder,
        recommended="int8",
        mel={"name": "mel", "frames": FRAMES, "bands": BANDS},
        frontend=FRONTEND,
        frontends=[native],
        quality=describe_quality(limits),
    )
    return folder


def _write_native_frontend(path: Path) -> None:
    def constant(name: str, value: np.ndarray) -> onnx.NodeProto:
        return helper.make_node("Constant", [], [name], value=numpy_helper.from_array(value, name))

    nodes = [
        constant("shape", np.array([1, FRAMES, FRAME // 2], np.int64)),
        constant("weight", NATIVE_WEIGHT),
        helper.make_node("Reshape", ["waveform", "shape"], ["framed"]),
        helper.make_node("Abs", ["framed"], ["magnitude"]),
        helper.make_node("MatMul", ["magnitude", "weight"], ["mel"]),
    ]
    source = helper.make_tensor_value_info("waveform", TensorProto.FLOAT, [1, SAMPLES // 2])
    target = helper.make_tensor_value_info("mel", TensorProto.FLOAT, [1, FRAMES, BANDS])
    graph = helper.make_graph(nodes, "native", [source], [target])
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9), str(path))


def _prompts() -> PromptVectors:
    draw = np.random.default_rng(11)

    def task(name: str, labels: list[str]) -> PromptTask:
        vectors = draw.normal(size=(len(labels), 4))
        vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
        return PromptTask(name, f"{name} by prompt", "d", labels, draw.normal(size=4), vectors)

    tasks = [task("Z2", ["absent", "present"]), task("Z3", ["a", "b", "c"])]
    return PromptVectors("hand", "0" * 64, 0.1, draw.normal(size=(DIM, 4)), tasks)
