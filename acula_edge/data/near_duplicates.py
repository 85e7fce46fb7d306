"""Pairs of recordings that hold the same sound, among any number of them, from their fingerprints.

Keys that two recordings share exactly, at one offset and more than once, propose a pair; it is then compared bit by
bit over the whole overlap, as Haitsma and Kalker do. Keys are worked off in parts of the key space, so that memory
does not grow with the number of recordings, but for the pairs that are proposed.

Not found are copies played faster or slower, and those with fewer than :data:`MIN_BITS` loud bits in common (a second
of a clean heart); figures are in ``benchmarks/results/near_duplicates.json``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from acula_edge.data.fingerprint import FRAME_S, Keys, Words, bit_error_rate

MIN_BITS = 500
_COMMON = 64
_PART_KEYS = 6_000_000
_MIN_VOTES = 2
_OFFSETS_TRIED = 3


class Prints(Protocol):
    """Fingerprints of N recordings, read when they are asked for."""

    def __len__(self) -> int: ...

    def words(self, number: int) -> Words:
        """Words [F, 2] of one recording."""

    def keys(self, number: int) -> Keys:
        """Its keys [K], and the frames [K] at which they begin."""


@dataclass(frozen=True)
class Pair:
    """Two recordings that hold the same sound.

    Attributes:
        first, second: their positions.
        bit_error: share of differing bits where both are loud; chance gives a half.
        bits: how many were compared.
        offset_s: by how much the second begins later than the first.
    """

    first: int
    second: int
    bit_error: float
    bits: int
    offset_s: float


def find_pairs(
    prints: Prints,
    rank: NDArray[Any],
    person: NDArray[Any],
    max_bit_error: float,
    progress: Callable[[int, int], None] | None = None,
) -> list[Pair]:
    """Pairs whose first has the higher rank, of different persons, by position.

    Args:
        rank: [N] pairs within one rank are not looked for, and recordings of a negative rank not at all.
        person: [N] integers.
        progress: called with (parts done, all of them).
    """
    highest = int(rank.max(initial=-1))
    lookups = [number for number in range(len(prints)) if rank[number] > 0]
    indexed = [number for number in range(len(prints)) if 0 <= rank[number] < highest]
    if not lookups or not indexed:
        return []
    total = sum(len(prints.keys(number)[0]) for number in indexed)
    parts = total // _PART_KEYS + 1
    proposals: list[NDArray[np.int64]] = []
    for part in range(parts):
        found = _propose(_gather(prints, lookups, part, parts), _gather(prints, indexed, part, parts), rank, person)
        proposals.append(found)
        if progress is not None:
            progress(part + 1, parts)
    pairs = []
    for first, second, offsets in _ballot(np.concatenate(proposals)):
        pair = _verify(prints, first, second, offsets, max_bit_error)
        if pair is not None:
            pairs.append(pair)
    return pairs


def _gather(prints: Prints, numbers: Sequence[int], part: int, parts: int) -> tuple[NDArray[Any], ...]:
    """Keys of one part in order, with recording and frame of each."""
    keys, owners, frames = [np.zeros(0, np.uint32)], [np.zeros(0, np.int32)], [np.zeros(0, np.int32)]
    for number in numbers:
        found, where = prints.keys(number)
        if parts > 1:
            mine = found % np.uint32(parts) == part
            found, where = found[mine], where[mine]
        keys.append(found)
        owners.append(np.full(len(found), number, np.int32))
        frames.append(where)
    every = np.concatenate(keys)
    order = np.argsort(every, kind="stable")
    return every[order], np.concatenate(owners)[order], np.concatenate(frames)[order]


def _propose(
    looked_up: tuple[NDArray[Any], ...], index: tuple[NDArray[Any], ...], rank: NDArray[Any], person: NDArray[Any]
) -> NDArray[np.int64]:
    """Rows [first, second, offset in frames, votes] of keys that agree."""
    keys, owners, frames = looked_up
    low, high = np.searchsorted(index[0], keys, "left"), np.searchsorted(index[0], keys, "right")
    counts = high - low
    counts[counts > _COMMON] = 0  # hum and silence: a key of everyone tells nothing
    hits = np.repeat(low - np.cumsum(counts) + counts, counts) + np.arange(counts.sum())
    first, second = np.repeat(owners, counts), index[1][hits]
    mine = (rank[second] < rank[first]) & (person[second] != person[first])
    offsets = (np.repeat(frames, counts) - index[2][hits])[mine]
    rows = np.stack([first[mine], second[mine], offsets], axis=1).astype(np.int64)
    unique, votes = np.unique(rows, axis=0, return_counts=True)
    return np.concatenate([unique, votes[:, None]], axis=1).astype(np.int64)


def _ballot(proposals: NDArray[np.int64]) -> Iterator[tuple[int, int, list[int]]]:
    """Per pair, in order, the offsets with the most votes; pairs without two votes near one offset are left out."""
    if not len(proposals):
        return
    rows = proposals[np.lexsort(proposals[:, 2::-1].T)]
    bounds = np.flatnonzero(np.any(np.diff(rows[:, :2], axis=0, prepend=-1), axis=1))
    for start, end in zip(bounds, [*bounds[1:], len(rows)], strict=True):
        group = rows[start:end]
        near = np.array([group[abs(group[:, 2] - offset) <= 1, 3].sum() for offset in group[:, 2]])
        if near.max() >= _MIN_VOTES:
            best = np.argsort(-near, kind="stable")[:_OFFSETS_TRIED]
            yield int(group[0, 0]), int(group[0, 1]), [int(offset) for offset in group[best, 2]]


def _verify(prints: Prints, first: int, second: int, offsets: Sequence[int], max_bit_error: float) -> Pair | None:
    best = None
    a, b = prints.words(first), prints.words(second)
    for offset in sorted({offset + near for offset in offsets for near in (-1, 0, 1)}):
        error, bits = bit_error_rate(a, b, offset)
        if bits >= MIN_BITS and error <= max_bit_error and (best is None or error < best.bit_error):
            best = Pair(first, second, round(error, 4), bits, round(offset * FRAME_S, 3))
    return best
