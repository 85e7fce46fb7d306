"""PCM as a device hands it over, made into the one form that everything after it takes."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from acula_edge.errors import AudioError

# Decoders of lossy formats overshoot full scale a little; integers that were only cast to float overshoot it a lot.
_FLOAT_LIMIT = 8.0
_INTEGER_SCALE = {2: np.float32(2.0**-15), 4: np.float32(2.0**-31)}


def to_wave(pcm: Any) -> NDArray[np.float32]:
    """Mono PCM to float32 in [-1, 1].

    Shape: [T] -> [T]. Accepted: int16, int32 (full scale is the type's range), float32, float64 (full scale is 1).

    Raises:
        AudioError: no samples, several channels, NaN or infinity, another type, or float samples that are
            plainly integers.
    """
    samples = np.asarray(pcm)
    if samples.ndim != 1:
        raise AudioError(
            "PCM must be mono, one dimension",
            given=f"shape {samples.shape}",
            remedy="average the channels first, for example pcm.mean(axis=1)",
        )
    if samples.size == 0:
        raise AudioError("there are no samples")
    if samples.dtype == np.int16 or samples.dtype == np.int32:
        # A power of two: exact, without float64 in between.
        return samples.astype(np.float32) * _INTEGER_SCALE[samples.dtype.itemsize]
    if samples.dtype != np.float32 and samples.dtype != np.float64:
        raise AudioError("PCM of this type is not read", given=samples.dtype, allowed="int16, int32, float32, float64")
    peak = float(np.max(np.abs(samples)))
    if not np.isfinite(peak):
        raise AudioError("the samples hold NaN or infinity")
    if peak > _FLOAT_LIMIT:
        raise AudioError(
            "float PCM must lie in [-1, 1]",
            given=f"a peak of {peak:g}",
            remedy="pass the integers themselves, or divide by their full scale (32768 for 16 bits)",
        )
    return samples.astype(np.float32)


def check_rate(sample_rate_hz: int) -> int:
    """A sample rate that sound can have.

    Raises:
        AudioError: not a number between 100 Hz and 1 MHz.
    """
    if not 100 <= sample_rate_hz <= 1_000_000:
        raise AudioError("this is no sample rate of sound", given=sample_rate_hz, allowed="100 to 1000000 Hz")
    return sample_rate_hz
