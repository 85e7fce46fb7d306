"""Small changes to a graph, each of which plants one violation."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper


class Garden:
    """A graph to plant into."""

    def __init__(self, model: onnx.ModelProto) -> None:
        self.model = onnx.ModelProto()
        self.model.CopyFrom(model)
        self.graph = self.model.graph

    def node(self, name: str) -> onnx.NodeProto:
        """By name."""
        return next(node for node in self.graph.node if node.name == name)

    def array(self, name: str) -> np.ndarray:
        """Value of an initializer."""
        return numpy_helper.to_array(next(item for item in self.graph.initializer if item.name == name))

    def constant(self, name: str, array: Any) -> str:
        """A new initializer."""
        self.graph.initializer.append(numpy_helper.from_array(np.asarray(array), name))
        return name

    def feed(self, node: str, index: int, array: Any) -> None:
        """Give a node another constant as input."""
        found = self.node(node)
        name = self.constant(f"planted/{node}:{index}", array)
        del found.input[len(found.input) :]
        found.input[index] = name

    def remove(self, *names: str) -> None:
        """Nodes."""
        for name in names:
            self.graph.node.remove(self.node(name))

    def insert(self, before: str | None, operator: str, inputs: list[str], name: str, **attributes: Any) -> str:
        """A new node in front of another, or last; its output has its name."""
        new = helper.make_node(operator, inputs, [name], name, **attributes)
        position = len(self.graph.node)
        if before is not None:
            position = list(self.graph.node).index(self.node(before))
        self.graph.node.insert(position, new)
        return name

    def pair(self, before: str, tensor: str, name: str, scale: float = 0.02) -> str:
        """A Q/DQ pair on a tensor, in front of a node; what the DQ gives."""
        constants = [self.constant(f"{name}/scale", np.float32(scale)), self.constant(f"{name}/zero", np.int8(0))]
        self.insert(before, "QuantizeLinear", [tensor, *constants], f"{name}/Q")
        return self.insert(before, "DequantizeLinear", [f"{name}/Q", *constants], f"{name}/DQ")

    def output(self, name: str, kind: int = TensorProto.FLOAT, shape: list[int] | None = None) -> str:
        """Let a value leave the graph."""
        self.graph.output.append(helper.make_tensor_value_info(name, kind, shape))
        return name

    def set(self, node: str, name: str, value: Any) -> None:
        """An attribute."""
        found = self.node(node)
        kept = [item for item in found.attribute if item.name != name]
        del found.attribute[:]
        found.attribute.extend([*kept, helper.make_attribute(name, value)])
