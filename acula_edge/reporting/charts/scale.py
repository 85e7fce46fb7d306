"""From numbers to places on paper."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Scale:
    """A linear axis.

    Attributes:
        low, high: numbers at its ends.
        start, end: places of these.
    """

    low: float
    high: float
    start: float
    end: float

    def __call__(self, value: float) -> float:
        """Place of a number; numbers beyond the ends are put at the ends."""
        share = (value - self.low) / (self.high - self.low)
        return self.start + min(max(share, 0.0), 1.0) * (self.end - self.start)

    def ticks(self, about: int = 5) -> list[float]:
        """Round numbers on the axis."""
        step = round_step((self.high - self.low) / max(about, 1))
        first = math.ceil(self.low / step - 1e-9)
        last = math.floor(self.high / step + 1e-9)
        return [round(index * step, 10) for index in range(first, last + 1)]

    def decimals(self, about: int = 5) -> int:
        """Decimals that its ticks need."""
        step = round_step((self.high - self.low) / max(about, 1))
        return max(0, -math.floor(math.log10(step) + 1e-9))


def round_step(size: float) -> float:
    """The largest of 1, 2, 5 times a power of ten that is not above `size` by more than rounding."""
    power: float = 10.0 ** math.floor(math.log10(size))
    for factor in (1, 2, 5, 10):
        if size <= factor * power * 1.0001:
            return factor * power
    return 10 * power


def span(values: Sequence[float], pad: float = 0.06) -> tuple[float, float]:
    """Ends of an axis that shows `values` with some air."""
    low, high = min(values), max(values)
    air = (high - low) * pad or max(abs(high), 1.0) * 0.05
    return low - air, high + air
