"""A small transformer with what the large ones have, and outlier channels planted where theirs are."""

from __future__ import annotations

import torch
from torch import nn

from tests.quantize.conftest import SPEC

WIDTH, HEADS, HIDDEN = 32, 4, 64
OUTLIER = 60.0


class Attention(nn.Module):
    """Fused queries, keys and values (ViT), or three layers over windows that are rolled and padded (Swin)."""

    def __init__(self, windowed: bool) -> None:
        super().__init__()
        self.windowed = windowed
        if windowed:
            self.query, self.key, self.value = (nn.Linear(WIDTH, WIDTH) for _ in range(3))
        else:
            self.qkv = nn.Linear(WIDTH, 3 * WIDTH)
        self.out = nn.Linear(WIDTH, WIDTH)

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        """Shape: [1, 6, 4, 32] -> [1, 6, 4, 32]."""
        rows, columns = tokens.shape[1:3]
        if self.windowed:
            tokens = torch.roll(nn.functional.pad(tokens, (0, 0, 0, 0, 0, 2)), (-1, -1), (1, 2))
            tokens = tokens.view(1, 2, 4, 1, 4, WIDTH).permute(0, 1, 3, 2, 4, 5).reshape(2, 16, WIDTH)
            parts = [
                layer(tokens).view(2, 16, HEADS, -1).transpose(1, 2) for layer in (self.query, self.key, self.value)
            ]
        else:
            tokens = tokens.reshape(1, rows * columns, WIDTH)
            parts = list(self.qkv(tokens).reshape(1, -1, 3, HEADS, WIDTH // HEADS).permute(2, 0, 3, 1, 4))
        query, key, value = parts
        weights = torch.softmax(query @ key.transpose(-2, -1) * (WIDTH // HEADS) ** -0.5, dim=-1)
        mixed = self.out((weights @ value).transpose(1, 2).reshape(tokens.shape))
        if self.windowed:
            mixed = mixed.view(1, 2, 1, 4, 4, WIDTH).permute(0, 1, 3, 2, 4, 5).reshape(1, 8, 4, WIDTH)
            return torch.roll(mixed, (1, 1), (1, 2))[:, :rows]
        return mixed.view(1, rows, columns, WIDTH)

    def readers(self) -> list[nn.Linear]:
        return [self.query, self.key, self.value] if self.windowed else [self.qkv]


class Block(nn.Module):
    def __init__(self, windowed: bool) -> None:
        super().__init__()
        self.before, self.after = nn.LayerNorm(WIDTH), nn.LayerNorm(WIDTH)
        self.attention = Attention(windowed)
        self.widen, self.narrow = nn.Linear(WIDTH, HIDDEN), nn.Linear(HIDDEN, WIDTH)

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        tokens = tokens + self.attention(self.before(tokens))
        return tokens + self.narrow(nn.functional.gelu(self.widen(self.after(tokens))))


class TinyTransformer(nn.Module):
    """mel [1, 65, 32] -> [1, 32]; two channels in front of every layer are sixty times as large as the others."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.frontend = SPEC
        self.patch = nn.Conv2d(1, WIDTH, (10, 8), (10, 8))
        self.blocks = nn.Sequential(Block(windowed=False), Block(windowed=True))
        self.last = nn.LayerNorm(WIDTH)
        with torch.no_grad():
            for parameter in self.parameters():
                if parameter.ndim == 1:
                    parameter.add_(0.2 * torch.randn(parameter.shape))
            for block in self.blocks:
                _plant(block)
        self.eval()

    def embed_mel(self, mel: torch.Tensor) -> torch.Tensor:
        tokens = self.patch(mel[:, None]).permute(0, 2, 3, 1)
        return self.last(self.blocks(tokens)).mean((1, 2))


def _plant(block: nn.Module) -> None:
    """Channels 3 and 17 become large and the weights that read them small; the function stays."""
    channels = [3, 17]
    attention = block.attention
    for norm, readers in ((block.before, attention.readers()), (block.after, [block.widen])):
        norm.weight[channels] *= OUTLIER
        norm.bias[channels] *= OUTLIER
        for reader in readers:
            reader.weight[:, channels] /= OUTLIER
    value, first = (attention.value, 0) if attention.windowed else (attention.qkv, 2 * WIDTH)
    value.weight[[first + channel for channel in channels]] *= OUTLIER
    value.bias[[first + channel for channel in channels]] *= OUTLIER
    attention.out.weight[:, channels] /= OUTLIER
    # A GELU does not let a factor through, but large inputs give large outputs.
    block.widen.weight[channels] *= OUTLIER
    block.narrow.weight[:, channels] /= OUTLIER
