"""From recordings to subjects."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


def subject_means(values: Array, subjects: NDArray[Any]) -> Array:
    """Mean over each subject's recordings: [R, K] -> [S, K], subjects in sorted order."""
    distinct, index = np.unique(subjects, return_inverse=True)
    sums = np.zeros((len(distinct), values.shape[1]))
    np.add.at(sums, index, values)
    return sums / np.bincount(index)[:, None]
