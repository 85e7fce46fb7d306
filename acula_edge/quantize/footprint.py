"""How much memory a graph needs on a device without an operating system: constants in flash, live values in RAM.

A liveness analysis over the graph as it is, for a runtime that computes node by node in the graph's order. A value
lives from the node that makes it to the last one that reads it. Operators that such runtimes compute in place or fuse
(activations after a convolution, Q/DQ pairs, changes of shape alone) share one buffer, which is stored in its quantized
form where it has one. Code, stacks and alignment come on top and depend on the runtime.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import msgspec
import onnx
from onnx import helper

from acula_edge.bundle.schema import Footprint
from acula_edge.quantize.graph import consumers

ENCODER_PREFIX = "encoder/"

RESHAPING = frozenset({"DequantizeLinear", "Flatten", "Identity", "Reshape", "Squeeze", "Unsqueeze"})
"""The result is the operand's bytes under another shape or type, whoever else reads the operand."""

IN_PLACE = frozenset({"BatchNormalization", "Clip", "QuantizeLinear", "Relu", "Sigmoid"})
"""Value by value: the result takes the operand's place, unless somebody else still reads the operand."""


@dataclass
class _Buffer:
    """Bytes per element in the narrowest form, elements, and the first and last node that need it."""

    width: int
    elements: int | None
    first: int
    last: int

    @property
    def size(self) -> int | None:
        return None if self.elements is None else self.width * self.elements


def estimate_footprint(model: onnx.ModelProto, prefix: str = "") -> Footprint:
    """Estimate a graph's footprint.

    Args:
        prefix: only nodes whose names begin with it, and the constants and values that they touch: ``"encoder/"`` is
            the network without its front end, which a device may compute frame by frame.
    """
    constants = {tensor.name: tensor for tensor in model.graph.initializer}
    nodes = [node for node in model.graph.node if node.name.startswith(prefix)]
    read = {name for node in nodes for name in node.input}
    flash = sum(_constant_bytes(tensor) for name, tensor in constants.items() if name in read)
    buffers = _buffers(model, nodes)
    if any(buffer.elements is None for buffer in buffers):
        return Footprint(flash, None, None, None)
    live = [_live(buffers, position, widest=8) for position in range(len(nodes))]
    small = [_live(buffers, position, widest=1) for position in range(len(nodes))]
    peak = max(live, default=0)
    name = nodes[live.index(peak)].name if live else None
    return Footprint(flash, peak, max(small, default=0), name)


def describe_footprint(model: onnx.ModelProto) -> Footprint:
    """What ``audit.json`` says: the whole graph's footprint, and under ``encoder`` that of the network alone.

    ``encoder`` is None for a graph without a node of that name.
    """
    encoder = any(node.name.startswith(ENCODER_PREFIX) for node in model.graph.node)
    alone = estimate_footprint(model, ENCODER_PREFIX) if encoder else None
    return msgspec.structs.replace(estimate_footprint(model), encoder=alone)


def _live(buffers: list[_Buffer], position: int, widest: int) -> int:
    """Bytes that live while one node computes, of buffers with at most `widest` bytes per element."""
    return sum(
        buffer.size or 0 for buffer in buffers if buffer.first <= position <= buffer.last and buffer.width <= widest
    )


def _buffers(model: onnx.ModelProto, nodes: list[onnx.NodeProto]) -> list[_Buffer]:
    """Buffers of the values that `nodes` make or read, constants and what is computed from them alone left out."""
    known = _values(model)
    read_by = consumers(model)
    outputs = {value.name for value in model.graph.output}
    fixed = {tensor.name for tensor in model.graph.initializer} | {""}
    owner: dict[str, _Buffer] = {}
    buffers: list[_Buffer] = []
    for position, node in enumerate(nodes):
        operands = [name for name in node.input if name not in fixed]
        if not operands:
            fixed.update(node.output)
            continue
        for name in operands:
            if name not in owner:  # an input of the graph, or of this part of it
                owner[name] = _Buffer(*known.get(name, (4, None)), first=0, last=position)
                buffers.append(owner[name])
            owner[name].last = position
        shared = node.op_type in RESHAPING or (node.op_type in IN_PLACE and len(read_by[operands[0]]) == 1)
        for name in node.output:
            width, elements = known.get(name, (4, None))
            if shared and operands[0] not in outputs:
                owner[name] = owner[operands[0]]
                owner[name].width = min(owner[name].width, width)
            else:
                owner[name] = _Buffer(width, elements, first=position, last=position)
                buffers.append(owner[name])
            if name in outputs:
                owner[name].last = len(nodes)
    return buffers


def _values(model: onnx.ModelProto) -> dict[str, tuple[int, int | None]]:
    """Bytes per element and number of elements of every tensor; None elements where a dimension is not fixed."""
    graph = onnx.shape_inference.infer_shapes(model, data_prop=True).graph
    found: dict[str, tuple[int, int | None]] = {}
    for value in [*graph.value_info, *graph.input, *graph.output]:
        kind = value.type.tensor_type
        if not kind.elem_type:
            continue
        sizes = [dim.dim_value if dim.HasField("dim_value") else None for dim in kind.shape.dim]
        elements = None if None in sizes or not kind.HasField("shape") else math.prod(size or 0 for size in sizes)
        found[value.name] = (_width(kind.elem_type), elements)
    return found


def _constant_bytes(tensor: onnx.TensorProto) -> int:
    return _width(tensor.data_type) * int(math.prod(tensor.dims))


def _width(data_type: int) -> int:
    return int(helper.tensor_dtype_to_np_dtype(data_type).itemsize)
