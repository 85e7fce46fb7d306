"""Feature preservation: for encoders without a self-supervised head, stay near where they started (SPEC section 6)."""

from __future__ import annotations

import copy

import torch
from torch import nn
from torch.nn import functional

from acula_edge.align.self_supervised.base import SelfSupervised, self_supervised
from acula_edge.encoders.base import AudioEncoder


@self_supervised.register("preserve")
class Preserve(SelfSupervised):
    """A linear head must still read the starting encoder's embedding of the same crop from the trained one's.

    Both are standardized over their D values, so the mean squared error is 0 where all is preserved and about 1 where
    nothing is. The head starts as the identity: at the first step nothing is lost.
    """

    def __init__(self, encoder: AudioEncoder) -> None:
        super().__init__(encoder)
        width = encoder.embedding_dim
        self.head = nn.Linear(width, width)
        nn.init.eye_(self.head.weight)
        nn.init.zeros_(self.head.bias)
        # In a list, so that its weights, which the recipe gives again at any time, stay out of every saved state.
        self._start = [copy.deepcopy(encoder).eval().requires_grad_(False)]

    def clip_losses(
        self, encoder: AudioEncoder, mel: torch.Tensor, embedding: torch.Tensor, noise: torch.Tensor
    ) -> torch.Tensor:
        start = self._start[0]
        if start.device != mel.device:
            start.to(mel.device)
        with torch.no_grad():
            target = functional.layer_norm(start.embed_mel(mel).float(), (encoder.embedding_dim,))
        read = functional.layer_norm(self.head(embedding).float(), (encoder.embedding_dim,))
        return (read - target).square().mean(1)
