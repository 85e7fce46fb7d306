"""Operators that the target has."""

from __future__ import annotations

from collections.abc import Iterator

from acula_edge.quantize.audit import sources
from acula_edge.quantize.audit.limits import LIMITS
from acula_edge.quantize.audit.rules import CPU, TENSORRT, Hit, Severity, rule
from acula_edge.quantize.audit.view import GraphView
from acula_edge.quantize.tensorrt_operators import ARRIVED, SUPPORTED, short

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
