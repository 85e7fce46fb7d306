"""Every rule of the profile tensorrt against a graph that this project made, with one violation planted in it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from acula_edge.quantize.audit import audit_model, list_rules
from tests.quantize.bottleneck import export_bottleneck
from tests.quantize.planting import Garden

Found = set[tuple[str, str]]
Plant = Callable[[Garden], set[str]]
PLANTS: dict[str, Plant] = {}

INT8 = "encoder/Relu_2_DequantizeLinear_Output"


def plants(rule: str) -> Callable[[Plant], Plant]:
    """Register what plants a violation of `rule`; it returns the nodes where it should be found."""
    return lambda function: PLANTS.setdefault(rule, function)


@plants("zero-point")
def _(g: Garden) -> set[str]:
    g.feed("encoder/Relu_2_DequantizeLinear", 2, np.int8(3))
    return {"encoder/Relu_2_DequantizeLinear"}


@plants("zero-point-count")
def _(g: Garden) -> set[str]:
    g.feed("encoder/last.weight_DequantizeLinear", 2, np.int8(0))
    return {"encoder/last.weight_DequantizeLinear"}


@plants("uint8")
def _(g: Garden) -> set[str]:
    del g.node("encoder/Relu_2_QuantizeLinear").input[2]
    return {"encoder/Relu_2_QuantizeLinear"}


@plants("int32-bias")
def _(g: Garden) -> set[str]:
    inputs = [g.constant("b", np.ones(32, np.int32)), g.constant("bs", np.float32(0.1)), g.constant("bz", np.int32(0))]
    g.node("encoder/last/Conv").input[2] = g.insert("encoder/last/Conv", "DequantizeLinear", inputs, "bias")
    return {"bias"}


@plants("scale")
def _(g: Garden) -> set[str]:
    names = {"encoder/Relu_2_QuantizeLinear", "encoder/Relu_2_DequantizeLinear"}
    for name in names:
        g.feed(name, 1, np.float32(0))
    return names


@plants("scale-count")
def _(g: Garden) -> set[str]:
    names = {"encoder/last.weight_QuantizeLinear", "encoder/last.weight_DequantizeLinear"}
    for name in names:
        g.feed(name, 1, np.ones(31, np.float32))
        g.feed(name, 2, np.zeros(31, np.int8))
    return names


@plants("per-channel-axis")
def _(g: Garden) -> set[str]:
    for name in ("encoder/last.weight_QuantizeLinear", "encoder/last.weight_DequantizeLinear"):
        g.set(name, "axis", 1)
    return {"encoder/last.weight_DequantizeLinear"}


@plants("unpaired-quantize")
def _(g: Garden) -> set[str]:
    g.output("encoder/Relu_2_QuantizeLinear_Output", TensorProto.INT8, [1, 64, 8, 4])
    return {"encoder/Relu_2_QuantizeLinear"}


@plants("unpaired-dequantize")
def _(g: Garden) -> set[str]:
    g.remove("encoder/Relu_2_QuantizeLinear")
    shape = [1, 64, 8, 4]
    g.graph.input.append(helper.make_tensor_value_info("codes", TensorProto.INT8, shape))
    g.node("encoder/Relu_2_DequantizeLinear").input[0] = "codes"
    return {"encoder/Relu_2_DequantizeLinear"}


@plants("int8-tensor")
def _(g: Garden) -> set[str]:
    codes = g.constant("codes", np.ones((1, 4), np.int8))
    g.output(g.insert(None, "Cast", [codes], "cast", to=TensorProto.FLOAT), shape=[1, 4])
    return {"cast"}


@plants("pair-scale")
def _(g: Garden) -> set[str]:
    g.feed("encoder/Relu_2_DequantizeLinear", 1, 2 * g.array("encoder/Relu_2_scale"))
    return {"encoder/Relu_2_DequantizeLinear"}


@plants("tensor-scales")
def _(g: Garden) -> set[str]:
    g.node("encoder/second/Add").input[0] = g.pair("encoder/second/Add", "encoder/first/Add", "again")
    return {"again/Q"}


@plants("commuting-scale")
def _(g: Garden) -> set[str]:
    pool = g.insert("encoder/narrow/Conv", "MaxPool", [INT8], "pool", kernel_shape=[1, 1])
    g.node("encoder/narrow/Conv").input[0] = g.pair("encoder/narrow/Conv", pool, "behind")
    return {"pool"}


@plants("mixed-readers")
def _(g: Garden) -> set[str]:
    g.output(g.insert(None, "Softmax", [INT8], "softmax"), shape=[1, 64, 8, 4])
    return {"encoder/Relu_2_DequantizeLinear"}


@plants("stray-pair")
def _(g: Garden) -> set[str]:
    quantized = g.pair("encoder/heads/Gemm", "encoder/AveragePool", "stray")
    g.output(g.insert(None, "Softmax", [quantized], "softmax"), shape=[1, 32, 1, 1])
    return {"stray/DQ"}


@plants("int64-io")
def _(g: Garden) -> set[str]:
    return {g.output(g.insert(None, "Shape", ["embedding"], "size"), TensorProto.INT64, [2])}


@plants("tensor-type")
def _(g: Garden) -> set[str]:
    g.graph.input.append(helper.make_tensor_value_info("pcm", TensorProto.INT16, [1, 8]))
    g.output(g.insert(None, "Cast", ["pcm"], "cast", to=TensorProto.FLOAT), shape=[1, 8])
    return {"pcm"}


@plants("empty-output")
def _(g: Garden) -> set[str]:
    return {g.output(g.insert(None, "ConstantOfShape", [g.constant("none", np.array([0]))], "empty"), shape=[0])}


@plants("dynamic-shape")
def _(g: Garden) -> set[str]:
    return {g.insert(None, "NonZero", ["embedding"], "nonzero")}


@plants("operator")
def _(g: Garden) -> set[str]:
    return {g.insert(None, "Bernoulli", ["embedding"], "bernoulli")}


@plants("operator-limit")
def _(g: Garden) -> set[str]:
    g.set("encoder/AveragePool", "dilations", [2, 2])
    return {"encoder/AveragePool"}


@plants("operator-type")
def _(g: Garden) -> set[str]:
    numbers = g.insert(None, "Cast", ["embedding"], "numbers", to=TensorProto.INT32)
    truth = g.insert(None, "Cast", ["embedding"], "truth", to=TensorProto.BOOL)
    return {g.insert(None, "Softmax", [numbers], "softmax"), g.insert(None, "Equal", [truth, truth], "equal")}


@plants("stored-weights")
def _(g: Garden) -> set[str]:
    codes = g.constant("codes", np.ones((32, 32, 1, 1), np.int8))
    g.node("encoder/last.weight_DequantizeLinear").input[0] = codes
    g.remove("encoder/last.weight_QuantizeLinear")
    return {"encoder/last.weight_DequantizeLinear"}


@plants("opset")
def _(g: Garden) -> set[str]:
    g.model.opset_import[0].version = 21
    return {""}


@plants("ir-version")
def _(g: Garden) -> set[str]:
    g.model.ir_version = 11
    return {""}


@plants("domain")
def _(g: Garden) -> set[str]:
    g.model.opset_import.append(helper.make_opsetid("com.microsoft", 1))
    return {""}


@plants("functions")
def _(g: Garden) -> set[str]:
    body = [helper.make_node("Relu", ["x"], ["y"])]
    g.model.functions.append(helper.make_function("own", "Own", ["x"], ["y"], body, g.model.opset_import))
    return {"Own"}


@plants("metadata")
def _(g: Garden) -> set[str]:
    g.model.doc_string = 'File "/home/someone/train.py", line 3'
    return {""}


@plants("external-data")
def _(g: Garden) -> set[str]:
    tensor = next(item for item in g.graph.initializer if item.name == "encoder/last.weight")
    tensor.ClearField("raw_data")
    tensor.data_location = TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value="weights.bin")
    return {""}


@plants("activation-split")
def _(g: Garden) -> set[str]:
    g.node("encoder/first/Relu").input[0] = g.pair("encoder/first/Relu", "encoder/first.expand/Conv", "split")
    return {"split/Q"}


@plants("pad-split")
def _(g: Garden) -> set[str]:
    pads = g.constant("pads", np.zeros(8, np.int64))
    padded = g.insert("encoder/Relu_2_QuantizeLinear", "Pad", ["encoder/Relu_2", pads], "pad")
    g.node("encoder/Relu_2_QuantizeLinear").input[0] = padded
    return {"encoder/Relu_2_QuantizeLinear"}


@plants("residual-float")
def _(g: Garden) -> set[str]:
    g.node("encoder/first/Add").input[0] = "encoder/narrow/Conv"
    return {"encoder/first/Add"}


@plants("residual-split")
def _(g: Garden) -> set[str]:
    g.node("encoder/first/Add").input[1] = g.pair("encoder/first/Add", "encoder/first.project/Conv", "branch")
    return {"branch/DQ"}


@plants("float-output")
def _(g: Garden) -> set[str]:
    g.output(g.insert(None, "GlobalAveragePool", [INT8], "mean"), shape=[1, 64, 1, 1])
    return {"mean"}


@plants("half-quantized")
def _(g: Garden) -> set[str]:
    g.node("encoder/projection/Gemm").input[1] = "encoder/projection.weight"
    g.remove("encoder/projection.weight_QuantizeLinear", "encoder/projection.weight_DequantizeLinear")
    return {"encoder/projection/Gemm"}


@plants("fallback")
def _(g: Garden) -> set[str]:
    layer = g.node("encoder/widen/Conv")
    layer.input[0], layer.input[1] = "encoder/Relu", "encoder/widen.weight"
    g.remove("encoder/Relu_QuantizeLinear", "encoder/Relu_DequantizeLinear")
    g.remove("encoder/widen.weight_QuantizeLinear", "encoder/widen.weight_DequantizeLinear")
    return {"encoder/widen/Conv"}


@plants("slow-operator")
def _(g: Garden) -> set[str]:
    g.output(g.insert(None, "Sigmoid", [INT8], "sigmoid"), shape=[1, 64, 8, 4])
    return {"sigmoid"}


def _convolution(g: Garden, weight: np.ndarray, group: int) -> set[str]:
    scales = [g.constant("ws", np.full(len(weight), 0.1, np.float32)), g.constant("wz", np.zeros(len(weight), np.int8))]
    g.insert(None, "QuantizeLinear", [g.constant("w", weight), *scales], "wq", axis=0)
    g.insert(None, "DequantizeLinear", ["wq", *scales], "wd", axis=0)
    kernel = list(weight.shape[2:])
    g.insert(None, "Conv", [INT8, "wd"], "planted", group=group, kernel_shape=kernel)
    return {g.output("planted", shape=[1, len(weight), 8, 4])}


@plants("group-convolution")
def _(g: Garden) -> set[str]:
    return _convolution(g, np.ones((64, 1, 1, 1), np.float32), 64)


@plants("channel-padding")
def _(g: Garden) -> set[str]:
    return _convolution(g, np.ones((24, 64, 1, 1), np.float32), 1)


@pytest.fixture(scope="module")
def clean(tmp_path_factory: pytest.TempPathFactory) -> onnx.ModelProto:
    return export_bottleneck(tmp_path_factory.mktemp("clean"))


def audit(model: onnx.ModelProto, folder: Path) -> tuple[Found, Found]:
    """What is found, and the errors and warnings among it: (rule, node)."""
    (folder / "m.onnx").write_bytes(model.SerializeToString())
    findings = audit_model(folder / "m.onnx", "tensorrt")["findings"]
    assert all(finding["message"] and finding["source"] for finding in findings)
    serious = [finding for finding in findings if finding["severity"] != "info"]
    return {(f["rule"], f["node"]) for f in findings}, {(f["rule"], f["node"]) for f in serious}


@pytest.fixture(scope="module")
def before(clean: onnx.ModelProto, tmp_path_factory: pytest.TempPathFactory) -> Found:
    """What is found before anything is planted."""
    found, serious = audit(clean, tmp_path_factory.mktemp("before"))
    assert serious == set(), "a graph of our own is clean"
    return found


@pytest.mark.parametrize("rule", sorted(PLANTS))
def test_a_planted_violation_is_named(clean: onnx.ModelProto, before: Found, tmp_path: Path, rule: str) -> None:
    garden = Garden(clean)
    expected = {(rule, node) for node in PLANTS[rule](garden)}
    assert not expected & before
    found, serious = audit(garden.model, tmp_path)
    assert expected <= found
    assert serious <= expected


def test_every_rule_has_its_plant() -> None:
    assert {entry["rule"] for entry in list_rules("tensorrt")} == set(PLANTS)


def test_every_rule_names_its_document() -> None:
    for entry in list_rules():
        assert entry["summary"] and entry["source"] and entry["profiles"]
    assert [entry["rule"] for entry in list_rules("cpu_arm")] != [entry["rule"] for entry in list_rules("tensorrt")]
