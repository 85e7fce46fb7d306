"""What sound may be: the one rule by which every door of this program takes samples or refuses them.

Files (:mod:`acula_edge.audio.decode`), PCM on the device (:mod:`acula_edge.runtime`), front ends and encoders called
from Python all ask here, so that they decide alike and say the same reason. What lies behind the doors (the torch and
graph forms of the front end, the networks) computes and checks nothing.
"""

from __future__ import annotations

from numbers import Real
from typing import Any

import numpy as np
from numpy.typing import NDArray

from acula_edge.errors import AudioError
from acula_edge.limits import MAX_SAMPLE_RATE_HZ, MIN_SAMPLE_RATE_HZ

FLOAT_LIMIT = 8.0
"""Largest magnitude of a float sample. Decoders of lossy formats and resamplers overshoot full scale a little;
integers that were only cast to float overshoot it a lot."""

_INTEGER_SCALE = {2: np.float32(2.0**-15), 4: np.float32(2.0**-31)}
_TYPES = "int16, int32, float32, float64"


def to_wave(pcm: Any, what: str = "the sound") -> NDArray[np.float32]:
    """Mono PCM to float32 in [-1, 1].

    Args:
        pcm: int16, int32 (full scale is the type's range), float32 or float64 (full scale is 1), of any byte order.
        what: of the error messages.

    Shape: [T] -> [T].

    Raises:
        AudioError: as :func:`check_samples`.
    """
    samples = check_samples(pcm, what)
    if samples.dtype.kind == "i":
        # A power of two: exact, without float64 in between.
        return samples.astype(np.float32) * _INTEGER_SCALE[samples.dtype.itemsize]
    return samples.astype(np.float32)


def check_samples(pcm: Any, what: str = "the sound") -> NDArray[Any]:
    """Samples as they are, if they are sound.

    Shape: [T] -> [T].

    Raises:
        AudioError: several channels, no samples, another type than :func:`to_wave` takes, NaN or infinity, or float
            samples beyond :data:`FLOAT_LIMIT`.
    """
    samples = np.asarray(pcm)
    if samples.ndim != 1:
        raise AudioError(
            f"{what} must be mono, one dimension",
            given=f"shape {samples.shape}",
            remedy="average the channels first, for example pcm.mean(axis=1)",
        )
    if samples.size == 0:
        raise AudioError(f"{what} holds no samples")
    kind, width = samples.dtype.kind, samples.dtype.itemsize
    if kind == "i" and width in _INTEGER_SCALE:
        return samples
    if kind != "f" or width not in (4, 8):
        raise AudioError(f"{what} has samples of a type that is not read", given=samples.dtype, allowed=_TYPES)
    check_peak(samples, what)
    return samples


def check_peak(samples: NDArray[np.floating[Any]], what: str) -> None:
    """Float samples, of any shape but none, must be finite and within :data:`FLOAT_LIMIT`.

    Raises:
        AudioError: they are not.
    """
    peak = max(float(samples.max()), -float(samples.min()))
    if not np.isfinite(peak):
        raise AudioError(f"{what} holds NaN or infinity", remedy="record or convert it again")
    if peak > FLOAT_LIMIT:
        raise AudioError(
            f"{what} holds float samples far beyond [-1, 1]",
            given=f"a peak of {peak:g}",
            allowed=f"at most {FLOAT_LIMIT:g}",
            remedy="pass the integers themselves, or divide by their full scale (32768 for 16 bits)",
        )


def check_rate(sample_rate_hz: Any) -> Any:
    """A sample rate that sound can have, as it is.

    Raises:
        AudioError: no number from 100 Hz to 1 MHz (:mod:`acula_edge.limits`).
    """
    number = isinstance(sample_rate_hz, Real) and not isinstance(sample_rate_hz, bool)
    if not (number and MIN_SAMPLE_RATE_HZ <= sample_rate_hz <= MAX_SAMPLE_RATE_HZ):
        raise AudioError(
            "this is no sample rate of sound",
            given=repr(sample_rate_hz),
            allowed=f"{MIN_SAMPLE_RATE_HZ} to {MAX_SAMPLE_RATE_HZ} Hz",
        )
    return sample_rate_hz
