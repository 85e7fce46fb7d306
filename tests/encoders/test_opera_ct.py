"""OPERA-CT against reference numbers of the published network with hash-filled weights."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional

from acula_edge.align.self_supervised import Cola
from acula_edge.encoders import make_encoder
from acula_edge.encoders.checkpoints import load_public_head
from acula_edge.encoders.teachers.opera_ct import crop_starts, stretching
from acula_edge.errors import InputError
from acula_edge.frontend.spec import FrontendSpec
from acula_edge.quantize.export import export_float
from tests.encoders.conftest import GOLDEN, assert_golden, spectrogram

ENCODER = "opera-ct"


@pytest.mark.parametrize("frames", [63, 251, 938, 1100])
def test_embedding_is_the_published_networks(encoder, frames):
    with torch.no_grad():
        assert_golden(encoder.embed_mel(spectrogram(frames)), GOLDEN[f"ct_T{frames}"])


def test_projected_embedding_is_the_published_networks(public_file):
    encoder = make_encoder(ENCODER, checkpoint=public_file, options={"projection": True}).eval()
    assert encoder.embedding_dim == 512
    with torch.no_grad():
        assert_golden(encoder.embed_mel(spectrogram(251)), GOLDEN["ct_g512_T251"])
    assert not load_public_head(Cola(encoder), encoder, public_file), "the encoder itself has taken the first layer"


def test_published_head_gives_the_published_logits(encoder, public_file):
    head = Cola(encoder).eval()
    assert load_public_head(head, encoder, public_file)
    mel = spectrogram(251)
    with torch.no_grad():
        logits = head.logits(encoder.embed_mel(mel), encoder.embed_mel(mel.flip(1)))
    np.testing.assert_allclose(logits, GOLDEN["ct_cola_logits_T251"], rtol=1e-4)


@pytest.mark.parametrize("frames", [1, 2, 3, 63, 256, 1000, 1023, 1024])
def test_stretching_is_bicubic_interpolation(frames):
    mel = torch.rand(1, 1, frames, 3, dtype=torch.float64)
    expected = functional.interpolate(mel, (1024, 3), mode="bicubic", align_corners=True)
    stretched = torch.from_numpy(stretching(frames)).double().T @ mel[0, 0]
    torch.testing.assert_close(stretched, expected[0, 0], rtol=1e-6, atol=1e-6)


def test_long_clips_are_cut_by_the_published_rule():
    starts = {frames: list(crop_starts(frames)) for frames in (1025, 1026, 1537, 1538, 2049, 2050)}
    assert starts == {1025: [0], 1026: [0], 1537: [0], 1538: [0, 512], 2049: [0, 512], 2050: [0, 512, 1024]}


def test_the_length_that_crashed_the_published_code_is_embedded(encoder):
    mel = spectrogram(1025)
    with torch.no_grad():
        torch.testing.assert_close(encoder.embed_mel(mel), encoder.embed_mel(mel[:, :1024]), rtol=1e-4, atol=1e-5)


def test_training_hears_one_crop_of_a_long_clip(monkeypatch):
    encoder = make_encoder(ENCODER).train()
    heard = []
    monkeypatch.setattr(encoder.backbone, "forward", lambda input_features, **_: heard.append(input_features) or Output)
    monkeypatch.setattr(encoder, "norm", nn.Identity())
    mel = torch.arange(1100.0)[None, :, None].expand(2, -1, 64)
    encoder.embed_mel(mel)
    (crops,) = heard
    assert crops.shape == (2, 1, 1024, 64)
    assert bool((crops.diff(dim=2) == 1).all()), "consecutive frames"


class Output:
    pooler_output = torch.zeros(2, 768)


def test_other_front_ends_are_named():
    with pytest.raises(InputError, match="64 mel bands"):
        make_encoder(ENCODER, frontend=FrontendSpec(n_mels=128))


def test_export_stretches_by_a_matrix_product(tmp_path):
    import onnx

    encoder = make_encoder(ENCODER)
    for stage, blocks in zip(encoder.backbone.audio_encoder.layers, (1, 1, 2, 1), strict=True):
        stage.blocks = stage.blocks[:blocks]  # blocks are alike, and each costs seconds of the exporter's time
    exported = export_float(encoder, (), samples=130560, folder=tmp_path)
    assert exported.frames == 256
    assert exported.parity.cosine_min > 0.9999
    nodes = onnx.load(tmp_path / "encoder.onnx").graph.node
    assert [node.op_type for node in nodes if "/stretch/" in node.name] == ["MatMul"]
    assert not {node.op_type for node in nodes} & {"Resize", "If", "Loop"}
