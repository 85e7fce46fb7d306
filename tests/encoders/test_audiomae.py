"""AudioMAE against timm's vision transformer with the same weights, and its masked form."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from timm.models.vision_transformer import VisionTransformer
from torch import nn

from acula_edge.encoders import load_encoder, make_encoder
from acula_edge.encoders.base import frontend_for
from acula_edge.encoders.teachers.audiomae_decoder import PUBLIC_DECODER
from acula_edge.errors import ArtifactError, InputError
from acula_edge.frontend.published import AUDIOMAE
from acula_edge.frontend.torch import make_frontend
from tests.encoders.teacher_checks import (
    assert_comes_back_from_its_folder,
    assert_every_parameter_receives_a_gradient,
    assert_exports,
    sound,
)

SMALL: dict[str, Any] = {
    "width": 32, "depth": 2, "heads": 4, "decoder_width": 16, "decoder_depth": 1, "decoder_heads": 2,
}  # fmt: skip


@pytest.fixture(scope="module")
def library() -> VisionTransformer:
    """timm's model of the same architecture, random, with the mean of the patch tokens normalized after it."""
    torch.manual_seed(0)
    model = VisionTransformer(
        img_size=(1024, 128),
        patch_size=16,
        in_chans=1,
        num_classes=0,
        embed_dim=32,
        depth=2,
        num_heads=4,
        global_pool="avg",
        fc_norm=True,
        norm_layer=partial(nn.LayerNorm, eps=1e-6),
    ).eval()
    nn.init.normal_(model.pos_embed, std=0.5)
    nn.init.normal_(model.cls_token, std=0.5)
    return model


