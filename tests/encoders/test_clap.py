"""CLAP's audio tower against transformers' model with the same weights."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch.nn import functional
from transformers import (
    ClapAudioConfig,
    ClapAudioModelWithProjection,
    ClapConfig,
    ClapFeatureExtractor,
    ClapModel,
    ClapTextConfig,
)

from acula_edge.encoders import make_encoder
from acula_edge.encoders.base import frontend_for
from acula_edge.errors import ArtifactError, InputError
from acula_edge.frontend.published import CLAP, CLAP_FUSED
from acula_edge.frontend.spec import OPERA
from tests.encoders.teacher_checks import (
    assert_comes_back_from_its_folder,
    assert_every_parameter_receives_a_gradient,
    assert_exports,
    sound,
)

SIZES: dict[str, Any] = {"patch_embeds_hidden_size": 8, "depths": [2, 1], "num_attention_heads": [1, 2]}
TEXT: dict[str, Any] = {
    "hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 16, "vocab_size": 30,
    "max_position_embeddings": 20,
}  # fmt: skip
WIDTH = 16


def extractor(fused: bool) -> ClapFeatureExtractor:
    """As laion/clap-htsat-fused or -unfused come with."""
    truncation = "fusion" if fused else "rand_trunc"
    return ClapFeatureExtractor(frequency_min=50, frequency_max=14000, truncation=truncation)


@pytest.fixture(scope="module", params=[False, True], ids=["unfused", "fused"])
def fused(request: pytest.FixtureRequest) -> bool:
    return bool(request.param)


@pytest.fixture(scope="module")
def library(fused: bool) -> ClapModel:
    """A small model whose batch normalization has seen spectrograms in decibels."""
    torch.manual_seed(0)
    fusion = {"enable_fusion": True, "fusion_type": "aff_2d", "aff_block_r": 4} if fused else {}
    audio = ClapAudioConfig(**SIZES, hidden_size=WIDTH, **fusion)
    config = ClapConfig(audio_config=audio.to_dict(), text_config=ClapTextConfig(**TEXT).to_dict(), projection_dim=8)
    model = ClapModel(config).eval()
    norm = model.audio_model.audio_encoder.batch_norm
    norm.running_mean.normal_(-30, 5)
    norm.running_var.uniform_(100, 400)
    return model


@pytest.fixture(scope="module")
def published(library: ClapModel, fused: bool, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The three forms of a checkpoint; the feature extractor is beside the whole model."""
    folder = tmp_path_factory.mktemp("clap")
    library.save_pretrained(folder / "whole")
    extractor(fused).save_pretrained(folder / "whole")
    library.audio_model.save_pretrained(folder / "audio")
    projected = ClapAudioModelWithProjection(library.config.audio_config)
    projected.audio_model.load_state_dict(library.audio_model.state_dict())
    projected.save_pretrained(folder / "projected")
    return folder


def library_embedding(library: ClapModel, fused: bool, wave: np.ndarray) -> torch.Tensor:
    mel = extractor(fused)(wave, sampling_rate=48000, return_tensors="pt").input_features.float()
    with torch.no_grad():
        return library.audio_model(mel, is_longer=torch.zeros(1, 1, dtype=torch.bool)).pooler_output


@pytest.mark.parametrize("form", ["whole", "audio", "projected"])
def test_a_checkpoint_gives_the_librarys_embedding(form: str, published: Path, library: ClapModel, fused: bool) -> None:
    encoder = make_encoder("clap", checkpoint=published / form).eval()
    assert encoder.frontend == (CLAP_FUSED if fused else CLAP) and encoder.embedding_dim == WIDTH
    wave = sound(480000, 48000)
    torch.testing.assert_close(encoder.embed(wave, 48000), library_embedding(library, fused, wave), rtol=0, atol=1e-4)


@pytest.mark.parametrize("seconds", [8.0, 5.0, 2.0])
def test_short_clips_differ_from_the_library_by_their_seams(
    seconds: float, published: Path, library: ClapModel, fused: bool
) -> None:
    encoder = make_encoder("clap", checkpoint=published / "whole").eval()
    wave = sound(round(seconds * 48000), 48000)
    expected = library_embedding(library, fused, wave)
    embedding = encoder.embed(wave, 48000)
    assert functional.cosine_similarity(embedding - expected.mean(), expected - expected.mean()).item() > 0.9995


def test_stretching_is_the_resize_of_the_library(published: Path, library: ClapModel, fused: bool) -> None:
    encoder = make_encoder("clap", checkpoint=published / "whole", options={"padding": "stretch"}).eval()
    for frames in (2, 101, 801, 1024):
        mel = 10 * torch.randn(1, frames, 64) - 30
        with torch.no_grad():
            tower = library.audio_model(mel.expand(1, 4 if fused else 1, -1, -1), is_longer=torch.zeros(1, 1))
            torch.testing.assert_close(encoder.embed_mel(mel), tower.pooler_output, rtol=0, atol=1e-4)


def test_repetitions_and_silence_fill_ten_seconds() -> None:
    encoder = make_encoder("clap", options={"config": SIZES})
    mel = torch.randn(1, 301, 64)
    filled = encoder._filled(mel)
    assert filled.shape == (1, 1001, 64)
    for start in (0, 300, 600):
        assert torch.equal(filled[:, start : start + 300], mel[:, :300])
    assert torch.equal(filled[:, 900], mel[:, 300])
    assert (filled[:, 901:] == -100).all()
    assert encoder._filled(torch.randn(1, 1010, 64)).shape == (1, 1010, 64)


def test_gradients_and_folder(published: Path, tmp_path: Path) -> None:
    encoder = make_encoder("clap", checkpoint=published / "audio")
    assert_every_parameter_receives_a_gradient(encoder, frames=201)
    assert not [name for name in encoder.state_dict() if "fusion" in name or "mel_conv2d" in name]
    assert_comes_back_from_its_folder(encoder, tmp_path / "encoder", frames=201)


def test_export(tmp_path: Path) -> None:
    assert_exports(make_encoder("clap", options={"config": {**SIZES, "depths": [1, 1]}}), 1.0, tmp_path)


def test_what_does_not_fit_is_refused(tmp_path: Path) -> None:
    encoder = make_encoder("clap", options={"config": SIZES})
    with pytest.raises(InputError, match="too long"):
        encoder.embed_mel(torch.zeros(1, 1025, 64))
    with pytest.raises(InputError, match="too short"):
        encoder.embed_mel(torch.zeros(1, 1, 64))
    with pytest.raises(InputError, match="unknown padding"):
        make_encoder("clap", options={"config": SIZES, "padding": "zero"})
    with pytest.raises(InputError, match="front end does not fit"):
        make_encoder("clap", frontend=OPERA, options={"config": SIZES})
    (tmp_path / "config.json").write_text('{"model_type": "clip"}')
    with pytest.raises(ArtifactError, match="another kind"):
        make_encoder("clap", checkpoint=tmp_path)


def test_the_front_end_follows_the_checkpoint(published: Path, fused: bool) -> None:
    wanted = CLAP_FUSED if fused else CLAP
    assert frontend_for("clap", published / "whole") == frontend_for("clap", published / "audio") == wanted
    assert frontend_for("clap") == CLAP
