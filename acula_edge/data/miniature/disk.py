"""Parts of miniature releases: who has what, what of it can be heard, and tables as releases write them."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TypeVar

import numpy as np

from acula_edge.data.miniature import MiniatureConfig
from acula_edge.data.phantom.sound import Array

K = TypeVar("K")

HEARD, IMAGINED = 0.85, 0.06


def deal(rng: np.random.Generator, number: int, shares: Mapping[K, float]) -> list[K]:
    """`number` labels in random order, as many of each as its share says, to within one."""
    ends = np.round(np.cumsum(list(shares.values())) / sum(shares.values()) * number).astype(int)
    labels = [label for label, count in zip(shares, np.diff(ends, prepend=0), strict=True) for _ in range(count)]
    return [labels[place] for place in rng.permutation(len(labels))]


def heard(rng: np.random.Generator, present: bool) -> bool:
    """Whether a recording has the audible trait: most of those that should, and a few of the others."""
    return bool(rng.random() < (HEARD if present else IMAGINED))


def seconds(rng: np.random.Generator, config: MiniatureConfig) -> float:
    """Length of one recording."""
    return float(config.duration_s * rng.uniform(0.85, 1.15))


def brighten(wave: Array, amount: float) -> Array:
    """A wave with its high frequencies raised; 0 leaves it as it is."""
    return np.asarray(wave + amount * np.diff(wave, prepend=wave[:1]))


def write_rows(path: Path, rows: Iterable[Sequence[object]], delimiter: str = ",", bom: bool = False) -> None:
    """Write a table, the header first."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(path, "w", encoding="utf-8-sig" if bom else "utf-8", newline="") as file:
        csv.writer(file, delimiter=delimiter).writerows(rows)


def write_note(path: Path, text: str = "Not part of the recordings.\n") -> None:
    """A file that a reader must pass by."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
