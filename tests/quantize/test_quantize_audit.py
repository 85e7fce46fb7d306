from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from acula_edge.errors import ArtifactError, InputError
from acula_edge.quantize.audit import audit_model
from acula_edge.quantize.export import FloatExport
from acula_edge.quantize.qdq import quantize_encoder
from tests.quantize.test_quantize_qdq import copy_of


def graph_of(
    nodes: list[onnx.NodeProto],
    constants: dict[str, np.ndarray],
    shape: tuple[int | str, ...] = (1, 4, 8, 8),
    result: tuple[int | str, ...] = (1, 4, 8, 8),
) -> onnx.ModelProto:
    graph = helper.make_graph(
        nodes,
        "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, result)],
        [numpy_helper.from_array(array, name) for name, array in constants.items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)


def convolution(
    *,
    activation: type = np.int8,
    zero_point: int = 0,
    axis: int = 0,
    bias: bool = False,
) -> onnx.ModelProto:
    """x -> Q -> DQ -> Conv with DQ weights -> y"""
    constants: dict[str, np.ndarray] = {
        "xs": np.float32(0.1),
        "xz": activation(zero_point),
        "w": np.ones((4, 4, 1, 1), np.int8),
        "ws": np.full(4, 0.1, np.float32),
        "wz": np.zeros(4, np.int8),
    }
    inputs = ["xd", "wd"]
    nodes = [
        helper.make_node("QuantizeLinear", ["x", "xs", "xz"], ["xq"], "q"),
        helper.make_node("DequantizeLinear", ["xq", "xs", "xz"], ["xd"], "dq"),
        helper.make_node("DequantizeLinear", ["w", "ws", "wz"], ["wd"], "weight", axis=axis),
    ]
    if bias:
        constants |= {"b": np.ones(4, np.int32), "bs": np.full(4, 0.01, np.float32), "bz": np.zeros(4, np.int32)}
        nodes.append(helper.make_node("DequantizeLinear", ["b", "bs", "bz"], ["bd"], "bias", axis=0))
        inputs.append("bd")
    nodes.append(helper.make_node("Conv", inputs, ["y"], "conv", kernel_shape=[1, 1]))
    return graph_of(nodes, constants)


def opset_21() -> onnx.ModelProto:
    model = convolution()
    model.opset_import[0].version = 21
    return model


def newer_ir() -> onnx.ModelProto:
    model = convolution()
    model.ir_version = 11
    return model


def foreign_domain() -> onnx.ModelProto:
    model = graph_of([helper.make_node("FusedThing", ["x"], ["y"], "n", domain="com.microsoft")], {})
    model.opset_import.append(helper.make_opsetid("com.microsoft", 1))
    return model


def external() -> onnx.ModelProto:
    model = convolution()
    tensor = next(item for item in model.graph.initializer if item.name == "w")
    tensor.ClearField("raw_data")
    tensor.data_location = TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value="weights.bin")
    return model


def spectrum(operator: str) -> onnx.ModelProto:
    if operator == "DFT":
        node = helper.make_node("DFT", ["x"], ["y"], "n", onesided=1)
        return graph_of([node], {}, (1, 64, 1), (1, 33, 2))
    constants = {"step": np.int64(16), "window": np.ones(32, np.float32)}
    node = helper.make_node("STFT", ["x", "step", "window"], ["y"], "n", onesided=1)
    return graph_of([node], constants, (1, 64, 1), (1, 3, 17, 2))


def sigmoid_between() -> onnx.ModelProto:
    model = convolution()
    model.graph.node[-1].output[0] = "c"
    model.graph.initializer.extend([numpy_helper.from_array(np.uint8(0), "cz")])
    model.graph.node.extend([
        helper.make_node("QuantizeLinear", ["c", "xs", "cz"], ["cq"], "cq"),
        helper.make_node("DequantizeLinear", ["cq", "xs", "cz"], ["cd"], "cd"),
        helper.make_node("Sigmoid", ["cd"], ["y"], "sigmoid"),
    ])  # fmt: skip
    return model


