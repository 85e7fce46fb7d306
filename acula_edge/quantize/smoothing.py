"""Smoothing: activation outliers of transformers moved into the weights, where INT8 has a scale per channel.

A few channels of a transformer's activations are tens of times larger than the rest, and one scale for the whole tensor
leaves the rest a handful of levels. In front of a layer y = W x every channel of x may be divided by any s_j if the
weights are multiplied by it (Xiao et al. 2022, SmoothQuant, arXiv 2211.10438, equations 3 and 4):

    x'_j = x_j / s_j,  W'_j = s_j W_j,  s_j = max|x_j|^a / max|W_j|^(1 - a)

The division costs nothing where what makes x can take it: a LayerNormalization's scale and bias, or the layer that
makes attention's values, which attention only averages over tokens. Behind a GELU it is a multiplication of its own.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import helper, numpy_helper

from acula_edge.quantize.channel_groups import Group
from acula_edge.quantize.channels import Reader
from acula_edge.quantize.graph import attribute, consumers, initializers, tensor_of
from acula_edge.quantize.ranges import Range, observe

# A channel that never speaks would otherwise be raised to the height of the loudest.
SMALLEST_RATIO = 1e-3

Vector = NDArray[np.float64]
Extremes = tuple[Vector, Vector]


def channel_extremes(
    model: onnx.ModelProto, mels: Sequence[NDArray[np.float32]], groups: Sequence[Group]
) -> dict[str, Extremes]:
    """Smallest and largest number in every column of every value that a group's readers read, 0 included.

    Shape: mels of [1, F, M] -> [columns], [columns] by value.
    """
    values = list(dict.fromkeys(reader.value for group in groups for reader in group.readers))
    found: dict[str, Extremes] = {}
    for shown in observe(model, mels, values):
        for name, array in shown.items():
            columns = array.reshape(-1, array.shape[-1]).astype(np.float64)
            low, high = found.get(name, (np.zeros(columns.shape[1]), np.zeros(columns.shape[1])))
            found[name] = (np.minimum(low, columns.min(axis=0)), np.maximum(high, columns.max(axis=0)))
    return found


def find_scales(
    model: onnx.ModelProto,
    groups: Sequence[Group],
    extremes: Mapping[str, Extremes],
    balance: float | Mapping[str, float | None],
) -> dict[str, Vector]:
    """s of every group, by the group's node; channels that are not free have 1.

    Args:
        balance: the exponent a, 0 (all weight rows alike) to 1 (all activation channels alike), for all groups or by
            the group's node; groups with None, or that a mapping leaves out, are not scaled.

    Shape: [width] each.
    """
    nodes, tensors = {node.name: node for node in model.graph.node}, initializers(model)
    scales = {}
    for group in groups:
        exponent = balance.get(group.node) if isinstance(balance, Mapping) else balance
        if exponent is None:
            continue
        activation = [
            (reader, np.maximum(-low, high)) for reader in group.readers for low, high in [extremes[reader.value]]
        ]
        weight = []
        for reader in group.readers:
            node = nodes[reader.node]
            array = np.abs(numpy_helper.to_array(tensors[node.input[1]]))
            weight.append((reader, array.max(axis=0 if attribute(node, "transB", 0) else 1).astype(np.float64)))
        free = list(group.free)
        raw = _floored(_per_channel(group, activation)[free]) ** exponent
        raw = raw / _floored(_per_channel(group, weight)[free]) ** (1 - exponent)
        raw = np.maximum(raw, SMALLEST_RATIO * raw.max())
        scales[group.node] = np.ones(group.width)
        scales[group.node][free] = raw / np.exp(np.log(raw).mean())
    return scales


def smooth(model: onnx.ModelProto, groups: Sequence[Group], scales: Mapping[str, Vector]) -> onnx.ModelProto:
    """A copy that computes the same function with smoother activations; groups without a scale stay as they are."""
    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    nodes = {node.name: node for node in copy.graph.node}
    weights = _Weights(copy)
    for group in groups:
        scale = scales.get(group.node)
        if scale is None:
            continue
        _divide(copy, nodes, weights, group, scale)
        for reader in group.readers:
            node, column = nodes[reader.node], reader_scale(reader, scale)
            weight = weights.read(node.input[1])
            weights.write(node, 1, weight * (column[None] if attribute(node, "transB", 0) else column[:, None]))
    return copy


def smoothed_ranges(
    groups: Sequence[Group], scales: Mapping[str, Vector], extremes: Mapping[str, Extremes]
) -> dict[str, Range]:
    """Ranges of the values that :func:`smooth` changes and a quantized layer reads, without running the graph again."""
    ranges = {}
    for group in groups:
        scale = scales.get(group.node)
        if scale is None:
            continue
        for reader in group.readers:
            low, high = extremes[reader.value]
            column = reader_scale(reader, scale)
            name = smoothed_name(reader.value) if group.source == "explicit" else reader.value
            ranges[name] = (float((low / column).min()), float((high / column).max()))
    return ranges


def reader_scale(reader: Reader, scale: Vector) -> Vector:
    """The scale of each of a reader's input columns; padding has 1."""
    return np.append(scale, 1.0)[list(reader.channels)]


