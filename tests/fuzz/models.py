"""Tiny ONNX models of every kind that a device meets, and of those that want to read elsewhere."""

from __future__ import annotations

import functools

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from tests.fuzz.bundles import bundle_files

WORDS = (
    b"Conv", b"MatMul", b"Gemm", b"Reshape", b"Constant", b"ConstantOfShape", b"Loop", b"If", b"Scan", b"Expand",
    b"Tile", b"Range", b"Resize", b"Pad", b"Split", b"Concat", b"QuantizeLinear", b"DequantizeLinear", b"Identity",
    b"Cast", b"EyeLike", b"RandomNormal", b"OneHot", b"Gather", b"SequenceEmpty", b"Optional", b"STFT", b"LSTM",
    b"NoSuch", b"x", b"y", b"w", b"", b"location", b"offset", b"length", b"/etc/passwd", b"../up.bin",
    b"weights.bin", b"*/_ORT_MEM_ADDR_/*", b"com.microsoft", b"ai.onnx.ml", b"custom", b"EPContext",
    b"ep_cache_context", b"embed_mode", b"\xff\xfe", b"a" * 300,
)  # fmt: skip


@functools.cache
def models() -> list[bytes]:
    """Whole models of less than two kilobytes each."""
    files = bundle_files()
    return [
        files["encoder.onnx"],
        files["encoder.int8.onnx"],
        _model([helper.make_node("MatMul", ["x", "w"], ["y"])], np.ones((4, 3), np.float32), [1, 3]),
        _model([helper.make_node("Conv", ["x", "w"], ["y"], pads=[1, 1])], np.ones((2, 1, 3), np.float32),
               [1, 2, 4], [1, 1, 4]),
        _model([helper.make_node("Expand", ["s", "w"], ["y"])], np.array([1, 3]), [1, 3], extra=True),
        _model([helper.make_node("ConstantOfShape", ["w"], ["c"]), helper.make_node("Add", ["c", "s"], ["y"])],
               np.array([1, 3]), [1, 3], extra=True),
        _model([_branches()], np.array(True), [1, 4]),
        _model([helper.make_node("Identity", ["x"], ["y"]), helper.make_node("NoSuch", ["x"], ["z"], domain="custom")],
               np.ones(1, np.float32), [1, 4]),
        _external("weights.bin"),
        _external("../../etc/passwd"),
    ]  # fmt: skip


def _branches() -> onnx.NodeProto:
    output = [helper.make_tensor_value_info("o", TensorProto.FLOAT, None)]
    graphs = [
        helper.make_graph([helper.make_node(kind, ["x"], ["o"])], kind, [], output) for kind in ("Relu", "Identity")
    ]
    return helper.make_node("If", ["w"], ["y"], then_branch=graphs[0], else_branch=graphs[1])


def _external(location: str) -> bytes:
    model = onnx.load_from_string(
        _model([helper.make_node("MatMul", ["x", "w"], ["y"])], np.ones((4, 3), np.float32), [1, 3])
    )
    (tensor,) = model.graph.initializer
    tensor.ClearField("raw_data")
    tensor.data_location = TensorProto.EXTERNAL
    for key, value in (("location", location), ("offset", "0"), ("length", "48")):
        tensor.external_data.add(key=key, value=value)
    data: bytes = model.SerializeToString()
    return data


def _model(
    nodes: list[onnx.NodeProto], weight: np.ndarray, out: list[int], shape: list[int] | None = None, extra: bool = False
) -> bytes:
    weights = [numpy_helper.from_array(weight, "w")]
    if extra:
        weights.append(numpy_helper.from_array(np.ones(1, np.float32), "s"))
    graph = helper.make_graph(
        nodes,
        "tiny",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, shape or [1, 4])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, out)],
        weights,
    )
    opsets = [helper.make_opsetid("", 18), helper.make_opsetid("custom", 1)]
    data: bytes = helper.make_model(graph, opset_imports=opsets, ir_version=9).SerializeToString()
    return data
