"""OPERA-GT and its decoder against reference numbers of the published networks with hash-filled weights."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from acula_edge.encoders import make_encoder
from acula_edge.encoders.checkpoints import load_public_head
from acula_edge.encoders.teachers.opera_gt_decoder import position_table
from acula_edge.errors import InputError
from acula_edge.frontend.spec import FrontendSpec
from acula_edge.quantize.export import export_float
from tests.encoders.conftest import GOLDEN, assert_golden, spectrogram

ENCODER = "opera-gt"


@pytest.fixture(scope="module")
def decoder(encoder, public_file):
    decoder = encoder.make_decoder().eval()
    assert load_public_head(decoder, encoder, public_file)
    return decoder


@pytest.mark.parametrize("frames", [64, 157, 251, 256])
def test_embedding_is_the_published_networks(encoder, frames):
    with torch.no_grad():
        assert_golden(encoder.embed_mel(spectrogram(frames)), GOLDEN[f"gt_T{frames}"])


@pytest.mark.parametrize("frames", [64, 256])
def test_reconstruction_is_the_published_networks(encoder, decoder, frames):
    golden, mel = GOLDEN[f"gt_mae_T{frames}"], spectrogram(frames)
    noise = published_noise(encoder.patches(frames))
    with torch.no_grad():
        predicted, masked = encoder.reconstruct(mel, decoder, noise)
        loss = encoder.masked_loss(mel, decoder, noise)
    assert_golden(predicted, golden["pred"])
    assert float(masked.double().mean()) == golden["masked_fraction"]
    assert bool(((~masked).sum(dim=1) == golden["keep"]).all())
    assert loss.shape == (2,)
    assert float(loss.mean()) == pytest.approx(golden["loss"], rel=1e-4)


def published_noise(patches: int) -> torch.Tensor:
    clip, patch = np.ogrid[1:3, 1 : patches + 1]
    values = np.sin(12.9898 * patch + 78.233 * clip) * 43758.5453
    return torch.from_numpy(values - np.floor(values))


def test_position_table_is_the_published_one():
    rows, golden = position_table(384)[0], GOLDEN["gt_pos_embed"]
    for row in (1, 2, 17, 65):
        np.testing.assert_allclose(rows[row, :4], golden[f"row{row}_first4"], rtol=1e-6)
    np.testing.assert_allclose(rows[65, 192:196], golden["row65_192_195"], rtol=1e-6)
    assert float(rows.double().abs().sum()) == pytest.approx(golden["abs_sum"], rel=1e-7)
    assert not rows[0].any()


@pytest.mark.parametrize(("frames", "problem"), [(3, "too short"), (260, "too long")])
def test_lengths_that_have_no_position_are_named(encoder, frames, problem):
    with pytest.raises(InputError, match=problem):
        encoder.embed_mel(torch.rand(1, frames, 64))


@pytest.mark.parametrize("frames", [4, 259])
def test_the_shortest_and_the_longest_clip_have_an_embedding(encoder, frames):
    with torch.no_grad():
        assert encoder.embed_mel(torch.rand(1, frames, 64)).shape == (1, 384)


@pytest.mark.parametrize("frames", [65, 251, 320])
def test_lengths_that_the_decoder_cannot_take_are_named(encoder, decoder, frames):
    with pytest.raises(InputError, match="64, 128, 192, 256 frames"):
        encoder.masked_loss(torch.rand(1, frames, 64), decoder, torch.rand(1, 256))


def test_masked_loss_trains_the_encoder_and_all_of_the_decoder():
    encoder = make_encoder(ENCODER).train()
    decoder = encoder.make_decoder().train()
    encoder.masked_loss(torch.rand(2, 64, 64), decoder, torch.rand(2, encoder.patches(64))).sum().backward()
    parameters = [*encoder.named_parameters(), *decoder.named_parameters()]
    assert [name for name, parameter in parameters if parameter.grad is None] == []


def test_other_front_ends_are_named():
    with pytest.raises(InputError, match="64 mel bands"):
        make_encoder(ENCODER, frontend=FrontendSpec(n_mels=128))


def test_export_agrees_with_torch(tmp_path):
    encoder = make_encoder(ENCODER)
    encoder.blocks = encoder.blocks[:2]  # blocks are alike, and each costs seconds of the exporter's time
    exported = export_float(encoder, (), samples=130560, folder=tmp_path)
    assert exported.frames == 256
    assert exported.parity.cosine_min > 0.9999
