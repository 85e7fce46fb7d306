"""What a self-supervised objective may use: clips by themselves, or two views of every clip of the batch."""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import nn

from acula_edge.encoders.base import AudioEncoder
from acula_edge.registry import Registry


class SelfSupervised(nn.Module):
    """Base of every self-supervised objective, with the head that it trains beside the encoder.

    Attributes:
        views: crops that it needs of every recording. With two, the second is used by this objective only.
    """

    views: ClassVar[int] = 1

    def __init__(self, encoder: AudioEncoder) -> None:
        super().__init__()

    @property
    def published(self) -> nn.Module | None:
        """The part whose weights an encoder's public checkpoint may hold; None where there is none."""
        return None

    def draws(self, encoder: AudioEncoder, frames: int) -> int:
        """Uniform random numbers that a clip of `frames` frames needs."""
        return 0

    def clip_losses(
        self, encoder: AudioEncoder, mel: torch.Tensor, embedding: torch.Tensor, noise: torch.Tensor
    ) -> torch.Tensor | None:
        """Losses that need nothing but the clip; None for objectives over the batch.

        Shape: mel [B, F, M], embedding [B, D], noise [B, draws] in [0, 1) -> [B].
        """
        return None

    def batch_loss(self, views: list[torch.Tensor], negatives: torch.Tensor) -> torch.Tensor | None:
        """Loss of the views' embeddings, each [B, D] over the whole batch of all processes; None without one.

        Args:
            negatives: [B, B] booleans: pairs of one data set and of two persons.
        """
        return None


self_supervised: Registry[type[SelfSupervised]] = Registry(
    "self-supervised objective", package="acula_edge.align.self_supervised"
)
