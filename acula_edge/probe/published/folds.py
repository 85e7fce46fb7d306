"""The folds of the published regressions (SPEC section 2.2)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from sklearn.model_selection import train_test_split

from acula_edge.probe.tasks import PublishedProbe

SEED = 42
"""Of every fold's validation draw."""


@dataclass(frozen=True)
class Fold:
    """Rows that one head learns from, is chosen by, and is tested on."""

    train: NDArray[np.intp]
    val: NDArray[np.intp]
    test: NDArray[np.intp]


def leave_one_out(subjects: Sequence[str], probe: PublishedProbe) -> list[Fold]:
    """One fold per subject, in order of first appearance; rows keep their order in the validation draw."""
    names = list(dict.fromkeys(subjects))
    owner = np.array([names.index(subject) for subject in subjects])
    folds = []
    for held_out in range(len(names)):
        others = np.flatnonzero(owner != held_out)
        if probe.val_unit == "subject":
            units = np.setdiff1d(np.arange(len(names)), [held_out])
            train, val = (others[np.isin(owner[others], part)] for part in _draw(units, probe.val_fraction))
        else:
            train, val = _draw(others, probe.val_fraction)
        folds.append(Fold(train, val, np.flatnonzero(owner == held_out)))
    return folds


def _draw(units: NDArray[np.intp], fraction: float) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    train, val = train_test_split(units, test_size=fraction, random_state=SEED)
    return train, val
