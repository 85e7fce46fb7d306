"""Which layers of a graph read the same channels, and what in front of them can take a scale per channel."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import onnx

from acula_edge.quantize.channels import ChannelMap, Reader
from acula_edge.quantize.graph import attribute, initializers, producers

_LINEAR = ("MatMul", "Gemm")

Source = Literal["norm", "linear", "explicit"]


@dataclass(frozen=True)
class Group:
    """Channels of one value and the layers that read them; all readers share one scale per channel.

    Attributes:
        source: what takes the division: ``norm``, ``linear``, or ``explicit`` for a Mul that is put in.
        node: name of the LayerNormalization or of the layer that makes the value; the value itself if explicit.
        bias: the value that is added behind the layer (initializer); "" where there is none or it is in the node.
        width: channels.
        free: those that may be scaled.
        readers: by name, with the channel of each input column.
    """

    source: Source
    node: str
    width: int
    free: tuple[int, ...]
    readers: tuple[Reader, ...]
    bias: str = field(default="")


def find_groups(model: onnx.ModelProto, quantized: Sequence[str], explicit: bool = True) -> list[Group]:
    """Groups of the MatMuls and Gemms among `quantized`, each layer in one group at most, in graph order.

    Args:
        quantized: names of nodes that will run on INT8.
        explicit: put a multiplication in front of layers whose input comes from neither kind of source.
    """
    wanted, taken, channels = set(quantized), set[str](), ChannelMap(model)
    constants, groups = initializers(model), list[Group]()
    for node in model.graph.node:
        candidate = None
        if node.op_type == "LayerNormalization" and all(name in constants for name in node.input[1:] if name):
            width = int(constants[node.input[1]].dims[0]) if len(constants[node.input[1]].dims) == 1 else 0
            candidate = ("norm", node.output[0], width, "")
        elif node.op_type in _LINEAR and node.input[1] in constants and len(constants[node.input[1]].dims) == 2:
            candidate = ("linear", *_behind_bias(model, node, constants))
        if candidate is None or not candidate[2]:
            continue
        source, value, width, bias = candidate
        destination = channels.follow(value)
        readers = tuple(reader for reader in destination.readers if reader.node not in taken)
        bound = set(destination.bound)
        bound.update(*(r.channels for r in destination.readers if r.node in taken))
        read = {channel for reader in readers if reader.node in wanted for channel in reader.channels}
        free = tuple(sorted(read - bound - {-1}))
        if free:
            groups.append(Group(source, node.name, width, free, readers, bias))  # type: ignore[arg-type]
            taken.update(reader.node for reader in readers)
    if explicit:
        groups += _explicit_groups(model, wanted - taken, constants)
    return groups


def describe(groups: Sequence[Group]) -> dict[str, Any]:
    """For ``quantize.json``: how many layers each kind of source serves."""
    return {
        source: sum(len(group.readers) for group in groups if group.source == source)
        for source in ("norm", "linear", "explicit")
    }


def _behind_bias(
    model: onnx.ModelProto, node: onnx.NodeProto, constants: Mapping[str, onnx.TensorProto]
) -> tuple[str, int, str]:
    """The value a layer makes, its width, and the name of the Add that holds its bias."""
    shape = constants[node.input[1]].dims
    width = int(shape[0] if attribute(node, "transB", 0) else shape[1])
    if node.op_type == "Gemm":
        plain = attribute(node, "alpha", 1.0) == 1.0 and attribute(node, "beta", 1.0) == 1.0
        vector = len(node.input) < 3 or (node.input[2] in constants and list(constants[node.input[2]].dims) == [width])
        return node.output[0], width if plain and vector else 0, ""
    following = [other for other in model.graph.node if node.output[0] in other.input]
    if len(following) == 1 and following[0].op_type == "Add":
        (other,) = [name for name in following[0].input if name != node.output[0]] or [""]
        if other in constants and list(constants[other].dims) == [width]:
            return following[0].output[0], width, following[0].name
    return node.output[0], width, ""


def _explicit_groups(model: onnx.ModelProto, left: set[str], constants: Mapping[str, onnx.TensorProto]) -> list[Group]:
    by_value: dict[str, list[Reader]] = {}
    made_by = producers(model)
    for node in model.graph.node:
        if node.name not in left or node.op_type not in _LINEAR or attribute(node, "transA", 0):
            continue
        shape = constants[node.input[1]].dims
        if len(shape) == 2 and node.input[0] in made_by:
            width = int(shape[1] if attribute(node, "transB", 0) else shape[0])
            by_value.setdefault(node.input[0], []).append(Reader(node.name, node.input[0], tuple(range(width))))
    return [
        Group("explicit", value, len(readers[0].channels), readers[0].channels, tuple(readers))
        for value, readers in by_value.items()
    ]
