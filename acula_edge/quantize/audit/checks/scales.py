"""QuantizeLinear and DequantizeLinear one by one: scales, zero points, types and axes."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto

from acula_edge.quantize.audit import sources
from acula_edge.quantize.audit.rules import TENSORRT, Hit, rule
from acula_edge.quantize.audit.view import GraphView
from acula_edge.quantize.graph import attribute

_BOTH = ("QuantizeLinear", "DequantizeLinear")


@rule("scale", "error", "scales are constant, positive and finite", source=sources.PARSER)
def find_scales(view: GraphView) -> Iterator[Hit]:
    """The parser asserts that every coefficient is positive."""
    for node in view.of(*_BOTH):
        scale = view.scale(node)
        if scale is None:
            yield Hit(node.name, "the scale is no constant; fold it into an initializer")
        elif not np.all(np.isfinite(scale) & (scale > 0)):
            yield Hit(node.name, "a scale is not positive and finite; calibrate again (a channel of zeros gets 1)")


@rule("scale-count", "error", "one scale per tensor or per channel", source=sources.PARSER)
def find_scale_counts(view: GraphView) -> Iterator[Hit]:
    """The parser asserts that there are as many as the axis is long."""
    for node in view.of(*_BOTH):
        scale, shape = view.scale(node), view.shapes.get(node.input[0])
        if scale is None or scale.size == 1 or not shape:
            continue
        axis = attribute(node, "axis", 1)
        length = shape[axis] if -len(shape) <= axis < len(shape) else None
        if scale.size != length:
            yield Hit(node.name, f"{scale.size} scales for axis {axis}, which has {length} entries")


@rule("zero-point", "error", "zero points are 0", source=sources.OPERATORS, profiles=TENSORRT)
def find_zero_points(view: GraphView) -> Iterator[Hit]:
    """TensorRT quantizes symmetrically. Biases are the rule int32-bias's."""
    for node in view.of(*_BOTH):
        zero_point = view.constant(node, 2)
        if zero_point is not None and _kind(view, node) != TensorProto.INT32 and np.any(zero_point != 0):
            yield Hit(node.name, "the zero point is not 0; quantize symmetrically (ActivationSymmetric)")


@rule("zero-point-count", "error", "as many zero points as scales", source=sources.PARSER, profiles=TENSORRT)
def find_zero_point_counts(view: GraphView) -> Iterator[Hit]:
    """The parser compares their sizes."""
    for node in view.of(*_BOTH):
        scale, zero_point = view.scale(node), view.constant(node, 2)
        if scale is not None and zero_point is not None and scale.size != zero_point.size:
            yield Hit(node.name, f"{zero_point.size} zero points and {scale.size} scales; give one for each")


@rule("uint8", "error", "integers are signed", source=sources.PARSER, profiles=TENSORRT)
def find_uint8(view: GraphView) -> Iterator[Hit]:
    """Without a zero point ONNX means UINT8 and TensorRT INT8: the file would mean two things."""
    for node in view.of(*_BOTH):
        if _kind(view, node) == TensorProto.UINT8:
            yield Hit(node.name, "TensorRT takes INT8 only, not UINT8; quantize activations as INT8")
        elif node.op_type == "QuantizeLinear" and not view.has(node, 2):
            yield Hit(node.name, "without a zero point QuantizeLinear makes UINT8; give an INT8 zero point of 0")


@rule("int32-bias", "error", "biases stay in float", source=sources.INT32_BIAS, profiles=TENSORRT)
def find_int32_biases(view: GraphView) -> Iterator[Hit]:
    """Parsing ends with "only activation types allowed as input to this layer"."""
    for node in view.of("DequantizeLinear"):
        if _kind(view, node) == TensorProto.INT32:
            yield Hit(node.name, "TensorRT parses no INT32 DequantizeLinear; keep biases in float (QuantizeBias=False)")


@rule("per-channel-axis", "error", "scales per channel for weights only, along outputs", source=sources.EXPLICIT)
def find_axes(view: GraphView) -> Iterator[Hit]:
    """Conv: axis 0 (K of KCRS). ConvTranspose: 1. Gemm: 0 with transB, else 1. MatMul: the last."""
    for node in view.of("DequantizeLinear"):
        scale = view.scale(node)
        if scale is None or scale.size == 1:
            continue
        axis, rank = attribute(node, "axis", 1), view.rank(node.input[0])
        for reader in view.readers(node.output[0]):
            position = list(reader.input).index(node.output[0])
            if position == 0 and not view.is_weight(node):
                yield Hit(node.name, "an activation cannot have a scale per channel; calibrate one for the tensor")
                continue
            expected = _weight_axis(reader, rank) if position == 1 else None
            if expected is not None and axis % (rank or 1) != expected:
                message = f"{scale.size} scales along axis {axis}; {reader.op_type} needs them along axis {expected}"
                yield Hit(node.name, f"{message}, its output channels")


def _weight_axis(reader: onnx.NodeProto, rank: int | None) -> int | None:
    if reader.op_type == "Gemm":
        return 0 if attribute(reader, "transB", 0) else 1
    if reader.op_type == "MatMul":
        return None if rank is None else rank - 1
    return {"Conv": 0, "ConvTranspose": 1}.get(reader.op_type)


def _kind(view: GraphView, node: onnx.NodeProto) -> int | None:
    """Element type on the integer side."""
    zero_point: NDArray[np.generic] | None = view.constant(node, 2)
    if zero_point is not None:
        return int(onnx.helper.np_dtype_to_tensor_dtype(zero_point.dtype))
    return view.types.get(node.input[0] if node.op_type == "DequantizeLinear" else node.output[0])
