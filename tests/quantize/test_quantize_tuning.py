from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

from acula_edge.bundle.json_files import plain
from acula_edge.bundle.schema import FloatNode
from acula_edge.quantize.bias import correct_biases
from acula_edge.quantize.export import FloatExport
from acula_edge.quantize.forms import Form
from acula_edge.quantize.graph import load_graph
from acula_edge.quantize.insertion import embed, insert_qdq
from acula_edge.quantize.judging import Judge, Loss
from acula_edge.quantize.placement import Placement, leave_float, place, restrict, weighted_nodes
from acula_edge.quantize.planning import plan_precision
from acula_edge.quantize.profiles import profiles
from acula_edge.quantize.qdq import quantize_encoder
from acula_edge.quantize.ranges import find_ranges, float_values, observe
from acula_edge.quantize.sensitivity import Sensitivities, Sensitivity, measure_sensitivity
from acula_edge.quantize.tuning import Tuning
from tests.quantize.test_quantize_qdq import copy_of, fused_operators

Mels = list[np.ndarray]
LAYERS = [f"encoder/{name}/Conv" for name in ("widen", "deep", "mix")] + ["encoder/projection/Gemm"]


@pytest.fixture(scope="module")
def form(exported: tuple[Path, FloatExport], mels: Mels) -> Form:
    """The network without equalization: its widest layer suffers from INT8."""
    network = load_graph(exported[0] / "encoder.onnx")
    return Form({}, network, find_ranges(network, mels, float_values(network)))


@pytest.fixture(scope="module")
def placement(form: Form) -> Placement:
    return place(form.network, profiles["cpu_x86"])


def outputs_of(model: onnx.ModelProto, name: str, mels: Mels) -> np.ndarray:
    """Mean of a layer's output per channel."""
    node = next(node for node in model.graph.node if node.name == name)
    axis = 1 if node.op_type == "Conv" else -1
    arrays = [np.moveaxis(shown[node.output[0]], axis, 0) for shown in observe(model, mels, [node.output[0]])]
    return np.mean([array.reshape(len(array), -1).mean(axis=1) for array in arrays], axis=0)


@pytest.mark.parametrize("profile", ["cpu_x86", "tensorrt"])
def test_corrected_layers_have_the_means_of_float_ones(form: Form, mels: Mels, profile: str) -> None:
    chosen = profiles[profile]
    int8 = insert_qdq(form.network, chosen, place(form.network, chosen), form.ranges)
    before = int8.SerializeToString(deterministic=True)
    corrected = correct_biases(int8, form.network, LAYERS, mels[:8])
    assert int8.SerializeToString(deterministic=True) == before
    for name in LAYERS:
        expected = outputs_of(form.network, name, mels[:8])
        shifts = [np.abs(outputs_of(model, name, mels[:8]) - expected).max() for model in (int8, corrected)]
        assert shifts[1] < 0.1 * shifts[0]


def test_only_biases_are_corrected(form: Form, placement: Placement, mels: Mels) -> None:
    int8 = insert_qdq(form.network, profiles["cpu_x86"], placement, form.ranges)
    corrected = correct_biases(int8, form.network, LAYERS, mels[:2])
    former = {tensor.name: numpy_helper.to_array(tensor) for tensor in int8.graph.initializer}
    for tensor in corrected.graph.initializer:
        values = numpy_helper.to_array(tensor)
        if values.dtype != np.int32 or values.ndim != 1:
            np.testing.assert_array_equal(values, former[tensor.name])


def test_a_correction_is_kept_only_if_other_windows_agree(
    exported: tuple[Path, FloatExport], mels: Mels, other_mels: Mels, tmp_path: Path
) -> None:
    facts = plain(quantize_encoder(copy_of(exported, tmp_path / "a"), "cpu_x86", mels, parity_mels=other_mels))
    tried = facts["bias_correction"]
    assert tried["kept"] == (tried["sqnr_db"]["after"] > tried["sqnr_db"]["before"])
    assert tried["judged_by"] == "other persons"
    assert facts["parity"]["sqnr_db"] == pytest.approx(max(tried["sqnr_db"].values()))
    off = quantize_encoder(
        copy_of(exported, tmp_path / "b"), "cpu_x86", mels, parity_mels=other_mels, tuning=Tuning(bias_correction=False)
    )
    assert off.parity.sqnr_db == pytest.approx(tried["sqnr_db"]["before"])


