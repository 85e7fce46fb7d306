"""How much ONNX Runtime would compute from constants while it loads a graph.

Until 1.24 it does so outside the memory that it was told to keep to: a constant expanded to a billion elements takes
its memory before anything runs. What is bounded here may be folded; a graph with more is run as it is.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from acula_edge.limits import MAX_FOLDED_ELEMENTS, MAX_RANK
from acula_edge.untrusted.onnx_operators import BROADCAST, SHRINKING, UNARY

Dims = tuple[int, ...]


@dataclass(frozen=True)
class Constant:
    """What is known of a constant: at most how many elements, maybe in which dimensions at most, maybe its values."""

    count: int
    dims: Dims | None = None
    values: Dims | None = None


@dataclass
class Node:
    """What matters of a node."""

    operator: str = ""
    domain: str = ""
    inputs: list[str] = field(default_factory=list)
    outputs: list[str] = field(default_factory=list)
    ints: dict[str, list[int]] = field(default_factory=dict)
    constant: Constant | None = None


class _Unbounded(Exception):
    pass


def are_constants_small(nodes: Sequence[Node], initializers: Mapping[str, Constant]) -> bool:
    """Whether everything that follows from constants alone has at most ``MAX_FOLDED_ELEMENTS`` elements in all."""
    known: dict[str, Constant] = {"": Constant(0, ()), **initializers}
    readers: dict[str, list[Node]] = defaultdict(list)
    waiting: dict[int, int] = {}
    ready: list[Node] = []
    for node in nodes:
        # The shape of anything may be known to ONNX Runtime.
        unknown = [] if node.operator in ("Shape", "Size") else sorted({n for n in node.inputs if n not in known})
        waiting[id(node)] = len(unknown)
        for name in unknown:
            readers[name].append(node)
        if not unknown:
            ready.append(node)
    left = MAX_FOLDED_ELEMENTS
    while ready:
        node = ready.pop()
        try:
            made = _outputs(node, [known.get(name, Constant(0)) for name in node.inputs])
        except (_Unbounded, ValueError, IndexError):
            return False
        left -= made.count * max(1, len(node.outputs))
        if left < 0:
            return False
        for name in node.outputs:
            if name in known:
                continue
            known[name] = made
            for reader in readers.pop(name, []):
                waiting[id(reader)] -= 1
                if waiting[id(reader)] == 0:
                    ready.append(reader)
    return True


def _outputs(node: Node, inputs: list[Constant]) -> Constant:
    """The largest output of a node of constants."""
    operator = node.operator
    if node.domain not in ("", "ai.onnx"):
        raise _Unbounded
    if operator == "Constant":
        if node.constant is None:
            return Constant(max((len(values) for values in node.ints.values()), default=1))
        return node.constant
    if operator in ("Shape", "Size"):
        return Constant(MAX_RANK, (MAX_RANK,))
    if operator in UNARY:
        return Constant(inputs[0].count, inputs[0].dims)
    if operator in BROADCAST:
        return _broadcast(inputs)
    if operator == "Expand" and inputs[1].values is not None:
        return _broadcast([inputs[0], Constant(math.prod(inputs[1].values), inputs[1].values)])
    if operator in SHRINKING:
        return Constant(inputs[0].count, _moved(node, inputs))
    if operator == "Concat":
        return Constant(sum(item.count for item in inputs))
    if operator == "Gather":
        return _gathered(inputs[0], inputs[1], node.ints.get("axis", [0])[0])
    if operator == "MatMul":
        return Constant(inputs[0].count * inputs[1].count)
    raise _Unbounded


def _broadcast(inputs: Iterable[Constant]) -> Constant:
    items = list(inputs)
    shapes = [item.dims for item in items if item.dims is not None]
    if len(shapes) < len(items):
        return Constant(math.prod(item.count for item in items))
    rank = max(len(dims) for dims in shapes)
    padded = [(1,) * (rank - len(dims)) + dims for dims in shapes]
    dims = tuple(max(sizes) for sizes in zip(*padded, strict=True))
    return Constant(math.prod(dims), dims)


def _gathered(data: Constant, indices: Constant, axis: int) -> Constant:
    if data.dims is None or indices.dims is None:
        return Constant(data.count * indices.count)
    if not -len(data.dims) <= axis < len(data.dims):
        raise _Unbounded
    axis %= len(data.dims)
    dims = data.dims[:axis] + indices.dims + data.dims[axis + 1 :]
    return Constant(math.prod(dims), dims)


def _moved(node: Node, inputs: list[Constant]) -> Dims | None:
    """Dimensions after an operator that only moves or drops elements, where they are known."""
    dims = inputs[0].dims
    if node.operator in ("Slice", "Split"):
        return dims
    values = inputs[1].values if len(inputs) > 1 else None
    if node.operator == "Transpose" and dims is not None:
        order = node.ints.get("perm", [*range(len(dims))][::-1])
        if sorted(order) != [*range(len(dims))]:
            raise _Unbounded
        return tuple(dims[axis] for axis in order)
    if node.operator == "Unsqueeze" and dims is not None:
        axes = node.ints.get("axes", values)
        if axes is None:
            return None
        rank = len(dims) + len(axes)
        new = {axis % rank for axis in axes} if rank else set()
        rest = iter(dims)
        return tuple(1 if axis in new else next(rest, 1) for axis in range(rank))
    if node.operator == "Reshape" and values is not None:
        given = math.prod(size for size in values if size != -1)
        if 0 in values or given == 0:
            return None
        return tuple(inputs[0].count // given if size == -1 else size for size in values)
    return None
