"""OPERA-CT: HTS-AT, which is transformers' CLAP audio model, on spectrograms stretched to 1024 frames (SPEC 1.7.2)."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Any

import numpy as np
import torch
from torch import nn
from transformers import ClapAudioConfig, ClapAudioModel

from acula_edge.encoders.base import AudioEncoder, AudioEncoderConfig, teachers
from acula_edge.encoders.checkpoints import COLA_HEAD, PublicLayout
from acula_edge.errors import InputError

FRAMES = 1024
_BANDS = 64
_CROP_HOP = 512


@teachers.register("opera-ct")
class OperaCT(AudioEncoder):
    """HTS-AT over clips of up to 32.8 s in one piece, mean of the 64 final tokens; D = 768.

    Clips of more than 1024 frames: in evaluation the embeddings of the crops of :func:`crop_starts` are averaged; in
    training each clip gives one random crop.

    Options:
        drop_path_rate: stochastic depth, linear over blocks (0.1 as published).
        projection: end with the first layer of the COLA head, D = 512.
    """

    embedding_dim = 768
    self_supervised = "cola"

    def __init__(self, config: AudioEncoderConfig) -> None:
        super().__init__(config)
        options: dict[str, Any] = {"drop_path_rate": 0.1, "projection": False, **config.options}
        if self.frontend.n_mels != _BANDS:
            raise InputError(f"{config.encoder} takes {_BANDS} mel bands", given=self.frontend.n_mels, allowed=[_BANDS])
        self.norm = nn.BatchNorm1d(_BANDS)
        self.stretch = Stretch()
        self.backbone = ClapAudioModel(
            ClapAudioConfig(
                num_mel_bins=_BANDS,
                spec_size=256,
                hidden_size=self.embedding_dim,
                patch_size=4,
                patch_stride=[4, 4],
                patch_embeds_hidden_size=96,
                depths=[2, 2, 6, 2],
                num_attention_heads=[4, 8, 16, 32],
                window_size=8,
                enable_fusion=False,
                hidden_dropout_prob=0.0,
                drop_path_rate=options["drop_path_rate"],
            )
        )
        # As published, normalization comes before the stretching; both are done before the backbone here.
        self.backbone.audio_encoder.set_submodule("batch_norm", nn.Identity())
        _initialize(self.backbone)
        self.projection: nn.Linear | None = None
        if options["projection"]:
            self.projection = nn.Linear(self.embedding_dim, 512)
            self.embedding_dim = 512

    def embed_mel(self, mel: torch.Tensor) -> torch.Tensor:
        bands = self.norm(mel.transpose(1, 2))
        frames = bands.shape[2]
        if frames <= FRAMES:
            embedding = self._embed(bands)
        elif self.training:
            starts = torch.randint(frames - FRAMES + 1, (len(bands),)).tolist()
            crops = [clip[:, start : start + FRAMES] for clip, start in zip(bands, starts, strict=True)]
            embedding = self._embed(torch.stack(crops))
        else:
            crops = [self._embed(bands[..., start : start + FRAMES]) for start in crop_starts(frames)]
            embedding = torch.stack(crops).mean(dim=0)
        return embedding if self.projection is None else self.projection(embedding)

    def public_layout(self) -> PublicLayout:
        if self.projection is None:
            return PublicLayout(_public_name, COLA_HEAD, _UNUSED)
        return PublicLayout(_public_name, unused=_UNUSED | (COLA_HEAD.keys() - {"g.weight", "g.bias"}))

    def _embed(self, bands: torch.Tensor) -> torch.Tensor:
        """Shape: [B, 64, F] with F at most 1024 -> [B, 768]."""
        features = self.stretch(bands).transpose(1, 2)[:, None]
        return self.backbone(input_features=features, return_dict=True).pooler_output


class Stretch(nn.Module):
    """Bicubic interpolation to 1024 frames; a module so that exported graphs call its one node by name."""

    def forward(self, bands: torch.Tensor) -> torch.Tensor:
        """Shape: [B, 64, F] -> [B, 64, 1024]."""
        frames = bands.shape[2]
        return bands if frames == FRAMES else bands @ torch.from_numpy(stretching(frames)).to(bands)


def crop_starts(frames: int) -> range:
    """First frames of the crops of a clip of more than 1024 frames.

    As published, crops start at 0, 512, ... below frames - 1025, so that up to 513 frames at the end are not heard.
    The published rule leaves 1025 frames without any crop and crashes; here such a clip has one, as 1026 have.
    """
    return range(0, max(1, frames - FRAMES - 1), _CROP_HOP)


@lru_cache(maxsize=32)
def stretching(frames: int) -> np.ndarray:
    """Matrix that interpolates to 1024 frames, end points aligned.

    Equal to ``functional.interpolate(mode="bicubic", align_corners=True)`` along time, but a matrix product is all
    that every engine needs to know.

    Shape: [F, 1024].
    """
    position = np.linspace(0, frames - 1, FRAMES)
    left = np.floor(position)
    matrix = np.zeros((frames, FRAMES))
    for tap in (-1, 0, 1, 2):
        source = np.clip(left + tap, 0, frames - 1).astype(int)
        np.add.at(matrix, (source, np.arange(FRAMES)), _cubic(np.abs(position - left - tap)))
    return matrix.astype(np.float32)


def _cubic(distance: np.ndarray) -> np.ndarray:
    """Keys' kernel with the slope of -0.75 that PyTorch has."""
    slope, x = -0.75, distance
    near = ((slope + 2) * x - (slope + 3)) * x**2 + 1
    far = slope * (((x - 5) * x + 8) * x - 4)
    return np.where(x <= 1, near, np.where(x < 2, far, 0.0))


