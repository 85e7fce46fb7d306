"""The footprint of graphs that are small enough to count by hand."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from acula_edge.quantize.audit import audit_model
from acula_edge.quantize.footprint import estimate_footprint
from acula_edge.quantize.graph import save_graph


def graph(nodes, inputs, outputs, constants):
    """A checked model; `inputs` and `outputs` are {name: shape} of float values."""

    def values(shapes):
        return [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name, shape in shapes.items()]

    tensors = [numpy_helper.from_array(array, name) for name, array in constants.items()]
    made = helper.make_graph(nodes, "hand", values(inputs), values(outputs), tensors)
    model = helper.make_model(made, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)
    onnx.checker.check_model(model)
    return model


def node(operator, inputs, outputs, prefix="encoder", **attributes):
    return helper.make_node(operator, inputs, outputs, name=f"{prefix}/{outputs[0]}", **attributes)


def weights(*shape):
    return np.zeros(shape, np.float32)


def test_a_residual_keeps_its_operand_alive():
    """x [1, 2, 4, 4] -> a -> b, and a + b: while b is made, a and b live; x died with a."""
    nodes = [
        node("Conv", ["x", "w1"], ["c1"], pads=[1, 1, 1, 1]),
        node("Relu", ["c1"], ["a"]),
        node("Conv", ["a", "w2"], ["b"], pads=[1, 1, 1, 1]),
        node("Add", ["a", "b"], ["y"]),
    ]
    model = graph(
        nodes, {"x": [1, 2, 4, 4]}, {"y": [1, 8, 4, 4]}, {"w1": weights(8, 2, 3, 3), "w2": weights(8, 8, 3, 3)}
    )
    found = estimate_footprint(model)
    # float32: x 32 values; a (c1 in place), b and y 128 each. Adding: a, b and y.
    assert found.ram_bytes == 4 * (128 + 128 + 128)
    assert found.peak_node == "encoder/y"
    assert found.ram_int8_bytes == 0
    assert found.flash_bytes == 4 * (8 * 2 * 9 + 8 * 8 * 9)


def test_quantized_values_are_counted_as_they_are_stored():
    """x -> Q -> DQ -> Conv -> Relu -> Q -> DQ -> pooling, still one byte -> Q -> DQ -> Flatten -> Gemm."""
    scale = {"s": np.float32(0.1), "z": np.uint8(0)}
    parameters = {
        "w8": np.zeros((16, 4, 3, 3), np.int8), "ws": weights(16) + 1, "wz": np.zeros(16, np.int8),
        "g": weights(16, 5),
    }  # fmt: skip

    def pair(name):
        return [
            node("QuantizeLinear", [name, "s", "z"], [f"{name}/q"]),
            node("DequantizeLinear", [f"{name}/q", "s", "z"], [f"{name}/dq"]),
        ]

    nodes = [
        node("DequantizeLinear", ["w8", "ws", "wz"], ["w"], axis=0),
        *pair("x"),
        node("Conv", ["x/dq", "w"], ["c"], pads=[1, 1, 1, 1]),
        node("Relu", ["c"], ["r"]),
        *pair("r"),
        node("AveragePool", ["r/dq"], ["p"], kernel_shape=[8, 8]),
        *pair("p"),
        node("Flatten", ["p/dq"], ["f"]),
        node("Gemm", ["f", "g"], ["y"]),
    ]
    constants = {**{name: np.array(value) for name, value in scale.items()}, **parameters}
    model = graph(nodes, {"x": [1, 4, 8, 8]}, {"y": [1, 5]}, constants)
    found = estimate_footprint(model)
    # One byte each: x 256, the convolution's result 1024; pooled 16; y is 5 floats.
    assert found.ram_int8_bytes == found.ram_bytes == 256 + 1024
    assert found.peak_node == "encoder/c"
    assert found.flash_bytes == 16 * 4 * 9 + 16 * 4 + 16 + 16 * 5 * 4 + 4 + 1


def test_a_part_of_a_graph_and_sizes_that_are_not_fixed():
    nodes = [
        node("MatMul", ["wave", "w"], ["mel"], prefix="frontend"),
        node("MatMul", ["mel", "v"], ["y"]),
    ]
    constants = {"w": weights(1000, 10), "v": weights(10, 2)}
    model = graph(nodes, {"wave": [1, 1000]}, {"y": [1, 2]}, constants)
    assert estimate_footprint(model).ram_bytes == 4 * 1010
    part = estimate_footprint(model, "encoder/")
    assert (part.ram_bytes, part.flash_bytes) == (4 * 12, 4 * 20)
    open_ended = estimate_footprint(graph(nodes, {"wave": ["batch", 1000]}, {"y": ["batch", 2]}, constants))
    assert open_ended.ram_bytes is None and open_ended.peak_node is None
    assert open_ended.flash_bytes == 4 * 10020


def test_a_value_that_is_still_read_cannot_be_overwritten():
    nodes = [node("Relu", ["x"], ["a"]), node("Add", ["x", "a"], ["y"])]
    model = graph(nodes, {"x": [1, 100]}, {"y": [1, 100]}, {})
    assert estimate_footprint(model).ram_bytes == 4 * 300
    alone = graph([node("Relu", ["x"], ["y"])], {"x": [1, 100]}, {"y": [1, 100]}, {})
    assert estimate_footprint(alone).ram_bytes == pytest.approx(4 * 100)


def test_the_audit_tells_the_footprint_of_the_network_and_of_the_whole(tmp_path):
    nodes = [
        node("MatMul", ["wave", "w"], ["mel"], prefix="frontend"),
        node("MatMul", ["mel", "v"], ["y"]),
    ]
    constants = {"w": weights(1000, 10), "v": weights(10, 2)}
    save_graph(graph(nodes, {"wave": [1, 1000]}, {"y": [1, 2]}, constants), tmp_path / "model.onnx")
    found = audit_model(tmp_path / "model.onnx", "cpu_x86")["footprint"]
    assert (found["ram_bytes"], found["flash_bytes"]) == (4 * 1010, 4 * 10020)
    assert found["encoder"]["ram_bytes"] == 4 * 12
