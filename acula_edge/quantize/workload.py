"""Multiply-accumulates per node, and which of them run on INT8."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import onnx

from acula_edge.quantize.graph import attribute, producers, shapes


@dataclass(frozen=True)
class Work:
    """Work of one weighted node.

    Attributes:
        node: its name.
        operator: its type.
        macs: multiply-accumulates of one inference.
        int8: both operands come from a DequantizeLinear.
        weight_shape: shape of its second operand.
    """

    node: str
    operator: str
    macs: int
    int8: bool
    weight_shape: tuple[int, ...]


def measure_work(model: onnx.ModelProto) -> list[Work]:
    """Work of every Conv, ConvTranspose, Gemm and MatMul with known shapes, in graph order."""
    known, made_by = shapes(model), producers(model)
    work = []
    for node in model.graph.node:
        if node.op_type not in ("Conv", "ConvTranspose", "Gemm", "MatMul"):
            continue
        inner, weight, result = (known.get(name) for name in (node.input[0], node.input[1], node.output[0]))
        if not inner or not weight or not result or None in [*inner, *weight, *result]:
            continue
        macs = _macs(node, [d or 0 for d in inner], [d or 0 for d in weight], [d or 0 for d in result])
        operands = [made_by.get(name) for name in node.input[:2]]
        int8 = all(maker is not None and maker.op_type == "DequantizeLinear" for maker in operands)
        work.append(Work(node.name, node.op_type, macs, int8, tuple(d or 0 for d in weight)))
    return work


def int8_share(work: Sequence[Work]) -> float:
    """Share of multiply-accumulates in INT8; 0 for a graph without any."""
    total = sum(item.macs for item in work)
    return sum(item.macs for item in work if item.int8) / total if total else 0.0


def _macs(node: onnx.NodeProto, inner: list[int], weight: list[int], result: list[int]) -> int:
    if node.op_type == "Conv":
        return math.prod(result) * math.prod(weight[1:])
    if node.op_type == "ConvTranspose":
        return math.prod(inner) * math.prod(weight[1:])
    if node.op_type == "Gemm":
        return math.prod(result) * (inner[0] if attribute(node, "transA", 0) else inner[1])
    return math.prod(result) * inner[-1]
