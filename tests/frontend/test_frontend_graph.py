"""The graph form: what it is made of, and that it is right for every transform length and hop."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import onnx
import pytest
import torch

from acula_edge.errors import InputError
from acula_edge.frontend.forms import graph_frontend
from acula_edge.frontend.graph import factor_transform
from acula_edge.frontend.reference import log_mel
from acula_edge.frontend.spec import OPERA, FrontendSpec

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


@pytest.mark.parametrize("length", [2, 4, 6, 12, 14, 22, 34, 64, 100, 130, 256, 400, 512, 1000, 1024])
def test_the_factored_transform_is_a_transform(length: int) -> None:
    factors = factor_transform(length)
    wave = np.random.default_rng(length).standard_normal(length)
    rows = len(factors.stage1)
    first = (factors.stage1 @ wave.reshape(rows, -1)).reshape(len(factors.stage2), -1)
    power = np.abs(np.einsum("skn,sn->sk", factors.stage2, first)).ravel() ** 2
    used = factors.bins > 0
    assert sorted(factors.bins[used]) == list(range(1, length // 2)), "every bin but the first and last, once"
    np.testing.assert_allclose(power[used], np.abs(np.fft.rfft(wave))[factors.bins[used]] ** 2, rtol=1e-9, atol=1e-9)
    assert not power[~used].any()


def test_factors_are_balanced() -> None:
    assert factor_transform(1024).stage1.shape == (32, 32)
    assert factor_transform(1024).stage2.shape == (16, 32, 64)
    assert factor_transform(256).stage2.shape == (8, 16, 32)


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
