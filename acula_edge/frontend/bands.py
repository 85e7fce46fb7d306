"""The mel filters as a few small matrices: every filter weighs a narrow range of bins, the lower the narrower."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from acula_edge.frontend.constants import keep_constant

# What one more matrix costs, in multiplications per frame: three more operators and a copy.
_MATRIX_COST = 1000


class MelBands(nn.Module):
    """Mel filters on power spectra whose bins rise along an axis of coarse frequency.

    Neighboring filters form a group, and a group's matrix reaches over the coarse frequencies that it needs.

    Args:
        weights: [S, C, M]: of slot and coarse frequency, for every filter.

    Shape: power [S, C, F] -> [M, F].
    """

    def __init__(self, weights: NDArray[np.float64]) -> None:
        super().__init__()
        self.reach = group_filters(weights)
        for index, (first, last, low, high) in enumerate(self.reach):
            matrix = weights[:, low:high, first:last].reshape(-1, last - first)
            keep_constant(self, f"filters{index}", matrix.T)

    def forward(self, power: torch.Tensor) -> torch.Tensor:
        """Shape: [S, C, F] -> [M, F]."""
        frames = power.shape[-1]
        parts = []
        for index, (_, _, low, high) in enumerate(self.reach):
            chosen = power if high - low == power.shape[1] else power[:, low:high]
            parts.append(getattr(self, f"filters{index}") @ chosen.reshape(-1, frames))
        return parts[0] if len(parts) == 1 else torch.cat(parts)


def group_filters(weights: NDArray[np.float64]) -> list[tuple[int, int, int, int]]:
    """Split filters into groups so that their matrices cost least in all (dynamic programming over the splits).

    Shape: weights [S, C, M] -> list of (first filter, last + 1, first coarse frequency, last + 1).
    """
    slots, coarse, filters = weights.shape
    heard = (weights != 0).any(axis=0)
    low = np.where(heard.any(axis=0), heard.argmax(axis=0), coarse - 1)
    high = np.where(heard.any(axis=0), coarse - heard[::-1].argmax(axis=0), coarse)
    costs, starts = [0.0], [0]
    for last in range(1, filters + 1):
        options = [
            costs[first] + (last - first) * int(high[first:last].max() - low[first:last].min()) * slots + _MATRIX_COST
            for first in range(last)
        ]
        starts.append(int(np.argmin(options)))
        costs.append(min(options))
    groups: list[tuple[int, int, int, int]] = []
    last = filters
    while last:
        first = starts[last]
        groups.insert(0, (first, last, int(low[first:last].min()), int(high[first:last].max())))
        last = first
    return groups
