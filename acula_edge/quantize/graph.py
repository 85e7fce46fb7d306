"""Small operations on ONNX graphs that export, quantization and audit share.

Everything here is deterministic: equal models give equal bytes, in this process and the next.
"""

from __future__ import annotations

import ast
from collections import Counter, defaultdict
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import compose, external_data_helper, helper, numpy_helper

from acula_edge import __version__
from acula_edge.errors import ArtifactError, InputError
from acula_edge.files import write_bytes
from acula_edge.untrusted.onnx_file import inspect_onnx
from acula_edge.untrusted.own_files import is_own, mark_own

OPSET = 18
IR_VERSION = 10
PRODUCER = "acula-edge"


def load_graph(path: str | Path, runnable: bool = True) -> onnx.ModelProto:
    """Read an ONNX file, weights in it included.

    Args:
        runnable: see :func:`acula_edge.untrusted.onnx_file.inspect_onnx`; what :func:`save_graph` wrote is not looked
            through.

    Raises:
        ArtifactError: no such file, no ONNX model, or one that is not allowed.
    """
    if not is_own(path):
        inspect_onnx(path, runnable)
    try:
        model = onnx.load(str(path), load_external_data=False)
    except FileNotFoundError as error:
        raise ArtifactError(f"there is no file {path}") from error
    except Exception as error:  # protobuf's DecodeError has no stable home
        raise ArtifactError(f"{path} cannot be read as an ONNX model", given=error) from error
    if not model.graph.node:
        raise ArtifactError(f"{path} holds no ONNX graph")
    return model


def save_graph(model: onnx.ModelProto, path: str | Path) -> None:
    """Check a model and write it, weights included; equal models give equal bytes."""
    onnx.checker.check_model(model)
    write_bytes(path, model.SerializeToString(deterministic=True))
    mark_own(path)


def initializers(model: onnx.ModelProto) -> dict[str, onnx.TensorProto]:
    """Constants by name."""
    return {tensor.name: tensor for tensor in model.graph.initializer}


def producers(model: onnx.ModelProto) -> dict[str, onnx.NodeProto]:
    """The node that makes each value."""
    return {output: node for node in model.graph.node for output in node.output}


def consumers(model: onnx.ModelProto) -> dict[str, list[onnx.NodeProto]]:
    """The nodes that read each value; a node that reads it twice is there twice."""
    found: dict[str, list[onnx.NodeProto]] = defaultdict(list)
    for node in model.graph.node:
        for name in node.input:
            found[name].append(node)
    return found


def attribute(node: onnx.NodeProto, name: str, default: Any = None) -> Any:
    """Value of an attribute."""
    for item in node.attribute:
        if item.name == name:
            return helper.get_attribute_value(item)
    return default


def constant(model: onnx.ModelProto, name: str) -> NDArray[Any] | None:
    """Value of an initializer; None when `name` is none."""
    for tensor in model.graph.initializer:
        if tensor.name == name:
            # One that lies in another file is not looked for: the path in it could lead anywhere.
            return None if external_data_helper.uses_external_data(tensor) else numpy_helper.to_array(tensor)
    return None


def shapes(model: onnx.ModelProto) -> dict[str, list[int | None]]:
    """Shape of every value that can be inferred; None for a dimension that is not fixed."""
    try:
        inferred = onnx.shape_inference.infer_shapes(model, data_prop=True).graph
    except Exception as error:  # of no base class but this
        raise ArtifactError(
            "the shapes of an ONNX model contradict each other", given=str(error).partition("\n")[0][:200]
        ) from error
    found: dict[str, list[int | None]] = {tensor.name: list(tensor.dims) for tensor in model.graph.initializer}
    for value in [*inferred.value_info, *inferred.input, *inferred.output]:
        if value.type.tensor_type.HasField("shape"):
            found[value.name] = [
                dim.dim_value if dim.HasField("dim_value") else None for dim in value.type.tensor_type.shape.dim
            ]
    return found


def tidy(model: onnx.ModelProto, stage: str, description: str) -> onnx.ModelProto:
    """Turn the exporter's graph into ours, in place: no clutter, stable names under `stage`, no paths or stack traces.

    A mean over height and width becomes GlobalAveragePool, which runs on integers.
    """
    _name_nodes(model, stage)
    _inline_constants(model)
    _bypass_identities(model)
    _pool_globally(model)
    _drop_unused(model)
    _rename_values(model, stage)
    del model.graph.value_info[:]
    del model.metadata_props[:]
    for holder in [*model.graph.node, *model.graph.initializer, *model.graph.input, *model.graph.output]:
        holder.doc_string = ""
        del holder.metadata_props[:]
    del model.graph.metadata_props[:]
    model.graph.name = stage
    return sign(model, description)


def sign(model: onnx.ModelProto, description: str) -> onnx.ModelProto:
    """Say what a model is and who made it: no time, no path, no host."""
    model.producer_name, model.producer_version = PRODUCER, __version__
    model.doc_string = description
    model.graph.doc_string = ""
    model.domain, model.model_version = "", 0
    return model


def merge(first: onnx.ModelProto, second: onnx.ModelProto, value: str, description: str) -> onnx.ModelProto:
    """One graph from two: `first`'s output `value` feeds `second`'s input of the same name."""
    merged = compose.merge_models(
        first, second, io_map=[(value, value)], name=second.graph.name, producer_name=PRODUCER
    )
    merged.ir_version = max(first.ir_version, second.ir_version)
    versions = {item.domain: item.version for item in merged.opset_import}
    del merged.opset_import[:]
    merged.opset_import.extend(helper.make_opsetid(domain, version) for domain, version in versions.items())
    return sign(merged, description)


