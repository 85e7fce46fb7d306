"""What masked autoencoders over spectrograms share: patches, positions, masking, reconstruction error (SPEC 1.5)."""

from __future__ import annotations

import torch


def patchify(mel: torch.Tensor, side: int) -> torch.Tensor:
    """Values of square patches, time-major, each in row-major order.

    Shape: [B, F, M] -> [B, F / side * M / side, side^2].
    """
    grid = mel.unflatten(2, (-1, side)).unflatten(1, (-1, side))
    return grid.transpose(2, 3).flatten(3).flatten(1, 2)


def grid_positions(rows: int, columns: int, width: int) -> torch.Tensor:
    """Fixed position table of a grid of tokens, row by row: sines and cosines of the column, then of the row.

    Row 0 of the table, the class token's, is zero.

    Shape: [1, 1 + rows * columns, width].
    """
    position = torch.arange(rows * columns, dtype=torch.float64)
    count = width // 4
    frequency = 10000.0 ** (-torch.arange(count, dtype=torch.float64) / count)
    angles = [place[:, None] * frequency for place in (position % columns, position // columns)]
    table = torch.cat([wave for angle in angles for wave in (angle.sin(), angle.cos())], dim=1)
    return torch.cat([torch.zeros(1, width, dtype=torch.float64), table]).float()[None]


def keep_smallest(noise: torch.Tensor, keep: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Positions of the `keep` smallest values of every row, and the rank of every value.

    The rank of a position is where a list of the kept tokens followed by mask tokens holds its token, and positions
    of rank `keep` and above are the masked ones.

    Shape: noise [B, L] -> kept [B, keep], rank [B, L].
    """
    order = noise.argsort(dim=1)
    return order[:, :keep], order.argsort(dim=1)


def take(tokens: torch.Tensor, positions: torch.Tensor) -> torch.Tensor:
    """Tokens at given positions. Shape: tokens [B, L, W], positions [B, K] -> [B, K, W]."""
    return torch.take_along_dim(tokens, positions[..., None], dim=1)


def reconstruction_error(predicted: torch.Tensor, target: torch.Tensor, masked: torch.Tensor) -> torch.Tensor:
    """Mean squared error over the masked patches of every clip.

    Shape: predicted, target [B, L, P], masked [B, L] bool -> [B].
    """
    error = (predicted.float() - target.float()).square().mean(dim=-1)
    return (error * masked).sum(dim=1) / masked.sum(dim=1)
