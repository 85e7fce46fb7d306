"""AST against transformers' model with the same weights."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import ASTConfig, ASTFeatureExtractor, ASTForAudioClassification

from acula_edge.encoders import load_encoder, make_encoder
from acula_edge.encoders.base import frontend_for
from acula_edge.encoders.teachers.ast import cut_positions
from acula_edge.errors import ArtifactError, InputError
from acula_edge.frontend.published import AST
from tests.encoders.teacher_checks import (
    assert_comes_back_from_its_folder,
    assert_every_parameter_receives_a_gradient,
    assert_exports,
    sound,
)

SIZES: dict[str, Any] = {
    "hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 64,
}  # fmt: skip


@pytest.fixture(scope="module")
def library() -> ASTForAudioClassification:
    torch.manual_seed(0)
    model = ASTForAudioClassification(ASTConfig(**SIZES, num_labels=5)).eval()
    for name, parameter in model.audio_spectrogram_transformer.embeddings.named_parameters():
        if "token" in name or "position" in name:
            torch.nn.init.normal_(parameter)
    return model


@pytest.fixture(scope="module")
def published(library: ASTForAudioClassification, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Both forms that AST is published in."""
    folder = tmp_path_factory.mktemp("ast")
    library.save_pretrained(folder / "classifier")
    ASTFeatureExtractor().save_pretrained(folder / "classifier")
    library.audio_spectrogram_transformer.save_pretrained(folder / "model")
    return folder


@pytest.mark.parametrize("form", ["classifier", "model"])
def test_a_checkpoint_gives_the_librarys_embedding(
    form: str, published: Path, library: ASTForAudioClassification
) -> None:
    encoder = make_encoder("ast", checkpoint=published / form).eval()
    wave = sound(24000)
    inputs = ASTFeatureExtractor()(wave, sampling_rate=16000, return_tensors="pt")
    with torch.no_grad():
        expected = library.audio_spectrogram_transformer(**inputs)
    assert encoder.frontend == AST
    torch.testing.assert_close(encoder.embed(wave, 16000), expected.pooler_output, rtol=0, atol=1e-4)
    mean = make_encoder("ast", checkpoint=published / form, options={"pooling": "mean"}).eval()
    patches = expected.last_hidden_state[:, 2:].mean(dim=1)
    torch.testing.assert_close(mean.embed(wave, 16000), patches, rtol=0, atol=1e-4)


def test_the_front_end_is_the_feature_extractors(published: Path, tmp_path: Path) -> None:
    config = (published / "classifier" / "config.json").read_text()
    (tmp_path / "config.json").write_text(config)
    ASTFeatureExtractor(mean=-5.0, std=3.0).save_pretrained(tmp_path)
    spec = frontend_for("ast", tmp_path)
    assert (spec.mean, spec.deviation, spec.n_mels) == (-5.0, 6.0, 128)
    ASTFeatureExtractor(do_normalize=False).save_pretrained(tmp_path)
    spec = frontend_for("ast", tmp_path)
    assert (spec.mean, spec.deviation) == (0.0, 1.0)
    assert frontend_for("ast", published / "model") == frontend_for("ast") == AST


def test_a_shorter_position_table_is_the_middle_of_the_published_one(published: Path) -> None:
    whole, short = (
        make_encoder("ast", checkpoint=published / "model", options={"frames": frames}) for frames in (1024, 128)
    )
    table, cut = (encoder.backbone.embeddings.position_embeddings[0] for encoder in (whole, short))
    assert table.shape == (2 + 12 * 101, 32) and cut.shape == (2 + 12 * 12, 32)
    assert torch.equal(cut[:2], table[:2])
    # 101 steps have their middle at 50, 12 at 6.
    assert torch.equal(cut[2:].reshape(12, 12, 32), table[2:].reshape(12, 101, 32)[:, 44:56])
    with pytest.raises(InputError, match="more frames"):
        cut_positions(table[None], ASTConfig(max_length=1024), ASTConfig(max_length=1040))