CASES: list[tuple[str, Callable[[], onnx.ModelProto], str, str, str]] = [
    ("sound", convolution, "cpu_arm", "", ""),
    ("weights stored as INT8", convolution, "tensorrt", "stored-weights", "warning"),
    ("zero point", lambda: convolution(zero_point=3), "tensorrt", "zero-point", "error"),
    ("uint8", lambda: convolution(activation=np.uint8), "tensorrt", "uint8", "error"),
    ("int32 bias", lambda: convolution(bias=True), "tensorrt", "int32-bias", "error"),
    ("int32 bias on CPU", lambda: convolution(bias=True), "cpu_x86", "", ""),
    ("uint8 on CPU", lambda: convolution(activation=np.uint8, zero_point=3), "cpu_x86", "", ""),
    ("weights along inputs", lambda: convolution(axis=1), "cpu_x86", "per-channel-axis", "error"),
    ("opset 21", opset_21, "cpu_x86", "opset", "error"),
    ("IR 11", newer_ir, "cpu_x86", "ir-version", "error"),
    ("domain", foreign_domain, "cpu_x86", "domain", "error"),
    ("weights elsewhere", external, "cpu_x86", "external-data", "error"),
    ("STFT, TensorRT", lambda: spectrum("STFT"), "tensorrt", "operator", "error"),
    ("DFT, TensorRT", lambda: spectrum("DFT"), "tensorrt", "operator", "error"),
    ("STFT, CPU", lambda: spectrum("STFT"), "cpu_arm", "spectrum-operator", "warning"),
    ("sigmoid", sigmoid_between, "cpu_x86", "slow-operator", "warning"),
    (
        "batch not fixed",
        lambda: graph_of([helper.make_node("Relu", ["x"], ["y"], "n")], {}, ("b", 4), ("b", 4)),
        "cpu_x86",
        "dynamic-shape",
        "error",
    ),
    (
        "unknown to TensorRT",
        lambda: graph_of([helper.make_node("Unique", ["x"], ["y"], "n")], {}, (4,), (4,)),
        "tensorrt",
        "operator",
        "error",
    ),
]


@pytest.mark.parametrize(
    ("make", "profile", "rule", "severity"), [case[1:] for case in CASES], ids=[c[0] for c in CASES]
)
def test_rules(tmp_path: Path, make: Callable[[], onnx.ModelProto], profile: str, rule: str, severity: str) -> None:
    (tmp_path / "m.onnx").write_bytes(make().SerializeToString())
    result = audit_model(tmp_path / "m.onnx", profile)
    found = {(finding["rule"], finding["severity"]) for finding in result["findings"]}
    if rule:
        assert (rule, severity) in found
    else:
        assert not {entry for entry in found if entry[1] != "info"}
    assert result["passed"] == all(level != "error" for _, level in found)


def test_what_this_project_makes_passes_its_own_profile_only(
    exported: tuple[Path, FloatExport], mels: list[np.ndarray], tmp_path: Path
) -> None:
    for name in ("cpu_x86", "tensorrt"):
        quantize_encoder(copy_of(exported, tmp_path / name), name, mels[:4])
    own = audit_model(tmp_path / "cpu_x86" / "model.int8.onnx", "cpu_x86")
    assert own["passed"], own["findings"]
    assert {finding["severity"] for finding in own["findings"]} <= {"info"}
    assert own["opset"] == 18
    assert 0 < own["int8_mac_share"] < 1
    assert audit_model(tmp_path / "tensorrt" / "model.int8.onnx", "tensorrt")["passed"]
    foreign = audit_model(tmp_path / "cpu_x86" / "model.int8.onnx", "tensorrt")
    assert {"uint8", "int32-bias"} <= {finding["rule"] for finding in foreign["findings"]}
    assert not foreign["passed"]
    plain = audit_model(exported[0] / "model.onnx", "tensorrt")
    assert plain["passed"]
    assert plain["int8_mac_share"] == 0


def test_a_graph_that_is_none_is_refused(tmp_path: Path) -> None:
    node = helper.make_node("TopK", ["x", "k"], ["y"], "n")
    (tmp_path / "m.onnx").write_bytes(graph_of([node], {"k": np.array([2])}).SerializeToString())
    with pytest.raises(ArtifactError, match="no valid ONNX graph"):
        audit_model(tmp_path / "m.onnx", "cpu_x86")


def test_refusals(tmp_path: Path) -> None:
    (tmp_path / "text.onnx").write_text("not a model")
    for name in ("text.onnx", "missing.onnx"):
        with pytest.raises(ArtifactError):
            audit_model(tmp_path / name, "cpu_x86")
    (tmp_path / "m.onnx").write_bytes(convolution().SerializeToString())
    with pytest.raises(InputError, match="did you mean 'cpu_x86'"):
        audit_model(tmp_path / "m.onnx", "cpu_x68")
