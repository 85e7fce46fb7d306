"""A QDQ graph as a PyTorch module: what the INT8 file computes, differentiable, and back into the file.

The module is read from the file itself, so Q/DQ pairs, layers left in float and equalized channels are where the
quantizer put them, whatever the profile.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable
from typing import Any

import numpy as np
import onnx
import torch
from numpy.typing import NDArray
from onnx import numpy_helper
from torch import nn

from acula_edge.errors import InputError
from acula_edge.quantize.fake_quantization import Scale, Weight
from acula_edge.quantize.graph import attribute, initializers
from acula_edge.quantize.placement import EMBEDDING
from acula_edge.quantize.profiles import WEIGHTED_OPERATORS, Profile
from acula_edge.quantize.torch_operators import OPERATORS, run_operator

LARGEST_BIAS = 2**31 - 1
BIAS_STEPS = 2**30
Write = Callable[[str, NDArray[Any]], None]
QUANTIZE, DEQUANTIZE = "QuantizeLinear", "DequantizeLinear"


class TrainableGraph(nn.Module):
    """An encoder's QDQ graph up to its embedding, for batches.

    Args:
        model: as :func:`acula_edge.quantize.qdq.insert_qdq` makes it; not changed.
        profile: that it was made for.

    Raises:
        InputError: the graph has an operator that is not known here.

    Shape: mel [B, F, M] -> embedding [B, D].
    """

    def __init__(self, model: onnx.ModelProto, profile: Profile) -> None:
        super().__init__()
        self.model, self.profile = model, profile
        self.nodes = _leading_to(model, EMBEDDING)
        (self.entry,) = [value.name for value in model.graph.input]
        unknown = sorted({node.op_type for node in self.nodes} - set(OPERATORS) - {QUANTIZE, DEQUANTIZE})
        if unknown:
            raise InputError(
                "quantization-aware fine-tuning does not know an operator of this encoder",
                given=", ".join(unknown),
                allowed=sorted(OPERATORS),
                remedy="--set quantize.aware=never",
            )
        self.constants = {name: numpy_helper.to_array(tensor) for name, tensor in initializers(model).items()}
        self.scales, self.weights = nn.ModuleDict(), nn.ModuleDict()
        self.floats = nn.ParameterDict()
        for node in self.nodes:
            self._adopt(node)
        self.fixed: dict[str, torch.Tensor] = {}
        for name in {name for node in self.nodes for name in node.input} & set(self.constants):
            self._fix(name)

    def _adopt(self, node: onnx.NodeProto) -> None:
        """Make parameters of what a node reads."""
        constants = self.constants
        if node.op_type == QUANTIZE and node.input[0] not in constants:
            key = _key(node.input[1])
            if key not in self.scales:
                self.scales[key] = Scale(constants[node.input[1]], constants[node.input[2]])
        elif node.op_type in (QUANTIZE, DEQUANTIZE) and node.input[0] in constants:
            stored, scale = constants[node.input[0]], constants[node.input[1]]
            axis = attribute(node, "axis", 1) % max(stored.ndim, 1) if scale.ndim else None
            value = stored if node.op_type == QUANTIZE else stored * _spread(scale, stored.ndim, axis)
            if stored.dtype == np.int32:
                self.floats[_key(node.output[0])] = nn.Parameter(torch.from_numpy(value.astype(np.float32)))
            else:
                self.weights[_key(node.output[0])] = Weight(value, axis, self.profile.pairs_fit_16_bits)
        elif node.op_type in WEIGHTED_OPERATORS:
            for name in node.input[1:]:
                if name in constants:
                    self.floats[_key(name)] = nn.Parameter(torch.from_numpy(constants[name].copy()))

    def _fix(self, name: str) -> None:
        """Keep what is not trained: floats where the module is, shapes and axes on the CPU."""
        value = torch.from_numpy(self.constants[name].copy())
        if _key(name) in self.floats:
            return
        if value.is_floating_point():
            self.register_buffer(_key(name), value, persistent=False)
        else:
            self.fixed[name] = value

    def forward(self, mel: torch.Tensor) -> torch.Tensor:
        """Embeddings as the INT8 file would give them, up to the order of sums."""
        values: dict[str, torch.Tensor] = {self.entry: mel}
        for node in self.nodes:
            values[node.output[0]] = self._run(node, values)
        return values[EMBEDDING]

    def _run(self, node: onnx.NodeProto, values: dict[str, torch.Tensor]) -> torch.Tensor:
        name = node.output[0]
        if _key(name) in self.weights:
            return self._weight(name).rounded()
        if node.op_type == DEQUANTIZE:
            return self._float(name) if _key(name) in self.floats else values[node.input[0]]
        if node.op_type == QUANTIZE:
            return self._scale(node.input[1]).rounded(values[node.input[0]])
        return run_operator(node, [self._value(name, values) for name in node.input if name])

    def _value(self, name: str, values: dict[str, torch.Tensor]) -> torch.Tensor:
        if name in values:
            return values[name]
        if _key(name) in self.floats:
            return self._float(name)
        return self.fixed[name] if name in self.fixed else self.get_buffer(_key(name))

    def _scale(self, name: str) -> Scale:
        found = self.scales[_key(name)]
        assert isinstance(found, Scale)
        return found

    def _weight(self, name: str) -> Weight:
        found = self.weights[_key(name)]
        assert isinstance(found, Weight)
        return found

    def _float(self, name: str) -> torch.Tensor:
        found: torch.Tensor = self.floats[_key(name)]
        return found

    def to_model(self) -> onnx.ModelProto:
        """The QDQ graph with what was learned; heads and everything else behind the embedding are as they were."""
        model = onnx.ModelProto()
        model.CopyFrom(self.model)
        _unshare_biases(model)
        nodes = _leading_to(model, EMBEDDING)
        made_by = {output: node for node in nodes for output in node.output}
        tensors = initializers(model)

        def write(name: str, value: NDArray[Any]) -> None:
            kind = numpy_helper.to_array(tensors[name]).dtype
            shaped = np.asarray(value, kind).reshape(tuple(tensors[name].dims))
            tensors[name].CopyFrom(numpy_helper.from_array(shaped, name))

        with torch.no_grad():
            for key in self.scales:
                write(_name(key), _array(self._scale(_name(key)).value))
            for node in nodes:
                if node.op_type not in WEIGHTED_OPERATORS:
                    continue
                if node.input[1] in made_by:
                    self._write_integers(node, made_by, write)
                for name in node.input[1:]:
                    if _key(name) in self.floats and name not in made_by:
                        write(name, _array(self._float(name)))
                    elif _key(name) in self.floats and node.input[1] not in made_by:
                        self._write_bias_of_float(made_by[name], write)
        return model

    def fingerprint(self) -> str:
        """SHA-256 of the graph as it was read, heads left out."""
        digest = hashlib.sha256(self.profile.name.encode())
        for node in self.nodes:
            digest.update(node.SerializeToString(deterministic=True))
        for name in sorted({name for node in self.nodes for name in node.input} & set(self.constants)):
            digest.update(name.encode() + self.constants[name].tobytes())
        return digest.hexdigest()

    def _write_integers(self, node: onnx.NodeProto, made_by: dict[str, onnx.NodeProto], write: Write) -> None:
        """Weight, bias and their scales of one quantized layer."""
        entry, weight = made_by[node.input[0]], made_by[node.input[1]]
        if weight.input[0] in made_by:  # the weight lies in float before its Q/DQ pair
            weight = made_by[weight.input[0]]
        learned = self._weight(weight.output[0])
        scales = learned.scales()
        bias = made_by.get(node.input[2]) if len(node.input) > 2 else None
        if bias is not None:
            value = _array(self._float(bias.output[0]))
            step = float(self._scale(entry.input[1]).value)
            # A channel of tiny weights under a large bias: its sum must not outgrow INT32.
            scales = np.maximum(scales, np.abs(value) / (step * LARGEST_BIAS)).astype(np.float32)
            write(bias.input[1], scales * step)
            write(bias.input[0], np.round(value / (scales.astype(np.float64) * step)))
        write(weight.input[1], scales)
        write(weight.input[0], _array(learned.value) if weight.op_type == QUANTIZE else learned.integers(scales))

    def _write_bias_of_float(self, bias: onnx.NodeProto, write: Write) -> None:
        """A layer in float may keep its bias in INT32 (:func:`acula_edge.quantize.fusion_guards.guard_floats`)."""
        value = _array(self._float(bias.output[0])).astype(np.float64)
        step = np.float32(max(np.abs(value).max() / BIAS_STEPS, np.finfo(np.float32).tiny))
        write(bias.input[1], np.full(self.constants[bias.input[1]].shape, step))
        write(bias.input[0], np.rint(value / step))


def _leading_to(model: onnx.ModelProto, value: str) -> list[onnx.NodeProto]:
    """The nodes that a value depends on, in graph order."""
    needed, nodes = {value}, []
    for node in reversed(model.graph.node):
        if needed.intersection(node.output):
            nodes.append(node)
            needed.update(node.input)
    return nodes[::-1]


def _unshare_biases(model: onnx.ModelProto) -> None:
    """Give every integer bias a constant of its own; equal ones (zeros, for instance) are one in the file."""
    tensors, read = initializers(model), Counter(name for node in model.graph.node for name in node.input)
    for node in model.graph.node:
        tensor = tensors.get(node.input[0]) if node.op_type == DEQUANTIZE else None
        if tensor is not None and tensor.data_type == onnx.TensorProto.INT32 and read[tensor.name] > 1:
            read[tensor.name] -= 1
            node.input[0] = f"{node.output[0]}_learned"
            model.graph.initializer.add().CopyFrom(
                numpy_helper.from_array(numpy_helper.to_array(tensor), node.input[0])
            )


def _spread(scale: NDArray[Any], rank: int, axis: int | None) -> NDArray[Any]:
    """A scale per channel, in the shape in which it multiplies a tensor."""
    return scale if axis is None else scale.reshape([-1 if place == axis else 1 for place in range(rank)])


def _array(value: torch.Tensor) -> NDArray[np.float32]:
    return np.asarray(value.detach().cpu().numpy(), np.float32)


def _key(name: str) -> str:
    """A value's name where PyTorch allows no dots."""
    return name.replace(".", "%")


def _name(key: str) -> str:
    return key.replace("%", ".")
