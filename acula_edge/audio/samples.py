"""What sound may be: the one rule by which every door of this program takes samples or refuses them.

Files (:mod:`acula_edge.audio.decode`), PCM on the device (:mod:`acula_edge.runtime`), front ends and encoders called
from Python all ask here, so that they decide alike and say the same reason. What lies behind the doors (the torch and
graph forms of the front end, the networks) computes and checks nothing.
"""

from __future__ import annotations

import math
from decimal import Decimal
from numbers import Real
from typing import Any

import numpy as np
from numpy.typing import NDArray

from acula_edge.audio.containers import BEGINNING_BYTES, container_of
from acula_edge.errors import AudioError, InputError
from acula_edge.limits import MAX_SAMPLE_RATE_HZ, MIN_SAMPLE_RATE_HZ

FLOAT_LIMIT = 8.0
"""Largest magnitude of a float sample. Decoders of lossy formats and resamplers overshoot full scale a little;
integers that were only cast to float overshoot it a lot."""

SAMPLE_BYTES = 2
"""Of samples that come as bare bytes."""

_INTEGER_SCALE = {2: np.float32(2.0**-15), 4: np.float32(2.0**-31)}
_TYPES = "int16, int32, float32, float64"
_INT16 = np.iinfo(np.int16)
_REMEDIES = {
    "int64": "for 16-bit samples: pcm.astype('int16')",
    "float16": "pcm.astype('float32')",
    "uint8": "bytes of 16-bit samples: pcm.view('<i2'); 8-bit samples: (pcm - 128.0) / 128",
    "int8": "bytes of 16-bit samples: pcm.view('<i2'); 8-bit samples: pcm / 128",
}


def to_wave(pcm: Any, what: str = "the sound") -> NDArray[np.float32]:
    """Mono PCM to float32 in [-1, 1].

    Args:
        pcm: int16, int32 (full scale is the type's range), float32 or float64 (full scale is 1), of any byte order; or
            what :func:`as_array` makes one of these of.
        what: of the error messages.

    Shape: [T], [T, 1] or [1, T] -> [T].

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

    Shape: [T], [T, 1] or [1, T] -> [T].

    Raises:
        AudioError: several channels, no samples, another type than :func:`to_wave` takes, NaN or infinity, or float
            samples beyond :data:`FLOAT_LIMIT`.
    """
    samples = as_array(pcm, what)
    if samples.ndim == 2 and 1 in samples.shape:  # one channel, as soundfile, sounddevice and torchaudio give it
        samples = samples.reshape(-1)
    if samples.ndim != 1:
        raise _not_mono(samples, what)
    if samples.size == 0:
        raise AudioError(f"{what} holds no samples")
    kind, width = samples.dtype.kind, samples.dtype.itemsize
    if kind == "i" and width in _INTEGER_SCALE:
        return samples
    if kind != "f" or width not in (4, 8):
        raise AudioError(
            f"{what} has samples of a type that is not read",
            given=samples.dtype,
            allowed=_TYPES,
            remedy=_REMEDIES.get(samples.dtype.name),
        )
    check_peak(samples, what)
    return samples


def as_array(pcm: Any, what: str = "the sound") -> NDArray[Any]:
    """Sound as an array, unchanged where it is one.

    Bytes, in whatever holds them (``bytes``, ``bytearray``, ``memoryview``, a buffer of PortAudio), are 16-bit samples,
    little-endian. A list has no type of its own: whole numbers alone are 16-bit samples, any others are float samples.

    Raises:
        AudioError: it is no array or has gaps, is bytes that end in half a sample, or a list of whole numbers beyond
            16 bits.
    """
    data = as_bytes(pcm)
    if data is not None:
        if len(data) % SAMPLE_BYTES:
            raise AudioError(
                f"{what} ends in the middle of a sample",
                given=f"{len(data)} bytes",
                allowed="bytes of 16-bit samples, little-endian",
            )
        return SampleBytes(what).take(data)
    try:
        samples = np.asarray(pcm)
    except (
        TypeError,
        ValueError,
        RuntimeError,
        OverflowError,
    ) as error:
        # Ragged lists; tensors on a GPU or in training.
        raise AudioError(
            f"{what} cannot be taken as an array of samples",
            given=f"{type(pcm).__name__}: {error}",
            remedy="one number a sample; of a tensor: pcm.detach().cpu().numpy()",
        ) from error
    if samples.ndim == 0:
        raise _no_array(pcm, what)
    if np.ma.is_masked(pcm):
        raise AudioError(f"{what} is a masked array with gaps", remedy="fill them, for example with pcm.filled(0)")
    if isinstance(pcm, (list, tuple)) and samples.dtype.kind == "i" and samples.dtype.itemsize == 8:
        if samples.size and not _INT16.min <= samples.min() <= samples.max() <= _INT16.max:
            raise AudioError(
                f"{what} is a list of whole numbers beyond 16 bits",
                given=f"{samples.min()} to {samples.max()}",
                allowed=f"{_INT16.min} to {_INT16.max}",
                remedy="for 32-bit samples: np.array(pcm, 'int32')",
            )
        return samples.astype(np.int16)
    return samples


