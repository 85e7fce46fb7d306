"""Any waveform encoder of transformers, and Whisper's encoder, against the library's own pass."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import huggingface_hub.constants
import pytest
import torch
from transformers import (
    Data2VecAudioConfig,
    Data2VecAudioModel,
    HubertConfig,
    HubertForCTC,
    PreTrainedModel,
    UniSpeechConfig,
    UniSpeechModel,
    UniSpeechSatConfig,
    UniSpeechSatModel,
    Wav2Vec2Config,
    Wav2Vec2FeatureExtractor,
    Wav2Vec2ForPreTraining,
    WavLMConfig,
    WavLMModel,
    WhisperConfig,
    WhisperFeatureExtractor,
    WhisperForAudioClassification,
    WhisperForConditionalGeneration,
)

from acula_edge.encoders import AudioEncoder, make_encoder
from acula_edge.encoders.base import frontend_for
from acula_edge.errors import ArtifactError, InputError
from acula_edge.frontend.published import WAVEFORM, WHISPER
from acula_edge.frontend.spec import OPERA
from tests.encoders.teacher_checks import (
    assert_comes_back_from_its_folder,
    assert_every_parameter_receives_a_gradient,
    assert_exports,
    sound,
)

SIZES: dict[str, Any] = {
    "hidden_size": 32, "num_hidden_layers": 3, "num_attention_heads": 2, "intermediate_size": 32,
    "conv_dim": [16] * 7, "num_conv_pos_embeddings": 16, "num_conv_pos_embedding_groups": 4, "vocab_size": 12,
}  # fmt: skip
NORMALIZED_BEFORE: dict[str, Any] = {"do_stable_layer_norm": True, "feat_extract_norm": "layer"}
QUANTIZER: dict[str, Any] = {"codevector_dim": 16, "proj_codevector_dim": 16}
WHISPER_SIZES: dict[str, Any] = {
    "d_model": 32, "encoder_layers": 2, "encoder_attention_heads": 2, "encoder_ffn_dim": 32, "decoder_layers": 1,
    "decoder_attention_heads": 2, "decoder_ffn_dim": 32, "vocab_size": 50, "pad_token_id": 0, "bos_token_id": 1,
    "eos_token_id": 2, "decoder_start_token_id": 1,
}  # fmt: skip

# Class, sizes, where the encoder lies in it, do_normalize of the published feature extractors of its kind.
MODELS: dict[str, tuple[type[PreTrainedModel], Any, str, bool]] = {
    "hubert": (HubertForCTC, HubertConfig(**SIZES), "hubert", True),
    "hubert-large": (HubertForCTC, HubertConfig(**SIZES, **NORMALIZED_BEFORE), "hubert", True),
    "wav2vec2": (Wav2Vec2ForPreTraining, Wav2Vec2Config(**SIZES, **QUANTIZER), "wav2vec2", True),
    "wavlm": (WavLMModel, WavLMConfig(**SIZES), "", False),
    "wavlm-large": (WavLMModel, WavLMConfig(**SIZES, **NORMALIZED_BEFORE), "", True),
    "data2vec-audio": (Data2VecAudioModel, Data2VecAudioConfig(**SIZES), "", True),
    "unispeech": (UniSpeechModel, UniSpeechConfig(**SIZES), "", True),
    "unispeech-sat": (UniSpeechSatModel, UniSpeechSatConfig(**SIZES), "", True),
}


def save(name: str, folder: Path) -> torch.nn.Module:
    """Save a random model with its feature extractor; returns its encoder."""
    kind, config, part, standardize = MODELS[name]
    torch.manual_seed(0)
    model = kind(config).eval()
    model.save_pretrained(folder)
    Wav2Vec2FeatureExtractor(do_normalize=standardize).save_pretrained(folder)
    encoder: torch.nn.Module = getattr(model, part) if part else model
    return encoder


def random(kind: str, **options: Any) -> AudioEncoder:
    sizes = WHISPER_SIZES if kind == "whisper" else SIZES
    return make_encoder("huggingface", options={"config": {"model_type": kind, **sizes}, **options})


@pytest.mark.parametrize("name", list(MODELS))
def test_waveform_models_give_the_librarys_hidden_states(name: str, tmp_path: Path) -> None:
    library, standardize = save(name, tmp_path), MODELS[name][3]
    wave = sound(8000)
    inputs = Wav2Vec2FeatureExtractor(do_normalize=standardize)(wave, sampling_rate=16000, return_tensors="pt")
    with torch.no_grad():
        output = library(inputs.input_values, output_hidden_states=True)
    for layer in (None, 1):
        encoder = make_encoder("huggingface", checkpoint=tmp_path, options={"layer": layer}).eval()
        expected = output.last_hidden_state if layer is None else output.hidden_states[layer]
        torch.testing.assert_close(encoder.embed(wave, 16000), expected.mean(dim=1), rtol=0, atol=1e-4)
        assert encoder.frontend.kind == "waveform" and encoder.frontend.standardize == standardize
        assert_every_parameter_receives_a_gradient(encoder, frames=2000)
    assert_comes_back_from_its_folder(encoder, tmp_path / "encoder", frames=2000)


@pytest.mark.parametrize("name", ["hubert", "wavlm"])
def test_waveform_models_export(name: str, tmp_path: Path) -> None:
    save(name, tmp_path)
    encoder = make_encoder("huggingface", options={"model": str(tmp_path), "layer": 1})
    assert "model" not in encoder.config.options, "a saved encoder needs no more than itself"
    assert_exports(encoder, 0.25, tmp_path / "export")
    assert [name for name in encoder.state_dict() if "parametrizations" in name], "the encoder itself is left alone"


def test_a_training_clip_is_heard_whole(tmp_path: Path) -> None:
    """Neither SpecAugment nor dropped layers: one clip twice in a batch differs by dropout alone."""
    save("wav2vec2", tmp_path)
    quiet = dict.fromkeys(("hidden_dropout", "attention_dropout", "activation_dropout", "feat_proj_dropout"), 0.0)
    encoder = make_encoder("huggingface", checkpoint=tmp_path, options={"config": quiet}).train()
    mel = torch.randn(1, 8000, 1)
    torch.testing.assert_close(encoder.embed_mel(mel), encoder.embed_mel(mel), rtol=0, atol=0)


@pytest.fixture(scope="module", params=[WhisperForConditionalGeneration, WhisperForAudioClassification])
def whisper(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, torch.nn.Module]:
    folder = tmp_path_factory.mktemp("whisper")
    torch.manual_seed(0)
    model = request.param(WhisperConfig(**WHISPER_SIZES, num_mel_bins=80)).eval()
    model.save_pretrained(folder)
    WhisperFeatureExtractor().save_pretrained(folder)
    return folder, model.encoder if request.param is WhisperForAudioClassification else model.model.encoder


def test_whisper_gives_the_librarys_hidden_states(whisper: tuple[Path, torch.nn.Module]) -> None:
    folder, library = whisper
    for seconds, layer in ((1.0, None), (1.2345, 1), (30.0, None)):
        encoder = make_encoder("huggingface", checkpoint=folder, options={"layer": layer}).eval()
        assert encoder.frontend == WHISPER
        wave = sound(round(16000 * seconds))
        inputs = WhisperFeatureExtractor()(wave, sampling_rate=16000, return_tensors="pt")
        with torch.no_grad():
            output = library(**inputs, output_hidden_states=True)
        # A token hears 320 samples: those of which the spectrogram holds any of the clip.
        tokens = min(1500, -(-encoder.frontend.frames(len(wave)) // 2))
        states = output.last_hidden_state if layer is None else output.hidden_states[layer]
        expected = states[:, :tokens].mean(dim=1)
        torch.testing.assert_close(encoder.embed(wave, 16000), expected, rtol=0, atol=1e-4)


def test_whisper_gradients_and_folder(whisper: tuple[Path, torch.nn.Module], tmp_path: Path) -> None:
    encoder = make_encoder("huggingface", checkpoint=whisper[0])
    assert_every_parameter_receives_a_gradient(encoder, frames=100)
    assert_comes_back_from_its_folder(encoder, tmp_path, frames=100)
    assert not [name for name in encoder.state_dict() if "decoder" in name]


def test_whisper_exports(tmp_path: Path) -> None:
    assert_exports(random("whisper", layer=1), 0.5, tmp_path)


def test_the_front_end_follows_the_checkpoint(tmp_path: Path) -> None:
    WhisperConfig(**WHISPER_SIZES, num_mel_bins=128).save_pretrained(tmp_path)
    assert frontend_for("huggingface", tmp_path).n_mels == 128
    HubertConfig(**SIZES).save_pretrained(tmp_path)
    assert frontend_for("huggingface", options={"model": str(tmp_path)}) == WAVEFORM
    Wav2Vec2FeatureExtractor(sampling_rate=8000, do_normalize=False).save_pretrained(tmp_path)
    spec = frontend_for("huggingface", tmp_path)
    assert (spec.sample_rate_hz, spec.standardize) == (8000, False)


def test_without_a_checkpoint_the_configuration_is_an_option() -> None:
    assert random("hubert").embed_mel(torch.randn(2, 4000, 1)).shape == (2, 32)
    assert random("whisper").embed_mel(torch.randn(2, 50, 80)).shape == (2, 32)


def test_what_does_not_fit_is_refused() -> None:
    with pytest.raises(InputError, match="needs a model"):
        make_encoder("huggingface")
    with pytest.raises(InputError, match="no audio encoder of this kind"):
        random("bert")
    with pytest.raises(InputError, match="no such layer"):
        random("hubert", layer=4)
    with pytest.raises(InputError, match="front end does not fit hubert"):
        make_encoder("huggingface", frontend=OPERA, options={"config": {"model_type": "hubert", **SIZES}})
    encoder = random("hubert")
    assert encoder.min_frames == 400
    with pytest.raises(InputError, match="too short"):
        encoder.embed_mel(torch.zeros(1, 399, 1))
    with pytest.raises(InputError, match="too long"):
        random("whisper").embed_mel(torch.zeros(1, 3003, 80))


@pytest.mark.parametrize(
    ("config", "words"),
    [
        ('{"model_type": "wav2vec2-bert"}', "another kind"),
        ('{"model_type": "mine", "auto_map": {"AutoModel": "mine.Model"}}', "another kind"),
        ("{}", "another kind"),
        ("not json", "cannot be loaded"),
    ],
)
def test_other_models_are_refused_with_a_list_of_what_is_possible(config: str, words: str, tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(config)
    with pytest.raises(ArtifactError, match=words) as caught:
        make_encoder("huggingface", checkpoint=tmp_path)
    assert words == "cannot be loaded" or "hubert" in str(caught.value)


def test_an_id_that_cannot_be_reached_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    with pytest.raises(ArtifactError, match="nobody/nothing cannot be loaded") as caught:
        make_encoder("huggingface", checkpoint="nobody/nothing")
    assert "download" in str(caught.value)
