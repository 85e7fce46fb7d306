"""Operators that the target has."""

from __future__ import annotations

from collections.abc import Iterator

from onnx import TensorProto

from acula_edge.quantize.audit import sources
from acula_edge.quantize.audit.limits import LIMITS
from acula_edge.quantize.audit.rules import CPU, TENSORRT, Hit, Severity, rule
from acula_edge.quantize.audit.view import GraphView
from acula_edge.quantize.tensorrt_operators import ARRIVED, BOOL_TOO, FLOAT_ONLY, SUPPORTED, short

SLOW_SPECTRA = ("STFT", "DFT", "MelWeightMatrix")


@rule("spectrum-operator", "warning", "spectra are matrix products", source=sources.MEASURED, profiles=CPU)
def find_spectra(view: GraphView) -> Iterator[Hit]:
    """ONNX Runtime's STFT takes three times as long as the factored product."""
    for node in view.of(*SLOW_SPECTRA):
        yield Hit(node.name, f"{node.op_type} is slow in ONNX Runtime; use this package's front end")


@rule("operator", "error", "operators that TensorRT parses", source=sources.OPERATORS, profiles=TENSORRT)
def find_operators(view: GraphView) -> Iterator[Hit]:
    """By version: :mod:`acula_edge.quantize.tensorrt_operators`."""
    for node in view.nodes:
        name = node.op_type
        if node.domain not in ("", "ai.onnx"):
            yield Hit(node.name, f"{node.domain}.{name} needs a TensorRT plugin; export with ONNX's operators")
        elif name in ARRIVED and view.tensorrt < ARRIVED[name]:
            since = short(ARRIVED[name])
            yield Hit(node.name, f"TensorRT has {name} from {since} only; write it with older operators")
        elif name not in SUPPORTED and name not in ARRIVED:
            yield Hit(node.name, f"no version of TensorRT parses {name}; write it with other operators")


@rule("operator-limit", "error", "attributes that TensorRT takes", source=sources.OPERATORS, profiles=TENSORRT)
def find_limits(view: GraphView) -> Iterator[Hit]:
    """The table of :mod:`acula_edge.quantize.audit.limits`."""
    for node in view.nodes:
        for limit in LIMITS.get(node.op_type, ()):
            if (limit.since is None or view.tensorrt < limit.since) and limit.broken(view, node):
                since = "" if limit.since is None else f" before TensorRT {short(limit.since)}"
                severity: Severity = "error" if limit.refused else "warning"
                yield Hit(node.name, f"{node.op_type}{since}: {limit.message}", severity)


@rule("operator-type", "error", "operators on types that TensorRT has them for", source=sources.OPERATORS,
      profiles=TENSORRT)  # fmt: skip
def find_operator_types(view: GraphView) -> Iterator[Hit]:
    """By the first input, which carries the data."""
    for node in view.nodes:
        kind = view.types.get(node.input[0]) if node.input else None
        if kind in (TensorProto.INT32, TensorProto.INT64) and node.op_type in FLOAT_ONLY:
            word = TensorProto.DataType.Name(kind)
            yield Hit(node.name, f"{node.op_type} on {word}: TensorRT has it for floating point only; cast before")
        elif kind == TensorProto.BOOL and node.op_type in SUPPORTED and node.op_type not in BOOL_TOO:
            yield Hit(node.name, f"{node.op_type} on BOOL: TensorRT has it for numbers only; cast to INT32 before")
