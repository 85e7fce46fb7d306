"""Static INT8: encoder.onnx and calibration windows -> encoder.int8.onnx and model.int8.onnx, in QDQ form.

ONNX Runtime's quantizer places the Q/DQ pairs; ranges, the choice of nodes and the equalization before it are ours.
"""

from __future__ import annotations

import tempfile
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray

from acula_edge.engines.ort import EXACT_ON_X86, OrtEngine
from acula_edge.files import write_json
from acula_edge.progress import track
from acula_edge.quantize.equalization import channel_peaks, equalize, find_pairs
from acula_edge.quantize.export import ENCODER_FILE, FRONTEND_FILE, MODEL_FILE, merge_files
from acula_edge.quantize.graph import IR_VERSION, load_graph, save_graph, share_constants, sign
from acula_edge.quantize.overflow import weight_ranges
from acula_edge.quantize.parity import compare_rows
from acula_edge.quantize.placement import Placement, place
from acula_edge.quantize.profiles import WEIGHTED_OPERATORS, Profile, profiles
from acula_edge.quantize.ranges import Range, find_ranges, float_values
from acula_edge.quantize.workload import int8_share, measure_work

SCHEMA = "acula-edge/quantize/1"
ENCODER_INT8_FILE = "encoder.int8.onnx"
MODEL_INT8_FILE = "model.int8.onnx"
QUANTIZE_FILE = "quantize.json"

# None leaves the network as it is; the best of these on the calibration windows is kept.
BALANCES: tuple[float | None, ...] = (None, 0.25, 0.5, 0.75)
TRIAL_WINDOWS = 64

Array = NDArray[np.float32]


@dataclass(frozen=True)
class Candidate:
    """One INT8 form of the encoder and how far its embedding is from the float one on some calibration windows."""

    balance: float | None
    model: onnx.ModelProto
    sqnr_db: float


