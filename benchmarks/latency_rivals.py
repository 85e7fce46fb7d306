"""What the INT8 student is compared with: OPERA's encoders in PyTorch, in ONNX Runtime, and as Optimum makes them.

Weights are random with the published shapes: latency does not depend on their values. Every rival hears the same
8.18 s at 16 kHz that it was published for, and is timed from the waveform on.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import torch
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from acula_edge.bundle.layout import ENCODER_FILE
from acula_edge.encoders.base import make_encoder
from acula_edge.encoders.teachers.opera_ct import stretching
from acula_edge.engines.ort import OrtEngine
from acula_edge.frontend.spec import OPERA
from acula_edge.frontend.torch import make_frontend
from acula_edge.quantize.export import export_float
from acula_edge.quantize.graph import IR_VERSION, OPSET, save_graph
from acula_edge.quantize.optimum_export import FLOAT_FILE, INT8_FILE, export_backbone, quantize_dynamic

Array = NDArray[np.float32]
Run = Callable[[], object]

WINDOW_S = 8.18
# About as long as the encoder: on a busy machine whatever runs longer is interrupted more.
PEAK_SIZE = 768


def noise(samples: int) -> Array:
    """A waveform [T]; what is in it does not change the time."""
    return (0.1 * np.random.default_rng(0).standard_normal(samples)).astype(np.float32)


def torch_run(name: str) -> Run:
    """An encoder in PyTorch float: waveform -> embedding."""
    torch.manual_seed(0)
    network = make_encoder(name).deployable()
    frontend = make_frontend(network.frontend).eval()
    wave = torch.from_numpy(noise(network.frontend.samples(WINDOW_S)))[None]

    def run() -> object:
        with torch.inference_mode():
            return network.embed_mel(frontend(wave))

    return run


def features() -> tuple[str, Callable[[Array], Array]]:
    """The published front end as its users run it: librosa where it is installed, else torchaudio (which is faster).

    Shape: wave [T] -> [F, 64].
    """
    if importlib.util.find_spec("librosa") is not None:
        import librosa

        def by_librosa(wave: Array) -> Array:
            power = librosa.feature.melspectrogram(
                y=wave, sr=OPERA.sample_rate_hz, n_fft=OPERA.n_fft, hop_length=OPERA.hop_length,
                n_mels=OPERA.n_mels, fmin=OPERA.fmin_hz, fmax=OPERA.fmax_hz,
            )  # fmt: skip
            level = librosa.power_to_db(power, ref=np.max)
            scaled = (level - level.min()) / (level.max() - level.min())
            return np.ascontiguousarray(scaled.T, np.float32)

        return f"librosa {librosa.__version__}", by_librosa
    import torchaudio

    frontend = make_frontend(OPERA).eval()

    def by_torchaudio(wave: Array) -> Array:
        with torch.inference_mode():
            return np.asarray(frontend(torch.from_numpy(wave)[None])[0].numpy())

    return f"torchaudio {torchaudio.__version__} (librosa is not installed)", by_torchaudio


def opera_ce_run(folder: Path, make_features: Callable[[Array], Array]) -> Run:
    """OPERA-CE float in ONNX Runtime behind features made in Python."""
    wave = noise(OPERA.samples(WINDOW_S))
    if not (folder / ENCODER_FILE).is_file():
        folder.mkdir(parents=True, exist_ok=True)
        torch.manual_seed(0)
        export_float(make_encoder("opera-ce"), [], wave.size, folder)
    engine = OrtEngine(folder / ENCODER_FILE)
    return lambda: engine.run({"mel": make_features(wave)[None]})


def opera_ct_dynamic_run(folder: Path, make_features: Callable[[Array], Array]) -> tuple[Run, Path]:
    """OPERA-CT as ``optimum-cli export onnx`` and ``optimum-cli onnxruntime quantize --avx512_vnni`` make it."""
    wave = noise(OPERA.samples(WINDOW_S))
    quantized = folder / "int8" / INT8_FILE
    if not quantized.is_file():
        torch.manual_seed(0)
        if not (folder / "float" / FLOAT_FILE).is_file():
            export_backbone(make_encoder("opera-ct"), folder / "float")
        quantize_dynamic(folder / "float", folder / "int8", "avx512_vnni")
    session = plain_session(quantized)
    (name,) = [item.name for item in session.get_inputs()]
    stretch = stretching(make_features(wave).shape[0])

    def run() -> Any:
        return session.run(None, {name: (stretch.T @ make_features(wave))[None, None]})

    return run, quantized


def peak_run(folder: Path) -> tuple[Run, int]:
    """A large MatMulInteger, UINT8 x INT8: the run, and its multiply-accumulates."""
    size = PEAK_SIZE
    weight = np.random.default_rng(0).integers(-64, 64, (size, size)).astype(np.int8)
    graph = helper.make_graph(
        [helper.make_node("MatMulInteger", ["a", "b"], ["c"], name="peak")],
        "peak",
        [helper.make_tensor_value_info("a", TensorProto.UINT8, [size, size])],
        [helper.make_tensor_value_info("c", TensorProto.INT32, [size, size])],
        [numpy_helper.from_array(weight, "b")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)])
    model.ir_version = IR_VERSION
    path = folder / "peak.onnx"
    save_graph(onnx.shape_inference.infer_shapes(model), path)
    session = plain_session(path)
    feed = {"a": np.random.default_rng(1).integers(0, 255, (size, size)).astype(np.uint8)}
    return lambda: session.run(None, feed), size**3


def plain_session(path: Path) -> Any:
    """ONNX Runtime with one thread and its defaults: not slowed down by kernels that are exact on every CPU."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
