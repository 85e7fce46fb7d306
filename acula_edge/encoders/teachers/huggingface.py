"""Any audio encoder of transformers that reads waveforms, and Whisper's encoder, by Hugging Face id or folder."""

from __future__ import annotations

import copy
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch.nn.utils import parametrize
from transformers import (
    AutoModel,
    Data2VecAudioConfig,
    HubertConfig,
    PretrainedConfig,
    UniSpeechConfig,
    UniSpeechSatConfig,
    Wav2Vec2Config,
    WavLMConfig,
    WhisperConfig,
    WhisperModel,
)
from transformers.models.whisper.modeling_whisper import WhisperEncoder

from acula_edge.encoders.base import AudioEncoder, AudioEncoderConfig, teachers
from acula_edge.encoders.hub import fill_module, plain_config, read_config, read_module, read_preprocessor
from acula_edge.errors import InputError
from acula_edge.frontend.published import WAVEFORM, WHISPER
from acula_edge.frontend.spec import FrontendSpec

_CONFIGS = (
    Data2VecAudioConfig, HubertConfig, UniSpeechConfig, UniSpeechSatConfig, Wav2Vec2Config, WavLMConfig, WhisperConfig,
)  # fmt: skip
KINDS = {config.model_type: config for config in _CONFIGS}
"""Values of ``model_type`` that can be loaded."""


