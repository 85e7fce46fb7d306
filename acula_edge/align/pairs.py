"""Recordings and what their reports say, as the alignment task sees them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from acula_edge.data.store import StoredWave, WaveStore

WHOLE_SAMPLES = 1 << 22
"""Longer recordings (17 minutes at 4 kHz) are not read whole for a crop of seconds."""


@dataclass(frozen=True)
class Pairs:
    """Recordings and what their reports say.

    Attributes:
        rows: [N] positions in the store.
        text: [N, K] float32 targets.
        dataset: [N] integers.
        facts: [N] integers; equal for reports that say the same.
        subject: [N] integers; equal for recordings of one person.
        findings: [N, C] float32: 1 where a fact is stated, 0 where another value of it is, NaN where nothing is said of
            it. What a probe on validation persons is asked.
    """

    rows: np.ndarray
    text: np.ndarray
    dataset: np.ndarray
    facts: np.ndarray
    subject: np.ndarray
    findings: np.ndarray

    def __deepcopy__(self, memo: dict[int, Any]) -> Pairs:
        return self

    def __len__(self) -> int:
        return len(self.rows)


class Waves:
    """A store that is shared, not copied, when a task is copied for weight averaging."""

    def __init__(self, store: WaveStore) -> None:
        self.store = store

    def __deepcopy__(self, memo: dict[int, Any]) -> Waves:
        return self

    def __getitem__(self, row: int) -> np.ndarray | StoredWave:
        """The wave of a row; of one of hours only what is cut out of it is read."""
        return self.store[row] if self.store.samples(row) <= WHOLE_SAMPLES else self.store.sliced(row)