def _initialize(backbone: ClapAudioModel) -> None:
    """HTS-AT's initialization; transformers' is for weights that are loaded afterwards."""
    backbone.audio_encoder.patch_embed.proj.reset_parameters()
    for module in backbone.modules():
        if isinstance(module, nn.Linear):
            nn.init.trunc_normal_(module.weight, std=0.02)
        table = getattr(module, "relative_position_bias_table", None)
        if table is not None:
            nn.init.trunc_normal_(table, std=0.02)


_OWN_TO_PUBLIC = (
    (r"^norm\.", "bn0."),
    (r"^backbone\.audio_encoder\.", ""),
    (r"\.attention\.self\.(query|key|value)\.", ".attn.qkv."),
    (r"\.attention\.self\.", ".attn."),
    (r"\.attention\.output\.dense\.", ".attn.proj."),
    (r"\.intermediate\.dense\.", ".mlp.fc1."),
    (r"\.output\.dense\.", ".mlp.fc2."),
    (r"\.layernorm_before\.", ".norm1."),
    (r"\.layernorm_after\.", ".norm2."),
)
_PUBLIC_PREFIX = "encoder.encoder.htsat."


def _public_name(own: str) -> str:
    if own.startswith("projection."):
        return own.replace("projection.", "g.")
    for pattern, replacement in _OWN_TO_PUBLIC:
        own = re.sub(pattern, replacement, own)
    return _PUBLIC_PREFIX + own


# AudioSet's front end and classifier, which were published along, and what follows from the sizes of the windows.
_UNUSED = frozenset(
    _PUBLIC_PREFIX + name
    for name in (
        "spectrogram_extractor.stft.conv_real.weight",
        "spectrogram_extractor.stft.conv_imag.weight",
        "logmel_extractor.melW",
        "tscam_conv.weight",
        "tscam_conv.bias",
        "head.weight",
        "head.bias",
        *(f"layers.{stage}.blocks.{block}.attn_mask" for stage, block in ((0, 1), (1, 1), (2, 1), (2, 3), (2, 5))),
    )
)
