from __future__ import annotations

import shutil
from collections import Counter
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import numpy_helper

from acula_edge.bundle.json_files import plain
from acula_edge.bundle.schema import FloatNode
from acula_edge.errors import InputError
from acula_edge.quantize.equalization import channel_peaks, equalize, equalized_ranges, find_pairs
from acula_edge.quantize.export import FloatExport
from acula_edge.quantize.graph import load_graph
from acula_edge.quantize.overflow import channel_limits
from acula_edge.quantize.parity import compare_rows
from acula_edge.quantize.placement import place
from acula_edge.quantize.profiles import profiles
from acula_edge.quantize.qdq import embed, insert_qdq, quantize_encoder
from acula_edge.quantize.ranges import find_ranges, float_values, survey

FLOAT_FILES = ("frontend.onnx", "encoder.onnx", "model.onnx")


def copy_of(exported: tuple[Path, FloatExport], folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for name in FLOAT_FILES:
        shutil.copy(exported[0] / name, folder)
    return folder


@pytest.fixture(scope="module")
def x86(
    exported: tuple[Path, FloatExport],
    mels: list[np.ndarray],
    other_mels: list[np.ndarray],
    tmp_path_factory: pytest.TempPathFactory,
) -> tuple[Path, dict]:
    folder = copy_of(exported, tmp_path_factory.mktemp("x86"))
    return folder, plain(quantize_encoder(folder, "cpu_x86", mels, parity_mels=other_mels))


def fused_operators(path: Path, tmp_path: Path, **entries: str) -> Counter[str]:
    """Operators that ONNX Runtime really runs."""
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    options.optimized_model_filepath = str(tmp_path / "optimized.onnx")
    for key, value in entries.items():
        options.add_session_config_entry(f"session.{key}", value)
    onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    return Counter(node.op_type for node in onnx.load(tmp_path / "optimized.onnx").graph.node)


def test_int8_stays_close_to_float_on_windows_that_calibration_never_saw(x86: tuple[Path, dict]) -> None:
    parity = x86[1]["parity"]
    assert parity["cosine_min"] > 0.99
    assert parity["cosine_centered_mean"] > 0.99
    assert parity["sqnr_db"] > 25
    assert parity["windows"] == "held out"


def test_everything_between_stem_and_embedding_runs_on_integers(x86: tuple[Path, dict], tmp_path: Path) -> None:
    operators = fused_operators(x86[0] / "encoder.int8.onnx", tmp_path)
    assert operators["QLinearConv"] == 3
    assert operators["QLinearAdd"] == 1
    assert operators["QLinearGlobalAveragePool"] == 1
    assert operators["QGemm"] == 1
    assert operators["QuantizeLinear"] == 1
    assert not {"DequantizeLinear", "Relu", "Add"} & set(operators)
    assert operators["Conv"] == 2  # the stem and the depthwise convolution that shrinks its map


def test_cpus_without_vnni_can_load_it_too(x86: tuple[Path, dict], tmp_path: Path) -> None:
    # The option makes ONNX Runtime rewrite weights and their zero points in place, which shared ones do not survive.
    operators = fused_operators(x86[0] / "encoder.int8.onnx", tmp_path, x64quantprecision="1")
    assert operators["QLinearConv"] == 3


def test_integer_kernels_compute_what_the_graph_says(x86: tuple[Path, dict], other_mels: list[np.ndarray]) -> None:
    path = str(x86[0] / "encoder.int8.onnx")
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    spelled_out = onnxruntime.InferenceSession(path, options)
    emulated = np.concatenate([spelled_out.run(["embedding"], {"mel": mel})[0] for mel in other_mels])
    fused = embed(load_graph(path), other_mels)
    parity = compare_rows(emulated, fused)
    assert parity.sqnr_db is None or parity.sqnr_db > 40


def test_quantize_json_says_how_it_was_made(x86: tuple[Path, dict]) -> None:
    folder, facts = x86
    assert facts["schema"] == "acula-edge/quantize/1"
    assert (facts["profile"], facts["method"], facts["activation_type"]) == ("cpu_x86", "minmax", "uint8")
    assert facts["ops"] == {"Conv": 3, "Gemm": 1}
    # By hand: frames and bands 65 x 32 -> 33 x 16 -> 17 x 8.
    stem, shrink, widen = 33 * 16 * 8 * 9, 17 * 8 * 8 * 9, 17 * 8 * 32 * 8
    deep, mix = 17 * 8 * 32 * 9, 17 * 8 * 32 * 32 * 9
    projection, scores = 32 * 24, 24 * 5
    total = stem + shrink + widen + deep + mix + projection + scores
    assert facts["macs"] == total
    assert facts["int8_mac_share"] == pytest.approx((widen + deep + mix + projection) / total)
    assert {entry["reason"][:5] for entry in facts["nodes"]["float"]} == {"stem:", "heads"}
    for name, size in facts["sizes_bytes"].items():
        assert (folder / name).stat().st_size == size


def test_the_same_windows_give_the_same_bytes(
    x86: tuple[Path, dict],
    exported: tuple[Path, FloatExport],
    mels: list[np.ndarray],
    other_mels: list[np.ndarray],
    tmp_path: Path,
) -> None:
    again = copy_of(exported, tmp_path)
    quantize_encoder(again, "cpu_x86", mels, parity_mels=other_mels)
    for name in ("encoder.int8.onnx", "model.int8.onnx"):
        assert (again / name).read_bytes() == (x86[0] / name).read_bytes()


@pytest.mark.parametrize("method", ["percentile", "entropy", "mse"])
def test_other_methods_work_as_well(
    exported: tuple[Path, FloatExport], mels: list[np.ndarray], other_mels: list[np.ndarray], method: str
) -> None:
    model = load_graph(exported[0] / "encoder.onnx")
    ranges = find_ranges(model, mels, float_values(model), method)
    int8 = insert_qdq(model, profiles["cpu_x86"], place(model, profiles["cpu_x86"]), ranges)
    assert compare_rows(embed(model, other_mels), embed(int8, other_mels)).cosine_mean > 0.95


def test_the_tensorrt_form_is_what_tensorrt_parses(
    exported: tuple[Path, FloatExport], mels: list[np.ndarray], other_mels: list[np.ndarray], tmp_path: Path
) -> None:
    folder = copy_of(exported, tmp_path)
    facts = plain(quantize_encoder(folder, "tensorrt", mels, parity_mels=other_mels))
    model = load_graph(folder / "encoder.int8.onnx")
    constants = {tensor.name: numpy_helper.to_array(tensor) for tensor in model.graph.initializer}
    pairs = [node for node in model.graph.node if node.op_type in ("QuantizeLinear", "DequantizeLinear")]
    assert pairs
    for node in pairs:
        zero_point = constants[node.input[2]]
        assert zero_point.dtype == np.int8
        assert not zero_point.any()
    quantizers = {node.output[0]: node.input[0] for node in pairs if node.op_type == "QuantizeLinear"}
    for node in pairs:
        if node.op_type == "DequantizeLinear":
            assert node.input[0] in quantizers
    for node in model.graph.node:
        if node.op_type == "Conv" and len(node.input) > 2:
            assert constants[node.input[2]].dtype == np.float32
    assert facts["parity"]["cosine_mean"] > 0.99


def test_patterns_keep_nodes_in_float(exported: tuple[Path, FloatExport]) -> None:
    model = load_graph(exported[0] / "encoder.onnx")
    everything = place(model, profiles["cpu_x86"])
    without = place(model, profiles["cpu_x86"], ["*/mix/*", "*projection*"])
    assert "encoder/mix/Conv" in everything.quantized
    assert not {"encoder/mix/Conv", "encoder/projection/Gemm"} & set(without.quantized)
    assert FloatNode("encoder/mix/Conv", "quantize.keep_float") in without.kept
    # The addition behind it reads a float tensor now, and follows.
    assert any("Add" in name for name in everything.quantized)
    assert not any("Add" in name for name in without.quantized)
    assert not any("heads" in name for name in everything.quantized)


def test_patterns_that_match_nothing_or_leave_nothing_are_refused(exported: tuple[Path, FloatExport]) -> None:
    model = load_graph(exported[0] / "encoder.onnx")
    with pytest.raises(InputError, match="names no node"):
        place(model, profiles["cpu_x86"], ["*/projektion/*"])
    with pytest.raises(InputError, match="nothing is left"):
        place(model, profiles["cpu_x86"], ["*"])
    with pytest.raises(InputError, match="no profile"):
        quantize_encoder(exported[0], "cpu_riscv", [])


def test_equalization_changes_channels_but_not_the_function(
    exported: tuple[Path, FloatExport], mels: list[np.ndarray]
) -> None:
    model = load_graph(exported[0] / "encoder.onnx")
    pairs = find_pairs(model)
    joined = {(pair.first.split("/")[1], pair.second.split("/")[1]) for pair in pairs}
    # Not (mix, projection): an addition lies between.
    assert joined == {("stem", "shrink"), ("shrink", "widen"), ("widen", "deep")}
    rescaled = [name for pair in pairs for name in pair.values]
    channels = survey(model, mels, rescaled, rescaled).channels
    peaks = channel_peaks(pairs, channels)
    equalized = equalize(model, pairs, peaks, 1.0)
    changed = equalized.model
    reference = embed(model, mels)
    np.testing.assert_allclose(embed(changed, mels), reference, rtol=1e-3, atol=1e-3 * np.abs(reference).max())
    measured = survey(changed, mels, rescaled, rescaled)
    after = channel_peaks(pairs, measured.channels)
    for name, derived in equalized_ranges(equalized.scales, channels).items():
        np.testing.assert_allclose(derived, measured.histograms[name].range, rtol=1e-4)
    for pair in pairs:
        heard = peaks[pair.value] > 0.01 * peaks[pair.value].max()
        assert np.ptp(np.log(after[pair.value][heard])) < 1e-3
    wide = next(pair.value for pair in pairs if "/widen/" in pair.first)
    assert np.ptp(np.log(peaks[wide][peaks[wide] > 0])) > 1


def test_equalization_earns_its_place(x86: tuple[Path, dict]) -> None:
    tried = x86[1]["equalization"]
    assert tried["balance"] is not None
    assert tried["sqnr_db"][str(tried["balance"])] == max(tried["sqnr_db"].values())
    assert tried["sqnr_db"][str(tried["balance"])] > tried["plain_sqnr_db"] + 3


def stored_weights(path: Path) -> list[np.ndarray]:
    """INT8 weights as integers; constants of fewer dimensions are zero points."""
    constants = [numpy_helper.to_array(item) for item in onnx.load(path).graph.initializer]
    return [values.astype(int) for values in constants if values.dtype == np.int8 and values.ndim >= 2]


def largest_sum(weights: np.ndarray) -> int:
    """Of two adjacent weights of a channel, positive ones and negative ones apart, in either order of inputs."""
    rows = weights.reshape(*weights.shape[:2], -1)
    sums = [0]
    for ordered in (rows.reshape(len(rows), -1), rows.transpose(0, 2, 1).reshape(len(rows), -1)):
        for side in (ordered.clip(0), (-ordered).clip(0)):
            sums.append((side[:, 1:] + side[:, :-1]).max(initial=0))
    return max(sums)


def test_products_of_x86_weights_fit_in_sixteen_bits(x86: tuple[Path, dict]) -> None:
    for name in ("encoder.int8.onnx", "model.int8.onnx"):
        weights = stored_weights(x86[0] / name)
        assert len(weights) == 4
        assert max(np.abs(values).max() for values in weights) > 100
        assert 255 * max(largest_sum(values) for values in weights) <= np.iinfo(np.int16).max


@pytest.mark.parametrize("shape", [(16, 8, 3, 3), (12, 1, 5, 5), (5, 40), (3, 1)])
def test_scales_are_as_coarse_as_the_worst_pair_needs_and_no_coarser(shape: tuple[int, ...]) -> None:
    weight = np.random.default_rng(1).standard_t(3, shape)
    weight[0] = 0
    limits = channel_limits(weight)
    stored = np.round(weight / limits.reshape(-1, *[1] * (len(shape) - 1)) * 127).astype(int)
    assert np.abs(stored).max() <= 127
    sums = [max(largest_sum(row[None]), int(np.abs(row).max())) for row in stored]
    assert sums[0] == 0
    assert all(126 <= total <= 128 for total in sums[1:])


def test_kernels_that_add_in_sixteen_bits_give_what_exact_ones_give(
    x86: tuple[Path, dict], other_mels: list[np.ndarray]
) -> None:
    sessions = []
    for exact in ("0", "1"):
        options = onnxruntime.SessionOptions()
        options.add_session_config_entry("session.x64quantprecision", exact)
        path = str(x86[0] / "encoder.int8.onnx")
        sessions.append(onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"]))
    for mel in other_mels:
        fast, slow = (session.run(["embedding"], {"mel": mel})[0] for session in sessions)
        np.testing.assert_allclose(fast, slow, atol=1e-6)


def test_profiles_without_that_limit_use_all_of_eight_bits(
    exported: tuple[Path, FloatExport], mels: list[np.ndarray], tmp_path: Path
) -> None:
    folder = copy_of(exported, tmp_path)
    quantize_encoder(folder, "cpu_arm", mels)
    weights = stored_weights(folder / "encoder.int8.onnx")
    assert all((np.abs(values).reshape(len(values), -1).max(axis=1) == 127).all() for values in weights)
    assert max(largest_sum(values) for values in weights) > 128


def test_what_leads_to_the_first_convolution_stays_in_float(tmp_path: Path) -> None:
    generator = np.random.default_rng(0)
    weights = {
        "stretch": generator.standard_normal((8, 16)), "patches": generator.standard_normal((6, 1, 2, 2)),
        "mix": generator.standard_normal((6, 6, 1, 1)),
    }  # fmt: skip
    nodes = [
        onnx.helper.make_node("MatMul", ["mel", "stretch"], ["wide"], name="stretch"),
        onnx.helper.make_node("Conv", ["wide", "patches"], ["tokens"], name="patches", strides=[2, 2]),
        onnx.helper.make_node("Conv", ["tokens", "mix"], ["embedding"], name="mix"),
    ]
    graph = onnx.helper.make_graph(
        nodes, "encoder",
        [onnx.helper.make_tensor_value_info("mel", onnx.TensorProto.FLOAT, [1, 1, 8, 8])],
        [onnx.helper.make_tensor_value_info("embedding", onnx.TensorProto.FLOAT, [1, 6, 4, 8])],
        [numpy_helper.from_array(values.astype(np.float32), name) for name, values in weights.items()],
    )  # fmt: skip
    model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 18)])
    placement = place(model, profiles["cpu_x86"])
    assert placement.quantized == ["mix"]
    assert {entry.node for entry in placement.kept} == {"stretch", "patches"}