@pytest.fixture(scope="module")
def public_file(library: VisionTransformer, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Those weights in the public layout: without the last norm, with the one before the decoder, and the decoder."""
    state = {name: value for name, value in library.state_dict().items() if not name.startswith("fc_norm.")}
    state |= {"norm.weight": torch.rand(32), "norm.bias": torch.rand(32)}
    state |= {name: torch.zeros(2) for name in PUBLIC_DECODER}
    file = tmp_path_factory.mktemp("audiomae") / "pretrained.pth"
    torch.save({"model": state}, file)
    return file


def test_the_public_file_gives_the_librarys_embedding(library: VisionTransformer, public_file: Path) -> None:
    encoder = make_encoder("audiomae", checkpoint=public_file, options=SMALL).eval()
    mel = make_frontend(AUDIOMAE)(torch.from_numpy(sound(32000)[None]))
    padded = torch.zeros(1, 1024, 128)
    padded[:, : mel.shape[1]] = mel
    with torch.no_grad():
        torch.testing.assert_close(encoder.embed_mel(mel), library(padded[:, None]), rtol=0, atol=1e-4)
    assert encoder.frontend == AUDIOMAE == frontend_for("audiomae")
    torch.testing.assert_close(encoder.embed(sound(32000), 16000), encoder.embed_mel(mel))


def test_the_published_size_is_vit_base() -> None:
    with torch.device("meta"):
        encoder = make_encoder("audiomae")
    blocks, patches, token_and_norm = 12 * 7_087_872, 768 * 257, 768 * 3
    assert sum(parameter.numel() for parameter in encoder.parameters()) == blocks + patches + token_and_norm
    assert encoder.pos_embed.shape == (1, 513, 768)
    assert len(PUBLIC_DECODER) == 8 + 16 * 17


def test_positions_are_those_of_time_and_band() -> None:
    table = make_encoder("audiomae", options=SMALL).pos_embed[0, 1:].reshape(64, 8, 32)
    band, time = table[..., :16], table[..., 16:]
    assert (band == band[:1]).all() and (time == time[:, :1]).all()
    torch.testing.assert_close(band[0, :, 0], torch.arange(8).float().sin())
    torch.testing.assert_close(time[:, 0, 8], torch.arange(64).float().cos())


@pytest.mark.parametrize(("frames", "tokens"), [(1024, 512), (208, 104), (None, 104)])
def test_as_many_patches_as_the_option_says(frames: int | None, tokens: int) -> None:
    encoder = make_encoder("audiomae", options={**SMALL, "frames": frames})
    assert encoder.patches(198) == tokens
    assert encoder.embed_mel(torch.randn(1, 198, 128)).shape == (1, 32)


def test_a_shorter_length_is_the_same_network_on_its_first_rows(public_file: Path) -> None:
    with torch.no_grad():
        given, fewest = (
            make_encoder("audiomae", checkpoint=public_file, options={**SMALL, "frames": frames}).eval()
            for frames in (208, None)
        )
        mel = torch.randn(1, 208, 128)
        torch.testing.assert_close(given.embed_mel(mel), fewest.embed_mel(mel))


def test_masked_form() -> None:
    encoder = make_encoder("audiomae", options={**SMALL, "frames": None})
    decoder = encoder.make_decoder()
    mel = torch.randn(3, 90, 128)
    patches = encoder.patches(90)
    assert patches == 6 * 8
    noise = torch.rand(3, patches)
    losses = encoder.masked_loss(mel, decoder, noise)
    assert losses.shape == (3,) and (losses > 0.5).all()
    losses.sum().backward()
    trained = [*encoder.named_parameters(), *decoder.named_parameters()]
    assert [name for name, value in trained if value.requires_grad and value.grad is None] == []
    # The visible fifth is what the loss does not count: only there may the target change.
    kept = noise.argsort(dim=1)[:, : int(patches * (1 - 0.8))]
    masked = torch.ones(3, patches, dtype=torch.bool).scatter(1, kept, False)
    assert masked.sum(dim=1).eq(patches - 9).all()
    # A level and a gain of every patch are taken out of the target: of a silent decoder nothing changes.
    nn.init.zeros_(decoder.pred.weight)
    torch.testing.assert_close(
        encoder.masked_loss(5 + 3 * mel[:, :80], decoder, noise[:, :40]),
        torch.full((3,), 255 / 256),
        rtol=0,
        atol=1e-4,
    )


def test_masked_training_learns() -> None:
    torch.manual_seed(1)
    encoder = make_encoder("audiomae", options={**SMALL, "frames": 64})
    decoder = encoder.make_decoder()
    mel = torch.linspace(0, 6, 64)[None, :, None].sin() + torch.linspace(0, 4, 128)[None, None].cos()
    optimizer = torch.optim.AdamW([*encoder.parameters(), *decoder.parameters()], lr=1e-2)
    losses = []
    for _ in range(40):
        loss = encoder.masked_loss(mel, decoder, torch.rand(1, encoder.patches(64))).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(float(loss.detach()))
    assert sum(losses[-5:]) < 0.5 * sum(losses[:5])


def test_gradients_folder_and_export(tmp_path: Path) -> None:
    encoder = make_encoder("audiomae", options={**SMALL, "depth": 1, "frames": 128})
    assert_every_parameter_receives_a_gradient(encoder, frames=100)
    assert_comes_back_from_its_folder(encoder, tmp_path / "encoder", frames=100)
    assert load_encoder(tmp_path).options["frames"] == 128
    assert_exports(encoder, 1.0, tmp_path / "export")


@pytest.mark.parametrize(
    ("options", "frames", "words"),
    [
        ({"frames": 100}, 50, "cannot pad"),
        ({"frames": 2048}, 50, "cannot pad"),
        ({"frames": 64}, 65, "too long"),
        ({"frames": None}, 1025, "too long"),
    ],
)
def test_lengths_that_do_not_fit_are_refused(options: dict[str, Any], frames: int, words: str) -> None:
    with pytest.raises(InputError, match=words):
        make_encoder("audiomae", options={**SMALL, **options}).embed_mel(torch.zeros(1, frames, 128))


@pytest.mark.parametrize("damage", ["missing", "unknown", "width"])
def test_a_file_of_something_else_is_refused(damage: str, public_file: Path, tmp_path: Path) -> None:
    state = torch.load(public_file, weights_only=True)["model"]
    options = SMALL
    if damage == "missing":
        del state["blocks.1.attn.qkv.bias"]
    elif damage == "unknown":
        state["head.weight"] = torch.zeros(2)
    else:
        options = {**SMALL, "width": 16}
    torch.save({"model": state}, tmp_path / "other.pth")
    with pytest.raises(ArtifactError, match="does not hold the encoder audiomae"):
        make_encoder("audiomae", checkpoint=tmp_path / "other.pth", options=options)
