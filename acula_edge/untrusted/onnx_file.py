"""An ONNX file, looked through before ONNX Runtime or the package onnx reads it. The package onnx is not needed.

Weights are skipped, not read. What passes is one graph of tensor arithmetic that names no other file, whose tensors
have the bytes that their dimensions need. How much memory a graph takes while it runs is not decided here: see
:mod:`acula_edge.engines.ort`. Messages and field numbers: onnx.proto of ONNX 1.20.
"""

from __future__ import annotations

import math
import mmap
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from acula_edge.errors import ArtifactError
from acula_edge.limits import MAX_ONNX_BYTES, MAX_ONNX_NODES, MAX_RANK
from acula_edge.untrusted.onnx_constants import Constant, Node, are_constants_small
from acula_edge.untrusted.onnx_operators import CONTRIBUTED_DOMAIN, is_allowed
from acula_edge.untrusted.regular_files import open_artifact
from acula_edge.untrusted.wire import BYTES, Value, Wire

_WHAT = "an ONNX model"
_INT64 = 7
# Bits per element by TensorProto.DataType; texts (8) and complex numbers (14, 15) are left out.
_BITS = {
    1: 32, 2: 8, 3: 8, 4: 16, 5: 16, 6: 32, 7: 64, 9: 8, 10: 16, 11: 64, 12: 32, 13: 64, 16: 16, 17: 8, 18: 8, 19: 8,
    20: 8, 21: 4, 22: 4,
}  # fmt: skip
_FLOAT_DATA, _INT32_DATA, _STRING_DATA, _INT64_DATA, _RAW_DATA, _DOUBLE_DATA, _UINT64_DATA = 4, 5, 6, 7, 9, 10, 11
_FIXED = {_FLOAT_DATA: 4, _DOUBLE_DATA: 8}
_MOST_VALUES = 64
_METADATA = 14
_MAPPED_BYTES = 1 << 24


@dataclass(frozen=True)
class OnnxFacts:
    """What a file holds.

    Attributes:
        operators: domain and operator of every kind of node.
        constants_small: whether what follows from constants alone is bounded
            (:func:`acula_edge.untrusted.onnx_constants.are_constants_small`).
    """

    operators: frozenset[tuple[str, str]]
    constants_small: bool


def inspect_onnx(path: str | os.PathLike[str], runnable: bool = True) -> OnnxFacts:
    """Look through an ONNX file.

    Args:
        runnable: refuse operators that are not on the list (:mod:`acula_edge.untrusted.onnx_operators`), functions,
            graphs in graphs, sparse tensors, texts, and tensors that lie in other files. A file that is only to be
            examined may have them, and nobody then reads what lies elsewhere.

    Raises:
        ArtifactError: no such file, no ONNX model, or one that names other files, has graphs in graphs, functions,
            sparse tensors or texts, tensors without their bytes, operators that are not allowed, or is too large.
    """
    path = Path(path)
    with open_artifact(path, _WHAT, MAX_ONNX_BYTES) as file:
        size = os.fstat(file.fileno()).st_size
        # Large ones are mapped: only what is looked at is read.
        data: Any = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) if size > _MAPPED_BYTES else file.read()
    try:
        return _Model(data, runnable).read()
    except ValueError as error:
        raise ArtifactError(f"{path} cannot be taken as {_WHAT}", given=error) from error
    finally:
        if isinstance(data, mmap.mmap):
            data.close()


def read_metadata(path: str | os.PathLike[str]) -> dict[str, str]:
    """A model's own entries (``metadata_props``); empty where a file is no model, which others find out.

    Raises:
        ArtifactError: no such file, or one that is too large.
    """
    with open_artifact(Path(path), _WHAT, MAX_ONNX_BYTES) as file:
        size = os.fstat(file.fileno()).st_size
        data: Any = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) if size > _MAPPED_BYTES else file.read()
    try:
        with memoryview(data) as view:
            wire, found = Wire(view), {}
            for number, _, value in wire.fields(0, view.nbytes):
                if number == _METADATA:
                    entry = {key: wire.text(text) for key, _, text in wire.fields(*wire.span(value))}
                    found[entry.get(1, "")] = entry.get(2, "")
        return found
    except ValueError:
        return {}
    finally:
        if isinstance(data, mmap.mmap):
            data.close()


