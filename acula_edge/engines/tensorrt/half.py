"""A float16 graph from a float or Q/DQ one: strongly typed networks take their types from the graph.

Of a Q/DQ graph the scales become float16 as well, and with them what DequantizeLinear gives; ONNX allows that from
opset 19, and the parser of TensorRT 10.3 checks float16 scales like others. Such a file is for TensorRT only: ONNX
Runtime 1.32 computes it rightly without optimizations, and loses a percent of cosine with them.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from acula_edge.command_line import command_line
from acula_edge.engines.tensorrt.policy import FRONTEND_PREFIX
from acula_edge.errors import MissingCapability
from acula_edge.files import sha256_file, write_bytes
from acula_edge.untrusted.onnx_file import inspect_onnx

HALF_SUFFIX = ".fp16.onnx"

# Between 18 and 19 no operator changed its meaning, and QuantizeLinear and DequantizeLinear learned float16.
HALF_SCALES_OPSET = 19


def half_path(source: Path) -> Path:
    """``model.fp16.onnx`` beside ``model.onnx``."""
    return source.with_name(source.name.removesuffix(".onnx") + HALF_SUFFIX)


def is_converted(source: Path) -> bool:
    """Whether the float16 graph beside a float one was made from it; no package is needed to see that."""
    half = half_path(source)
    return half.is_file() and _signature(source).encode() in half.read_bytes()


def convert(source: Path) -> Path:
    """Write the float16 graph of a float or Q/DQ one beside it, unless it is there already.

    The front end, inputs and outputs stay in float32; casts lie between. Weights beyond float16's range are clipped.

    Raises:
        ArtifactError: the graph is none that may be run (:func:`acula_edge.untrusted.onnx_file.inspect_onnx`).
        MissingCapability: the package onnx is not installed.
    """
    target = half_path(source)
    if is_converted(source):
        return target
    precision = "int8-fp16" if ".int8" in source.name else "fp16"
    try:
        import onnx
        from onnxruntime.transformers.float16 import convert_float_to_float16
    except ImportError as error:
        raise MissingCapability(
            f"{target.name} is missing, and making it needs the package onnx",
            remedy="pip install onnx; or copy the bundle again after this on another machine: "
            + command_line("acula-edge", "build-engine", "BUNDLE", "--precision", precision, "--only-convert"),
        ) from error
    inspect_onnx(source)
    model = onnx.load(str(source), load_external_data=False)
    if any(node.op_type == "QuantizeLinear" for node in model.graph.node):
        for item in model.opset_import:
            if item.domain in ("", "ai.onnx"):
                item.version = max(item.version, HALF_SCALES_OPSET)
    # Taken apart first: the library would cast the waveform to float16 and back before a front end that it leaves.
    network = _network_of(model)
    half = convert_float_to_float16(network, keep_io_types=True)
    frontend = [node for node in model.graph.node if node.name.startswith(FRONTEND_PREFIX)]
    nodes = _sorted([*frontend, *half.graph.node], {value.name for value in model.graph.input})
    read = {name for node in frontend for name in node.input}
    constants = [tensor for tensor in model.graph.initializer if tensor.name in read]
    constants += [tensor for tensor in half.graph.initializer if tensor.name not in read]
    del model.graph.node[:], model.graph.initializer[:], model.graph.value_info[:]
    model.graph.node.extend(nodes)
    model.graph.initializer.extend(constants)
    model.doc_string = _signature(source)
    onnx.checker.check_model(model)
    write_bytes(target, model.SerializeToString(deterministic=True))
    return target


def _network_of(model: Any) -> Any:
    """What lies behind the front end, as a model of its own; what crosses becomes its inputs."""
    import onnx

    known = onnx.shape_inference.infer_shapes(model).graph
    values = {value.name: value for value in [*known.value_info, *known.input]}
    nodes = [node for node in model.graph.node if not node.name.startswith(FRONTEND_PREFIX)]
    made = {name for node in nodes for name in node.output}
    read = {name for node in nodes for name in node.input if name}
    network = onnx.ModelProto()
    network.CopyFrom(model)
    constants = [tensor for tensor in model.graph.initializer if tensor.name in read]
    crossing = sorted(read - made - {tensor.name for tensor in constants})
    del network.graph.node[:], network.graph.initializer[:], network.graph.input[:]
    network.graph.node.extend(nodes)
    network.graph.initializer.extend(constants)
    network.graph.input.extend(values[name] for name in crossing)
    return network


def _sorted(nodes: list[Any], given: set[str]) -> list[Any]:
    """Nodes in an order in which each finds its inputs; stable."""
    makers = {name: position for position, node in enumerate(nodes) for name in node.output}
    order: list[int] = []
    done: set[int] = set()

    def visit(position: int) -> None:
        stack = [(position, False)]
        while stack:
            current, ready = stack.pop()
            if ready:
                order.append(current)
            elif current not in done:
                done.add(current)
                stack.append((current, True))
                sources = {makers[name] for name in nodes[current].input if name in makers and name not in given}
                stack.extend((source, False) for source in sorted(sources - done, reverse=True))

    for position in range(len(nodes)):
        visit(position)
    return [nodes[position] for position in order]


def _signature(source: Path) -> str:
    return f"float16, front end float32, from {source.name} {sha256_file(source)}"