def smoothed_name(value: str) -> str:
    """Name of a value behind the multiplication that was put in."""
    return f"{value}/smoothed"


class _Weights:
    """Initializers that can be rewritten for one node without changing another's."""

    def __init__(self, model: onnx.ModelProto) -> None:
        self._model = model
        self._tensors = initializers(model)
        self._read_by = consumers(model)

    def read(self, name: str) -> Vector:
        return numpy_helper.to_array(self._tensors[name]).astype(np.float64)

    def write(self, node: onnx.NodeProto, index: int, array: Vector) -> None:
        """Give `node` new contents of its input `index`."""
        name, value = node.input[index], array.astype(np.float32)
        if len(self._read_by[name]) == 1:
            self._tensors[name].CopyFrom(tensor_of(value, name))
            return
        self._read_by[name].remove(node)
        own = f"{node.name}/input_{index}"
        self._model.graph.initializer.append(tensor_of(value, own))
        self._tensors[own] = self._model.graph.initializer[-1]
        self._read_by[own] = [node]
        node.input[index] = own


def _divide(
    model: onnx.ModelProto, nodes: Mapping[str, onnx.NodeProto], weights: _Weights, group: Group, scale: Vector
) -> None:
    """Make the group's value smaller by `scale`, per channel."""
    if group.source == "explicit":
        _put_in_division(model, [nodes[reader.node] for reader in group.readers], group.node, scale)
        return
    node = nodes[group.node]
    if group.source == "norm":
        for index in (1, 2):
            if len(node.input) > index and node.input[index]:
                weights.write(node, index, weights.read(node.input[index]) / scale)
        return
    weight = weights.read(node.input[1])
    weights.write(node, 1, weight / (scale[:, None] if attribute(node, "transB", 0) else scale[None]))
    if node.op_type == "Gemm" and len(node.input) > 2 and node.input[2]:
        weights.write(node, 2, weights.read(node.input[2]) / scale)
    if group.bias:
        adder = nodes[group.bias]
        index = 0 if adder.input[1] == node.output[0] else 1
        weights.write(adder, index, weights.read(adder.input[index]) / scale)


def _put_in_division(model: onnx.ModelProto, readers: Sequence[onnx.NodeProto], value: str, scale: Vector) -> None:
    factor, smoothed = f"{value}/smoothing", smoothed_name(value)
    model.graph.initializer.append(tensor_of((1 / scale).astype(np.float32), factor))
    division = helper.make_node("Mul", [value, factor], [smoothed], name=smoothed)
    names = {reader.name for reader in readers}
    position = next(index for index, node in enumerate(model.graph.node) if node.name in names)
    for reader in readers:
        reader.input[0] = smoothed
    model.graph.node.insert(position, division)


def _per_channel(group: Group, columns: Sequence[tuple[Reader, Vector]]) -> Vector:
    """Largest over all readers' columns, per channel."""
    peaks = np.zeros(group.width + 1)
    for reader, column in columns:
        np.maximum.at(peaks, list(reader.channels), column)
    return peaks[: group.width]


def _floored(peaks: Vector) -> Vector:
    return np.maximum(peaks, SMALLEST_RATIO * peaks.max()) if peaks.max() > 0 else np.ones_like(peaks)
