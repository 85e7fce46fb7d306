from __future__ import annotations

import shutil
from collections import Counter
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from acula_edge.bundle.json_files import plain
from acula_edge.bundle.layout import ENCODER_FILE, FRONTEND_FILE
from acula_edge.quantize.balances import choose_balances, layer_error
from acula_edge.quantize.calibration import make_mels
from acula_edge.quantize.channel_groups import Group, find_groups
from acula_edge.quantize.channels import ChannelMap
from acula_edge.quantize.export import FloatExport, export_float
from acula_edge.quantize.graph import IR_VERSION, OPSET, attribute, initializers, load_graph, producers, sign
from acula_edge.quantize.parity import compare_rows
from acula_edge.quantize.placement import Placement, place
from acula_edge.quantize.profiles import profiles
from acula_edge.quantize.qdq import embed, insert_qdq, quantize_encoder
from acula_edge.quantize.ranges import find_ranges, float_values
from acula_edge.quantize.smoothing import (
    channel_extremes,
    find_scales,
    smooth,
    smoothed_ranges,
)
from tests.quantize.conftest import SAMPLES, make_windows
from tests.quantize.transformer import HIDDEN, WIDTH, TinyTransformer

Mels = list[np.ndarray]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The float files."""
    path = tmp_path_factory.mktemp("transformer")
    export_float(TinyTransformer(), [], SAMPLES, path)
    return path


@pytest.fixture(scope="module")
def network(folder: Path) -> tuple[onnx.ModelProto, Mels, Mels]:
    """The float graph, calibration windows and others."""
    mels, others = (make_mels(folder / FRONTEND_FILE, make_windows(16, seed)) for seed in (1, 2))
    return load_graph(folder / ENCODER_FILE), mels, others


@pytest.fixture(scope="module")
def placement(network: tuple[onnx.ModelProto, Mels, Mels]) -> Placement:
    return place(network[0], profiles["cpu_x86"])


@pytest.fixture(scope="module")
def groups(network: tuple[onnx.ModelProto, Mels, Mels], placement: Placement) -> list[Group]:
    return find_groups(network[0], placement.quantized)


def quantize(
    network: tuple[onnx.ModelProto, Mels, Mels], groups: list[Group], balance: float | None, profile: str = "cpu_x86"
) -> onnx.ModelProto:
    model, mels, _ = network
    extremes = channel_extremes(model, mels, groups)
    scales = find_scales(model, groups, extremes, dict.fromkeys([group.node for group in groups], balance))
    ranges = find_ranges(model, mels, float_values(model))
    placement = place(model, profiles[profile])
    return insert_qdq(
        smooth(model, groups, scales),
        profiles[profile],
        placement,
        {**ranges, **smoothed_ranges(groups, scales, extremes)},
    )


def test_every_layer_has_a_source_and_layers_that_share_an_input_share_a_group(
    groups: list[Group], placement: Placement
) -> None:
    assert Counter((group.source, len(group.readers), group.width) for group in groups) == {
        ("norm", 1, WIDTH): 3,  # queries, keys and values in one layer, and the first of each MLP
        ("norm", 3, WIDTH): 1,  # in three layers, over windows that are rolled and padded
        ("linear", 1, 3 * WIDTH): 1,  # fused: only the values' part may be scaled
        ("linear", 1, WIDTH): 1,
        ("explicit", 1, HIDDEN): 2,
    }
    fused = next(group for group in groups if group.width == 3 * WIDTH)
    assert fused.free == tuple(range(2 * WIDTH, 3 * WIDTH))
    readers = [reader.node for group in groups for reader in group.readers]
    assert sorted(readers) == sorted(placement.quantized)


@pytest.mark.parametrize("balance", [0.25, 0.5, 1.0])
def test_smoothing_does_not_change_the_function(
    network: tuple[onnx.ModelProto, Mels, Mels], groups: list[Group], balance: float
) -> None:
    model, mels, others = network
    scales = find_scales(model, groups, channel_extremes(model, mels, groups), balance)
    assert all(np.ptp(np.log(scale)) > 0.5 for scale in scales.values())
    smoothed = smooth(model, groups, scales)
    assert compare_rows(embed(model, others), embed(smoothed, others)).sqnr_db > 100
    added = Counter(node.op_type for node in smoothed.graph.node) - Counter(node.op_type for node in model.graph.node)
    assert added == {"Mul": 2}


@pytest.mark.parametrize("profile", ["cpu_x86", "cpu_arm", "tensorrt"])
def test_smoothing_mends_what_outlier_channels_spoil(
    network: tuple[onnx.ModelProto, Mels, Mels], groups: list[Group], profile: str
) -> None:
    model, _, others = network
    reference = embed(model, others)
    plain = compare_rows(reference, embed(quantize(network, groups, None, profile), others))
    smoothed = compare_rows(reference, embed(quantize(network, groups, 0.5, profile), others))
    assert plain.cosine_p1 < 0.97
    assert smoothed.cosine_p1 > 0.99
    assert smoothed.sqnr_db > plain.sqnr_db + 10


@pytest.mark.parametrize("method", ["minmax", "percentile"])
def test_the_smoothed_form_is_tried_and_taken(
    folder: Path, network: tuple[onnx.ModelProto, Mels, Mels], tmp_path: Path, method: str
) -> None:
    shutil.copytree(folder, tmp_path / "bundle")
    facts = plain(quantize_encoder(tmp_path / "bundle", "cpu_x86", network[1], method=method, parity_mels=network[2]))
    smoothing = facts["smoothing"]
    assert smoothing["layers"] == {"norm": 6, "linear": 2, "explicit": 2}
    assert smoothing["exponent"] is not None
    assert smoothing["sqnr_db"][str(smoothing["exponent"])] == max(smoothing["sqnr_db"].values())
    assert smoothing["sqnr_db"].keys() == {"0.5", "0.65", "0.8", "per layer"}
    assert facts["parity"]["cosine_p1"] > 0.99
    assert facts["int8_mac_share"] > 0.5


def test_convolutional_networks_are_not_smoothed(
    exported: tuple[Path, FloatExport], mels: Mels, tmp_path: Path
) -> None:
    shutil.copytree(exported[0], tmp_path / "bundle")
    smoothing = plain(quantize_encoder(tmp_path / "bundle", "cpu_x86", mels[:4]))["smoothing"]
    assert smoothing["exponent"] is None
    assert smoothing["layers"] == {"norm": 0, "linear": 0, "explicit": 0}
    assert smoothing["sqnr_db"] == {}


def test_ranges_follow_from_the_scales_as_they_would_be_observed(
    network: tuple[onnx.ModelProto, Mels, Mels], groups: list[Group]
) -> None:
    model, mels, _ = network
    extremes = channel_extremes(model, mels, groups)
    scales = find_scales(model, groups, extremes, 0.5)
    derived = smoothed_ranges(groups, scales, extremes)
    observed = find_ranges(smooth(model, groups, scales), mels, list(derived))
    assert len(derived) == 8
    for name, limits in derived.items():
        np.testing.assert_allclose(limits, observed[name], rtol=1e-4, atol=1e-5)


def test_layers_with_outliers_are_smoothed_and_others_may_stay(
    network: tuple[onnx.ModelProto, Mels, Mels], groups: list[Group]
) -> None:
    model, mels, _ = network
    extremes = channel_extremes(model, mels, groups)
    chosen = choose_balances(model, groups, mels[:2], extremes, profiles["cpu_x86"], (None, 0.25, 0.5, 0.75))
    assert chosen.keys() == {group.node for group in groups}
    assert all(balance is not None for balance in chosen.values())
    even = np.random.default_rng(0).uniform(-1, 1, (64, 8)).astype(np.float32)
    limits = (even.min(axis=0).astype(float), even.max(axis=0).astype(float))
    errors = [
        layer_error(even, np.eye(8, dtype=np.float32), column, limits, profiles["cpu_arm"])
        for column in (np.ones(8), np.geomspace(0.01, 100, 8))
    ]
    assert errors[0] < errors[1]


def test_weights_are_quantized_per_output_column(
    network: tuple[onnx.ModelProto, Mels, Mels], groups: list[Group], placement: Placement
) -> None:
    for profile in ("cpu_x86", "tensorrt"):
        model = quantize(network, groups, 0.5, profile)
        made_by, tensors = producers(model), initializers(model)
        for node in model.graph.node:
            if node.name in placement.quantized:
                dequantize = made_by[node.input[1]]
                columns = tensors[dequantize.input[1]].dims[0]
                assert node.op_type == "MatMul"
                assert (dequantize.op_type, attribute(dequantize, "axis")) == ("DequantizeLinear", 1)
                assert columns in (WIDTH, HIDDEN, 3 * WIDTH)


def test_integer_products_of_matmul_fit_16_bits(
    network: tuple[onnx.ModelProto, Mels, Mels], groups: list[Group], placement: Placement
) -> None:
    model = quantize(network, groups, 0.5)
    made_by, tensors = producers(model), initializers(model)
    seen = 0
    for node in model.graph.node:
        if node.name in placement.quantized:
            weight = numpy_helper.to_array(tensors[made_by[node.input[1]].input[0]]).astype(int)
            pairs = [np.maximum(sign * weight, 0) for sign in (1, -1)]
            assert max(int((side[1:] + side[:-1]).max()) for side in pairs) <= 128
            seen += 1
    assert seen == len(placement.quantized)


def test_norms_attention_and_activations_stay_in_float(
    network: tuple[onnx.ModelProto, Mels, Mels], groups: list[Group], placement: Placement
) -> None:
    model = quantize(network, groups, 0.5)
    made_by = producers(model)
    float_only = ("LayerNormalization", "Softmax", "Erf", "Conv")
    for node in model.graph.node:
        integers = [name for name in node.input if made_by.get(name, node).op_type == "DequantizeLinear"]
        if node.op_type in float_only or (node.op_type == "MatMul" and node.name not in placement.quantized):
            assert not integers, node.name


def graph_of(nodes: list[onnx.NodeProto], weights: dict[str, np.ndarray], outputs: list[str]) -> onnx.ModelProto:
    """mel [1, 6, 4] -> outputs of the same shape."""
    values = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, 6, 4]) for name in ("mel", *outputs)]
    tensors = [numpy_helper.from_array(array.astype(np.float32), name) for name, array in weights.items()]
    graph = helper.make_graph(nodes, "encoder", values[:1], values[1:], tensors)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)])
    model.ir_version = IR_VERSION
    return sign(model, "test")


def test_a_norm_that_something_else_reads_is_left_alone() -> None:
    generator = np.random.default_rng(0)
    weights = {"scale": np.ones(4), "bias": np.zeros(4), "w": generator.normal(size=(4, 4))}
    nodes = [
        helper.make_node("LayerNormalization", ["mel", "scale", "bias"], ["normed"], name="normed"),
        helper.make_node("MatMul", ["normed", "w"], ["product"], name="layer"),
        helper.make_node("Add", ["normed", "product"], ["out"], name="residual"),
    ]
    model = graph_of(nodes, weights, ["out"])
    destination = ChannelMap(model).follow("normed")
    assert (len(destination.readers), destination.bound) == (1, {0, 1, 2, 3})
    assert find_groups(model, ["layer"], explicit=False) == []
    assert [group.source for group in find_groups(model, ["layer"])] == ["explicit"]


def test_weights_that_two_layers_share_stay_as_they_are_for_the_other() -> None:
    generator = np.random.default_rng(0)
    weights = {"scale": np.ones(4), "bias": np.zeros(4), "w": generator.normal(size=(4, 4))}
    nodes = [
        helper.make_node("LayerNormalization", ["mel", "scale", "bias"], ["normed"], name="normed"),
        helper.make_node("MatMul", ["normed", "w"], ["first"], name="first"),
        helper.make_node("LayerNormalization", ["mel", "scale", "bias"], ["again"], name="again"),
        helper.make_node("Transpose", ["again"], ["turned"], name="turned", perm=[0, 2, 1]),
        helper.make_node("Transpose", ["turned"], ["back"], name="back", perm=[0, 2, 1]),
        helper.make_node("Add", ["back", "again"], ["sum"], name="sum"),
        helper.make_node("MatMul", ["sum", "w"], ["second"], name="second"),
        helper.make_node("Add", ["first", "second"], ["out"], name="out"),
    ]
    model = graph_of(nodes, weights, ["out"])
    groups = find_groups(model, ["first"])
    mels = [generator.normal(size=(1, 6, 4)).astype(np.float32) for _ in range(3)]
    scales = find_scales(model, groups, channel_extremes(model, mels, groups), 0.5)
    smoothed = smooth(model, groups, scales)

    def run(graph: onnx.ModelProto) -> np.ndarray:
        return onnx.reference.ReferenceEvaluator(graph).run(None, {"mel": mels[0]})[0]

    np.testing.assert_allclose(run(smoothed), run(model), rtol=1e-5, atol=1e-5)
    assert smoothed.graph.node[1].input[1] != "w"


def test_a_slice_of_the_channels_is_followed_to_where_it_goes() -> None:
    weights = {"starts": np.array([1]), "ends": np.array([3]), "axes": np.array([2]), "w": np.ones((2, 4))}
    tensors = {name: array for name, array in weights.items() if name == "w"}
    nodes = [
        helper.make_node("LayerNormalization", ["mel", "scale"], ["normed"], name="normed"),
        helper.make_node("Slice", ["normed", "starts", "ends", "axes"], ["part"], name="part"),
        helper.make_node("MatMul", ["part", "w"], ["out"], name="layer"),
    ]
    model = graph_of(nodes, {**tensors, "scale": np.ones(4)}, ["out"])
    for name in ("starts", "ends", "axes"):
        model.graph.initializer.append(numpy_helper.from_array(weights[name].astype(np.int64), name))
    (group,) = find_groups(model, ["layer"])
    assert (group.source, group.free, group.readers[0].channels) == ("norm", (1, 2), (1, 2))