def share_constants(model: onnx.ModelProto, data_type: int) -> None:
    """Keep one copy of equal initializers of one element type."""
    kept: dict[bytes, str] = {}
    renamed: dict[str, str] = {}
    unique = []
    for tensor in model.graph.initializer:
        if tensor.data_type == data_type:
            key = repr(tuple(tensor.dims)).encode() + numpy_helper.to_array(tensor).tobytes()
            renamed[tensor.name] = kept.setdefault(key, tensor.name)
        if renamed.get(tensor.name, tensor.name) == tensor.name:
            unique.append(tensor)
    del model.graph.initializer[:]
    model.graph.initializer.extend(unique)
    for node in model.graph.node:
        node.input[:] = [renamed.get(name, name) for name in node.input]


def _name_nodes(model: onnx.ModelProto, stage: str) -> None:
    """Name nodes by the PyTorch module that they came from and their operator: ``encoder/backbone.stem.conv/Conv``."""
    seen: Counter[str] = Counter()
    for node in model.graph.node:
        scopes = next((p.value for p in node.metadata_props if p.key == "pkg.torch.onnx.name_scopes"), "[]")
        modules = [name for name in ast.literal_eval(scopes)[:-1] if name]
        parts = [stage, modules[-1].removeprefix(f"{stage}.") if modules else "", node.op_type]
        name = "/".join(part for part in parts if part and part != f"{stage}")
        name = name if name.startswith(f"{stage}/") else f"{stage}/{name}"
        seen[name] += 1
        node.name = name if seen[name] == 1 else f"{name}_{seen[name]}"


def _inline_constants(model: onnx.ModelProto) -> None:
    kept = []
    for node in model.graph.node:
        if node.op_type != "Constant":
            kept.append(node)
            continue
        if attribute(node, "value") is None:
            raise InputError(f"the exporter left a constant of an unknown form: {node.name}")
        tensor = onnx.TensorProto()
        tensor.CopyFrom(attribute(node, "value"))
        tensor.name = node.output[0]
        model.graph.initializer.append(tensor)
    _replace_nodes(model, kept)


def _bypass_identities(model: onnx.ModelProto) -> None:
    outputs = {value.name for value in model.graph.output}
    source: dict[str, str] = {}
    kept = []
    for node in model.graph.node:
        for index, name in enumerate(node.input):
            node.input[index] = source.get(name, name)
        if node.op_type == "Identity" and node.output[0] not in outputs:
            source[node.output[0]] = node.input[0]
        else:
            kept.append(node)
    _replace_nodes(model, kept)


def _pool_globally(model: onnx.ModelProto) -> None:
    known = shapes(model)
    for node in list(model.graph.node):
        if node.op_type != "ReduceMean" or len(node.input) != 2:
            continue
        axes = constant(model, node.input[1])
        shape = known.get(node.input[0], [])
        if axes is None or len(shape) != 4 or sorted(int(axis) % 4 for axis in axes) != [2, 3]:
            continue
        keep = attribute(node, "keepdims", 1)
        pooled = node.output[0] if keep else f"{node.output[0]}/pooled"
        replacement = [helper.make_node("GlobalAveragePool", [node.input[0]], [pooled], name=f"{node.name}/pool")]
        if not keep:
            replacement.append(
                helper.make_node("Flatten", [pooled], [node.output[0]], name=f"{node.name}/flat", axis=1)
            )
        position = list(model.graph.node).index(node)
        model.graph.node.remove(node)
        for offset, new in enumerate(replacement):
            model.graph.node.insert(position + offset, new)


def _drop_unused(model: onnx.ModelProto) -> None:
    """Remove nodes and initializers that no output depends on."""
    needed = {value.name for value in model.graph.output}
    kept = []
    for node in reversed(model.graph.node):
        if needed.intersection(node.output):
            kept.append(node)
            needed.update(node.input)
    _replace_nodes(model, list(reversed(kept)))
    tensors = [tensor for tensor in model.graph.initializer if tensor.name in needed]
    del model.graph.initializer[:]
    model.graph.initializer.extend(tensors)


def _rename_values(model: onnx.ModelProto, stage: str) -> None:
    """Name values after the node that makes them and initializers after the parameter that they hold."""
    fixed = {value.name for value in [*model.graph.input, *model.graph.output]}
    renamed: dict[str, str] = {}
    for tensor in model.graph.initializer:
        if tensor.name not in fixed:
            renamed[tensor.name] = f"{stage}/{tensor.name.removeprefix(f'{stage}.')}"
            tensor.name = renamed[tensor.name]
    for node in model.graph.node:
        for index, name in enumerate(node.output):
            if name and name not in fixed:
                renamed[name] = f"{node.name}:{index}" if index else node.name
        node.input[:] = [renamed.get(name, name) for name in node.input]
        node.output[:] = [renamed.get(name, name) for name in node.output]


def _replace_nodes(model: onnx.ModelProto, nodes: list[onnx.NodeProto]) -> None:
    copies = []
    for node in nodes:
        copy = onnx.NodeProto()
        copy.CopyFrom(node)
        copies.append(copy)
    del model.graph.node[:]
    model.graph.node.extend(copies)


def tensor_of(array: NDArray[Any], name: str) -> onnx.TensorProto:
    """An initializer that holds `array`."""
    return numpy_helper.from_array(np.ascontiguousarray(array), name)
