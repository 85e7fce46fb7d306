"""Resampling by soxr, the same on every machine."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from acula_edge.audio.samples import check_rate
from acula_edge.errors import AudioError


def resample(wave: NDArray[np.float32], from_hz: int, to_hz: int) -> NDArray[np.float32]:
    """Resample with soxr's high-quality recipe; equal rates return the wave itself.

    Clipped or full-scale sound may overshoot [-1, 1] a little, as it does in any band-limited resampler.

    Shape: [T] -> [about T * to_hz / from_hz] float32, at least one sample.

    Raises:
        AudioError: no rate of sound, or so few samples that none is left.
    """
    if check_rate(from_hz) == check_rate(to_hz):
        return wave
    # Devices that record at a rate of the bundle's never need it.
    import soxr

    result = soxr.resample(np.asarray(wave, dtype=np.float32), from_hz, to_hz, quality="HQ")
    if not len(result):
        raise nothing_left(len(wave), from_hz, to_hz)
    return np.asarray(result, dtype=np.float32)


def nothing_left(samples: int, from_hz: int, to_hz: int) -> AudioError:
    """The error of sound that is shorter than half a sample at the rate at which it is heard."""
    return AudioError(f"the sound is too short: it holds no samples at {to_hz} Hz", given=f"{samples} at {from_hz} Hz")
