"""Self-supervised objectives that keep the acoustic detail while the encoder is aligned."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional

from acula_edge.registry import Registry


class Cola(nn.Module):
    """COLA: two random crops of one recording should be recognized as such among the batch (SPEC section 1.7.4).

    The first view goes through an extra bilinear map; logits are inner products of the views.

    Args:
        width: D of the encoder.
    """

    views = 2

    def __init__(self, width: int) -> None:
        super().__init__()
        self.dropout = nn.Dropout(0.1)
        self.projection = nn.Linear(width, 512)
        self.norm = nn.LayerNorm(512)
        self.bilinear = nn.Linear(512, 512, bias=False)

    def forward(self, first: torch.Tensor, second: torch.Tensor) -> torch.Tensor:
        """Loss of two [B, D] views."""
        logits = self.bilinear(self._project(first)) @ self._project(second).T
        return functional.cross_entropy(logits.float(), torch.arange(len(first), device=first.device))

    def _project(self, embedding: torch.Tensor) -> torch.Tensor:
        hidden = self.norm(self.dropout(self.projection(self.dropout(embedding))))
        return self.dropout(torch.tanh(hidden))


self_supervised: Registry[type[Cola]] = Registry("self-supervised objective")
self_supervised.register("cola", Cola)