def test_sensitivity_finds_the_layer_that_suffers(form: Form, placement: Placement, mels: Mels) -> None:
    found = measure_sensitivity(form, profiles["cpu_x86"], placement, Judge(form.network, mels[:4]))
    assert [layer.node for layer in found.layers] == LAYERS == weighted_nodes(form.network, placement)
    assert found.n_windows == 4
    alone = {layer.node: layer.alone for layer in found.layers}
    # Channels between these two differ by orders of magnitude and share one scale.
    worst = min(alone, key=lambda name: alone[name].sqnr_db)
    assert worst in ("encoder/widen/Conv", "encoder/deep/Conv")
    assert alone[worst].sqnr_db < alone["encoder/mix/Conv"].sqnr_db - 1
    assert alone[worst].probe_loss == max(loss.probe_loss or 0 for loss in alone.values())
    spared = {layer.node: layer.spared for layer in found.layers}
    assert all(loss is not None for loss in spared.values())
    best = max(loss.sqnr_db for loss in spared.values() if loss is not None)
    assert best > found.whole.sqnr_db
    described = found.describe()
    assert described.layers[0].macs == 17 * 8 * 32 * 8
    assert "no labels" in described.probe_loss


@pytest.mark.parametrize("left", LAYERS)
def test_a_layer_left_in_float_really_stays_there(
    form: Form, placement: Placement, mels: Mels, tmp_path: Path, left: str
) -> None:
    """ONNX Runtime quantizes float layers between integer ones itself, badly, unless the graph keeps it from that."""
    model = insert_qdq(
        form.network,
        profiles["cpu_x86"],
        restrict(form.network, profiles["cpu_x86"], placement, [name for name in LAYERS if name != left]),
        form.ranges,
    )
    path = tmp_path / "model.onnx"
    onnx.save(model, path)
    operators = fused_operators(path, tmp_path)
    assert operators["QLinearConv"] + operators["QGemm"] == 3
    (spelled_out,) = [np.concatenate([shown["embedding"] for shown in observe(model, mels[:4], ["embedding"])])]
    fused = embed(model, mels[:4])
    assert np.square(fused - spelled_out).sum() < 1e-4 * np.square(spelled_out).sum()


def loss_of(noise: float) -> Loss:
    return Loss(sqnr_db=-10 * float(np.log10(noise)), cosine_mean=1 - noise, probe_loss=None)


def layers_of(noises: dict[str, float], macs: dict[str, int]) -> Sensitivities:
    """Layers whose noises add up."""
    total = sum(noises.values())
    layers = [Sensitivity(n, "Conv", macs[n], loss_of(v), loss_of(total - v + 1e-9)) for n, v in noises.items()]
    return Sensitivities(layers, loss_of(total), 1)


NOISES = {"a": 0.02, "b": 0.01, "c": 0.004, "d": 0.002}


def added(left: Sequence[str]) -> Loss:
    return loss_of(sum(noise for name, noise in NOISES.items() if name not in left) + 1e-9)


def test_nothing_is_left_in_float_where_the_target_is_met() -> None:
    plan = plan_precision(layers_of(NOISES, dict.fromkeys(NOISES, 10)), added, 0.96)
    assert (plan.left_float, plan.met, len(plan.trail)) == ((), True, 1)


def test_layers_go_to_float_by_noise_removed_per_cost() -> None:
    cheap_b = {"a": 1000, "b": 1, "c": 1000, "d": 1000}
    plan = plan_precision(layers_of(NOISES, cheap_b), added, 0.97)
    assert plan.left_float == ("b",) and plan.met
    alike = plan_precision(layers_of(NOISES, dict.fromkeys(NOISES, 10)), added, 0.97)
    assert alike.left_float == ("a",) and alike.met


def test_a_layer_that_turns_out_not_to_be_needed_goes_back() -> None:
    cheap_d = {"a": 1000, "b": 1000, "c": 1000, "d": 1}
    plan = plan_precision(layers_of(NOISES, cheap_d), added, 0.98)
    assert plan.trail[1].left_float == ["d"]
    assert plan.left_float == ("a",) and plan.met


def test_a_target_out_of_reach_is_said_to_be() -> None:
    plan = plan_precision(layers_of(NOISES, dict.fromkeys(NOISES, 10)), added, 0.9999)
    assert not plan.met
    assert plan.left_float == ("a", "b", "c")


def test_the_recorded_plan_is_the_graph(
    exported: tuple[Path, FloatExport], mels: Mels, other_mels: Mels, tmp_path: Path
) -> None:
    folder = copy_of(exported, tmp_path)

    def quantize(**steps: Any) -> dict[str, Any]:
        tuning = Tuning(bias_correction=False, **steps)
        return plain(quantize_encoder(folder, "cpu_x86", mels, parity_mels=other_mels, tuning=tuning))

    simple = quantize()
    enough = simple["parity"]["cosine_mean"]
    facts = quantize(sensitivity=True, min_cosine=enough - 1e-4)
    assert facts["mixed_precision"] == {"min_cosine": enough - 1e-4, "cosine_mean": enough, "needed": False}
    assert {**simple, "mixed_precision": facts["mixed_precision"], "sensitivity": facts["sensitivity"]} == facts
    target = 1 - 0.95 * (1 - enough)
    mixed = quantize(min_cosine=target)
    plan = mixed["mixed_precision"]
    assert plan["needed"] and plan["left_float"]
    assert plan["met"] and max(step["cosine_mean"] for step in plan["trail"]) >= target
    reasons = {entry["node"]: entry["reason"] for entry in mixed["nodes"]["float"]}
    assert all(reasons[name].startswith("mixed precision") for name in plan["left_float"])
    model = load_graph(folder / "encoder.int8.onnx")
    constants = {tensor.name for tensor in model.graph.initializer}
    in_float = {n.name for n in model.graph.node if n.op_type in ("Conv", "Gemm") and n.input[1] in constants}
    assert set(plan["left_float"]) == in_float & set(LAYERS)
    assert mixed["int8_mac_share"] < simple["int8_mac_share"]
    assert mixed["parity"]["cosine_mean"] > enough


