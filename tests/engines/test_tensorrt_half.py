"""The float16 graph that strongly typed networks are built from."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper
from onnx.reference import ReferenceEvaluator

from acula_edge.engines.ort import OrtEngine
from acula_edge.engines.tensorrt import BuildPolicy, Gpu, build, build_engine, trtexec
from acula_edge.engines.tensorrt.half import convert, half_path, is_converted
from acula_edge.errors import MissingCapability
from acula_edge.files import read_json, sha256_file
from tests.engines.tensorrt_doubles import FLAVORS, Package


@pytest.fixture
def model(tmp_path: Path) -> Path:
    """A front end whose powers float16 cannot hold, and a convolution behind it."""
    generator = np.random.default_rng(0)
    constants = {
        "tiny": np.float32(1e-9),
        "frontend/filters": generator.normal(size=(64, 16)).astype(np.float32),
        "encoder/weight": generator.normal(size=(8, 1, 3, 3)).astype(np.float32) * 0.1,
        "shape": np.array([1, 1, 4, 16]),
    }
    nodes = [
        helper.make_node("MatMul", ["waveform", "frontend/filters"], ["product"], "frontend/MatMul"),
        helper.make_node("Mul", ["product", "tiny"], ["power"], "frontend/Mul"),
        helper.make_node("Div", ["power", "tiny"], ["level"], "frontend/Div"),
        helper.make_node("Reshape", ["level", "shape"], ["mel"], "frontend/Reshape"),
        helper.make_node("Conv", ["mel", "encoder/weight"], ["map"], "encoder/Conv", pads=[1, 1, 1, 1]),
        helper.make_node("Relu", ["map"], ["embedding"], "encoder/Relu"),
    ]
    graph = helper.make_graph(
        nodes,
        "g",
        [helper.make_tensor_value_info("waveform", TensorProto.FLOAT, [4, 64])],
        [helper.make_tensor_value_info("embedding", TensorProto.FLOAT, [1, 8, 4, 16])],
        [numpy_helper.from_array(array, name) for name, array in constants.items()],
    )
    path = tmp_path / "model.onnx"
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10), path)
    return path


def test_the_front_end_keeps_its_type_and_the_network_does_not(model: Path) -> None:
    half = onnx.load(convert(model))
    kinds = {tensor.name: tensor.data_type for tensor in half.graph.initializer}
    assert kinds["tiny"] == kinds["frontend/filters"] == TensorProto.FLOAT
    assert kinds["encoder/weight"] == TensorProto.FLOAT16
    borders = [value.type.tensor_type.elem_type for value in [*half.graph.input, *half.graph.output]]
    assert borders == [TensorProto.FLOAT, TensorProto.FLOAT]
    wave = np.random.default_rng(1).normal(size=(4, 64)).astype(np.float32)
    expected = OrtEngine(model).run({"waveform": wave})["embedding"]
    found = OrtEngine(half_path(model)).run({"waveform": wave})["embedding"]
    assert np.abs(found - expected).max() < 5e-3 * np.abs(expected).max()
    assert np.any(found != expected)


def test_scales_become_float16_with_what_they_give(model: Path, tmp_path: Path) -> None:
    quantized = onnx.load(model)
    scale, zero = np.float32(0.037), np.int8(0)
    for name, array in {"s": scale, "z": zero, "ws": np.full(8, 0.003, np.float32), "wz": np.zeros(8, np.int8)}.items():
        quantized.graph.initializer.append(numpy_helper.from_array(np.asarray(array), name))
    pairs = [
        helper.make_node("QuantizeLinear", ["mel", "s", "z"], ["mq"], "encoder/Q"),
        helper.make_node("DequantizeLinear", ["mq", "s", "z"], ["md"], "encoder/DQ"),
        helper.make_node("QuantizeLinear", ["encoder/weight", "ws", "wz"], ["wq"], "encoder/WQ", axis=0),
        helper.make_node("DequantizeLinear", ["wq", "ws", "wz"], ["wd"], "encoder/WDQ", axis=0),
    ]
    layer = next(node for node in quantized.graph.node if node.name == "encoder/Conv")
    layer.input[:] = ["md", "wd"]
    position = list(quantized.graph.node).index(layer)
    for offset, node in enumerate(pairs):
        quantized.graph.node.insert(position + offset, node)
    source = tmp_path / "model.int8.onnx"
    onnx.save(quantized, source)
    half = onnx.load(convert(source))
    assert half_path(source).name == "model.int8.fp16.onnx"
    assert half.opset_import[0].version == 19
    kinds = {tensor.name: tensor.data_type for tensor in half.graph.initializer}
    assert [kinds[name] for name in ("s", "ws", "z", "wz")] == [TensorProto.FLOAT16] * 2 + [TensorProto.INT8] * 2
    onnx.checker.check_model(half, full_check=True)
    wave = np.random.default_rng(1).normal(size=(4, 64)).astype(np.float32)
    expected = OrtEngine(source).run({"waveform": wave})["embedding"]
    (found,) = ReferenceEvaluator(half).run(None, {"waveform": wave})
    assert np.abs(found - expected).max() < 0.02 * np.abs(expected).max()


def test_it_is_made_once_per_model_and_needs_onnx_only_then(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert not is_converted(model)
    first = convert(model).read_bytes()
    assert is_converted(model)
    half_path(model).unlink()
    assert convert(model).read_bytes() == first
    monkeypatch.setitem(sys.modules, "onnx", None)
    assert convert(model) == half_path(model)
    model.write_bytes(model.read_bytes() + b"\x00")
    assert not is_converted(model)
    with pytest.raises(MissingCapability, match="--only-convert"):
        convert(model)


@pytest.mark.parametrize("version", FLAVORS)
@pytest.mark.parametrize("precision", ["fp16", "int8-fp16"])
def test_float16_engines_are_strongly_typed_everywhere(
    model: Path, precision: Any, version: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    package = Package(version).install(monkeypatch)
    monkeypatch.setattr(build, "find_gpu", lambda: Gpu("NVIDIA A10", "8.6"))
    monkeypatch.setattr(trtexec, "find_program", lambda: None)
    policy = BuildPolicy(precision, timing_cache=tmp_path / "t.cache")
    facts = read_json(build_engine(model, tmp_path, policy).with_suffix(".json"))
    assert package.asked("flag") == []
    assert package.asked("network") == [0 if version.startswith("11") else 2]
    assert package.asked("parse") == [half_path(model).read_bytes()]
    assert facts["model"] == {"file": "model.fp16.onnx", "sha256": sha256_file(half_path(model))}
