"""What a comparison of AUROCs needs to know, of two classes or of several."""

from __future__ import annotations

from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from acula_edge.probe.statistics.delong import Contrast

Array = NDArray[np.float64]


class Areas(Protocol):
    """AUROCs [K] of K models on the same recordings of subjects [S]."""

    @property
    def auroc(self) -> Array:
        """[K]."""

    @property
    def subjects(self) -> NDArray[np.str_]:
        """[S] distinct subjects, sorted."""

    @property
    def n_positive_subjects(self) -> int:
        """Subjects with a recording of the class; of several classes the fewest."""

    @property
    def n_negative_subjects(self) -> int:
        """Subjects with a recording of another class; of several classes the fewest."""

    def contrast(self, weights: Array) -> Contrast:
        """The combination `weights` [K] of the AUROCs."""
