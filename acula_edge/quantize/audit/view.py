"""A graph as the rules see it: who makes and reads each value, shapes, types and constants, found once."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import numpy_helper

from acula_edge.errors import ArtifactError
from acula_edge.quantize.graph import attribute, consumers, producers
from acula_edge.quantize.profiles import Profile
from acula_edge.quantize.workload import Work, measure_work

FRONTEND_PREFIX = "frontend/"
WEIGHTED = ("Conv", "ConvTranspose", "Gemm", "MatMul")
CONVOLUTIONS = ("Conv", "ConvTranspose")
ACTIVATIONS = ("Relu", "Clip", "LeakyRelu", "PRelu", "Elu", "Sigmoid", "HardSigmoid", "HardSwish", "Tanh", "Softplus")
CLIPPING = ("Relu", "Clip", "LeakyRelu")


class GraphView:
    """One model, its profile, and the oldest TensorRT that must take it."""

    def __init__(self, model: onnx.ModelProto, profile: Profile, tensorrt: tuple[int, int, int]) -> None:
        self.model = model
        self.profile = profile
        self.tensorrt = tensorrt
        self.nodes: list[onnx.NodeProto] = list(model.graph.node)
        self.made_by = producers(model)
        self.read_by = consumers(model)
        self.inputs = {value.name for value in model.graph.input}
        self.outputs = {value.name for value in model.graph.output}
        tensors = [*model.graph.initializer, *(item.t for node in self.nodes for item in node.attribute)]
        self.external = any(tensor.data_location == onnx.TensorProto.EXTERNAL for tensor in tensors)

    @cached_property
    def opset(self) -> int:
        """Of ONNX's own operators; 0 where the file names none."""
        versions = [item.version for item in self.model.opset_import if item.domain in ("", "ai.onnx")]
        return max(versions, default=0)

    @cached_property
    def _values(self) -> list[onnx.ValueInfoProto]:
        try:
            inferred = onnx.shape_inference.infer_shapes(self.model, data_prop=True).graph
        except onnx.shape_inference.InferenceError as error:
            raise ArtifactError("the model is no valid ONNX graph", given=str(error).splitlines()[0]) from error
        return [*inferred.value_info, *inferred.input, *inferred.output]

    @cached_property
    def shapes(self) -> dict[str, list[int | None]]:
        """Of every value that can be inferred; None for a dimension that is not fixed."""
        found: dict[str, list[int | None]] = {tensor.name: list(tensor.dims) for tensor in self.model.graph.initializer}
        for value in self._values:
            if value.type.tensor_type.HasField("shape"):
                dims = value.type.tensor_type.shape.dim
                found[value.name] = [dim.dim_value if dim.HasField("dim_value") else None for dim in dims]
        return found

    @cached_property
    def types(self) -> dict[str, int]:
        """Element type of every value that can be inferred."""
        found = {tensor.name: tensor.data_type for tensor in self.model.graph.initializer}
        return found | {value.name: value.type.tensor_type.elem_type for value in self._values}

    @cached_property
    def work(self) -> list[Work]:
        """Multiply-accumulates of the weighted nodes."""
        return measure_work(self.model) if self.shapes else []

    @cached_property
    def constants(self) -> dict[str, NDArray[Any]]:
        """Initializers and the values of Constant nodes."""
        tensors = {tensor.name: tensor for tensor in self.model.graph.initializer}
        for node in self.nodes:
            value = attribute(node, "value") if node.op_type == "Constant" else None
            if isinstance(value, onnx.TensorProto):
                tensors[node.output[0]] = value
        # Those that lie in other files are not looked for: a path in a model could lead anywhere.
        here = {name: item for name, item in tensors.items() if item.data_location != onnx.TensorProto.EXTERNAL}
        return {name: numpy_helper.to_array(tensor) for name, tensor in here.items()}

    @cached_property
    def by_name(self) -> dict[str, onnx.NodeProto]:
        """Nodes by their names."""
        return {node.name: node for node in self.nodes}

    def constant(self, node: onnx.NodeProto, index: int) -> NDArray[Any] | None:
        """Value of a node's input, if it is constant."""
        return self.constants.get(node.input[index]) if self.has(node, index) else None

    def has(self, node: onnx.NodeProto, index: int) -> bool:
        """Whether a node was given this input, which may be optional."""
        return len(node.input) > index and bool(node.input[index])

    def given_later(self, node: onnx.NodeProto, index: int) -> bool:
        """Whether a node has this input and its value is known at run time only."""
        return self.has(node, index) and node.input[index] not in self.constants

    def maker(self, name: str, *operators: str) -> onnx.NodeProto | None:
        """The node that makes a value, if it is one of these operators (any without)."""
        node = self.made_by.get(name)
        return node if node is not None and (not operators or node.op_type in operators) else None

    def rank(self, name: str) -> int | None:
        """Number of dimensions."""
        return len(self.shapes[name]) if name in self.shapes else None

    def of(self, *operators: str) -> Iterator[onnx.NodeProto]:
        """Nodes of these operators, in graph order."""
        return (node for node in self.nodes if node.op_type in operators)

    def readers(self, name: str) -> list[onnx.NodeProto]:
        """Nodes that read a value; a node that reads it twice is there twice."""
        return self.read_by.get(name, [])

    def behind(self, name: str, passing: tuple[str, ...]) -> list[onnx.NodeProto]:
        """Readers of a value, looking through operators of `passing`."""
        found = []
        for reader in self.readers(name):
            if reader.op_type in passing and reader.input[0] == name:
                found.extend(self.behind(reader.output[0], passing))
            else:
                found.append(reader)
        return found

    def scale(self, node: onnx.NodeProto) -> NDArray[np.float32] | None:
        """Constant scale of a QuantizeLinear or DequantizeLinear."""
        return self.constant(node, 1)

    def pairs(self) -> Iterator[tuple[onnx.NodeProto, onnx.NodeProto]]:
        """Each DequantizeLinear with the QuantizeLinear that it reads."""
        for node in self.of("DequantizeLinear"):
            source = self.maker(node.input[0], "QuantizeLinear")
            if source is not None:
                yield source, node

    def is_weight(self, dequantize: onnx.NodeProto) -> bool:
        """Whether a DequantizeLinear gives back constants: INT8 ones, or float ones behind a QuantizeLinear."""
        source = self.maker(dequantize.input[0], "QuantizeLinear")
        stored = dequantize.input[0] if source is None else source.input[0]
        return stored in self.constants


def same(first: NDArray[Any] | None, second: NDArray[Any] | None) -> bool:
    """Whether two constants, both known, hold the same numbers."""
    if first is None or second is None:
        return first is second
    return bool(np.array_equal(np.ravel(first), np.ravel(second)))
