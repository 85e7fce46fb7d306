"""The decoder of OPERA-GT's masked autoencoder: 16 windowed blocks in the manner of Swin v2 (SPEC section 1.7.3).

It exists so that the published decoder's weights can go on being trained; its odd geometry is theirs.
"""

from __future__ import annotations

import torch
from timm.layers.mlp import Mlp
from torch import nn

from acula_edge.encoders.masked import grid_positions, take

POSITIONS = 1024
NORM_EPS = 1e-6
_GRID = (32, 8)
_WIDTH = 256
_SIDE = 4
_SHIFT = 2


def position_table(width: int) -> torch.Tensor:
    """Fixed position table as published; row 0, the class token's, is zero.

    It was made for a grid of 16 x 64 (frequency, time) while tokens run over (time, frequency): the position k of a
    token is not split in k // 16 and k % 16, its time and frequency, but in k // 64 and k % 64.

    Shape: [1, 1 + 1024, width].
    """
    return grid_positions(POSITIONS // 64, 64, width)


def initialize_linear(module: nn.Module) -> None:
    """Initialize every linear layer below `module` as masked autoencoders do: Xavier uniform, no bias."""
    for layer in module.modules():
        if isinstance(layer, nn.Linear):
            nn.init.xavier_uniform_(layer.weight)
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)


class WindowAttention(nn.Module):
    """Cosine attention among the 16 tokens of a window, with a learned bias of their log-spaced offsets."""

    offsets: torch.Tensor

    def __init__(self, heads: int = 16) -> None:
        super().__init__()
        self.heads = heads
        self.tau = nn.Parameter(torch.ones(heads))
        self.qkv = nn.Linear(_WIDTH, 3 * _WIDTH)
        self.proj = nn.Linear(_WIDTH, _WIDTH)
        self.meta_mlp = Mlp(2, 384, heads, act_layer=nn.ReLU, drop=0.1)
        self.register_buffer("offsets", _log_offsets(), persistent=False)

    def forward(self, x: torch.Tensor, mask: torch.Tensor | None) -> torch.Tensor:
        """Shape: x [N, 16, 256], mask [16, 16, 16], one for each window of a grid, or None -> [N, 16, 256]."""
        query, key, value = self.qkv(x).unflatten(2, (3, self.heads, -1)).permute(2, 0, 3, 1, 4)
        norms = query.norm(dim=-1)[..., :, None] * key.norm(dim=-1)[..., None, :]
        scores = query @ key.transpose(-2, -1) / norms.clamp(min=1e-6)
        scores = scores / self.tau.clamp(min=0.01)[:, None, None] + self.meta_mlp(self.offsets).permute(2, 0, 1)
        if mask is not None:
            scores = (scores.unflatten(0, (-1, len(mask))) + mask[:, None]).flatten(0, 1)
        return self.proj((scores.softmax(dim=-1) @ value).transpose(1, 2).flatten(2))


class WindowBlock(nn.Module):
    """Attention and MLP, each normalized behind, not before.

    Args:
        shift: rows by which the grid is rolled before it is cut into windows.
    """

    mask: torch.Tensor | None

    def __init__(self, shift: int) -> None:
        super().__init__()
        self.shift = shift
        self.attn = WindowAttention()
        self.norm1 = nn.LayerNorm(_WIDTH, eps=NORM_EPS)
        self.mlp = Mlp(_WIDTH, 4 * _WIDTH)
        self.norm2 = nn.LayerNorm(_WIDTH, eps=NORM_EPS)
        self.register_buffer("mask", _shift_mask(shift) if shift else None, persistent=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Shape: [B, L, 256] -> [B, L, 256], L a multiple of 256."""
        x = x + self.norm1(self._attend(x))
        return x + self.norm2(self.mlp(x))

    def _attend(self, x: torch.Tensor) -> torch.Tensor:
        """Windowed attention in the published layout of memory.

        The 256 channels, not the tokens, are taken as the grid of 32 x 8 on the way in, and the last axis is taken as
        channels on the way out. The two are inverse to each other at L = 256 only; the weights were trained with it.
        """
        batch, tokens, _ = x.shape
        grid = x.reshape(batch, *_GRID, tokens).roll(-self.shift, dims=1)
        windows = self.attn(_cut(grid).reshape(-1, _SIDE**2, _WIDTH), self.mask)
        return _join(windows).roll(self.shift, dims=1).reshape(x.shape)


class OperaGTDecoder(nn.Module):
    """From the tokens of the visible patches to the values of every patch.

    Args:
        width: of the encoder's tokens.
        patch_values: values of one patch.
        depth: blocks; every second one is shifted.
    """

    pos_embed: torch.Tensor

    def __init__(self, width: int = 384, patch_values: int = 16, depth: int = 16) -> None:
        super().__init__()
        self.embed = nn.Linear(width, _WIDTH)
        self.mask_token = nn.Parameter(torch.zeros(1, 1, _WIDTH))
        self.register_buffer("pos_embed", position_table(_WIDTH))
        self.blocks = nn.Sequential(*(WindowBlock(shift=_SHIFT * (number % 2)) for number in range(depth)))
        self.norm = nn.LayerNorm(_WIDTH, eps=NORM_EPS)
        self.pred = nn.Linear(_WIDTH, patch_values)
        initialize_linear(self)
        nn.init.normal_(self.mask_token, std=0.02)

    def forward(self, latent: torch.Tensor, rank: torch.Tensor) -> torch.Tensor:
        """Predict all patches, the visible ones included.

        Shape: latent [B, 1 + K, W], the class token first; rank [B, L] of :func:`keep_smallest` -> [B, L, P].
        """
        visible = self.embed(latent)[:, 1:]
        hidden = self.mask_token.expand(len(visible), rank.shape[1] - visible.shape[1], -1)
        tokens = take(torch.cat([visible, hidden.to(visible.dtype)], dim=1), rank)
        tokens = tokens + self.pos_embed[:, 1 : 1 + tokens.shape[1]]
        return self.pred(self.norm(self.blocks(tokens)))


def _cut(grid: torch.Tensor) -> torch.Tensor:
    """Windows of a grid, row by row. Shape: [B, 32, 8, C] -> [B * 16, 16, C]."""
    windows = grid.unflatten(2, (-1, _SIDE)).unflatten(1, (-1, _SIDE))
    return windows.transpose(2, 3).flatten(3, 4).flatten(0, 2)


def _join(windows: torch.Tensor) -> torch.Tensor:
    """Grids of windows. Shape: [N, 16, 256] -> [N / 16, 32, 8, 256]."""
    rows, columns = (size // _SIDE for size in _GRID)
    grid = windows.reshape(-1, rows, columns, _SIDE, _SIDE, _WIDTH).transpose(2, 3)
    return grid.reshape(-1, *_GRID, _WIDTH)


def _log_offsets() -> torch.Tensor:
    """Sign times log(1 + distance) between the tokens of a window, by axis. Shape: [16, 16, 2]."""
    steps = torch.arange(_SIDE, dtype=torch.float32)
    places = torch.cartesian_prod(steps, steps)
    offsets = places[:, None] - places[None]
    return offsets.sign() * offsets.abs().log1p()


def _shift_mask(shift: int) -> torch.Tensor:
    """-100 between tokens of one window that are neighbors only because the grid was rolled. Shape: [16, 16, 16]."""
    region = torch.zeros(_GRID)
    region[-_SIDE:-shift] = 1
    region[-shift:] = 2
    windows = _cut(region[None, ..., None])[..., 0]
    return torch.where(windows[:, :, None] == windows[:, None], 0.0, -100.0)
