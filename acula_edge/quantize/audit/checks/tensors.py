"""Shapes and element types of tensors."""

from __future__ import annotations

from collections.abc import Iterator

from onnx import TensorProto

from acula_edge.quantize.audit import sources
from acula_edge.quantize.audit.rules import TENSORRT, Hit, rule
from acula_edge.quantize.audit.view import GraphView

_KNOWN = {
    TensorProto.FLOAT, TensorProto.FLOAT16, TensorProto.BFLOAT16, TensorProto.INT32, TensorProto.INT64,
    TensorProto.BOOL, TensorProto.INT8, TensorProto.UINT8, TensorProto.DOUBLE,
}  # fmt: skip


@rule("dynamic-shape", "error", "every shape is fixed, batch 1", source=sources.OWN)
def find_dynamic_shapes(view: GraphView) -> Iterator[Hit]:
    """One engine without optimization profiles, static memory, and work that can be counted."""
    for value in [*view.model.graph.input, *view.model.graph.output]:
        if value.name not in view.shapes or None in view.shapes[value.name]:
            yield Hit(value.name, "inputs and outputs need fixed shapes, batch 1; export with an example of that shape")
    for node in view.nodes:
        if any(name and (name not in view.shapes or None in view.shapes[name]) for name in node.output):
            yield Hit(node.name, "the shape of its output is not fixed; make it depend on shapes, not on values")


@rule("empty-output", "warning", "every output holds something", source=sources.OWN)
def find_empty_outputs(view: GraphView) -> Iterator[Hit]:
    """Some runtimes refuse a tensor of no elements."""
    for value in view.model.graph.output:
        if 0 in view.shapes.get(value.name, []):
            yield Hit(value.name, "an output without elements (a model without heads)")


@rule(
    "tensor-type", "error", "element types that TensorRT has", source=sources.OPERATORS, profiles=TENSORRT
)  # fmt: skip
def find_types(view: GraphView) -> Iterator[Hit]:
    """FLOAT, FLOAT16, BFLOAT16, INT32, INT64 and BOOL; INT8 behind QuantizeLinear; UINT8 at the borders only."""
    for name, kind in view.types.items():
        if kind == TensorProto.UNDEFINED or _is_zero_point(view, name):
            continue
        owner = view.made_by[name].name if name in view.made_by else name
        word = TensorProto.DataType.Name(kind)
        if kind not in _KNOWN:
            remedy = (
                "give float samples; divide PCM by 32768 before" if name in view.inputs else "cast it before export"
            )
            yield Hit(owner, f"TensorRT has no {word} tensors; {remedy}")
        elif kind == TensorProto.DOUBLE:
            yield Hit(owner, "TensorRT casts DOUBLE down to FLOAT, clamped; export in FLOAT", "warning")
        elif kind == TensorProto.UINT8 and name not in view.inputs | view.outputs:
            quantized = view.maker(name, "QuantizeLinear") or any(
                reader.op_type == "DequantizeLinear" for reader in view.readers(name)
            )
            if not quantized:  # those are the rule uint8's
                yield Hit(owner, "TensorRT takes UINT8 as input or output of the network only; cast it there")


@rule("int8-tensor", "error", "INT8 tensors lie between Q and DQ only", source=sources.OPERATORS, profiles=TENSORRT)
def find_int8_tensors(view: GraphView) -> Iterator[Hit]:
    """Quantized types come only by quantization from a floating-point type."""
    for name, kind in view.types.items():
        if kind != TensorProto.INT8:
            continue
        for reader in view.readers(name):
            if reader.op_type not in ("QuantizeLinear", "DequantizeLinear"):
                maker = view.maker(name, "QuantizeLinear")
                if maker is None:  # that is the rule unpaired-quantize's
                    yield Hit(reader.name, f"{reader.op_type} reads an INT8 tensor; put a DequantizeLinear before it")


@rule("int64-io", "info", "inputs and outputs of INT64 are bound as such", source=sources.CHANGELOG, profiles=TENSORRT)
def find_int64_borders(view: GraphView) -> Iterator[Hit]:
    """Before 9.0 they were bound as INT32."""
    for value in [*view.model.graph.input, *view.model.graph.output]:
        if view.types.get(value.name) == TensorProto.INT64:
            yield Hit(value.name, "bound as INT64 since TensorRT 9.0 (before as INT32); give 64-bit integers")


def _is_zero_point(view: GraphView, name: str) -> bool:
    readers = view.readers(name)
    return bool(readers) and all(
        reader.op_type in ("QuantizeLinear", "DequantizeLinear") and list(reader.input).index(name) == 2
        for reader in readers
    )
