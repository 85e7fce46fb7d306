"""What could go wrong with an ONNX file on its target, before anyone tries: rules from documentation and issues.

TensorRT cannot run here, so for its profile this is the only check there is; every rule names what it protects from.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import onnx

from acula_edge.files import write_json
from acula_edge.quantize.graph import IR_VERSION, attribute, constant, consumers, load_graph, producers, shapes
from acula_edge.quantize.profiles import Profile, profiles
from acula_edge.quantize.tensorrt_operators import BEFORE_VERSION, SUPPORTED
from acula_edge.quantize.workload import int8_share, measure_work

SCHEMA = "acula-edge/audit/1"
AUDIT_FILE = "audit.json"

Severity = Literal["error", "warning", "info"]

FRONTEND_PREFIX = "frontend/"
SLOW_SPECTRA = ("STFT", "DFT", "MelWeightMatrix")
SLOW_WITH_INT8 = ("Sigmoid", "HardSigmoid", "HardSwish", "Mish", "Gelu", "Erf", "Tanh", "Softplus")

# A float layer with less of the work than this is not worth a warning.
SMALL_SHARE = 0.05


@dataclass(frozen=True)
class Finding:
    """One thing found.

    Attributes:
        rule: short name of the rule.
        severity: an error means that the target will refuse or miscompute; a warning that it will be slow or that a
            runtime of another version may refuse; info is for the reader.
        node: node or tensor; "" for the whole graph.
        message: what it means.
    """

    rule: str
    severity: Severity
    node: str
    message: str


def audit_model(path: str | Path, profile: str) -> dict[str, Any]:
    """Check one ONNX file, float or INT8, against a profile.

    Returns:
        ``{"schema", "model", "profile", "passed", "findings", "ops", "nodes", "opset", "ir_version",
        "quantize_linear", "macs", "int8_mac_share"}``; passed means no finding of severity error.

    Raises:
        ArtifactError: no such file or no ONNX model.
        InputError: no such profile.
    """
    chosen = profiles[profile]
    model = load_graph(path)
    findings = list(_file_findings(model, chosen))
    external = any(finding.rule == "external-data" for finding in findings)
    if not external:
        findings += [
            *_operator_findings(model, chosen),
            *_shape_findings(model),
            *_quantization_findings(model, chosen),
        ]
        findings += _fallback_findings(model)
    operators = Counter(node.op_type for node in model.graph.node)
    work = [] if external else measure_work(model)
    return {
        "schema": SCHEMA,
        "model": Path(path).name,
        "profile": chosen.name,
        "passed": all(finding.severity != "error" for finding in findings),
        "findings": [asdict(finding) for finding in findings],
        "ops": dict(sorted(operators.items())),
        "nodes": len(model.graph.node),
        "opset": _opset(model),
        "ir_version": model.ir_version,
        "quantize_linear": operators["QuantizeLinear"],
        "macs": sum(item.macs for item in work),
        "int8_mac_share": int8_share(work),
    }


def write_audit(folder: str | Path, profile: str, file: str) -> dict[str, Any]:
    """Audit one file of a bundle and write ``audit.json`` beside it."""
    result = audit_model(Path(folder) / file, profile)
    write_json(Path(folder) / AUDIT_FILE, result)
    return result


def _file_findings(model: onnx.ModelProto, profile: Profile) -> Iterator[Finding]:
    opset = _opset(model)
    if any(tensor.data_location == onnx.TensorProto.EXTERNAL for tensor in model.graph.initializer):
        yield Finding("external-data", "error", "", "weights lie in another file; the model must be one file")
    if opset > profile.trusted_opset:
        severity: Severity = "error" if opset > 20 else "warning"
        yield Finding(
            "opset", severity, "", f"opset {opset}: beyond {profile.trusted_opset} runtimes of this profile refuse INT8"
        )
    if opset < 13:
        yield Finding("opset", "error", "", f"opset {opset}: per-channel DequantizeLinear came with 13")
    if model.ir_version > IR_VERSION:
        yield Finding(
            "ir-version",
            "error",
            "",
            f"IR version {model.ir_version}: ONNX Runtime 1.18 to 1.23 read up to {IR_VERSION}",
        )
    foreign = sorted({item.domain for item in model.opset_import if item.domain not in ("", "ai.onnx")})
    for domain in foreign:
        yield Finding("domain", "error", "", f"operators of {domain} run in no other runtime than their own")
    if model.functions:
        yield Finding("functions", "warning", "", "local functions; older parsers refuse them")
    for text in (model.doc_string, *(item.value for item in model.metadata_props)):
        if "Traceback" in text or 'File "' in text:
            yield Finding("metadata", "warning", "", "the file carries source paths of the machine that made it")


def _operator_findings(model: onnx.ModelProto, profile: Profile) -> Iterator[Finding]:
    tensorrt = profile.name == "tensorrt"
    for node in model.graph.node:
        if node.op_type in SLOW_SPECTRA:
            if not tensorrt:
                yield Finding("spectrum-operator", "warning", node.name, f"{node.op_type} is slow in ONNX Runtime")
            elif node.op_type in BEFORE_VERSION:
                since = BEFORE_VERSION[node.op_type]
                yield Finding("operator", "error", node.name, f"TensorRT has {node.op_type} only from {since}")
            else:
                yield Finding("operator", "error", node.name, f"no version of TensorRT has {node.op_type}")
        elif tensorrt and node.op_type not in SUPPORTED:
            later = BEFORE_VERSION.get(node.op_type)
            known = f"only from TensorRT {later}" if later else "not in TensorRT 10.3"
            yield Finding("operator", "error", node.name, f"{node.op_type} is {known}")


def _shape_findings(model: onnx.ModelProto) -> Iterator[Finding]:
    known = shapes(model)
    for value in [*model.graph.input, *model.graph.output]:
        if value.name not in known or None in known[value.name]:
            yield Finding("dynamic-shape", "error", value.name, "inputs and outputs need fixed shapes, batch 1")
        elif 0 in known[value.name]:
            yield Finding("empty-output", "warning", value.name, "an output without elements (a model without heads)")
    for node in model.graph.node:
        for name in node.output:
            if name and (name not in known or None in known[name]):
                yield Finding("dynamic-shape", "error", node.name, "the shape of its output is not fixed")
                break


def _quantization_findings(model: onnx.ModelProto, profile: Profile) -> Iterator[Finding]:
    read_by, made_by = consumers(model), producers(model)
    for node in model.graph.node:
        if node.op_type not in ("QuantizeLinear", "DequantizeLinear"):
            continue
        zero_point = constant(model, node.input[2]) if len(node.input) > 2 else None
        scale = constant(model, node.input[1])
        if scale is None:
            yield Finding("scale", "error", node.name, "the scale is no constant")
            continue
        if not np.all(np.isfinite(scale) & (scale > 0)):
            yield Finding("scale", "error", node.name, "a scale is not positive")
        stored = constant(model, node.input[0])
        if profile.name == "tensorrt":
            yield from _tensorrt_findings(node, zero_point, stored)
        if scale.size > 1 and node.op_type == "DequantizeLinear":
            yield from _axis_findings(node, read_by, made_by, scale.size)


def _tensorrt_findings(
    node: onnx.NodeProto, zero_point: np.ndarray | None, stored: np.ndarray | None
) -> Iterator[Finding]:
    kind = stored.dtype if stored is not None else (zero_point.dtype if zero_point is not None else None)
    if kind == np.int32:
        yield Finding(
            "int32-bias", "error", node.name, "TensorRT parses no INT32 DequantizeLinear; keep biases in float"
        )
        return
    if kind == np.uint8 or (zero_point is not None and zero_point.dtype == np.uint8):
        yield Finding("uint8", "error", node.name, "TensorRT takes INT8 only, not UINT8")
    if node.op_type == "QuantizeLinear" and zero_point is None:
        yield Finding("uint8", "error", node.name, "without a zero point QuantizeLinear makes UINT8")
    if zero_point is not None and np.any(zero_point != 0):
        yield Finding("zero-point", "error", node.name, "TensorRT takes a zero point of 0 only")


def _axis_findings(
    node: onnx.NodeProto,
    read_by: dict[str, list[onnx.NodeProto]],
    made_by: dict[str, onnx.NodeProto],
    size: int,
) -> Iterator[Finding]:
    axis = attribute(node, "axis", 1)
    for reader in read_by[node.output[0]]:
        if list(reader.input)[:1] == [node.output[0]]:
            yield Finding("per-channel-axis", "error", node.name, "an activation cannot have a scale per channel")
            continue
        if list(reader.input).index(node.output[0]) == 2:
            continue
        expected = {"Conv": (0,), "ConvTranspose": (1,), "MatMul": (1, -1)}.get(reader.op_type)
        if reader.op_type == "Gemm":
            expected = (0,) if attribute(reader, "transB", 0) else (1,)
        if expected is not None and axis not in expected:
            yield Finding(
                "per-channel-axis",
                "error",
                node.name,
                f"{size} scales along axis {axis}; {reader.op_type} needs its output channels, axis {expected[0]}",
            )


def _fallback_findings(model: onnx.ModelProto) -> Iterator[Finding]:
    """Layers that stayed in float in an INT8 graph, and operators that cost more around INT8 than it saves."""
    work = measure_work(model)
    if not any(item.int8 for item in work):
        if any(node.op_type == "QuantizeLinear" for node in model.graph.node):
            yield Finding("fallback", "warning", "", "the graph has Q/DQ nodes but no layer computes on integers")
        return
    inside = [item for item in work if not item.node.startswith(FRONTEND_PREFIX)]
    total = sum(item.macs for item in inside)
    for item in inside:
        if not item.int8:
            share = item.macs / total
            severity: Severity = "warning" if share >= SMALL_SHARE else "info"
            yield Finding(
                "fallback",
                severity,
                item.node,
                f"{item.operator} in float: {share:.1%} of the encoder's multiplications",
            )
    made_by = producers(model)
    for node in model.graph.node:
        if node.op_type in SLOW_WITH_INT8 and not node.name.startswith(FRONTEND_PREFIX):
            source = made_by.get(node.input[0])
            if source is not None and source.op_type == "DequantizeLinear":
                yield Finding(
                    "slow-operator",
                    "warning",
                    node.name,
                    f"{node.op_type} between integer layers: there and back costs more than INT8 saves",
                )


def _opset(model: onnx.ModelProto) -> int:
    return max((item.version for item in model.opset_import if item.domain in ("", "ai.onnx")), default=0)
