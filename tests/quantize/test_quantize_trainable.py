"""The trainable form of a QDQ graph computes what the file computes, learns, and goes back into a file that does."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from onnx import numpy_helper

from acula_edge.bundle.layout import ENCODER_FILE
from acula_edge.errors import InputError
from acula_edge.quantize.export import FloatExport
from acula_edge.quantize.fake_quantization import Scale, Weight
from acula_edge.quantize.graph import initializers, load_graph
from acula_edge.quantize.insertion import embed, insert_qdq
from acula_edge.quantize.overflow import LARGEST_SUM
from acula_edge.quantize.parity import compare_rows
from acula_edge.quantize.placement import place
from acula_edge.quantize.profiles import profiles
from acula_edge.quantize.ranges import find_ranges, float_values
from acula_edge.quantize.trainable import TrainableGraph

Mels = list[np.ndarray]
Edit = Callable[[onnx.ModelProto], None]


def quantized(exported: Path, profile: str, mels: Mels, edit: Edit | None = None, keep: str = "") -> onnx.ModelProto:
    """A plain INT8 form of the small network, after an edit of the float one."""
    model = load_graph(exported / ENCODER_FILE)
    if edit is not None:
        edit(model)
    chosen = profiles[profile]
    placement = place(model, chosen, [keep] if keep else [])
    return insert_qdq(model, chosen, placement, find_ranges(model, mels, float_values(model)))


def torch_embeddings(graph: TrainableGraph, mels: Mels) -> np.ndarray:
    with torch.no_grad():
        return graph(torch.from_numpy(np.concatenate(mels))).numpy()


def train(graph: TrainableGraph, mels: Mels, target: np.ndarray, steps: int = 40) -> None:
    optimizer = torch.optim.Adam(graph.parameters(), lr=5e-4)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
    batch, wanted = torch.from_numpy(np.concatenate(mels)), torch.from_numpy(target)
    for _ in range(steps):
        optimizer.zero_grad()
        loss = (graph(batch) - wanted).square().mean()
        loss.backward()
        optimizer.step()
        schedule.step()


@pytest.mark.parametrize("profile", profiles.names())
def test_the_mirror_computes_what_onnx_runtime_computes_before_and_after_training(
    exported: tuple[Path, FloatExport], mels: Mels, other_mels: Mels, profile: str
) -> None:
    model = quantized(exported[0], profile, mels)
    graph = TrainableGraph(model, profiles[profile])
    reference = embed(load_graph(exported[0] / ENCODER_FILE), other_mels)
    before = compare_rows(embed(model, other_mels), torch_embeddings(graph, other_mels))
    rounding = compare_rows(reference, embed(model, other_mels)).sqnr_db
    # Far closer to the INT8 file than the INT8 file is to float.
    assert before.cosine_min > 0.9995 and before.sqnr_db > rounding + 6
    target = embed(load_graph(exported[0] / ENCODER_FILE), mels)
    train(graph, mels, target)
    learned = graph.to_model()
    after = compare_rows(embed(learned, other_mels), torch_embeddings(graph, other_mels))
    assert after.cosine_min > 0.9995 and after.sqnr_db > rounding + 6
    assert compare_rows(reference, embed(learned, other_mels)).sqnr_db > rounding + 2


def test_only_numbers_change(exported: tuple[Path, FloatExport], mels: Mels) -> None:
    model = quantized(exported[0], "cpu_x86", mels)
    graph = TrainableGraph(model, profiles["cpu_x86"])
    train(graph, mels, np.zeros((len(mels), 24), np.float32), steps=2)
    learned = graph.to_model()
    assert list(learned.graph.node) == list(model.graph.node)
    assert list(learned.graph.output) == list(model.graph.output)
    before, after = initializers(model), initializers(learned)
    assert set(after) == set(before)
    for name, tensor in before.items():
        assert (after[name].data_type, list(after[name].dims)) == (tensor.data_type, list(tensor.dims))
        if "heads" in name or name.endswith("zero_point"):
            assert after[name] == tensor
    assert graph.fingerprint() == TrainableGraph(model, profiles["cpu_x86"]).fingerprint()
    assert graph.fingerprint() != TrainableGraph(learned, profiles["cpu_x86"]).fingerprint()


def test_trained_weights_still_fit_16_bits(exported: tuple[Path, FloatExport], mels: Mels) -> None:
    graph = TrainableGraph(quantized(exported[0], "cpu_x86", mels), profiles["cpu_x86"])
    train(graph, mels, np.ones((len(mels), 24), np.float32), steps=10)
    checked = 0
    for name, tensor in initializers(graph.to_model()).items():
        if tensor.data_type == onnx.TensorProto.INT8 and len(tensor.dims) == 4:
            weight = numpy_helper.to_array(tensor).astype(int)
            for rows in (weight.reshape(len(weight), -1), weight.transpose(0, 2, 3, 1).reshape(len(weight), -1)):
                for side in (np.maximum(rows, 0), np.maximum(-rows, 0)):
                    assert side.shape[1] == 1 or (side[:, 1:] + side[:, :-1]).max() <= LARGEST_SUM, name
            checked += 1
    assert checked >= 3


def test_biases_that_are_equal_in_the_file_learn_apart(exported: tuple[Path, FloatExport], mels: Mels) -> None:
    def without_bias(model: onnx.ModelProto) -> None:
        for tensor in model.graph.initializer:
            if tensor.name.endswith(("deep.bias", "mix.bias")):
                tensor.CopyFrom(numpy_helper.from_array(np.zeros(32, np.float32), tensor.name))

    model = quantized(exported[0], "cpu_x86", mels, without_bias)
    graph = TrainableGraph(model, profiles["cpu_x86"])
    train(graph, mels, np.ones((len(mels), 24), np.float32), steps=15)
    learned = graph.to_model()
    parity = compare_rows(embed(learned, mels), torch_embeddings(graph, mels))
    assert parity.cosine_min > 0.9995


@pytest.mark.parametrize("profile", profiles.names())
def test_a_layer_left_in_float_learns_too(exported: tuple[Path, FloatExport], mels: Mels, profile: str) -> None:
    model = quantized(exported[0], profile, mels, keep="encoder/mix*")
    graph = TrainableGraph(model, profiles[profile])
    kept = [name for name in graph.floats if "mix" in name]
    before = {name: graph.floats[name].detach().clone() for name in kept}
    train(graph, mels, np.ones((len(mels), 24), np.float32), steps=15)
    assert len(kept) == 2 and all(not torch.equal(before[name], graph.floats[name]) for name in kept)
    parity = compare_rows(embed(graph.to_model(), mels), torch_embeddings(graph, mels))
    assert parity.cosine_min > 0.9995


def test_an_operator_that_is_not_known_is_named(exported: tuple[Path, FloatExport], mels: Mels) -> None:
    model = quantized(exported[0], "cpu_x86", mels)
    next(node for node in model.graph.node if node.op_type == "Unsqueeze").op_type = "Erf"
    with pytest.raises(InputError, match="Erf"):
        TrainableGraph(model, profiles["cpu_x86"])


def test_gradients_are_those_of_the_paper() -> None:
    """Esser et al. 2020, equations 3 and 5: inside the range round(v/s) - v/s and 1; outside the limit and 0."""
    scale = Scale(np.float32(0.5), np.uint8(0))
    values = torch.tensor([0.6, 3.1, 500.0, -1.0], requires_grad=True)
    scale.rounded(values).sum().backward()
    of_scale = (1 - 1.2) + (6 - 6.2) + 255 + 0
    assert float(scale.logarithm.grad) == pytest.approx(of_scale * 0.5, rel=1e-4)  # by its logarithm
    np.testing.assert_allclose(values.grad, [1, 1, 0, 0])


def test_a_weight_is_rounded_as_it_is_stored() -> None:
    value = np.random.default_rng(0).normal(size=(6, 4, 3, 3))
    for axis, fits in ((0, True), (0, False), (None, False), (1, False)):
        weight = Weight(value, axis, fits)
        scales = weight.scales()
        shape = [1] * 4
        if axis is not None:
            shape[axis] = -1
        stored = weight.integers(scales) * scales.reshape(shape)
        np.testing.assert_allclose(weight.rounded().detach(), stored, rtol=1e-5, atol=1e-7)
