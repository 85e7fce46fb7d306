"""Several channels into one, and whether they cancel each other on the way."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

CANCELLED = 0.25
"""Power of the mean of channels, as a share of what channels that have nothing in common would leave, below which they
cancel: two equally loud ones of which one is inverted (-0.75 correlated, or more so)."""


class ChannelMix:
    """The mean of channels, block by block, and the power that goes into it and comes out.

    Args:
        channels: how many.
    """

    def __init__(self, channels: int) -> None:
        self._samples = 0
        # The channels', and the mean's behind them.
        self._sums = np.zeros(channels + 1)
        self._squares = np.zeros(channels + 1)

    def add(self, block: NDArray[np.float32]) -> NDArray[np.float32]:
        """Shape: [T, C] -> [T]."""
        if block.shape[1] == 1:
            return block[:, 0]
        mean: NDArray[np.float32] = block.mean(axis=1, dtype=np.float32)
        self._samples += len(block)
        for index, wave in enumerate([*block.T, mean]):
            self._sums[index] += wave.sum(dtype=np.float64)
            self._squares[index] += np.einsum("t,t->", wave, wave, dtype=np.float64)
        return mean

    def cancelled(self) -> int | None:
        """The loudest channel where the channels cancel each other; None where they do not. Offsets are no sound."""
        if not self._samples:
            return None
        power = self._squares - self._sums**2 / self._samples
        channels, mean = power[:-1], power[-1]
        lost = mean < CANCELLED * channels.sum() / len(channels) ** 2
        return int(channels.argmax()) if lost else None