def as_bytes(pcm: Any) -> bytes | None:
    """What a buffer of bare bytes holds; None where `pcm` is none, or says itself what its numbers are."""
    if isinstance(pcm, (np.ndarray, np.generic)):
        return None
    try:
        view = memoryview(pcm)
    except TypeError:
        return None
    return bytes(view) if view.itemsize == 1 and view.format in ("B", "b", "c") else None


class SampleBytes:
    """Bytes of 16-bit samples, little-endian, that come in pieces of any length: half a sample waits for the next.

    Args:
        what: of the error messages.

    Attributes:
        rest: the half sample that waits; at the end it is no sample.
    """

    def __init__(self, what: str = "the sound") -> None:
        self.rest = b""
        self._what = what
        self._beginning: bytes | None = b""

    def take(self, data: bytes) -> NDArray[np.int16]:
        """The samples that are whole by now. Shape: -> [T].

        Raises:
            AudioError: the first bytes are those of a file with a header, not of samples.
        """
        if self._beginning is not None:
            self._beginning += data[: BEGINNING_BYTES - len(self._beginning)]
            if len(self._beginning) == BEGINNING_BYTES:  # no sound is so short that this matters
                self._check_beginning(self._beginning)
                self._beginning = None
        data = self.rest + data
        whole = len(data) // SAMPLE_BYTES
        self.rest = data[whole * SAMPLE_BYTES :]
        return np.frombuffer(data, dtype="<i2", count=whole)

    def _check_beginning(self, beginning: bytes) -> None:
        container = container_of(beginning)
        if container is not None:
            raise AudioError(
                f"{self._what} is a whole file with a header, not samples",
                given=f"bytes that begin like {container}",
                remedy="read it first, for example: pcm, rate_hz = soundfile.read(io.BytesIO(data), dtype='int16')",
            )


def _no_array(pcm: Any, what: str) -> AudioError:
    arrives = any(hasattr(pcm, name) for name in ("__next__", "__aiter__", "__await__"))
    return AudioError(
        f"{what} is no array of samples, of one dimension",
        given=f"the number {pcm}" if as_number(pcm) is not None else type(pcm).__name__,
        remedy="pieces that arrive one after the other are for Bundle.stream"
        if arrives
        else "pass an array, a list of numbers, or bytes of 16-bit samples",
    )


def _not_mono(samples: NDArray[Any], what: str) -> AudioError:
    remedy = "average the channels first"
    if samples.ndim == 2:
        remedy += f": pcm.mean(axis={int(np.argmin(samples.shape))})"
        # The mean of integers is a float of their size.
        remedy += f".astype('{samples.dtype.name}')" if samples.dtype.kind == "i" else ""
    return AudioError(f"{what} must be mono, one dimension", given=f"shape {samples.shape}", remedy=remedy)


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


def check_rate(sample_rate_hz: Any) -> int:
    """A sample rate that sound can have. Whole numbers of any type are taken: 8000.0 as wfdb and JSON give it.

    Raises:
        AudioError: no whole number from 100 Hz to 1 MHz (:mod:`acula_edge.limits`).
    """
    rate_hz = as_number(sample_rate_hz)
    if rate_hz is None or not MIN_SAMPLE_RATE_HZ <= rate_hz <= MAX_SAMPLE_RATE_HZ or rate_hz != int(rate_hz):
        raise AudioError(
            "this is no sample rate of sound",
            given=repr(sample_rate_hz),
            allowed=f"a whole number of Hz from {MIN_SAMPLE_RATE_HZ} to {MAX_SAMPLE_RATE_HZ}",
        )
    return int(rate_hz)


def check_hop(hop_s: Any, sample_rate_hz: int) -> int:
    """The step between the windows of a stream, in samples.

    Raises:
        InputError: no number of seconds, or less than one sample.
    """
    seconds = as_number(hop_s)
    samples = None if seconds is None else seconds * sample_rate_hz
    if samples is None or not math.isfinite(samples) or round(samples) < 1:
        raise InputError(
            "a stream needs a hop of at least one sample",
            given=repr(hop_s),
            allowed=f"seconds, at least {1 / sample_rate_hz:g}",
        )
    return round(samples)


def as_number(value: Any) -> float | None:
    """A number as Python's own, also out of NumPy, PyTorch or an array of one; None where it is none."""
    if getattr(value, "ndim", None) == 0 and hasattr(value, "item"):
        value = value.item()
    if isinstance(value, bool) or not isinstance(value, (Real, Decimal)):
        return None
    try:
        return float(value)
    except OverflowError:  # a whole number of more than 308 digits
        return math.inf