def quantize_encoder(
    folder: str | Path,
    profile: str,
    mels: Sequence[Array],
    *,
    method: str = "minmax",
    keep_float: Sequence[str] = (),
    calibration: Mapping[str, Any] | None = None,
    parity_mels: Sequence[Array] | None = None,
) -> dict[str, Any]:
    """Quantize ``encoder.onnx`` in `folder` and merge it with ``frontend.onnx``.

    Args:
        profile: a registered profile; decides the form of the graph.
        mels: calibration spectrograms, [1, F, M] each, of training subjects only (see
            :mod:`acula_edge.quantize.calibration`).
        method: see :func:`acula_edge.quantize.ranges.find_ranges`.
        keep_float: name patterns of nodes that stay in float besides the heads and the stem.
        calibration: what to record about the windows.
        parity_mels: spectrograms on which INT8 is compared with float; by default the calibration ones.

    Returns:
        The content of ``quantize.json``, which is written beside ``encoder.int8.onnx`` and ``model.int8.onnx``.

    Raises:
        InputError: an unknown profile, method or pattern, or nothing to quantize.
    """
    folder = Path(folder)
    chosen = profiles[profile]
    model = load_graph(folder / ENCODER_FILE)
    placement = place(model, chosen, keep_float)
    trial = list(mels)[:: max(1, len(mels) // TRIAL_WINDOWS)][:TRIAL_WINDOWS]
    reference = embed(model, trial)

    pairs = find_pairs(model)
    peaks = channel_peaks(model, mels, pairs) if pairs else {}
    candidates = []
    for balance in track(BALANCES if pairs else (None,), "quantizing"):
        network = model if balance is None else equalize(model, pairs, peaks, balance)
        ranges = find_ranges(network, mels, float_values(network), method)
        int8 = insert_qdq(network, chosen, placement, ranges)
        sqnr_db = compare_rows(reference, embed(int8, trial))["sqnr_db"]
        candidates.append(Candidate(balance, int8, np.inf if sqnr_db is None else float(sqnr_db)))
    best = max(candidates, key=lambda candidate: candidate.sqnr_db)

    save_graph(best.model, folder / ENCODER_INT8_FILE)
    merge_files(folder / FRONTEND_FILE, folder / ENCODER_INT8_FILE, folder / MODEL_INT8_FILE)
    compared = list(mels if parity_mels is None else parity_mels)
    facts = {
        "schema": SCHEMA,
        "profile": chosen.name,
        "method": method,
        "activation_type": chosen.activation_type + (" symmetric" if chosen.symmetric_activations else ""),
        "weight_type": "int8 symmetric, per channel" + (f", {EXACT_ON_X86}" if chosen.pairs_fit_16_bits else ""),
        "calibration": dict(calibration or {"definition": None, "n_windows": len(mels)}),
        "equalization": {
            "pairs": len(pairs),
            "balance": best.balance,
            "sqnr_db": {str(c.balance): c.sqnr_db if np.isfinite(c.sqnr_db) else None for c in candidates},
        },
        "nodes": {"quantized": len(placement.quantized), "float": placement.kept},
        **describe_work(best.model),
        "parity": {
            **compare_rows(embed(model, compared), embed(best.model, compared)),
            "windows": "calibration" if parity_mels is None else "held out",
        },
        **_sizes(folder),
    }
    write_json(folder / QUANTIZE_FILE, facts)
    return facts


def insert_qdq(
    model: onnx.ModelProto, profile: Profile, placement: Placement, ranges: Mapping[str, Range]
) -> onnx.ModelProto:
    """A QDQ copy of a float graph."""
    from onnxruntime.quantization import CalibrationMethod, QuantType
    from onnxruntime.quantization.calibrate import TensorData, TensorsData
    from onnxruntime.quantization.qdq_quantizer import QDQQuantizer

    measured = {
        name: TensorData(lowest=np.float32(low), highest=np.float32(high)) for name, (low, high) in ranges.items()
    }
    overrides = weight_ranges(model, set(placement.quantized)) if profile.pairs_fit_16_bits else {}
    quantizer = QDQQuantizer(
        onnx.shape_inference.infer_shapes(model),
        per_channel=True,
        reduce_range=False,
        weight_qType=QuantType.QInt8,
        activation_qType=QuantType.QUInt8 if profile.activation_type == "uint8" else QuantType.QInt8,
        tensors_range=TensorsData(CalibrationMethod.MinMax, measured),
        nodes_to_quantize=list(placement.quantized),
        nodes_to_exclude=[],
        op_types_to_quantize=[*WEIGHTED_OPERATORS, *profile.carriers],
        extra_options={
            "ActivationSymmetric": profile.symmetric_activations,
            "WeightSymmetric": True,
            "TensorQuantOverrides": overrides,
            "QuantizeBias": profile.quantize_bias,
            "AddQDQPairToWeight": not profile.quantized_weights,
            "OpTypesToExcludeOutputQuantization": [
                operator for operator in WEIGHTED_OPERATORS if operator not in profile.quantize_outputs
            ],
        },
    )
    quantizer.quantize_model()
    quantizer.model.topological_sort()
    quantized = onnx.ModelProto()
    quantized.CopyFrom(quantizer.model.model)
    del quantized.graph.value_info[:]
    del quantized.metadata_props[:]
    # Zero points of biases only: on x86 without VNNI, ONNX Runtime rewrites those of weights in place.
    share_constants(quantized, onnx.TensorProto.INT32)
    quantized.ir_version = IR_VERSION
    exact = f", {EXACT_ON_X86}" if profile.pairs_fit_16_bits else ""
    return sign(quantized, f"{model.doc_string}; INT8 for {profile.name}{exact}")


def embed(model: onnx.ModelProto, mels: Sequence[Array]) -> Array:
    """Embeddings of spectrograms, as ONNX Runtime computes them on one thread.

    Shape: N of [1, F, M] -> [N, D].
    """
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.onnx"
        save_graph(model, path)
        engine = OrtEngine(path)
    return np.concatenate([engine.run({"mel": mel})["embedding"] for mel in mels])


def describe_work(model: onnx.ModelProto) -> dict[str, Any]:
    """Multiply-accumulates of a QDQ graph and how many of them run on INT8."""
    work = measure_work(model)
    return {
        "ops": dict(sorted(Counter(item.operator for item in work if item.int8).items())),
        "macs": sum(item.macs for item in work),
        "int8_mac_share": int8_share(work),
    }


def _sizes(folder: Path) -> dict[str, Any]:
    files = (ENCODER_FILE, ENCODER_INT8_FILE, MODEL_FILE, MODEL_INT8_FILE)
    sizes = {name: (folder / name).stat().st_size for name in files if (folder / name).is_file()}
    ratios = {"encoder": sizes[ENCODER_FILE] / sizes[ENCODER_INT8_FILE]}
    if MODEL_FILE in sizes:
        ratios["model"] = sizes[MODEL_FILE] / sizes[MODEL_INT8_FILE]
    return {"sizes_bytes": sizes, "size_ratio": ratios}