def test_gradients_folder_and_export(published: Path, tmp_path: Path) -> None:
    for pooling in ("pooler", "mean"):
        options = {"frames": 128, "pooling": pooling}
        encoder = make_encoder("ast", checkpoint=published / "classifier", options=options)
        assert_every_parameter_receives_a_gradient(encoder, frames=100)
    assert_comes_back_from_its_folder(encoder, tmp_path / "encoder", frames=100)
    saved = (tmp_path / "encoder" / "config.json").read_text()
    assert json.loads(saved)["options"]["config"]["hidden_size"] == 32 and str(published) not in saved
    assert_exports(encoder, 1.0, tmp_path / "export")


def test_a_saved_folder_that_lacks_weights_is_refused(tmp_path: Path) -> None:
    encoder = make_encoder("ast", options={"frames": 64, "config": SIZES})
    state = encoder.state_dict()
    del state["backbone.layernorm.bias"]
    encoder.save_pretrained(tmp_path, state_dict=state)
    with pytest.raises(ArtifactError, match="backbone.layernorm.bias"):
        load_encoder(tmp_path)


def test_without_a_checkpoint_the_sizes_are_options() -> None:
    encoder = make_encoder("ast", options={"frames": 64, "config": {**SIZES, "num_mel_bins": 64}})
    assert encoder.frontend.n_mels == 64
    assert encoder.embed_mel(torch.randn(2, 40, 64)).shape == (2, 32)


def test_what_does_not_fit_is_refused(published: Path) -> None:
    with pytest.raises(InputError, match="unknown pooling"):
        make_encoder("ast", options={"pooling": "max", "config": SIZES})
    with pytest.raises(InputError, match="so few frames"):
        make_encoder("ast", options={"frames": 8, "config": SIZES})
    with pytest.raises(InputError, match="too long"):
        make_encoder("ast", options={"frames": 64, "config": SIZES}).embed_mel(torch.zeros(1, 65, 128))
    with pytest.raises(ArtifactError, match="does not fit the encoder's options"):
        make_encoder("ast", checkpoint=published / "model", options={"config": {"intermediate_size": 48}})
    with pytest.raises(InputError, match="does not fit this ast"):
        other = frontend_for("ast", options={"config": {"num_mel_bins": 64}})
        make_encoder("ast", frontend=other, checkpoint=published / "model")


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        ("folder", "cannot be loaded"),
        ("config", "another kind"),
        ("weights", "cannot be loaded"),
        ("tensor", "1 missing: "),
        ("unknown", "1 unexpected: "),
        ("shape", "cannot be loaded"),
        ("nan", "1 NaN or infinite"),
    ],
)
def test_a_checkpoint_that_is_none_is_refused(
    damage: str, words: str, published: Path, library: ASTForAudioClassification, tmp_path: Path
) -> None:
    model = library.audio_spectrogram_transformer
    state = {key: value.clone() for key, value in model.state_dict().items()}
    name = [key for key in state if ".1." in key][-1]
    if damage == "tensor":
        del state[name]
    elif damage == "unknown":
        state[name.replace(".1.", ".7.")] = torch.zeros(32)
    elif damage == "shape":
        state[name] = torch.zeros(31)
    elif damage == "nan":
        state[name][0] = float("nan")
    model.save_pretrained(tmp_path / "ast", state_dict=state)
    if damage == "config":
        (tmp_path / "ast" / "config.json").write_text('{"model_type": "vit"}')
    elif damage == "weights":
        (tmp_path / "ast" / "model.safetensors").unlink()
    folder = tmp_path / ("nothing" if damage == "folder" else "ast")
    with pytest.raises(ArtifactError, match=words):
        make_encoder("ast", checkpoint=folder)


def test_weights_that_are_not_in_safetensors_are_read_as_nothing_but_weights(
    published: Path, library: ASTForAudioClassification, tmp_path: Path
) -> None:
    class Payload:
        def __reduce__(self) -> tuple[Any, ...]:
            return open, (str(tmp_path / "owned"), "w")

    (tmp_path / "config.json").write_text((published / "model" / "config.json").read_text())
    state = library.audio_spectrogram_transformer.state_dict()
    torch.save(state, tmp_path / "pytorch_model.bin")
    encoder = make_encoder("ast", checkpoint=tmp_path)
    torch.testing.assert_close(encoder.backbone.state_dict(), dict(state))
    torch.save({**state, "payload": Payload()}, tmp_path / "pytorch_model.bin")
    with pytest.raises(ArtifactError, match="cannot be loaded"):
        make_encoder("ast", checkpoint=tmp_path)
    assert not (tmp_path / "owned").exists()
