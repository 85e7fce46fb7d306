"""CLAP: the audio tower (HTS-AT) of LAION's contrastive audio-language models (SPEC section 1.7.6)."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch.nn import functional
from transformers import ClapAudioConfig, ClapAudioModel, ClapAudioModelWithProjection, ClapConfig, ClapModel

from acula_edge.encoders.base import AudioEncoder, AudioEncoderConfig, teachers
from acula_edge.encoders.hub import fill_module, plain_config, read_config, read_module, read_preprocessor
from acula_edge.encoders.teachers.opera_ct import FRAMES, stretching
from acula_edge.errors import InputError
from acula_edge.frontend.published import CLAP, CLAP_FUSED
from acula_edge.frontend.spec import FrontendSpec

_WINDOW_S = 10.0
_KINDS = {kind.model_type: kind for kind in (ClapConfig, ClapAudioConfig)}
_NORM = "audio_encoder.batch_norm."
# The fusion of clips of more than 10 s.
_UNUSED = ("audio_encoder.patch_embed.fusion_model.", "audio_encoder.patch_embed.mel_conv2d.")


@teachers.register("clap")
class Clap(AudioEncoder):
    """transformers' ClapAudioModel, the pooled output before the projection; D = 768.

    Clips of up to 10 s: the spectrogram is filled up to 10 s as the waveform is in the published front end, with whole
    repetitions and then silence. It differs from the published one in the frames at the seams, which hear the clip's
    reflection and not what follows. Clips of 10 to 10.2 s are taken as they are, longer ones refused: fusion
    checkpoints take the path of short clips (``is_longer=False``), whose weights alone are kept.

    Checkpoint: id or folder of a ``ClapModel``, ``ClapAudioModel`` or ``ClapAudioModelWithProjection``, as
    laion/clap-htsat-unfused or laion/clap-htsat-fused.

    Options:
        padding: ``"repeatpad"`` as published, or ``"stretch"``: every clip is stretched to the 1024 frames, which a
            network that is post-trained with one window length gets used to, and wastes none of them.
        config: values of :class:`transformers.ClapAudioConfig`, where there is no checkpoint.
    """

    published_frontend = CLAP
    min_frames = 2
    max_frames = FRAMES
    self_supervised = "preserve"

    def __init__(self, config: AudioEncoderConfig) -> None:
        super().__init__(config)
        options: dict[str, Any] = {"padding": "repeatpad", "config": {}, **config.options}
        if options["padding"] not in ("repeatpad", "stretch"):
            raise InputError("unknown padding of clap", given=options["padding"], allowed=("repeatpad", "stretch"))
        model = ClapAudioConfig.from_dict({**options["config"], "enable_fusion": False})
        if self.frontend.kind != "clap" or self.frontend.n_mels != model.num_mel_bins:
            raise InputError(
                "the front end does not fit clap",
                given=f"{self.frontend.kind} with {self.frontend.n_mels} bands",
                allowed=f"clap with {model.num_mel_bins} bands",
            )
        self.padding = options["padding"]
        self.backbone = ClapAudioModel(model)
        # Between normalization and network stands the stretching, a constant matrix here.
        self.norm = self.backbone.audio_encoder.batch_norm
        self.backbone.audio_encoder.set_submodule("batch_norm", nn.Identity())
        self.embedding_dim = int(self.backbone.audio_encoder.num_features)

    def embed_mel(self, mel: torch.Tensor) -> torch.Tensor:
        self.check_frames(mel.shape[1])
        if self.padding == "repeatpad":
            mel = self._filled(mel)
        bands = self.norm(mel.transpose(1, 2)[..., None])[..., 0]
        if bands.shape[2] < FRAMES:
            bands = bands @ torch.from_numpy(stretching(bands.shape[2])).to(bands)
        return self.backbone(input_features=bands.transpose(1, 2)[:, None], return_dict=True).pooler_output

    def _filled(self, mel: torch.Tensor) -> torch.Tensor:
        """Whole repetitions of a spectrogram, then silence, up to 10 s. Shape: [B, F, M] -> [B, max(F, 1001), M]."""
        frames, full = mel.shape[1], self.frontend.frames(self.frontend.samples(_WINDOW_S))
        if frames >= full:
            return mel
        # The last frame is centered on the end of the clip, where the next repetition begins.
        again = (full - 1) // (frames - 1) - 1
        mel = torch.cat([mel[:, :-1]] * again + [mel], dim=1)
        return functional.pad(mel, (0, 0, 0, full - mel.shape[1]), value=10 * math.log10(self.frontend.amin))

    @classmethod
    def frontend_for(cls, checkpoint: str | Path | None, options: dict[str, Any]) -> FrontendSpec:
        if checkpoint is None:
            return replace(CLAP, n_mels=options.get("config", {}).get("num_mel_bins", CLAP.n_mels))
        values = read_preprocessor(checkpoint)
        model = _audio_config(read_config(checkpoint, _KINDS))
        fused = values.get("truncation", "fusion" if model.enable_fusion else "rand_trunc") == "fusion"
        return replace(
            CLAP_FUSED if fused else CLAP,
            n_mels=model.num_mel_bins,
            fmin_hz=float(values.get("frequency_min", CLAP.fmin_hz)),
            fmax_hz=float(values.get("frequency_max", CLAP.fmax_hz)),
        )

    @classmethod
    def build(cls, config: AudioEncoderConfig, checkpoint: str | Path | None = None) -> AudioEncoder:
        if checkpoint is None:
            return cls(config)
        published = read_config(checkpoint, _KINDS)
        values = plain_config(_audio_config(published))
        config.options = {**config.options, "config": {**values, **config.options.get("config", {})}}
        encoder = cls(config)
        if published.model_type == "clap":
            tower = read_module(checkpoint, published, ClapModel, "audio_model")
        elif "ClapAudioModelWithProjection" in (published.architectures or ()):
            tower = read_module(checkpoint, published, ClapAudioModelWithProjection, "audio_model")
        else:
            tower = read_module(checkpoint, published, ClapAudioModel)
        state = {
            f"norm.{name.removeprefix(_NORM)}" if name.startswith(_NORM) else f"backbone.{name}": value
            for name, value in tower.state_dict().items()
            if not name.startswith(_UNUSED)
        }
        fill_module(encoder, state, checkpoint)
        return encoder


def _audio_config(published: Any) -> ClapAudioConfig:
    config: ClapAudioConfig = published.audio_config if published.model_type == "clap" else published
    return config
