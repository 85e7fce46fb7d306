"""Where the channels of one value end up in the layers behind it.

Reshaping, transposing, slicing, rolling and padding move numbers without changing them. So channels are followed by
sending their own numbers through those operators: no rule per architecture, and windows that are cut, rolled and padded
(Swin), or queries, keys and values that one layer makes (ViT), need no special case.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import numpy_helper
from onnx.reference import ReferenceEvaluator

from acula_edge.quantize.graph import attribute, initializers, shapes

# Operators that move numbers and change none; zeros come in with Pad.
MOVERS = frozenset(
    ("Concat", "Expand", "Flatten", "Gather", "Identity", "Pad", "Reshape", "Slice", "Split", "Squeeze", "Transpose",
     "Unsqueeze")
)  # fmt: skip


@dataclass(frozen=True)
class Reader:
    """A MatMul or Gemm with constant weights that reads the channels.

    Attributes:
        node: its name.
        value: its first input.
        channels: the channel behind each input column; -1 where zeros were padded.
    """

    node: str
    value: str
    channels: tuple[int, ...]


@dataclass(frozen=True)
class Destination:
    """Where the channels of a value go.

    Attributes:
        readers: layers with constant weights, in graph order.
        bound: channels that something else reads as well, so that their scale must stay.
    """

    readers: tuple[Reader, ...]
    bound: frozenset[int]


class ChannelMap:
    """Follows channels, the last axis of a value, through a graph of fixed shapes."""

    def __init__(self, model: onnx.ModelProto) -> None:
        self._model = model
        self._shapes = shapes(model)
        self._constants: Mapping[str, onnx.TensorProto] = initializers(model)
        self._outputs = {value.name for value in model.graph.output}
        self._position = {name: index for index, node in enumerate(model.graph.node) for name in node.output}

    def follow(self, value: str) -> Destination:
        """Follow the channels of `value` until something computes with them.

        Beside the operators that only move numbers, the weighted sum over tokens in attention (any MatMul whose second
        operand they are) keeps every channel to itself, and is passed through.
        """
        shape = self._shapes.get(value)
        if not shape or None in shape:
            return Destination((), frozenset())
        width = shape[-1] or 0
        # Counted from 1, since padding puts in zeros.
        labels = {value: np.broadcast_to(np.arange(1, width + 1, dtype=np.float32), [size or 0 for size in shape])}
        readers: list[Reader] = []
        bound: set[int] = _channels(labels[value]) if value in self._outputs else set()
        for node in self._model.graph.node[self._position[value] + 1 :]:
            read = [name for name in node.input if name in labels]
            if not read:
                continue
            reader = self._reader(node, labels)
            if reader is not None:
                readers.append(reader)
                continue
            moved = self._moved(node, labels)
            if moved is None:
                bound.update(*(_channels(labels[name]) for name in read))
                continue
            labels.update(moved)
            bound.update(*(_channels(moved[name]) for name in moved if name in self._outputs))
        return Destination(tuple(readers), frozenset(bound))

    def _reader(self, node: onnx.NodeProto, labels: Mapping[str, NDArray[np.float32]]) -> Reader | None:
        if node.op_type not in ("MatMul", "Gemm") or node.input[0] not in labels:
            return None
        if node.input[1] not in self._constants or len(self._constants[node.input[1]].dims) != 2:
            return None
        if any(name in labels for name in node.input[1:]) or attribute(node, "transA", 0):
            return None
        columns = labels[node.input[0]].reshape(-1, labels[node.input[0]].shape[-1])
        first = columns.max(axis=0)
        # Zeros beside a channel are padding within it.
        if not np.all((columns == first) | (columns == 0)):
            return None
        return Reader(node.name, node.input[0], tuple(int(label) - 1 for label in first))

    def _moved(
        self, node: onnx.NodeProto, labels: Mapping[str, NDArray[np.float32]]
    ) -> dict[str, NDArray[np.float32]] | None:
        """Labels of a node's outputs; None where it computes with the channels."""
        if node.op_type == "MatMul" and node.input[1] in labels and node.input[0] not in labels:
            return self._summed_over_tokens(node, labels[node.input[1]])
        if node.op_type not in MOVERS:
            return None
        feeds: dict[str, Any] = {}
        for name in node.input:
            if name in labels:
                feeds[name] = labels[name]
            elif name in self._constants:
                feeds[name] = numpy_helper.to_array(self._constants[name])
            elif name:
                return None
        outputs = ReferenceEvaluator(node).run(None, feeds)
        return dict(zip(node.output, outputs, strict=True))

    def _summed_over_tokens(
        self, node: onnx.NodeProto, labels: NDArray[np.float32]
    ) -> dict[str, NDArray[np.float32]] | None:
        shape = self._shapes.get(node.output[0])
        if not shape or None in shape or labels.ndim < 2 or not np.all(labels == labels[..., :1, :]):
            return None
        return {node.output[0]: np.broadcast_to(labels[..., :1, :], [size or 0 for size in shape])}


def _channels(labels: NDArray[np.float32]) -> set[int]:
    return {int(label) - 1 for label in np.unique(labels) if label > 0}
