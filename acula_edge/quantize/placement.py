"""Which nodes are computed on integers, and why the others are not."""

from __future__ import annotations

import fnmatch
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import onnx

from acula_edge.bundle.schema import FloatNode
from acula_edge.errors import InputError, did_you_mean
from acula_edge.quantize.graph import attribute, consumers, initializers, producers, shapes
from acula_edge.quantize.profiles import WEIGHTED_OPERATORS, Profile

EMBEDDING = "embedding"

# A convolution over so few channels is quicker in float: INT8 kernels multiply channels four at a time.
FEW_CHANNELS = 3


@dataclass(frozen=True)
class Placement:
    """Where the Q/DQ pairs go.

    Attributes:
        quantized: names of nodes computed on integers, in graph order.
        kept: weighted nodes that stay in float, each with its reason.
        patterns: name patterns of nodes that the user keeps in float.
    """

    quantized: list[str]
    kept: list[FloatNode]
    patterns: tuple[str, ...] = ()


def place(
    model: onnx.ModelProto,
    profile: Profile,
    keep_float: Sequence[str] = (),
    left_float: Mapping[str, str] | None = None,
) -> Placement:
    """Choose nodes: weighted ones with constant weights, and between them whatever runs on integers as well.

    Heads always stay in float, and so does the stem: the first convolution (few channels, and sensitive), with what
    leads to it (resizing the spectrogram, for instance) and any depthwise convolutions behind it that make the map
    smaller, since the step to integers costs by the map's size.

    Args:
        keep_float: name patterns of nodes that stay in float.
        left_float: names of weighted nodes that stay in float for a reason of their own, which is recorded.

    Raises:
        InputError: a pattern that matches no node, or nothing left to quantize.
    """
    nodes = list(model.graph.node)
    for pattern in keep_float:
        names = [node.name for node in nodes]
        if not fnmatch.filter(names, pattern):
            raise InputError(
                "quantize.keep_float names no node of the encoder",
                given=pattern,
                remedy=did_you_mean(
                    pattern, names, "the names are in quantize.json and encoder.onnx; * matches anything"
                ),
            )
    constants = initializers(model)
    behind = _behind_embedding(model)
    stem = _stem(model)
    weighted: list[str] = []
    kept: list[FloatNode] = []
    for node in nodes:
        if node.op_type not in WEIGHTED_OPERATORS:
            continue
        reason = None
        if node.name in behind:
            reason = "heads stay in float"
        elif node.name in stem:
            reason = "stem: quicker and more exact in float"
        elif any(fnmatch.fnmatch(node.name, pattern) for pattern in keep_float):
            reason = "quantize.keep_float"
        elif node.name in (left_float or {}):
            reason = (left_float or {})[node.name]
        elif node.input[1] not in constants:
            reason = "no constant weights"
        if reason is None:
            weighted.append(node.name)
        else:
            kept.append(FloatNode(node.name, reason))
    if not weighted:
        raise InputError(
            "nothing is left to quantize in the encoder",
            given=f"{len(kept)} layers, all kept in float",
            remedy="take patterns out of quantize.keep_float",
        )
    return Placement(_with_carriers(model, profile, weighted, keep_float, behind), kept, tuple(keep_float))


def restrict(model: onnx.ModelProto, profile: Profile, placement: Placement, weighted: Collection[str]) -> Placement:
    """The same with only some of its weighted nodes on integers, and what runs on integers between those."""
    names = _with_carriers(model, profile, weighted, placement.patterns, _behind_embedding(model))
    return Placement(names, placement.kept, placement.patterns)


def leave_float(
    model: onnx.ModelProto, profile: Profile, placement: Placement, reasons: Mapping[str, str]
) -> Placement:
    """The same with some of its weighted nodes in float as well, each for the reason given."""
    rest = [name for name in weighted_nodes(model, placement) if name not in reasons]
    kept = [*placement.kept, *(FloatNode(name, reason) for name, reason in reasons.items())]
    return Placement(restrict(model, profile, placement, rest).quantized, kept, placement.patterns)


def _with_carriers(
    model: onnx.ModelProto, profile: Profile, weighted: Collection[str], keep_float: Sequence[str], behind: set[str]
) -> list[str]:
    chosen = {*weighted, *_carriers(model, profile, set(weighted), keep_float, behind)}
    return [node.name for node in model.graph.node if node.name in chosen]


def weighted_nodes(model: onnx.ModelProto, placement: Placement) -> list[str]:
    """Those of a placement's nodes that have weights, in graph order."""
    chosen = set(placement.quantized)
    return [node.name for node in model.graph.node if node.name in chosen and node.op_type in WEIGHTED_OPERATORS]


def _behind_embedding(model: onnx.ModelProto) -> set[str]:
    reached = {EMBEDDING}
    names = set()
    for node in model.graph.node:
        if reached.intersection(node.input):
            names.add(node.name)
            reached.update(node.output)
    return names


def _stem(model: onnx.ModelProto) -> set[str]:
    known, read_by, constants = shapes(model), consumers(model), initializers(model)
    node = next((node for node in model.graph.node if node.op_type == "Conv" and node.input[1] in constants), None)
    if node is None or (known[node.input[1]][1] or 0) * attribute(node, "group", 1) > FEW_CHANNELS:
        return set()
    stem = {node.name, *_before(model, node)}
    while True:
        following = read_by[node.output[0]]
        if len(following) == 1 and following[0].op_type in ("Relu", "Clip"):
            following = read_by[following[0].output[0]]
        if len(following) != 1 or following[0].op_type != "Conv":
            return stem
        node = following[0]
        depthwise = attribute(node, "group", 1) > 1 and known[node.input[1]][1] == 1
        if not depthwise or max(attribute(node, "strides", [1])) < 2:
            return stem
        stem.add(node.name)


def _before(model: onnx.ModelProto, node: onnx.NodeProto) -> set[str]:
    """Names of the nodes that `node` depends on."""
    made_by, names, open_inputs = producers(model), set[str](), list(node.input)
    while open_inputs:
        source = made_by.get(open_inputs.pop())
        if source is not None and source.name not in names:
            names.add(source.name)
            open_inputs.extend(source.input)
    return names


def _carriers(
    model: onnx.ModelProto, profile: Profile, weighted: set[str], keep_float: Sequence[str], behind: set[str]
) -> set[str]:
    """Nodes whose every input is already an integer tensor, so that they need no way back to float and again forth."""
    made_by = producers(model)
    carriers: set[str] = set()
    for node in model.graph.node:
        if node.op_type not in profile.carriers or node.name in behind:
            continue
        if any(fnmatch.fnmatch(node.name, pattern) for pattern in keep_float):
            continue
        sources = [made_by.get(name) for name in _activations(node)]
        if sources and all(
            source is not None
            and (source.name in carriers or (source.name in weighted and source.op_type in profile.quantize_outputs))
            for source in sources
        ):
            carriers.add(node.name)
    return carriers


def _activations(node: onnx.NodeProto) -> list[str]:
    """Inputs that carry activations, not shapes, axes or limits."""
    return list(node.input) if node.op_type in ("Add", "Concat") else list(node.input[:1])
