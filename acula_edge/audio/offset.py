"""The offset of a converter whose zero is not the sound's: how much it is, and when it is taken out."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from acula_edge.audio.quality import PIECE_SAMPLES, cut_pieces

Wave = NDArray[np.float32]

OFFSET_SHARE = 0.5
"""Mean of a window, as a share of the RMS of what moves about it, beyond which it is a converter's offset and no sound.
Nine of ten windows of public recordings of hearts and lungs stay below 0.13."""

_STEPS = 32768


def offset_of(waves: Iterable[Wave]) -> np.float32:
    """The offset of a wave that comes in pieces, to be taken from it; 0 where it is too small to matter.

    Without it every frame at a window's end, where zeros follow, holds a step as large as the offset. What is smaller
    than :data:`OFFSET_SHARE` stays, so that sound about zero is not touched. A whole number of 16-bit steps: what is
    left of a 16-bit recording is what the same recording about zero holds, to the last bit. Equal however it is cut.
    """
    samples, total, squares = 0, 0.0, 0.0
    for wave in cut_pieces(waves, PIECE_SAMPLES):
        exact = wave.astype(np.float64)
        samples, total, squares = samples + wave.size, total + float(exact.sum()), squares + float(np.dot(exact, exact))
    mean = total / max(1, samples)
    moving = max(0.0, squares / max(1, samples) - mean * mean)
    return np.float32(round(mean * _STEPS) / _STEPS if mean * mean > OFFSET_SHARE**2 * moving else 0.0)


def without_offset(wave: Wave) -> Wave:
    """The wave itself where :func:`offset_of` finds none. Shape: [T] -> [T]."""
    offset = offset_of([wave])
    return wave - offset if offset else wave
