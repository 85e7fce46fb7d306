"""The file as a whole: versions, domains, where its weights lie, what it says about its maker."""

from __future__ import annotations

from collections.abc import Iterator

from acula_edge.quantize.audit import sources
from acula_edge.quantize.audit.rules import Hit, Severity, rule
from acula_edge.quantize.audit.view import GraphView
from acula_edge.quantize.graph import IR_VERSION

PER_CHANNEL_OPSET = 13
NEWEST_OPSET = 20


@rule("external-data", "error", "weights lie inside the file", source=sources.OWN, of_file=True)
def find_external_data(view: GraphView) -> Iterator[Hit]:
    """Bundles are checked file by file, and TensorRT resolves such a path against the working folder."""
    if view.external:
        yield Hit("", "weights lie in another file; save the model as one file")


@rule("opset", "error", "an ONNX opset that every runtime takes with INT8", source=sources.ORT_OPSET_21, of_file=True)
def find_opset(view: GraphView) -> Iterator[Hit]:
    """TensorRT 10.0 to 10.15 take 9 to 20 (docs/operators.md); ONNX Runtime 1.32 fails on 21 with INT8 activations."""
    trusted = view.profile.trusted_opset
    if view.opset > trusted:
        severity: Severity = "error" if view.opset > NEWEST_OPSET else "warning"
        message = f"opset {view.opset}: beyond {trusted} runtimes of this profile refuse INT8; export with {trusted}"
        yield Hit("", message, severity)
    if view.opset < PER_CHANNEL_OPSET:
        yield Hit("", f"opset {view.opset}: per-channel DequantizeLinear came with 13; export with {trusted}")


@rule("ir-version", "error", "an IR version that old runtimes read", source=sources.ORT_COMPATIBILITY, of_file=True)
def find_ir_version(view: GraphView) -> Iterator[Hit]:
    """ONNX Runtime refuses IR versions that it does not know."""
    found = view.model.ir_version
    if found > IR_VERSION:
        yield Hit("", f"IR version {found}: ONNX Runtime 1.18 to 1.23 read up to {IR_VERSION}; save with that")


@rule("domain", "error", "operators of ONNX itself only", source=sources.OWN, of_file=True)
def find_domains(view: GraphView) -> Iterator[Hit]:
    """Contrib operators tie a file to one runtime; in TensorRT they need a plugin of the same name."""
    for domain in sorted({item.domain for item in view.model.opset_import if item.domain not in ("", "ai.onnx")}):
        yield Hit("", f"operators of {domain} run in no other runtime than their own; export without them")


@rule("functions", "warning", "no local functions", source=sources.CHANGELOG, of_file=True)
def find_functions(view: GraphView) -> Iterator[Hit]:
    """TensorRT reads them since 9.0, several fixes followed up to 10.10; ONNX Runtime inlines them."""
    for function in view.model.functions:
        yield Hit(function.name, "a local function; older parsers refuse them: inline it (onnx.inliner)")


@rule("metadata", "warning", "no traces of the machine that made the file", source=sources.OWN, of_file=True)
def find_metadata(view: GraphView) -> Iterator[Hit]:
    """The exporter writes stack traces with source paths."""
    for text in (view.model.doc_string, *(item.value for item in view.model.metadata_props)):
        if "Traceback" in text or 'File "' in text:
            yield Hit("", "the file carries source paths of the machine that made it; clear doc_string and metadata")
