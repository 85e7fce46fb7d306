from __future__ import annotations

import numpy as np
import onnx
import pytest
from onnx import helper

from acula_edge.errors import InputError
from acula_edge.quantize.ranges import find_ranges, float_values

WIDTH = 5000


def negation() -> onnx.ModelProto:
    """y = relu(-x)"""
    shape = [1, WIDTH]
    graph = helper.make_graph(
        [helper.make_node("Neg", ["x"], ["n"], "neg"), helper.make_node("Relu", ["n"], ["y"], "relu")],
        "g",
        [helper.make_tensor_value_info("x", onnx.TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info("y", onnx.TensorProto.FLOAT, shape)],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)


def batches(outlier: float | None = None) -> list[np.ndarray]:
    generator = np.random.default_rng(0)
    rows = [generator.normal(size=(1, WIDTH)).astype(np.float32) for _ in range(40)]
    if outlier is not None:
        rows[3][0, 0] = outlier
    return rows


def test_every_value_of_the_graph_is_measured() -> None:
    assert float_values(negation()) == ["x", "n", "y"]


def test_minmax_is_exact() -> None:
    rows = batches()
    ranges = find_ranges(negation(), rows, ["x", "n", "y"])
    low, high = float(np.min(rows)), float(np.max(rows))
    assert ranges == {"x": (low, high), "n": (-high, -low), "y": (0.0, -low)}


@pytest.mark.parametrize("method", ["percentile", "entropy"])
def test_one_outlier_does_not_stretch_the_range(method: str) -> None:
    rows = batches(outlier=-300.0)
    plain = find_ranges(negation(), batches(), ["x", "y"], "minmax")
    found = find_ranges(negation(), rows, ["x", "y"], method)
    assert find_ranges(negation(), rows, ["y"], "minmax")["y"] == (0.0, 300.0)
    assert found["y"][0] == 0.0
    assert 1.5 < found["y"][1] < 30
    assert found["x"][0] < -1.5 and found["x"][1] <= plain["x"][1] + 0.3


def test_percentile_keeps_all_but_the_outermost() -> None:
    rows = batches()
    low, high = find_ranges(negation(), rows, ["x"], "percentile")["x"]
    outside = np.mean([(row < low) | (row > high) for row in rows])
    assert outside <= 2e-5
    assert low >= np.min(rows) and high <= np.max(rows)


def test_a_constant_activation_has_a_range() -> None:
    zeros = [np.zeros((1, WIDTH), np.float32)]
    for method in ("minmax", "percentile", "entropy"):
        assert find_ranges(negation(), zeros, ["x", "y"], method) == {"x": (0.0, 0.0), "y": (0.0, 0.0)}


def test_refusals() -> None:
    with pytest.raises(InputError, match="unknown calibration method"):
        find_ranges(negation(), batches(), ["x"], "median")
    with pytest.raises(InputError, match="at least one window"):
        find_ranges(negation(), [], ["x"])
    with pytest.raises(InputError, match="not finite"):
        find_ranges(negation(), [np.full((1, WIDTH), np.inf, np.float32)], ["n"])
