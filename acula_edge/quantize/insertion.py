"""Q/DQ pairs put into a float graph, and graphs run on spectrograms.

ONNX Runtime's quantizer places the pairs; ranges and the choice of nodes are ours.
"""

from __future__ import annotations

import tempfile
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
from numpy.typing import NDArray

from acula_edge.engines.ort import FITS_16_BITS, OrtEngine
from acula_edge.quantize.fusion_guards import guard_floats, guard_integers
from acula_edge.quantize.graph import IR_VERSION, save_graph, share_constants, sign
from acula_edge.quantize.histograms import Range
from acula_edge.quantize.overflow import weight_ranges
from acula_edge.quantize.placement import Placement
from acula_edge.quantize.profiles import WEIGHTED_OPERATORS, Profile
from acula_edge.quantize.workload import int8_share, measure_work

Array = NDArray[np.float32]


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
    if profile.quantized_weights:
        guard_integers(quantized, set(placement.quantized))
        guard_floats(quantized, set(placement.quantized))
    del quantized.graph.value_info[:]
    del quantized.metadata_props[:]
    # Zero points of biases only: on x86 without VNNI, ONNX Runtime rewrites those of weights in place.
    share_constants(quantized, onnx.TensorProto.INT32)
    quantized.ir_version = IR_VERSION
    if profile.pairs_fit_16_bits:
        onnx.helper.set_model_props(quantized, dict([FITS_16_BITS]))
    return sign(quantized, f"{model.doc_string}; INT8 for {profile.name}")


def run_graph(model: onnx.ModelProto, mels: Iterable[Array], outputs: Sequence[str] = ("embedding",)) -> list[Array]:
    """Outputs for spectrograms, as ONNX Runtime computes them on one thread.

    Shape: N of [1, F, M] -> [N, ...] per output.
    """
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.onnx"
        save_graph(model, path)
        engine = OrtEngine(path)
    found = [engine.run({"mel": mel}) for mel in mels]
    return [np.concatenate([values[name] for values in found]) for name in outputs]


def embed(model: onnx.ModelProto, mels: Iterable[Array]) -> Array:
    """Embeddings of spectrograms.

    Shape: N of [1, F, M] -> [N, D].
    """
    return run_graph(model, mels)[0]


@dataclass(frozen=True)
class WorkOfGraph:
    """Multiply-accumulates of a QDQ graph: INT8 nodes by operator, all, and the share on INT8."""

    ops: dict[str, int]
    macs: int
    int8_mac_share: float


def describe_work(model: onnx.ModelProto) -> WorkOfGraph:
    """How much of a QDQ graph's work runs on INT8."""
    work = measure_work(model)
    ops = Counter(item.operator for item in work if item.int8)
    return WorkOfGraph(dict(sorted(ops.items())), sum(item.macs for item in work), int8_share(work))
