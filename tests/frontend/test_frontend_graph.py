"""The graph form: what it is made of, and that it is right for every transform length and hop."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import onnx
import pytest
import torch

from acula_edge.errors import InputError
from acula_edge.frontend.filterbank import mel_filterbank
from acula_edge.frontend.reference import log_mel
from acula_edge.frontend.spec import OPERA, FrontendSpec
from acula_edge.frontend.torch import graph_frontend
from acula_edge.frontend.torch.graph_mel import group_filters
from acula_edge.frontend.torch.spectra import HalvedSpectrum, StackedSpectrum
from acula_edge.frontend.transforms import TransformFactors, factor_odd_transform, factor_transform

# In ONNX Runtime 1.18 and in TensorRT 10.3's list of ONNX operators alike.
EVERYWHERE = {
    "Add", "Cast", "Clip", "Concat", "Div", "Less", "Log", "MatMul", "Max", "Mul", "Neg", "Pad", "Pow", "Reciprocal",
    "ReduceMax", "ReduceMean", "ReduceMin", "ReduceSum", "Reshape", "Slice", "Sqrt", "Sub", "Transpose", "Unsqueeze",
}  # fmt: skip


def test_the_graph_needs_common_operators_only(exported: Any) -> None:
    model = onnx.load(exported.model)
    onnx.checker.check_model(model, full_check=True)
    assert {node.op_type for node in model.graph.node} <= EVERYWHERE
    assert [(item.domain, item.version) for item in model.opset_import] == [("", 18)]
    shapes = [
        [d.dim_value for d in v.type.tensor_type.shape.dim] for v in (model.graph.input[0], model.graph.output[0])
    ]
    assert shapes == [[1, exported.samples], [1, exported.spec.frames(exported.samples), exported.spec.n_mels]]


def test_two_exports_are_the_same_bytes(tmp_path: Any) -> None:
    spec, files = FrontendSpec(4000, 64, 32, 8, 100, 2000), []
    for name in ("first.onnx", "second.onnx"):
        program = torch.onnx.export(graph_frontend(spec, 640), (torch.zeros(1, 640),), dynamo=True, verbose=False)
        assert program is not None
        program.save(tmp_path / name)
        files.append((tmp_path / name).read_bytes())
    assert files[0] == files[1]


def power_of(factors: TransformFactors, wave: np.ndarray) -> np.ndarray:
    """The power of every output, [S, C]."""
    first = (factors.stage1 @ wave.reshape(len(factors.stage1), -1)).reshape(len(factors.stage2), -1)
    parts = np.einsum("skn,sn->sk", factors.stage2, first)
    return (parts**2).reshape(len(parts), 2, -1).sum(1)


@pytest.mark.parametrize("length", [2, 4, 6, 12, 14, 22, 34, 64, 100, 130, 256, 400, 512, 1000, 1024])
def test_the_factored_transforms_are_transforms(length: int) -> None:
    wave = np.random.default_rng(length).standard_normal(length)
    factors = factor_transform(length)
    power, used = power_of(factors, wave), factors.bins > 0
    assert sorted(factors.bins[used]) == list(range(1, length // 2)), "every bin but the first and last, once"
    np.testing.assert_allclose(power[used], np.abs(np.fft.rfft(wave))[factors.bins[used]] ** 2, rtol=1e-9, atol=1e-9)
    assert not power[~used].any()

    odd = factor_odd_transform(length)
    assert sorted(odd.bins.ravel()) == list(range(length // 2)), "every bin once"
    spectrum = np.fft.fft(wave * np.exp(-1j * np.pi * np.arange(length) / length))
    np.testing.assert_allclose(power_of(odd, wave), np.abs(spectrum)[odd.bins] ** 2, rtol=1e-9, atol=1e-9)
    for bins in (factors.bins, odd.bins):
        slots, columns = bins.shape
        coarse = bins // slots
        assert (coarse == np.broadcast_to(np.arange(columns), bins.shape))[bins > 0].all()


def test_factors_are_balanced() -> None:
    assert factor_transform(1024).stage1.shape == (32, 32)
    assert factor_transform(512).stage2.shape == factor_odd_transform(512).stage2.shape == (16, 32, 32)
    assert factor_transform(128).stage2.shape == (8, 16, 16)


@pytest.mark.parametrize("spec", [OPERA, FrontendSpec(4000, 256, 128, 64, 25, 2000), FrontendSpec(n_mels=1)])
def test_filters_in_groups_miss_nothing(spec: FrontendSpec) -> None:
    filters = mel_filterbank(spec)
    weights = filters[HalvedSpectrum(spec, 16000).bins]
    groups = group_filters(weights)
    assert [first for first, *_ in groups] == [0, *(last for _, last, *_ in groups[:-1])] and groups[-1][
        1
    ] == spec.n_mels
    for first, last, low, high in groups:
        assert not weights[:, :low, first:last].any() and not weights[:, high:, first:last].any()
    if spec == OPERA:
        cost = sum((last - first) * (high - low) for first, last, low, high in groups)
        assert cost < 0.4 * weights.shape[1] * spec.n_mels


@pytest.mark.parametrize("hop", [2, 6, 32, 50, 128])
def test_both_spectra_are_the_same_power(hop: int) -> None:
    spec, samples = FrontendSpec(4000, 2 * hop, hop, 2, 900, 2000), 5 * hop + 1
    batch = torch.from_numpy(np.random.default_rng(hop).standard_normal((3, samples))).float()
    assert HalvedSpectrum.fits(spec)
    powers = []
    for spectrum in (HalvedSpectrum(spec, samples), StackedSpectrum(spec, samples)):
        found = spectrum(batch) / torch.from_numpy(np.maximum(spectrum.gain, 1e-30)).float()[..., None]
        by_bin = torch.zeros(hop, found.shape[-1])
        used = spectrum.bins > 0
        by_bin[torch.from_numpy(spectrum.bins[used])] = found[torch.from_numpy(used)]
        powers.append(by_bin)
    torch.testing.assert_close(*powers, rtol=1e-4, atol=1e-4)


def test_a_transform_that_overlaps_otherwise_is_stacked() -> None:
    for spec in (FrontendSpec(4000, 256, 64, 12, 60, 2000), FrontendSpec(4000, 514, 257, 12, 60, 2000)):
        assert not HalvedSpectrum.fits(spec)


@pytest.mark.parametrize(
    ("n_fft", "hop"), [(256, 128), (256, 64), (256, 256), (400, 100), (400, 160), (514, 257), (96, 32), (128, 200)]
)
@pytest.mark.parametrize("samples", [90, 511, 4000, 4097])
def test_any_transform_length_and_hop(n_fft: int, hop: int, samples: int) -> None:
    spec = FrontendSpec(4000, n_fft, hop, 12, 60, 2000)
    batch = 0.1 * np.random.default_rng(samples).standard_normal((2, samples)).astype(np.float32)
    for case in (spec, dataclasses.replace(spec, normalization="range")):
        mel = graph_frontend(case, samples)(torch.from_numpy(batch)).numpy()
        np.testing.assert_allclose(mel, np.stack([log_mel(wave, case) for wave in batch]), atol=1e-5)


def test_what_the_graph_cannot_do_is_said() -> None:
    with pytest.raises(InputError, match="too few samples"):
        graph_frontend(OPERA, 0)
    with pytest.raises(InputError, match="another length"):
        graph_frontend(OPERA, 16000)(torch.zeros(1, 15999))
    assert not graph_frontend(OPERA, 16000).state_dict()
