"""COLA: two random crops of one recording should be recognized as such among the batch (SPEC section 1.7.4).

Only other persons of the same data set are what it must be told from: another recording of the same person sounds alike
for good reasons, and one of another corpus is told apart by its device.
"""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional

from acula_edge.align.self_supervised.base import SelfSupervised, self_supervised
from acula_edge.encoders.base import AudioEncoder


@self_supervised.register("cola")
class Cola(SelfSupervised):
    """The first view goes through an extra bilinear map; logits are inner products of the views."""

    views = 2

    def __init__(self, encoder: AudioEncoder) -> None:
        super().__init__(encoder)
        self.dropout = nn.Dropout(0.1)
        self.projection = nn.Linear(encoder.embedding_dim, 512)
        self.norm = nn.LayerNorm(512)
        self.bilinear = nn.Linear(512, 512, bias=False)

    @property
    def published(self) -> nn.Module:
        return self

    def batch_loss(self, views: list[torch.Tensor], negatives: torch.Tensor) -> torch.Tensor:
        logits = self.logits(*views).float()
        own = torch.eye(len(logits), dtype=torch.bool, device=logits.device)
        logits = logits.masked_fill(~(negatives | own), -1e4)
        return functional.cross_entropy(logits, torch.arange(len(logits), device=logits.device))

    def logits(self, first: torch.Tensor, second: torch.Tensor) -> torch.Tensor:
        """How much each clip's first view looks like every clip's second. Shape: two [B, D] -> [B, B]."""
        return self.bilinear(self._project(first)) @ self._project(second).T

    def _project(self, embedding: torch.Tensor) -> torch.Tensor:
        hidden = self.norm(self.dropout(self.projection(self.dropout(embedding))))
        return self.dropout(torch.tanh(hidden))
