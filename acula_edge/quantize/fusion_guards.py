"""Two habits of ONNX Runtime's optimizer (1.32) that a QDQ graph has to be guarded against, on CPUs.

One takes layers off the integers that were meant for them, the other puts layers on integers that were meant for float.
Both guards are in the graph, so that any program gets what `quantize.json` says; neither changes a number.
"""

from __future__ import annotations

import numpy as np
import onnx
from onnx import helper, numpy_helper

from acula_edge.quantize.graph import consumers, initializers, producers, shapes, tensor_of


def guard_integers(model: onnx.ModelProto, nodes: set[str]) -> None:
    """Give the biases behind quantized MatMuls leading dimensions of 1.

    Of a MatMul and an addition of [N], ONNX Runtime 1.32 makes a Gemm first (MatMulAddFusion) and looks for Q/DQ pairs
    after, and there is no integer Gemm with a float output behind a Reshape: the layer runs in float. It leaves an
    addition of [1, 1, N] alone, and MatMulIntegerToFloat takes the MatMul.
    """
    constants, read_by, known = initializers(model), consumers(model), shapes(model)
    for node in model.graph.node:
        if node.op_type != "MatMul" or node.name not in nodes or len(known.get(node.output[0], [])) < 3:
            continue
        for adder in read_by[node.output[0]]:
            bias = next((name for name in adder.input if name in constants), None)
            if adder.op_type != "Add" or bias is None or len(constants[bias].dims) != 1 or len(read_by[bias]) > 1:
                continue
            values = numpy_helper.to_array(constants[bias])
            apart = values.reshape([1] * (len(known[node.output[0]]) - 1) + [-1])
            constants[bias].CopyFrom(tensor_of(apart, bias))


def guard_floats(model: onnx.ModelProto, quantized: set[str]) -> None:
    """Put the biases of float layers between integer layers behind a DequantizeLinear, in INT32.

    Where a Conv or Gemm with float weights stands between a DequantizeLinear and a QuantizeLinear, ONNX Runtime takes
    them for forgotten and quantizes them itself, with one scale for the whole tensor (WeightBiasQuantization): merged
    training branches do not survive that. It leaves layers alone whose bias is not a constant; with a step of a
    2^30th of the largest bias, INT32 is more exact than float.
    """
    constants, made_by = initializers(model), producers(model)
    for node in list(model.graph.node):
        if node.op_type not in ("Conv", "Gemm") or node.name in quantized or node.input[1] not in constants:
            continue
        source = made_by.get(node.input[0])
        if source is None or source.op_type != "DequantizeLinear":
            continue
        bias = node.input[2] if len(node.input) > 2 else ""
        if bias and (bias not in constants or len(constants[bias].dims) != 1):
            continue
        values = numpy_helper.to_array(constants[bias]).astype(np.float64) if bias else np.zeros(_width(model, node))
        step = np.float32(np.abs(values).max() / 2**30 if values.any() else 1.0)
        names = [f"{node.name}/bias{suffix}" for suffix in ("_quantized", "_scale", "_zero_point", "")]
        arrays = (np.rint(values / step).astype(np.int32), step, np.int32(0))
        model.graph.initializer.extend(
            tensor_of(np.asarray(array), name) for name, array in zip(names[:3], arrays, strict=True)
        )
        position = list(model.graph.node).index(node)
        behind = helper.make_node("DequantizeLinear", names[:3], names[3:], name=f"{names[3]}_DequantizeLinear")
        model.graph.node.insert(position, behind)
        del model.graph.node[position + 1].input[2:]
        model.graph.node[position + 1].input.append(names[3])
        if bias and not any(bias in reader.input for reader in model.graph.node):
            model.graph.initializer.remove(constants[bias])


def _width(model: onnx.ModelProto, node: onnx.NodeProto) -> int:
    """Output channels of a Conv, columns of a Gemm's output."""
    return int(shapes(model)[node.output[0]][1] or 0)
