"""QuantizeLinear and DequantizeLinear as pairs: TensorRT moves and fuses them as such."""

from __future__ import annotations

from collections.abc import Iterator

from onnx import TensorProto

from acula_edge.quantize.audit import sources
from acula_edge.quantize.audit.rules import TENSORRT, Hit, rule
from acula_edge.quantize.audit.view import WEIGHTED, GraphView, same

# Swapping places with Q and DQ leaves these operators' results as they are, if both sides share a scale.
COMMUTING = (
    "Concat", "Flatten", "Gather", "MaxPool", "Pad", "Reshape", "Slice", "Split", "Squeeze", "Transpose", "Unsqueeze",
)  # fmt: skip
# TensorRT has INT8 kernels of these, with DQ before and (but for weighted ones) Q behind.
FUSING = (*WEIGHTED, "Add", "AveragePool", "GlobalAveragePool", "GlobalMaxPool", "Sum", "Mul", "Resize")
# Readers for which the rules activation-split and slow-operator speak.
SPLITTING = (
    "BatchNormalization", "Clip", "Elu", "Erf", "Gelu", "HardSigmoid", "HardSwish", "LeakyRelu", "Mish", "PRelu",
    "Relu", "Sigmoid", "Softplus", "Tanh",
)  # fmt: skip


@rule("unpaired-quantize", "error", "every Q is read by a DQ", source=sources.EXPLICIT, profiles=TENSORRT)
def find_unpaired_quantize(view: GraphView) -> Iterator[Hit]:
    """Operators read floating point; INT8 between them exists only as DQ input."""
    for node in view.of("QuantizeLinear"):
        if node.output[0] in view.outputs:
            yield Hit(node.name, "its INT8 result leaves the network; end with a DequantizeLinear")
        elif not view.readers(node.output[0]):
            yield Hit(node.name, "nothing reads it; remove it")
        for reader in view.readers(node.output[0]):
            if reader.op_type not in ("DequantizeLinear", *COMMUTING):
                yield Hit(node.name, f"{reader.name or reader.op_type} reads INT8; put a DequantizeLinear between")


@rule("unpaired-dequantize", "error", "every DQ reads a Q or a constant", source=sources.EXPLICIT, profiles=TENSORRT)
def find_unpaired_dequantize(view: GraphView) -> Iterator[Hit]:
    """Integers that no QuantizeLinear made have no meaning for TensorRT."""
    for node in view.of("DequantizeLinear"):
        name = node.input[0]
        while view.maker(name, *COMMUTING):
            name = view.made_by[name].input[0]
        if name not in view.constants and view.maker(name, "QuantizeLinear") is None:
            yield Hit(node.name, "it reads neither a QuantizeLinear nor a constant; quantize inside the graph")


@rule(
    "stored-weights", "warning", "weights are float behind a Q/DQ pair", source=sources.STORED_WEIGHTS,
    profiles=TENSORRT,
)  # fmt: skip
def find_stored_weights(view: GraphView) -> Iterator[Hit]:
    """The documentation of 10 and 11 allows both; 8.x refuses INT8 constants, and nobody could try 10.3 here."""
    for node in view.of("DequantizeLinear"):
        if view.types.get(node.input[0]) == TensorProto.INT8 and node.input[0] in view.constants:
            yield Hit(node.name, "INT8 weights behind a DQ alone; store them in float behind a Q/DQ pair")


@rule("pair-scale", "warning", "both of a pair have one scale", source=sources.LIMITATIONS, profiles=TENSORRT)
def find_pair_scales(view: GraphView) -> Iterator[Hit]:
    """TensorRT compares scales before it moves or fuses."""
    for quantize, dequantize in view.pairs():
        first, second = view.scale(quantize), view.scale(dequantize)
        if first is not None and second is not None and not same(first, second):
            yield Hit(dequantize.name, f"another scale than {quantize.name}, which it reads; use the same")


@rule("tensor-scales", "warning", "one tensor is quantized by one scale", source=sources.LIMITATIONS, profiles=TENSORRT)
def find_tensor_scales(view: GraphView) -> Iterator[Hit]:
    """At a residual both branches quantize one tensor: with equal scales the two Q become one, otherwise they stay."""
    for name in list(view.read_by):
        readers = [reader for reader in view.readers(name) if reader.op_type == "QuantizeLinear"]
        readers = [reader for reader in readers if reader.input[0] == name]
        for other in readers[1:]:
            if not same(view.scale(readers[0]), view.scale(other)):
                yield Hit(other.name, f"{readers[0].name} quantizes the same tensor with another scale; share one pair")


@rule(
    "commuting-scale",
    "warning",
    "an operator that only moves or selects values has one scale on both sides",
    source=sources.LIMITATIONS,
    profiles=TENSORRT,
)
def find_commuting_scales(view: GraphView) -> Iterator[Hit]:
    """MaxPool, Concat and the like run in INT8 by swapping places with Q and DQ, which needs equal scales."""
    for node in view.of(*COMMUTING):
        data = list(node.input) if node.op_type == "Concat" else list(node.input[:1])
        before = [view.maker(name, "DequantizeLinear") for name in data]
        if not before or any(maker is None or view.is_weight(maker) for maker in before):
            continue
        behind = [reader for reader in view.readers(node.output[0]) if reader.op_type == "QuantizeLinear"]
        scales = [view.scale(maker) for maker in (*before, *behind) if maker is not None]
        if any(not same(scales[0], scale) for scale in scales[1:]):
            yield Hit(node.name, f"{node.op_type} between different scales cannot run in INT8; give both sides one")


@rule(
    "mixed-readers",
    "warning",
    "a DQ feeds operators that take INT8, or operators that do not",
    source=sources.PLACEMENT,
    profiles=TENSORRT,
)
def find_mixed_readers(view: GraphView) -> Iterator[Hit]:
    """One that feeds both must exist twice, as INT8 and as float, and the float reader gets the rounded values."""
    for node in view.of("DequantizeLinear"):
        readers = view.behind(node.output[0], COMMUTING)
        integer = [reader for reader in readers if reader.op_type in FUSING]
        others = [reader for reader in readers if reader.op_type not in (*FUSING, *SPLITTING, "QuantizeLinear")]
        if integer and others and not view.is_weight(node):
            names = ", ".join(reader.name or reader.op_type for reader in others[:3])
            yield Hit(node.name, f"{names} cannot compute in INT8; let it read the tensor before the Q")


@rule("stray-pair", "warning", "every DQ feeds something that takes INT8", source=sources.PLACEMENT, profiles=TENSORRT)
def find_stray_pairs(view: GraphView) -> Iterator[Hit]:
    """Otherwise values are rounded and nothing gets faster."""
    for node in view.of("DequantizeLinear"):
        readers = view.behind(node.output[0], COMMUTING)
        if not readers and node.output[0] not in view.outputs:
            yield Hit(node.name, "nothing reads it; remove the pair")
        elif readers and not any(reader.op_type in (*FUSING, "QuantizeLinear", *SPLITTING) for reader in readers):
            yield Hit(node.name, f"{readers[0].op_type} has no INT8 form; remove the pair before it")
