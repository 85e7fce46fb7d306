"""What could go wrong with an ONNX file on its target, before anyone tries: rules from documentation and issues.

TensorRT cannot run here, so for its profile this is the only check there is. Every rule names the document that it
comes from; ``acula-edge audit --rules`` lists them. Rules live in :mod:`acula_edge.quantize.audit.checks`, one file
per subject.
"""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

from acula_edge.bundle.json_files import plain
from acula_edge.bundle.schema import Audit
from acula_edge.errors import ArtifactError
from acula_edge.quantize.audit.rules import OLDEST_TENSORRT, find, list_rules
from acula_edge.quantize.audit.view import GraphView
from acula_edge.quantize.footprint import describe_footprint
from acula_edge.quantize.graph import load_graph
from acula_edge.quantize.profiles import profiles
from acula_edge.quantize.tensorrt_operators import parse_version
from acula_edge.quantize.workload import int8_share

__all__ = ["audit_model", "list_rules"]


def audit_model(path: str | Path, profile: str, tensorrt: str = OLDEST_TENSORRT) -> dict[str, Any]:
    """Check one ONNX file, float or INT8, against a profile.

    Args:
        tensorrt: the oldest TensorRT that must take the file (profile ``tensorrt`` only), such as ``10.13``.

    Returns:
        ``{"schema", "model", "profile", "passed", "findings", "ops", "nodes", "opset", "ir_version",
        "quantize_linear", "macs", "int8_mac_share", "footprint"}``, for the profile ``tensorrt`` also ``tensorrt``;
        passed means no finding of severity error. Errors come first. ``footprint`` is what
        :func:`acula_edge.quantize.footprint.describe_footprint` says; None where weights lie in another file.

    Raises:
        ArtifactError: no such file or no ONNX model.
        InputError: no such profile, or no version of TensorRT.
    """
    chosen = profiles[profile]
    view = GraphView(load_graph(path, runnable=False), chosen, parse_version(tensorrt))
    try:
        return _audit(view, path, tensorrt)
    except (AttributeError, IndexError, KeyError, OverflowError, TypeError, ValueError, ZeroDivisionError) as error:
        # Graphs whose nodes lack inputs or attributes, which ONNX's own check would refuse.
        raise ArtifactError(
            f"{path} is no valid ONNX graph", given=f"{type(error).__name__}: {error}".partition("\n")[0][:200]
        ) from error


def _audit(view: GraphView, path: str | Path, tensorrt: str) -> dict[str, Any]:
    chosen = view.profile
    findings = find(view)
    work = [] if view.external else view.work
    operators = Counter(node.op_type for node in view.nodes)
    return {
        "schema": Audit.SCHEMA,
        "model": Path(path).name,
        "profile": chosen.name,
        **({"tensorrt": tensorrt} if chosen.name == "tensorrt" else {}),
        "passed": all(finding.severity != "error" for finding in findings),
        "findings": [plain(finding) for finding in findings],
        "ops": dict(sorted(operators.items())),
        "nodes": len(view.nodes),
        "opset": view.opset,
        "ir_version": view.model.ir_version,
        "quantize_linear": operators["QuantizeLinear"],
        "macs": sum(item.macs for item in work),
        "int8_mac_share": int8_share(work),
        "footprint": None if view.external else plain(describe_footprint(view.model)),
    }
