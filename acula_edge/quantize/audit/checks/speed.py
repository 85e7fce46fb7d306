"""What would be slow: layers left in float, operators that cost more around INT8 than it saves, narrow layers."""

from __future__ import annotations

from collections.abc import Iterator

from acula_edge.quantize.audit import sources
from acula_edge.quantize.audit.rules import TENSORRT, Hit, rule
from acula_edge.quantize.audit.view import FRONTEND_PREFIX, GraphView
from acula_edge.quantize.graph import attribute

SLOW_WITH_INT8 = ("Sigmoid", "HardSigmoid", "HardSwish", "Mish", "Gelu", "Erf", "Tanh", "Softplus")

# A float layer with less of the work than this is not worth a warning.
SMALL_SHARE = 0.05

VECTOR_CHANNELS = 16
"""INT8 layouts hold 4, 16 or 32 channels at a time (NC/4HW4, NHWC16, NC/32HW32); dense kernels use the last two."""


@rule("fallback", "info", "weighted layers compute on integers", source=sources.MEASURED)
def find_fallbacks(view: GraphView) -> Iterator[Hit]:
    """Layers that stayed in float in an INT8 graph; a warning from 5 % of the encoder's work."""
    if not any(item.int8 for item in view.work):
        if any(True for _ in view.of("QuantizeLinear")):
            yield Hit("", "the graph has Q/DQ nodes but no layer computes on integers; quantize it anew", "warning")
        return
    inside = [item for item in view.work if not item.node.startswith(FRONTEND_PREFIX)]
    total = sum(item.macs for item in inside)
    for item in inside:
        if not item.int8:
            share = item.macs / total
            message = f"{item.operator} in float: {share:.1%} of the encoder's multiplications"
            yield Hit(item.node, message, "warning" if share >= SMALL_SHARE else "info")


@rule("slow-operator", "warning", "ReLU and its like between integer layers", source=sources.MEASURED)
def find_slow_operators(view: GraphView) -> Iterator[Hit]:
    """Swish and hard-swish made INT8 four to six times slower than float in ONNX Runtime."""
    for node in view.of(*SLOW_WITH_INT8):
        if not node.name.startswith(FRONTEND_PREFIX) and view.maker(node.input[0], "DequantizeLinear"):
            message = "between integer layers: there and back costs more than INT8 saves; use ReLU"
            yield Hit(node.name, f"{node.op_type} {message}")


@rule("group-convolution", "info", "dense convolutions where speed matters", source=sources.GROUPS, profiles=TENSORRT)
def find_group_convolutions(view: GraphView) -> Iterator[Hit]:
    """Reported slower in INT8 than in FP16; depthwise ones have kernels of their own, bound by memory."""
    for item in view.work:
        node = view.by_name[item.node]
        if item.int8 and attribute(node, "group", 1) > 1:
            depthwise = item.weight_shape[1] == 1
            kind = "a depthwise convolution" if depthwise else "a grouped convolution"
            yield Hit(item.node, f"{kind} in INT8 may be no faster than in FP16; measure it with trtexec")


@rule("channel-padding", "info", "channels in multiples of 16", source=sources.LAYOUTS, profiles=TENSORRT)
def find_channel_padding(view: GraphView) -> Iterator[Hit]:
    """Narrower layers are padded, so that part of the arithmetic is wasted."""
    for item in view.work:
        node = view.by_name[item.node]
        if not item.int8 or node.op_type != "Conv" or attribute(node, "group", 1) > 1:
            continue
        outputs, inputs = item.weight_shape[:2]
        if outputs % VECTOR_CHANNELS or inputs % VECTOR_CHANNELS:
            yield Hit(item.node, f"{inputs} to {outputs} channels: padded to multiples of {VECTOR_CHANNELS}")