@dataclass
class _Model:
    """The walk through one file."""

    data: Any
    runnable: bool
    nodes: list[Node] = field(default_factory=list)
    initializers: dict[str, Constant] = field(default_factory=dict)

    def read(self) -> OnnxFacts:
        if self.data[4:8] == b"ORTM":
            raise ValueError("it is of ONNX Runtime's own format, which is only taken where it was made")
        with memoryview(self.data) as view:
            self.wire = Wire(view)
            self._model(view.nbytes)
        if self.runnable:
            self._check_made_once()
        operators = frozenset((node.domain, node.operator) for node in self.nodes)
        if self.runnable:
            refused = sorted(f"{d}.{o}" if d else o for d, o in operators if not is_allowed(d, o))
            if refused:
                raise ValueError(
                    f"it uses {', '.join(refused)[:200]}: of ONNX, tensor arithmetic is allowed, without control flow, "
                    f"sequences and texts, and quantization and fusions of {CONTRIBUTED_DOMAIN}; nothing else"
                )
        return OnnxFacts(operators, are_constants_small(self.nodes, self.initializers))

    def _model(self, size: int) -> None:
        graphs = []
        for number, _, value in self.wire.fields(0, size):
            if number == 7:
                graphs.append(self.wire.span(value))
            elif number in (20, 25) and self.runnable:
                raise ValueError("it has functions of its own" if number == 25 else "it holds a training graph")
        if len(graphs) != 1:
            # Parsers merge several into one.
            raise ValueError(f"it holds {len(graphs)} graphs")
        self._graph(*graphs[0])

    def _graph(self, start: int, stop: int) -> None:
        for number, _, value in self.wire.fields(start, stop):
            if number == 1:
                if len(self.nodes) >= MAX_ONNX_NODES:
                    raise ValueError(f"more than {MAX_ONNX_NODES} nodes")
                self.nodes.append(self._node(*self.wire.span(value)))
            elif number == 5:
                name, constant = self._tensor(*self.wire.span(value))
                if name in self.initializers and self.runnable:
                    raise ValueError(f"two tensors have the name {name[:80]}")
                self.initializers[name] = constant
            elif number in (11, 12, 13):
                self._name(*self.wire.span(value))
            elif number == 15 and self.runnable:
                raise ValueError("it has sparse tensors")

    def _name(self, start: int, stop: int) -> None:
        """Inputs, outputs and values between are named by texts.

        A name that is none comes out of protobuf as bytes, and of ONNX Runtime as an error that names nothing.
        """
        for number, _, value in self.wire.fields(start, stop):
            if number == 1:
                self.wire.text(value)

    def _check_made_once(self) -> None:
        """Refuse a value that comes from two places: which one counts is for each reader to choose."""
        made = set(self.initializers)
        for node in self.nodes:
            for name in filter(None, node.outputs):
                if name in made:
                    raise ValueError(f"the value {name[:80]} is made twice")
                made.add(name)

    def _node(self, start: int, stop: int) -> Node:
        node = Node()
        for number, _, value in self.wire.fields(start, stop):
            if number == 1:
                node.inputs.append(self.wire.text(value))
            elif number == 2:
                node.outputs.append(self.wire.text(value))
            elif number == 3:
                self.wire.text(value)
            elif number == 4:
                node.operator = _once(node.operator, self.wire.text(value))
            elif number == 7:
                node.domain = _once(node.domain, self.wire.text(value))
            elif number == 5:
                self._attribute(node, *self.wire.span(value))
        return node

    def _attribute(self, node: Node, start: int, stop: int) -> None:
        name, ints, floats, tensors = "", [], 0, 0
        for number, kind, value in self.wire.fields(start, stop):
            if number == 1:
                name = _once(name, self.wire.text(value))
            elif number in (3, 8):
                ints += [_signed(item) for item in self.wire.numbers(kind, value)]
            elif number == 7:
                floats += self._stored(_FLOAT_DATA, kind, value)
            elif number == 5:
                tensors += 1
                node.constant = self._tensor(*self.wire.span(value))[1]
            elif number in (6, 9, 10, 11, 14, 15, 21, 22, 23) and not self.runnable:
                continue
            elif number in (6, 11):
                raise ValueError(f"the attribute {name[:80]} of {node.operator[:80]} is a graph")
            elif number in (22, 23):
                raise ValueError(f"the attribute {name[:80]} of {node.operator[:80]} is a sparse tensor")
            elif number in (9, 10, 14, 15, 21):
                raise ValueError(f"the attribute {name[:80]} of {node.operator[:80]} is of a kind that is not allowed")
        if tensors > 1:
            raise ValueError(f"the attribute {name[:80]} has two tensors")
        if ints:
            node.ints[name] = ints
        if floats and node.constant is None:
            node.constant = Constant(floats, (floats,))

    def _tensor(self, start: int, stop: int) -> tuple[str, Constant]:
        name, dims, dtype = "", [], 0
        stored: dict[int, int] = {}
        where: Value | None = None
        elsewhere = False
        for number, kind, value in self.wire.fields(start, stop):
            if number == 1:
                dims += [_signed(item) for item in self.wire.numbers(kind, value)]
            elif number == 2:
                dtype = _once(dtype, value if isinstance(value, int) else 0)
            elif number == 8:
                name = _once(name, self.wire.text(value))
            elif number == 13 or (number == 14 and value != 0):
                if self.runnable:
                    raise ValueError(f"the tensor {name[:80]} lies in another file")
                elsewhere = True
            elif number == 3:
                raise ValueError(f"the tensor {name[:80]} is a segment of one")
            elif number == _RAW_DATA and number in stored:
                raise ValueError(f"the tensor {name[:80]} has its bytes twice")
            elif number in (_FLOAT_DATA, _INT32_DATA, _STRING_DATA, _INT64_DATA, _RAW_DATA, _DOUBLE_DATA, _UINT64_DATA):
                stored[number] = stored.get(number, 0) + self._stored(number, kind, value)
                where = value
        return name, Constant(0) if elsewhere else self._constant(name, dims, dtype, stored, where)

    def _stored(self, number: int, kind: int, value: Value) -> int:
        """Elements (of raw data: bytes) in one occurrence of a tensor's data."""
        if kind != BYTES or isinstance(value, int):
            return 1
        start, stop = value
        if number == _RAW_DATA:
            return stop - start
        if number in _FIXED:
            return (stop - start) // _FIXED[number]
        # Every packed number ends with a byte below 128.
        return int(np.count_nonzero(np.frombuffer(self.wire.data[start:stop], np.uint8) < 0x80))

    def _constant(
        self, name: str, dims: list[int], dtype: int, stored: dict[int, int], where: Value | None
    ) -> Constant:
        if dtype not in _BITS and not self.runnable:
            return Constant(0)
        if dtype not in _BITS:
            raise ValueError(f"the tensor {name[:80]} is of the type {dtype}: texts, complex numbers or none")
        if len(dims) > MAX_RANK or any(size < 0 for size in dims):
            raise ValueError(f"the tensor {name[:80]} has the dimensions {dims[: MAX_RANK + 1]}")
        count = math.prod(dims)
        if len(stored) > 1 or _STRING_DATA in stored:
            raise ValueError(f"the tensor {name[:80]} has data of two kinds, or texts")
        ((kind, found),) = stored.items() or [(_RAW_DATA, 0)]
        bits = _BITS[dtype]
        raw = (count * bits + 7) // 8
        typed = (count + 1) // 2 if bits == 4 else count
        if found != (raw if kind == _RAW_DATA else typed):
            raise ValueError(f"the tensor {name[:80]} has not as much data as its dimensions {dims} need: {found}")
        values = None
        if dtype == _INT64 and len(dims) <= 1 and count <= _MOST_VALUES:
            values = self._values(kind, where)
        return Constant(count, tuple(dims), values)

    def _values(self, kind: int, where: Value | None) -> tuple[int, ...] | None:
        """The numbers of a small tensor, where they are written in one piece."""
        if where is None or isinstance(where, int):
            return None
        start, stop = where
        if kind == _RAW_DATA:
            return tuple(np.frombuffer(self.wire.data[start:stop], "<i8").tolist())
        return tuple(map(_signed, self.wire.numbers(BYTES, where))) if kind == _INT64_DATA else None


def _once(former: Any, value: Any) -> Any:
    """A value that may be given once."""
    if former:
        raise ValueError(f"a name or type is given twice: {str(former)[:80]} and {str(value)[:80]}")
    return value


def _signed(value: int) -> int:
    """A protobuf int64 from its varint."""
    value &= (1 << 64) - 1
    return value - (1 << 64) if value >> 63 else value
