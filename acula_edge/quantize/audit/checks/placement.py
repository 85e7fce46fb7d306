"""Where pairs lie, after TensorRT's "Q/DQ Layer-Placement Recommendations"."""

from __future__ import annotations

from collections.abc import Iterator

import onnx

from acula_edge.quantize.audit import sources
from acula_edge.quantize.audit.checks.pairs import COMMUTING
from acula_edge.quantize.audit.rules import TENSORRT, Hit, rule
from acula_edge.quantize.audit.view import ACTIVATIONS, CLIPPING, CONVOLUTIONS, WEIGHTED, GraphView

_NON_WEIGHTED = ("AveragePool", "GlobalAveragePool", "GlobalMaxPool", "Add")


@rule("half-quantized", "warning", "all inputs of a weighted operator", source=sources.PLACEMENT, profiles=TENSORRT)
def find_half_quantized(view: GraphView) -> Iterator[Hit]:
    """With one operand in float the layer runs in float, and the pair on the other only costs."""
    for node in view.of(*WEIGHTED):
        quantized = [_dequantized(view, name) is not None for name in node.input[:2]]
        if any(quantized) and not all(quantized):
            which = "weights" if quantized[0] else "input"
            yield Hit(node.name, f"its {which} has no Q/DQ pair, so it runs in float; quantize all inputs or none")


@rule(
    "activation-split",
    "warning",
    "no pair between a weighted operator and its activation",
    source=sources.PLACEMENT,
    profiles=TENSORRT,
)
def find_activation_splits(view: GraphView) -> Iterator[Hit]:
    """TensorRT fuses Conv, BatchNormalization and activation by itself; a pair between them keeps them apart."""
    for quantize, dequantize in view.pairs():
        before = view.maker(quantize.input[0], *WEIGHTED)
        if before is None:
            continue
        for reader in view.readers(dequantize.output[0]):
            if reader.op_type in (*ACTIVATIONS, "BatchNormalization"):
                yield Hit(
                    quantize.name, f"it splits {before.name} from {reader.name}; move the pair behind the activation"
                )


@rule("pad-split", "warning", "no pair between Pad and Conv", source=sources.PAD_SPLIT, profiles=TENSORRT)
def find_pad_splits(view: GraphView) -> Iterator[Hit]:
    """TensorRT folds Pad into the convolution if nothing lies between."""
    for quantize, dequantize in view.pairs():
        before = view.maker(quantize.input[0], "Pad")
        readers = [reader for reader in view.readers(dequantize.output[0]) if reader.op_type in CONVOLUTIONS]
        # A constant border of zeros only: other modes have no form inside a convolution.
        mode = next((item.s for item in before.attribute if item.name == "mode"), b"constant") if before else b""
        if mode == b"constant" and readers:
            yield Hit(quantize.name, f"it keeps {readers[0].name} from taking in the padding; use the attribute pads")


@rule("residual-float", "warning", "the residual branch is quantized", source=sources.RESIDUAL, profiles=TENSORRT)
def find_float_residuals(view: GraphView) -> Iterator[Hit]:
    """Conv and Add fuse; if the other input is float, so is the result, and the Q behind cannot fuse."""
    for node in view.of("Add"):
        if len(node.input) != 2 or not _quantized_behind(view, node):
            continue
        for index in (0, 1):
            branch, residual = node.input[index], node.input[1 - index]
            convolution = _convolution_of(view, branch)
            is_bias = residual in view.constants
            if convolution is None or is_bias or _dequantized(view, residual) is not None:
                continue
            if _quantized_layer(view, convolution) and not _convolves_too(view, residual, index):
                yield Hit(node.name, f"its other input, {residual}, is float; put a Q/DQ pair on that branch")
                break


@rule("residual-split", "warning", "one branch of a residual only", source=sources.RESIDUAL_SPLIT, profiles=TENSORRT)
def find_split_residuals(view: GraphView) -> Iterator[Hit]:
    """A pair between the last convolution and Add keeps the two from fusing."""
    for node in view.of("Add"):
        pairs = [_dequantized(view, name) for name in node.input]
        if len(pairs) != 2 or any(pair is None for pair in pairs):
            continue
        own = [pair for pair in pairs if pair is not None and _only_for(view, pair, node)]
        if own:
            yield Hit(own[0].name, f"it splits the convolution before it from {node.name}; quantize the residual only")


@rule(
    "float-output",
    "warning",
    "an operator without weights that reads INT8 gives INT8",
    source=sources.PLACEMENT,
    profiles=TENSORRT,
)
def find_float_outputs(view: GraphView) -> Iterator[Hit]:
    """INT8 inputs of layers without weights require INT8 outputs: quantize both sides or neither."""
    for node in view.of(*_NON_WEIGHTED):
        makers = [_dequantized(view, name) for name in node.input]
        if all(maker is not None for maker in makers) and not _quantized_behind(view, node):
            yield Hit(node.name, f"{node.op_type} reads INT8 but its result is not quantized: it runs in float")


def _dequantized(view: GraphView, name: str) -> onnx.NodeProto | None:
    """The DequantizeLinear that a value comes from, through operators that commute with it."""
    while (node := view.maker(name, *COMMUTING)) is not None and node.op_type != "Concat":
        name = node.input[0]
    return view.maker(name, "DequantizeLinear")


def _quantized_behind(view: GraphView, node: onnx.NodeProto) -> bool:
    return any(reader.op_type == "QuantizeLinear" for reader in view.behind(node.output[0], (*CLIPPING, *COMMUTING)))


def _convolution_of(view: GraphView, name: str) -> onnx.NodeProto | None:
    """The convolution that a value comes straight from, if nothing else reads it."""
    node = view.maker(name, *CONVOLUTIONS)
    return node if node is not None and len(view.readers(name)) == 1 else None


def _quantized_layer(view: GraphView, node: onnx.NodeProto) -> bool:
    return all(_dequantized(view, name) is not None for name in node.input[:2])


def _convolves_too(view: GraphView, residual: str, index: int) -> bool:
    """Whether both inputs are convolutions: the second is then seen as the branch, so that one finding is enough."""
    return index == 0 and _convolution_of(view, residual) is not None


def _only_for(view: GraphView, pair: onnx.NodeProto, add: onnx.NodeProto) -> bool:
    """Whether a pair behind a convolution exists for this Add alone."""
    quantize = view.maker(pair.input[0], "QuantizeLinear")
    if quantize is None or view.maker(quantize.input[0], *CONVOLUTIONS) is None:
        return False
    return all(len(view.readers(name)) == 1 for name in (quantize.input[0], quantize.output[0], pair.output[0])) and (
        add in view.readers(pair.output[0])
    )