@teachers.register("huggingface")
class HuggingFace(AudioEncoder):
    """Mean over time of the last hidden state of wav2vec 2.0 and its kin, or of Whisper's encoder.

    Whisper hears 30 s: a shorter spectrogram is followed by what silence has, and the mean is over the tokens that
    hear some of the clip. Layer dropping and SpecAugment of the published trainings are off.

    Checkpoint (or the option `model`): id or folder of a model of one of :data:`KINDS`, with any head or none.

    Options:
        model: the same as the checkpoint, for recipes.
        layer: number of transformer layers to go through, the others are dropped: the embedding is the mean of
            ``hidden_states[layer]``, in a network that never gets to its last normalization. None for all.
        config: values of the model's configuration with its ``model_type``; a saved encoder has it from its checkpoint.
    """

    published_frontend = WAVEFORM
    self_supervised = "preserve"
    backbone: Any

    def __init__(self, config: AudioEncoderConfig) -> None:
        super().__init__(config)
        if not config.options.get("config"):
            raise InputError(
                "the encoder huggingface needs a model",
                allowed=f"a Hugging Face id or folder of one of {', '.join(KINDS)}",
                remedy="name it: encoder.checkpoint, or encoder.options.model",
            )
        model = _rebuild(config.options["config"])
        self.whisper = model.model_type == "whisper"
        wanted = frontend_of(model, {})
        if (self.frontend.kind, self.frontend.n_mels) != (wanted.kind, wanted.n_mels):
            raise InputError(
                f"the front end does not fit {model.model_type}",
                given=f"{self.frontend.kind} with {self.frontend.n_mels} bands",
                allowed=f"{wanted.kind} with {wanted.n_mels} bands",
            )
        self.backbone = _cut(WhisperEncoder(model) if self.whisper else AutoModel.from_config(model), config.options)
        for name, parameter in self.backbone.named_parameters():
            # Only SpecAugment has a use for it, but UniSpeech-SAT always has one.
            parameter.requires_grad_(parameter.requires_grad and name != "masked_spec_embed")
        self.embedding_dim = model.d_model if self.whisper else model.hidden_size
        if self.whisper:
            # Each token hears two frames; the last frames of a whole 30 s lie behind its end.
            self.frames = 2 * model.max_source_positions
            self.max_frames = self.frontend.frames(self.frames * self.frontend.hop_length)
        else:
            self.min_frames = _receptive_field(model)

    def embed_mel(self, mel: torch.Tensor) -> torch.Tensor:
        self.check_frames(mel.shape[1])
        if not self.whisper:
            return self.backbone(mel[..., 0]).last_hidden_state.mean(dim=1)
        heard = mel[:, : self.frames]
        hidden = self.backbone(self._followed_by_silence(heard).transpose(1, 2)).last_hidden_state
        return hidden[:, : -(-heard.shape[1] // 2)].mean(dim=1)

    def deployable(self) -> AudioEncoder:
        """A copy in evaluation mode; the convolution of positions has one weight, not norm and direction apart."""
        merged = copy.deepcopy(self).eval()
        for name, module in list(merged.named_modules()):
            if isinstance(module, nn.Conv1d) and parametrize.is_parametrized(module, "weight"):
                merged.set_submodule(name, _plain(module))
        return merged

    @classmethod
    def frontend_for(cls, checkpoint: str | Path | None, options: dict[str, Any]) -> FrontendSpec:
        source = checkpoint or options.get("model")
        if source is None:
            return frontend_of(_rebuild(options["config"]), {}) if options.get("config") else cls.published_frontend
        return frontend_of(read_config(source, KINDS), read_preprocessor(source))

    @classmethod
    def build(cls, config: AudioEncoderConfig, checkpoint: str | Path | None = None) -> AudioEncoder:
        options = {name: value for name, value in config.options.items() if name != "model"}
        source = checkpoint or config.options.get("model")
        if source is None:
            return cls(config)
        published = read_config(source, KINDS)
        config.options = {**options, "config": {**plain_config(published), **options.get("config", {})}}
        encoder = cls(config)
        model = _rebuild(config.options["config"])
        if encoder.whisper:
            # The decoder's layers are not even read.
            model.decoder_layers = 0
            backbone = read_module(source, model, WhisperModel, "encoder")
        else:
            backbone = read_module(source, model, type(encoder.backbone))
        fill_module(encoder.backbone, _cut(backbone, options).state_dict(), source)
        return encoder

    def _followed_by_silence(self, mel: torch.Tensor) -> torch.Tensor:
        """A spectrogram, and what zeros behind the clip would have given. Shape: [B, F, M] -> [B, 3000, M]."""
        spec, missing = self.frontend, self.frames - mel.shape[1]
        if not missing:
            return mel
        lowest = (math.log10(spec.amin) + 4) / 4
        silence = (mel.amax((1, 2), keepdim=True) - spec.top_db / 40).clamp_min(lowest)
        return torch.cat([mel, silence.expand(-1, missing, spec.n_mels)], dim=1)


def frontend_of(model: PretrainedConfig, preprocessor: dict[str, Any]) -> FrontendSpec:
    """The front end of a model, from its configuration and the values of its feature extractor, as far as there are.

    Without any, waveforms are standardized, as ``Wav2Vec2FeatureExtractor`` does unless told otherwise.
    """
    rate = preprocessor.get("sampling_rate", WAVEFORM.sample_rate_hz)
    if model.model_type == "whisper":
        return replace(WHISPER, sample_rate_hz=rate, n_mels=model.num_mel_bins)
    return replace(WAVEFORM, sample_rate_hz=rate, standardize=preprocessor.get("do_normalize", True))


def _rebuild(values: dict[str, Any]) -> Any:
    """A configuration from its values, without what only speech recognition or its training needs."""
    values = dict(values)
    kind = values.pop("model_type", None)
    if kind not in KINDS:
        raise InputError("no audio encoder of this kind can be loaded", given=kind, allowed=KINDS)
    if kind == "whisper":
        values["encoder_layerdrop"] = 0.0
    else:
        values |= {"add_adapter": False, "layerdrop": 0.0, "mask_time_prob": 0.0, "mask_feature_prob": 0.0}
    return KINDS[kind].from_dict(values)


def _cut(backbone: nn.Module, options: dict[str, Any]) -> nn.Module:
    """Drop the layers behind the one that is asked for, and the normalization behind them all."""
    layer = options.get("layer")
    if layer is None:
        return backbone
    encoder: Any = backbone if isinstance(backbone, WhisperEncoder) else backbone.encoder
    depth = len(encoder.layers)
    if not 1 <= layer <= depth:
        raise InputError("the model has no such layer", given=f"layer={layer}", allowed=f"1 to {depth}")
    encoder.layers = encoder.layers[:layer]
    # With normalization before every layer the last one stands behind all of them, else before the first.
    behind = isinstance(backbone, WhisperEncoder) or getattr(encoder.config, "do_stable_layer_norm", False)
    if layer < depth and behind:
        encoder.layer_norm = nn.Identity()
    return backbone


def _plain(conv: nn.Conv1d) -> nn.Conv1d:
    """A convolution with the weight that a parametrized one computes.

    ``remove_parametrizations`` would break the original along with its copy: the two share a class.
    """
    plain = nn.Conv1d(
        conv.in_channels,
        conv.out_channels,
        conv.kernel_size[0],
        stride=conv.stride[0],
        padding=conv.padding[0],
        dilation=conv.dilation[0],
        groups=conv.groups,
        bias=conv.bias is not None,
    )
    state = {"weight": conv.weight} if conv.bias is None else {"weight": conv.weight, "bias": conv.bias}
    plain.load_state_dict(state)
    return plain


def _receptive_field(model: PretrainedConfig) -> int:
    """Samples that one token hears."""
    samples = 1
    for kernel, stride in zip(reversed(model.conv_kernel), reversed(model.conv_stride), strict=True):
        samples = (samples - 1) * stride + kernel
    return samples
