"""Weights whose UINT8 x INT8 products never overflow 16 bits, so that x86 without VNNI computes them fast and exactly.

Those CPUs multiply 8-bit operands in adjacent pairs and add the two products in 16 bits, with saturation (vpmaddubsw).
Activations reach 255, so it is enough that of any two adjacent weights of a channel the positive ones add up to at most
128, and the negative ones to at least -128. Halving all weights to 7 bits does that, as is commonly advised; a scale
per channel, as coarse as its worst pair needs and no coarser, costs half as much accuracy.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray

from acula_edge.quantize.graph import attribute, initializers

LARGEST = 127
LARGEST_SUM = 128


def weight_ranges(model: onnx.ModelProto, nodes: set[str]) -> dict[str, list[dict[str, Any]]]:
    """Ranges per channel of the constant weights of `nodes`, in the form of ONNX Runtime's TensorQuantOverrides."""
    constants = initializers(model)
    ranges: dict[str, list[dict[str, Any]]] = {}
    for node in model.graph.node:
        if node.name not in nodes or len(node.input) < 2 or node.input[1] not in constants:
            continue
        if node.op_type == "Conv":
            axis = 0
        elif node.op_type == "Gemm":
            axis = 0 if attribute(node, "transB", 0) else 1
        elif node.op_type == "MatMul" and len(constants[node.input[1]].dims) == 2:
            axis = 1
        else:
            continue
        weight = onnx.numpy_helper.to_array(constants[node.input[1]])
        limits = channel_limits(np.moveaxis(weight, axis, 0))
        entries: list[dict[str, Any]] = [{"rmin": np.float32(-limit), "rmax": np.float32(limit)} for limit in limits]
        entries[0]["axis"] = axis
        ranges[node.input[1]] = entries
    return ranges


def channel_limits(weight: NDArray[np.floating]) -> NDArray[np.float64]:
    """What INT8's 127 must stand for in each output channel.

    Rounding adds at most one to a pair's sum, so sums are held one below :data:`LARGEST_SUM`.

    Shape: weight [O, I, ...] -> [O].
    """
    rows = weight.astype(np.float64).reshape(len(weight), weight.shape[1], -1)
    peak = np.abs(rows).max(axis=(1, 2))
    # Kernels run over the inputs of a channel with the input channels last (images as NHWC) or first.
    for ordered in (rows.reshape(len(rows), -1), rows.transpose(0, 2, 1).reshape(len(rows), -1)):
        for side in (np.maximum(ordered, 0), np.maximum(-ordered, 0)):
            if side.shape[1] > 1:
                peak = np.maximum(peak, (side[:, 1:] + side[:, :-1]).max(axis=1) * LARGEST / (LARGEST_SUM - 1))
    return np.where(peak > 0, peak, 1.0)
