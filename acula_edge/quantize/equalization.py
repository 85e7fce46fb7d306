"""Cross-layer equalization: the same network with its channels rescaled so that INT8 wastes fewer levels.

Between two layers with nothing but ReLU (and averaging) in between, channel c of the first may be divided by any s_c
if the second multiplies it back: the function is unchanged, but all channels now use the one scale that an activation
tensor has in INT8. Merged RepVGG and MobileOne blocks need it: their channels differ by orders of magnitude.
After Nagel et al. 2019 (arXiv 1906.04721), with SmoothQuant's (arXiv 2211.10438) balance between the two sides.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import numpy_helper

from acula_edge.quantize.graph import attribute, constant, consumers, initializers, producers, shapes, tensor_of
from acula_edge.quantize.histograms import Range

# A channel that never speaks would otherwise be raised to the height of the loudest.
SMALLEST_RATIO = 1e-3
_POOLS = ("GlobalAveragePool", "AveragePool", "ReduceMean", "Flatten", "Reshape")


@dataclass(frozen=True)
class Pair:
    """Two layers whose channels may be rescaled against each other.

    Attributes:
        first: node of the Conv that makes the channels.
        second: node of the Conv or Gemm that reads them.
        value: the activation between them, after the ReLU.
        repeats: inputs of `second` per channel (a Gemm behind a flattened map has several).
        values: every value that a rescaling changes, from the output of `first` to the input of `second`.
    """

    first: str
    second: str
    value: str
    repeats: int
    values: tuple[str, ...]


@dataclass(frozen=True)
class Equalized:
    """A rescaled network.

    Attributes:
        model: computes the same function.
        scales: what the channels of each of the pair's values were divided by, by value. Shape: [C].
    """

    model: onnx.ModelProto
    scales: dict[str, NDArray[np.float64]]


def find_pairs(model: onnx.ModelProto) -> list[Pair]:
    """Pairs of layers with one reader per value and ReLU, pooling or flattening at most in between."""
    made_by, read_by, known = producers(model), consumers(model), shapes(model)
    outputs = {value.name for value in model.graph.output}
    pairs = []
    for node in model.graph.node:
        if node.op_type not in ("Conv", "Gemm") or not _owns_weights(model, node, read_by):
            continue
        if node.op_type == "Gemm" and not _plain_gemm(node):
            continue
        value = node.input[0]
        behind = []
        while node.op_type == "Gemm" and _is_pooling(model, made_by.get(value), known):
            if len(read_by[value]) != 1:
                break
            behind.append(value)
            value = made_by[value].input[0]
        maker = made_by.get(value)
        first = made_by.get(maker.input[0]) if maker is not None and maker.op_type == "Relu" else maker
        if first is None or maker is None or first.op_type != "Conv" or not _owns_weights(model, first, read_by):
            continue
        between = {value, first.output[0]}
        if outputs & between or any(len(read_by[name]) != 1 for name in between):
            continue
        channels, width = known[first.input[1]][0], known[node.input[1]][1]
        if node.op_type == "Conv":
            group = attribute(node, "group", 1)
            if group != 1 and group != known[node.input[1]][0]:
                continue
            width = channels
        if channels and width and width % channels == 0:
            values = dict.fromkeys([first.output[0], value, *reversed(behind)])
            pairs.append(Pair(first.name, node.name, value, width // channels, tuple(values)))
    return pairs


def channel_peaks(
    pairs: Sequence[Pair], channels: Mapping[str, tuple[NDArray[np.float64], NDArray[np.float64]]]
) -> dict[str, NDArray[np.float64]]:
    """Largest magnitude per channel of every value between a pair, from its extremes per channel."""
    return {pair.value: np.maximum(-channels[pair.value][0], channels[pair.value][1]) for pair in pairs}


def equalize(
    model: onnx.ModelProto, pairs: Sequence[Pair], peaks: Mapping[str, NDArray[np.float64]], balance: float
) -> Equalized:
    """A rescaled copy that computes the same function.

    Args:
        balance: 1 gives every activation channel the same peak; 0 gives every input channel of the second layer's
            weights the same; a depthwise second layer has one scale per channel anyway and always takes 1.
    """
    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    nodes = {node.name: node for node in copy.graph.node}
    tensors = initializers(copy)
    scales: dict[str, NDArray[np.float64]] = {}
    for pair in pairs:
        first, second = nodes[pair.first], nodes[pair.second]
        weight = _array(tensors, second.input[1])
        depthwise = second.op_type == "Conv" and attribute(second, "group", 1) > 1
        scale = _scale(peaks[pair.value], None if depthwise else _input_peaks(second, weight, pair.repeats), balance)
        scales.update(dict.fromkeys(pair.values, scale))
        _write(tensors, first.input[1], _array(tensors, first.input[1]) / scale[:, None, None, None])
        if len(first.input) > 2 and first.input[2]:
            _write(tensors, first.input[2], _array(tensors, first.input[2]) / scale)
        if second.op_type == "Gemm":
            repeated = np.repeat(scale, pair.repeats)
            weight = weight * (repeated[None] if attribute(second, "transB", 0) else repeated[:, None])
        else:
            weight = weight * (scale[:, None, None, None] if depthwise else scale[None, :, None, None])
        _write(tensors, second.input[1], weight)
    return Equalized(copy, scales)


def equalized_ranges(
    scales: Mapping[str, NDArray[np.float64]],
    channels: Mapping[str, tuple[NDArray[np.float64], NDArray[np.float64]]],
) -> dict[str, Range]:
    """Extremes of the values that :func:`equalize` changes, without running the network again.

    Exact but for the rounding of float arithmetic: ReLU, means and reshapes within channels commute with a positive
    factor per channel, and the extremes per channel are known.
    """
    ranges = {}
    for name, scale in scales.items():
        low, high = channels[name]
        repeated = np.repeat(scale, len(low) // len(scale))
        ranges[name] = (float((low / repeated).min()), float((high / repeated).max()))
    return ranges


def _scale(activation: NDArray[np.float64], weight: NDArray[np.float64] | None, balance: float) -> NDArray[np.float64]:
    activation = np.maximum(activation, SMALLEST_RATIO * activation.max()) if activation.max() > 0 else activation + 1
    if weight is None:
        scale = activation
    else:
        weight = np.maximum(weight, SMALLEST_RATIO * weight.max()) if weight.max() > 0 else weight + 1
        scale = activation**balance / weight ** (1 - balance)
    scale = np.maximum(scale, SMALLEST_RATIO * scale.max())
    return np.asarray(scale / np.exp(np.log(scale).mean()))


def _input_peaks(node: onnx.NodeProto, weight: NDArray[np.float64], repeats: int) -> NDArray[np.float64]:
    if node.op_type == "Conv":
        return np.asarray(np.abs(weight).max(axis=(0, 2, 3)))
    inputs = np.abs(weight).max(axis=0 if attribute(node, "transB", 0) else 1)
    return np.asarray(inputs.reshape(-1, repeats).max(axis=1))


def _owns_weights(model: onnx.ModelProto, node: onnx.NodeProto, read_by: dict[str, list[onnx.NodeProto]]) -> bool:
    """Whether weight and bias are constants that no other node reads."""
    return all(constant(model, name) is not None and len(read_by[name]) == 1 for name in node.input[1:] if name)


def _plain_gemm(node: onnx.NodeProto) -> bool:
    return not attribute(node, "transA", 0) and attribute(node, "alpha", 1.0) == 1.0


def _is_pooling(model: onnx.ModelProto, node: onnx.NodeProto | None, known: dict[str, list[int | None]]) -> bool:
    """Whether a node averages or flattens within channels and keeps their order."""
    if node is None or node.op_type not in _POOLS:
        return False
    before, after = known.get(node.input[0], []), known.get(node.output[0], [])
    if node.op_type == "ReduceMean":
        axes = constant(model, node.input[1]) if len(node.input) > 1 else None
        return axes is not None and all(int(axis) % len(before) >= 2 for axis in axes)
    if node.op_type in ("Flatten", "Reshape"):
        return len(after) == 2 and before[:1] == after[:1] == [1]
    return True


def _array(tensors: dict[str, onnx.TensorProto], name: str) -> NDArray[np.float64]:
    return numpy_helper.to_array(tensors[name]).astype(np.float64)


def _write(tensors: dict[str, onnx.TensorProto], name: str, value: NDArray[np.float64]) -> None:
    tensors[name].CopyFrom(tensor_of(value.astype(np.float32), name))
