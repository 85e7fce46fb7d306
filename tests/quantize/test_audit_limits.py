"""What TensorRT's parser refuses of operators that it otherwise takes, one small graph per limit."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from onnx import TensorProto, helper, numpy_helper

from acula_edge.errors import InputError
from acula_edge.quantize.audit import audit_model
from acula_edge.quantize.audit.limits import LIMITS

F = np.float32
SIZES = np.array([1, 2, 16, 16])


@dataclass
class Case:
    """A node that breaks one limit.

    Attributes:
        name: of the limit.
        inputs: shapes of graph inputs (tuples) and constants (arrays), in the node's order; None for one left out.
        broken, sound: attributes that break the limit and that keep to it.
        lifted: the version that takes it, "" for none.
        moved: the input that becomes a graph input in the broken form; its constant is the sound one.
    """

    name: str
    operator: str
    inputs: Sequence[Any]
    broken: dict[str, Any] = field(default_factory=dict)
    sound: dict[str, Any] = field(default_factory=dict)
    lifted: str = ""
    moved: int | None = None
    outputs: int = 1


MAP = (1, 2, 8, 8)
KERNEL = {"kernel_shape": [2, 2]}
ROI: Any = None
CASES = [
    Case("pool-dilation", "AveragePool", [MAP], {**KERNEL, "dilations": [2, 2]}, {**KERNEL, "dilations": [1, 1]}),
    Case("pool-rank", "MaxPool", [(1, 2, 8)], {"kernel_shape": [2]}),
    Case("pool-indices", "MaxPool", [MAP], KERNEL, outputs=2),
    Case("norm-order", "LpNormalization", [MAP], {"p": 3}, {"p": 2}),
    Case("reduce-axes", "ReduceMean", [MAP, np.array([3])], moved=1),
    Case("squeeze-axes", "Unsqueeze", [MAP, np.array([0])], moved=1, lifted="10.7"),
    Case("cumsum-axis", "CumSum", [MAP, np.array(1)], moved=1, lifted="10.8"),
    Case("recurrent-layout", "GRU", [(4, 2, 3), np.ones((1, 6, 3), F), np.ones((1, 6, 2), F)],
         {"hidden_size": 2, "layout": 1}, {"hidden_size": 2}),
    Case("lstm-forget", "LSTM", [(4, 2, 3), np.ones((1, 8, 3), F), np.ones((1, 8, 2), F)],
         {"hidden_size": 2, "input_forget": 1}, {"hidden_size": 2}),
    Case("kernel-shape", "Conv", [MAP, (4, 2, 3, 3)], {}, {"kernel_shape": [3, 3]}, lifted="10.4"),
    Case("training-mode", "BatchNormalization", [MAP, *[np.ones(2, F)] * 4], {"training_mode": 1}, {}),
    Case("cast-type", "Cast", [MAP], {"to": TensorProto.INT8}, {"to": TensorProto.INT32}),
    Case("constant-kind", "Constant", [], {"value_string": b"x"}, {"value_float": 1.0}),
    Case("dropout-training", "Dropout", [MAP, np.float32(0.5), np.array(False)], moved=2),
    Case("einsum-letters", "Einsum", [MAP], {"equation": "Abcd->Ab"}, {"equation": "abcd->ab"}),
    Case("einsum-extras", "Einsum", [(3, 3)], {"equation": "ii->i"}, {"equation": "ij->i"}, lifted="10.12"),
    Case("einsum-extras", "Einsum", [MAP], {"equation": "...a->..."}, {"equation": "abcd->abc"}, lifted="10.12"),
    Case("grid-rank", "GridSample", [(1, 2, 4, 4, 4), (1, 4, 4, 4, 3)]),
    Case("layer-norm-outputs", "LayerNormalization", [MAP, np.ones(8, F)], outputs=2),
    Case("one-hot-depth", "OneHot", [(4,), np.array(3), np.array([0, 1], F)], moved=1),
    Case("pad-axes", "Pad", [MAP, np.array([1, 1]), np.float32(0), np.array([2])], lifted="10.4"),
    Case("pow-exponent", "Pow", [MAP, np.array(2)], lifted="10.8"),
    Case("pow-base", "Pow", [np.array([2]), np.float32(2)], lifted="10.12"),
    Case("resize-mode", "Resize", [MAP, ROI, ROI, SIZES], {"mode": "cubic"}, {"mode": "linear"}),
    Case("resize-coordinates", "Resize", [MAP, ROI, ROI, SIZES],
         {"coordinate_transformation_mode": "half_pixel_symmetric"}, {"coordinate_transformation_mode": "asymmetric"}),
    Case("resize-nearest", "Resize", [MAP, ROI, ROI, SIZES], {"nearest_mode": "other"}, {"nearest_mode": "floor"}),
    Case("resize-tf", "Resize", [MAP, ROI, ROI, SIZES],
         {"coordinate_transformation_mode": "tf_half_pixel_for_nn", "nearest_mode": "ceil"},
         {"coordinate_transformation_mode": "tf_half_pixel_for_nn"}),
    Case("resize-aspect", "Resize", [MAP, ROI, ROI, SIZES], {"keep_aspect_ratio_policy": "not_larger"}),
    Case("resize-antialias", "Resize", [MAP, ROI, ROI, SIZES], {"mode": "linear", "antialias": 1}, {"mode": "linear"}),
    Case("resize-axes", "Resize", [MAP, ROI, np.array([2, 2], F)], {"axes": [2, 3]}),
    Case("stft-inputs", "STFT", [(1, 64, 1), np.array(16), np.ones(32, F)], {"onesided": 1}, {"onesided": 1}, moved=2),
    Case("scatter-reduction", "ScatterND", [MAP, np.array([[0]]), np.ones((1, 2, 8, 8), F)], {"reduction": "add"}, {}),
    Case("top-k", "TopK", [MAP, np.array([2])], {"sorted": 0}, {"sorted": 1}, outputs=2),
    Case("top-k", "TopK", [(1, 4000), np.array([3900])], outputs=2),
    Case("pad-mode", "Pad", [MAP, np.zeros(8, np.int64)], {"mode": "other"}, {"mode": "wrap"}),
    Case("group-norm-21", "GroupNormalization", [MAP, np.ones(2, F), np.ones(2, F)], {"num_groups": 2}, lifted="10.9"),
]  # fmt: skip


def write(case: Case, folder: Path, broken: bool) -> Path:
    inputs, values, constants = [], [], []
    for index, item in enumerate(case.inputs):
        name = f"i{index}"
        if item is None:
            name = ""
        elif isinstance(item, tuple):
            values.append(helper.make_tensor_value_info(name, TensorProto.FLOAT, item))
        elif index == case.moved and broken:
            kind = helper.np_dtype_to_tensor_dtype(np.asarray(item).dtype)
            values.append(helper.make_tensor_value_info(name, kind, np.asarray(item).shape))
        else:
            constants.append(numpy_helper.from_array(np.asarray(item), name))
        inputs.append(name)
    outputs = [f"o{index}" for index in range(case.outputs if broken or case.operator == "TopK" else 1)]
    node = helper.make_node(case.operator, inputs, outputs, "planted", **(case.broken if broken else case.sound))
    result = helper.make_tensor_value_info("o0", TensorProto.FLOAT, None)
    opset = 21 if case.name == "group-norm-21" else 20 if case.name == "grid-rank" else 18
    graph = helper.make_graph([node], "g", values, [result], constants)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=10)
    path = folder / "m.onnx"
    path.write_bytes(model.SerializeToString())
    return path


def limits_at(path: Path, tensorrt: str) -> list[str]:
    """Messages of the rule operator-limit on the planted node."""
    findings = audit_model(path, "tensorrt", tensorrt)["findings"]
    return [f["message"] for f in findings if (f["rule"], f["node"]) == ("operator-limit", "planted")]


def message_of(case: Case) -> str:
    return next(limit.message for limit in LIMITS[case.operator] if limit.name == case.name)


@pytest.mark.parametrize("case", CASES, ids=[f"{case.name}-{index}" for index, case in enumerate(CASES)])
def test_a_limit_is_found_where_it_is_broken(case: Case, tmp_path: Path) -> None:
    path = write(case, tmp_path, broken=True)
    assert [message for message in limits_at(path, "10.3") if message_of(case) in message]
    if case.lifted:
        major, minor = case.lifted.split(".")
        assert limits_at(path, f"{major}.{int(minor) - 1}")
        assert not limits_at(path, case.lifted)
    else:
        assert limits_at(path, "11.0")


SOUND = [case for case in CASES if case.sound or case.moved is not None]


@pytest.mark.parametrize("case", SOUND, ids=[case.name for case in SOUND])
def test_a_limit_is_not_found_where_it_is_kept(case: Case, tmp_path: Path) -> None:
    assert not limits_at(write(case, tmp_path, broken=False), "10.3" if case.operator != "STFT" else "10.5")


def test_every_limit_is_tried() -> None:
    assert {limit.name for limits in LIMITS.values() for limit in limits} == {case.name for case in CASES}


@pytest.mark.parametrize(
    ("operator", "oldest", "message"),
    [("STFT", "10.3", "from 10.5"), ("RMSNormalization", "10.13", "from 10.15"), ("DFT", "11.0", "no version")],
)
def test_operators_by_version(operator: str, oldest: str, message: str, tmp_path: Path) -> None:
    inputs = {"STFT": [(1, 64, 1), np.array(16), np.ones(32, F)], "DFT": [(1, 64, 1)]}
    case = Case("", operator, inputs.get(operator, [MAP, np.ones(8, F)]))
    path = write(case, tmp_path, broken=True)
    found = [f["message"] for f in audit_model(path, "tensorrt", oldest)["findings"] if f["rule"] == "operator"]
    assert len(found) == 1 and message in found[0]
    if operator == "STFT":
        later = audit_model(path, "tensorrt", "10.5")
        assert later["tensorrt"] == "10.5" and "operator" not in {f["rule"] for f in later["findings"]}


def test_a_version_that_is_none_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no version of TensorRT"):
        audit_model(write(CASES[0], tmp_path, broken=True), "tensorrt", "newest")
