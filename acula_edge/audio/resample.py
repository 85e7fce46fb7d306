"""Resampling by soxr, the same on every machine."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from acula_edge.errors import AudioError


def resample(wave: NDArray[np.float32], from_hz: int, to_hz: int) -> NDArray[np.float32]:
    """Resample with soxr's high-quality recipe; equal rates return the wave itself.

    Clipped or full-scale sound may overshoot [-1, 1] a little, as it does in any band-limited resampler.

    Shape: [T] -> [about T * to_hz / from_hz] float32.

    Raises:
        AudioError: a rate that is not positive.
    """
    if from_hz <= 0 or to_hz <= 0:
        raise AudioError("a sample rate must be positive", given=f"{from_hz} Hz to {to_hz} Hz")
    if from_hz == to_hz:
        return wave
    # Devices that record at a rate of the bundle's never need it.
    import soxr

    return np.asarray(soxr.resample(np.asarray(wave, dtype=np.float32), from_hz, to_hz, quality="HQ"), dtype=np.float32)
