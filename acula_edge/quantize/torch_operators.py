"""The ONNX operators of a student, in PyTorch, for batches of the one clip that the graph was exported for."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import onnx
import torch
from torch.nn import functional

from acula_edge.errors import InputError
from acula_edge.quantize.graph import attribute

Operator = Callable[[onnx.NodeProto, Sequence[torch.Tensor]], torch.Tensor]


def run_operator(node: onnx.NodeProto, inputs: Sequence[torch.Tensor]) -> torch.Tensor:
    """The first output of one node.

    Args:
        inputs: activations with B clips where the graph has one, and constants as they are.
    """
    return OPERATORS[node.op_type](node, inputs)


def _conv(node: onnx.NodeProto, inputs: Sequence[torch.Tensor]) -> torch.Tensor:
    x, weight = inputs[:2]
    return functional.conv2d(
        _pad(node, x),
        weight,
        inputs[2] if len(inputs) > 2 else None,
        attribute(node, "strides", [1, 1]),
        0,
        attribute(node, "dilations", [1, 1]),
        attribute(node, "group", 1),
    )


def _pad(node: onnx.NodeProto, x: torch.Tensor, value: float = 0.0) -> torch.Tensor:
    """Pad as the attributes of a convolution or a pooling say."""
    if attribute(node, "auto_pad", b"NOTSET") not in (b"NOTSET", b"VALID"):
        raise InputError(f"{node.name} pads by itself", given=attribute(node, "auto_pad"), allowed="explicit pads")
    top, left, bottom, right = attribute(node, "pads", [0, 0, 0, 0])
    return functional.pad(x, (left, right, top, bottom), value=value) if top + left + bottom + right else x


def _average_pool(node: onnx.NodeProto, inputs: Sequence[torch.Tensor]) -> torch.Tensor:
    if any(attribute(node, "pads", [0])) or attribute(node, "ceil_mode", 0):
        raise InputError(f"{node.name} averages over padding", allowed="pooling without padding")
    return functional.avg_pool2d(inputs[0], attribute(node, "kernel_shape"), attribute(node, "strides", [1, 1]))


def _max_pool(node: onnx.NodeProto, inputs: Sequence[torch.Tensor]) -> torch.Tensor:
    x = _pad(node, inputs[0], value=-torch.inf)
    return functional.max_pool2d(x, attribute(node, "kernel_shape"), attribute(node, "strides", [1, 1]))


def _gemm(node: onnx.NodeProto, inputs: Sequence[torch.Tensor]) -> torch.Tensor:
    left = inputs[0].T if attribute(node, "transA", 0) else inputs[0]
    right = inputs[1].T if attribute(node, "transB", 0) else inputs[1]
    product: torch.Tensor = attribute(node, "alpha", 1.0) * left @ right
    return product + attribute(node, "beta", 1.0) * inputs[2] if len(inputs) > 2 else product


def _pad_constant(node: onnx.NodeProto, inputs: Sequence[torch.Tensor]) -> torch.Tensor:
    x, pads = inputs[0], inputs[1].tolist()
    axes = inputs[3].tolist() if len(inputs) > 3 else range(x.ndim)
    if attribute(node, "mode", b"constant") != b"constant":
        raise InputError(f"{node.name} repeats what is at the edge", allowed="padding with a constant")
    of_axis = {axis % x.ndim: (pads[place], pads[place + len(axes)]) for place, axis in enumerate(axes)}
    sides = [size for axis in reversed(range(x.ndim)) for size in of_axis.get(axis, (0, 0))]
    return functional.pad(x, sides, value=float(inputs[2]) if len(inputs) > 2 else 0.0)


def _reshape(node: onnx.NodeProto, inputs: Sequence[torch.Tensor]) -> torch.Tensor:
    x, wanted = inputs[0], inputs[1].tolist()
    if not attribute(node, "allowzero", 0):
        wanted = [x.shape[axis] if size == 0 else size for axis, size in enumerate(wanted)]
    return x.reshape([len(x) if wanted[0] == 1 else wanted[0], *wanted[1:]])


def _normalize(node: onnx.NodeProto, inputs: Sequence[torch.Tensor]) -> torch.Tensor:
    x, weight, bias, mean, variance = inputs
    return functional.batch_norm(x, mean, variance, weight, bias, eps=attribute(node, "epsilon", 1e-5))


def _clip(node: onnx.NodeProto, inputs: Sequence[torch.Tensor]) -> torch.Tensor:
    low, high = (*inputs[1:], None, None)[:2]
    return torch.clamp(inputs[0], low, high)


def _unsqueeze(node: onnx.NodeProto, inputs: Sequence[torch.Tensor]) -> torch.Tensor:
    x, axes = inputs[0], inputs[1].tolist()
    rank = x.ndim + len(axes)
    for axis in sorted(axis % rank for axis in axes):
        x = x.unsqueeze(axis)
    return x


OPERATORS: dict[str, Operator] = {
    "Add": lambda node, inputs: inputs[0] + inputs[1],
    "AveragePool": _average_pool,
    "BatchNormalization": _normalize,
    "Clip": _clip,
    "Concat": lambda node, inputs: torch.cat(list(inputs), attribute(node, "axis")),
    "Conv": _conv,
    "Flatten": lambda node, inputs: inputs[0].flatten(attribute(node, "axis", 1)),
    "Gemm": _gemm,
    "GlobalAveragePool": lambda node, inputs: inputs[0].mean((2, 3), keepdim=True),
    "MatMul": lambda node, inputs: inputs[0] @ inputs[1],
    "MaxPool": _max_pool,
    "Mul": lambda node, inputs: inputs[0] * inputs[1],
    "Pad": _pad_constant,
    "Relu": lambda node, inputs: functional.relu(inputs[0]),
    "Reshape": _reshape,
    "Squeeze": lambda node, inputs: inputs[0].squeeze(tuple(inputs[1].tolist())),
    "Transpose": lambda node, inputs: inputs[0].permute(attribute(node, "perm")),
    "Unsqueeze": _unsqueeze,
}
