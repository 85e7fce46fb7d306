"""Real Fourier transforms as two matrix products each, in NumPy: the constants of the graph forms.

A transform of length N = R C (Cooley and Tukey, Math. Comp. 19, 1965): C transforms of length R, the same matrix for
all, then one matrix per residue of k modulo R that holds the twiddle factors and the transform of length C. With
samples n = C n1 + n2,

    X[k] = sum over n2 of exp(-2 pi i n2 k / N) * Y[k mod R, n2],
    Y[k1, n2] = sum over n1 of exp(-2 pi i n1 k1 / R) * x[C n1 + n2].

The input is real, so Y[R - k1] is the conjugate of Y[k1], and the residues 1 .. R/2 - 1 give all others' powers too.
Residues 0 and R/2 have a real Y; the two share one complex slot, as the bins that they add up to fit in one. Bins 0
and N/2 are left out, because no mel filter weighs them.

The odd transform has its bins halfway between: X[j + 1/2]. Its residues pair up without exception.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

_TURN = -2j * np.pi


@dataclass(frozen=True)
class TransformFactors:
    """A real Fourier transform of length N = R C as two matrix products.

    Attributes:
        stage1: [R, R] real: samples [R, C] -> Y, two rows a slot: the real and imaginary parts of one residue, or, in
            the first slot of an even transform, Y of residues 0 and R/2.
        stage2: [R/2, 2 C, 2 C] real: a slot's two rows of Y, one after the other -> real parts of its bins, by rising
            frequency, then imaginary parts.
        bins: [R/2, C] which bin each output is; 0 for outputs that are always zero. Column p holds bins of p R/2 and
            above, up to (p + 1) R/2.
    """

    stage1: NDArray[np.float64]
    stage2: NDArray[np.float64]
    bins: NDArray[np.int64]


def factor_transform(length: int) -> TransformFactors:
    """Factor a transform of even `length`: its bins 1 .. N/2 - 1."""
    rows = _rows(length)
    columns, slots = length // rows, rows // 2
    residue = np.arange(slots)
    bins = residue[:, None] + rows * np.arange(columns)
    twiddles = np.exp(_TURN * bins[:, :, None] * np.arange(columns) / length)
    # X = sum of t (a + i b), in real numbers: a slot reads its C real parts a, then its C imaginary parts b.
    stage2 = np.concatenate([twiddles, 1j * twiddles], axis=2)
    # A real input has |X[N - k]| = |X[k]|: outputs beyond N/2 stand for the bins that they mirror.
    bins = np.minimum(bins, length - bins)

    stage1 = _stage1(residue, rows)
    # Slot 0: residue 0 has an imaginary part of zeros, and its row is free for the other residue whose Y is real, R/2:
    # exp(-pi i n) alternates between 1 and -1.
    stage1[1] = (-1.0) ** np.arange(rows)
    stage2[0], bins[0] = 0, 0
    for position in range(1, columns):
        k = position * slots
        # Bin p R/2 has residue 0 where p is even and R/2 where it is odd, which says which half of the slot's inputs it
        # is the transform of.
        start = columns * (position % 2)
        stage2[0, position, start : start + columns] = np.exp(_TURN * k * np.arange(columns) / length)
        bins[0, position] = k
    return _sorted(stage1, stage2, bins)


def factor_odd_transform(length: int) -> TransformFactors:
    """Factor the odd transform of even `length`: bin j, of 0 .. N/2 - 1, has the frequency (j + 1/2) / N."""
    rows = _rows(length)
    columns, slots = length // rows, rows // 2
    residue = np.arange(slots)
    bins = residue[:, None] + rows * np.arange(columns)
    # Half a bin up, residue s + 1/2 mirrors R - 1 - s + 1/2 and never itself: no slot is an exception.
    twiddles = np.exp(_TURN * (bins[:, :, None] + 0.5) * np.arange(columns) / length)
    stage2 = np.concatenate([twiddles, 1j * twiddles], axis=2)
    return _sorted(_stage1(residue + 0.5, rows), stage2, np.minimum(bins, length - 1 - bins))


def _rows(length: int) -> int:
    """The even divisor R that is nearest to C; the larger of two."""
    # A sample costs R multiplications in stage 1 and 2 C in stage 2 (complex sums in real numbers): of two splits that
    # are as near to square, the larger R costs less.
    divisors = [n for n in range(2, length + 1, 2) if length % n == 0]
    return min(divisors, key=lambda n: (abs(math.log(n * n / length)), -n))


def _stage1(residues: NDArray[Any], rows: int) -> NDArray[np.float64]:
    first = np.exp(_TURN * np.outer(residues, np.arange(rows)) / rows)
    return np.stack([first.real, first.imag], axis=1).reshape(rows, rows)


def _sorted(stage1: NDArray[np.float64], stage2: NDArray[np.complex128], bins: NDArray[np.int64]) -> TransformFactors:
    """Every slot's bins by rising frequency."""
    # So a mel filter, which weighs neighboring bins, reads a narrow slice of every slot (graph_mel.MelBands).
    order = np.argsort(bins, axis=1, kind="stable")
    stage2 = np.take_along_axis(stage2, order[:, :, None], axis=1)
    parts = np.concatenate([stage2.real, stage2.imag], axis=1)
    return TransformFactors(stage1, parts, np.take_along_axis(bins, order, axis=1))
