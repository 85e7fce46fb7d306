"""Masked reconstruction: the encoder sees part of the patches, a decoder paints the rest (SPEC section 1.5)."""

from __future__ import annotations

import torch
from torch import nn

from acula_edge.align.self_supervised.base import SelfSupervised, self_supervised
from acula_edge.encoders.base import AudioEncoder


@self_supervised.register("mae")
class MaskedAutoencoder(SelfSupervised):
    """The masked form of encoders that have one; the pass is apart from the one that embeds, as published."""

    def __init__(self, encoder: AudioEncoder) -> None:
        super().__init__(encoder)
        self.decoder = encoder.make_decoder()

    @property
    def published(self) -> nn.Module:
        return self.decoder

    def draws(self, encoder: AudioEncoder, frames: int) -> int:
        return encoder.patches(frames)

    def clip_losses(
        self, encoder: AudioEncoder, mel: torch.Tensor, embedding: torch.Tensor, noise: torch.Tensor
    ) -> torch.Tensor:
        return encoder.masked_loss(mel, self.decoder, noise)