def test_left_layers_carry_their_reason(form: Form, placement: Placement) -> None:
    fewer = leave_float(form.network, profiles["cpu_x86"], placement, {LAYERS[2]: "because"})
    assert LAYERS[2] not in fewer.quantized
    assert FloatNode(LAYERS[2], "because") in fewer.kept
    assert not any("Add" in name for name in fewer.quantized)  # it read that layer


def test_a_shared_bias_is_corrected_for_one_layer_only(mels: Mels) -> None:
    """Equal biases are stored once; each layer's correction is its own."""
    generator = np.random.default_rng(0)
    names, nodes, constants = ("one", "two"), [], []
    value = "mel4"
    nodes.append(onnx.helper.make_node("Unsqueeze", ["mel", "axes"], ["mel4"], name="unsqueeze"))
    constants.append(numpy_helper.from_array(np.array([1], np.int64), "axes"))
    channels = 1
    for name in names:
        weight = generator.normal(size=(8, channels, 3, 3)).astype(np.float32)
        constants += [
            numpy_helper.from_array(weight, f"{name}/w"),
            numpy_helper.from_array(np.zeros(8, np.float32), f"{name}/b"),
        ]
        nodes.append(onnx.helper.make_node("Conv", [value, f"{name}/w", f"{name}/b"], [name], name=name))
        value, channels = name, 8
    nodes.append(onnx.helper.make_node("GlobalAveragePool", [value], ["pooled"], name="pool"))
    nodes.append(onnx.helper.make_node("Flatten", ["pooled"], ["embedding"], name="flat"))
    shape = [1, *mels[0].shape[1:]]
    graph = onnx.helper.make_graph(
        nodes, "encoder",
        [onnx.helper.make_tensor_value_info("mel", onnx.TensorProto.FLOAT, shape)],
        [onnx.helper.make_tensor_value_info("embedding", onnx.TensorProto.FLOAT, [1, 8])], constants,
    )  # fmt: skip
    network = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 18)], ir_version=10)
    ranges = find_ranges(network, mels[:4], float_values(network))
    int8 = insert_qdq(network, profiles["cpu_arm"], Placement(["one", "two"], []), ranges)
    corrected = correct_biases(int8, network, names, mels[:4])
    for name in names:
        expected = outputs_of(network, name, mels[:4])
        shifts = [np.abs(outputs_of(model, name, mels[:4]) - expected).max() for model in (int8, corrected)]
        assert shifts[1] < 0.2 * shifts[0]


def test_a_matmul_runs_on_integers_although_a_bias_follows(mels: Mels, tmp_path: Path) -> None:
    """ONNX Runtime makes a float Gemm of the two first, unless the graph keeps it from that."""
    generator = np.random.default_rng(0)
    bands = mels[0].shape[2]
    constants = {
        "w": generator.normal(size=(bands, 16)).astype(np.float32),
        "b": generator.normal(size=16).astype(np.float32),
        "axes": np.array([1], np.int64),
    }
    nodes = [
        onnx.helper.make_node("MatMul", ["mel", "w"], ["product"], name="product"),
        onnx.helper.make_node("Add", ["product", "b"], ["sum"], name="sum"),
        onnx.helper.make_node("ReduceMean", ["sum", "axes"], ["embedding"], name="mean", keepdims=0),
    ]
    graph = onnx.helper.make_graph(
        nodes, "encoder",
        [onnx.helper.make_tensor_value_info("mel", onnx.TensorProto.FLOAT, list(mels[0].shape))],
        [onnx.helper.make_tensor_value_info("embedding", onnx.TensorProto.FLOAT, [1, 16])],
        [numpy_helper.from_array(values, name) for name, values in constants.items()],
    )  # fmt: skip
    network = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 18)], ir_version=10)
    ranges = find_ranges(network, mels[:4], float_values(network))
    int8 = insert_qdq(network, profiles["cpu_x86"], Placement(["product"], []), ranges)
    onnx.save(int8, tmp_path / "model.onnx")
    operators = fused_operators(tmp_path / "model.onnx", tmp_path)
    assert operators["MatMulIntegerToFloat"] == 1
    assert not {"MatMul", "Gemm"} & set(operators)
    expected, found = embed(network, mels[:4]), embed(int8, mels[:4])
    assert np.square(found - expected).sum() < 1e-3 * np.square(expected).sum()
