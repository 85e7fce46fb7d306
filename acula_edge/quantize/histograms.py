"""A histogram of one activation that widens itself: bounded memory over any number of windows, in one pass.

Bins are a power of two wide. A value that falls outside doubles the width as often as needed, and two bins become one:
floor(floor(x / w) / 2) = floor(x / 2w), so counts are those of a histogram that had the final width from the start.
The result does not depend on the order of the windows.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

_BITS = 13
BINS = 1 << _BITS
"""Bins on either side of 0; at least half of them are in use on the side of the largest magnitude."""

Range = tuple[float, float]


class Histogram:
    """Counts of numbers and their exact extremes; 0 is within these always, since INT8 has to represent it.

    Attributes:
        low, high: smallest and largest number seen, 0 included.
        counts: bin i holds numbers in [(i - BINS) w, (i - BINS + 1) w), w being :attr:`width`. Shape: [2 BINS].
    """

    def __init__(self) -> None:
        self.low = self.high = 0.0
        self.counts = np.zeros(2 * BINS, np.int64)
        self._exponent: int | None = None

    @property
    def width(self) -> float:
        """Width of a bin; 0 as long as nothing but zeros was seen."""
        return 0.0 if self._exponent is None else math.ldexp(1.0, self._exponent)

    @property
    def range(self) -> Range:
        """Smallest and largest number seen, 0 included."""
        return self.low, self.high

    def add(self, array: NDArray[Any]) -> None:
        """Count the numbers of an array of any shape, all finite."""
        if not array.size:
            return
        low, high = float(array.min()), float(array.max())
        self.low, self.high = min(self.low, low), max(self.high, high)
        largest = max(-low, high)
        if largest > 0:
            self._widen(math.frexp(largest)[1] - _BITS)
        scaled = np.ldexp(array.ravel(), -self._exponent) if self._exponent is not None else np.zeros(array.size)
        self.counts += np.bincount(np.floor(scaled).astype(np.int64) + BINS, minlength=2 * BINS)

    def occupied(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Centers of the bins that hold anything, and how much. Shape: [n], [n]."""
        held = np.flatnonzero(self.counts)
        return np.asarray((held - BINS + 0.5) * self.width, np.float64), self.counts[held].astype(np.float64)

    def magnitudes(self) -> NDArray[np.float64]:
        """Counts of absolute values in bins of the same width from 0. Shape: [BINS]."""
        return (self.counts[BINS:] + self.counts[:BINS][::-1]).astype(np.float64)

    def _widen(self, exponent: int) -> None:
        if self._exponent is None:
            self._exponent = exponent
        if exponent <= self._exponent:
            return
        position = (np.arange(-BINS, BINS) >> min(exponent - self._exponent, _BITS + 1)) + BINS
        held = np.flatnonzero(self.counts)
        widened = np.zeros_like(self.counts)
        np.add.at(widened, position[held], self.counts[held])
        self.counts, self._exponent = widened, exponent
