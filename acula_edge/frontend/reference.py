"""OPERA's kind of front end in NumPy and double precision: slow, plain, and what the torch forms are held to.

The other kinds are held to the libraries that they come from (tests/frontend).
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from acula_edge.audio.resample import resample
from acula_edge.audio.samples import check_samples, to_wave
from acula_edge.errors import InputError
from acula_edge.frontend.filterbank import mel_filterbank
from acula_edge.frontend.spec import OPERA, SILENT_SPAN_DB, FrontendSpec

# Frames transformed at once: bounds the memory for a recording of hours to some tens of MB.
_BLOCK_FRAMES = 2048


def log_mel(wave: NDArray[np.float32], spec: FrontendSpec = OPERA) -> NDArray[np.float32]:
    """Log-mel spectrogram of a whole clip in [0, 1] (SPEC section 1.7.1); no trimming, no padding to a length.

    Shape: wave [T] -> [F, M] with F = ``spec.frames(T)``.

    >>> time_s = np.arange(16000) / 16000
    >>> mel = log_mel(np.sin(2 * np.pi * 440 * time_s).astype(np.float32))
    >>> mel.shape, float(mel.max()), int(mel.mean(axis=0).argmax())
    ((32, 64), 1.0, 8)

    Raises:
        AudioError: as :func:`acula_edge.audio.samples.check_samples`.
        InputError: the specification is of another kind.
    """
    _check_kind(spec)
    return _normalize(mel_power(wave, spec), spec)


def log_mel_at(wave: NDArray[np.float32], sample_rate_hz: int, spec: FrontendSpec = OPERA) -> NDArray[np.float32]:
    """:func:`log_mel` of a wave at any sample rate: resampled to the specification's rate first.

    Shape: wave [T] -> [F, M].

    >>> log_mel_at(np.zeros(4000, np.float32), sample_rate_hz=4000).shape  # a second
    (32, 64)

    Raises:
        AudioError: as :func:`log_mel`, or no rate of sound.
        InputError: as :func:`log_mel`.
    """
    _check_kind(spec)
    # What was within the limits stays accepted where the resampler overshoots them.
    return _normalize(_power(resample(to_wave(wave), sample_rate_hz, spec.sample_rate_hz), spec), spec)


def mel_power(wave: NDArray[np.float32], spec: FrontendSpec = OPERA) -> NDArray[np.float64]:
    """Mel power spectrogram before the logarithm: periodic Hann window, centered frames, zeros beyond the ends.

    Shape: wave [T] -> [F, M].

    Raises:
        AudioError: as :func:`log_mel`.
    """
    samples = check_samples(wave)
    # Float64 stays as precise as it came.
    return _power(samples if samples.dtype.kind == "f" else to_wave(samples), spec)


def mel_power_blocks(waves: Iterable[NDArray[Any]], spec: FrontendSpec) -> Iterator[NDArray[np.float64]]:
    """:func:`mel_power` of a wave that comes in pieces and was checked before: the same frames, a block at a time.

    Shape: waves of [T_i] -> [at most 2048, M] each.
    """
    window = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(spec.n_fft) / spec.n_fft)
    filters = mel_filterbank(spec)
    edge = np.zeros(spec.n_fft // 2, np.float32)
    # Blocks begin whole hops apart, so that frames lie where they would in one piece, and overlap by what a frame
    # reaches beyond its hop.
    step = _BLOCK_FRAMES * spec.hop_length
    held = np.zeros(0, np.float32)

    def transform(samples: NDArray[Any]) -> NDArray[np.float64]:
        frames = np.lib.stride_tricks.sliding_window_view(samples, spec.n_fft)[:: spec.hop_length]
        spectrum = np.fft.rfft(frames * window)
        power: NDArray[np.float64] = (spectrum.real**2 + spectrum.imag**2) @ filters
        return power

    for wave in itertools.chain([edge], waves, [edge]):
        held = np.concatenate([held, wave])
        # The last frame of a block ends a window after it starts.
        while len(held) >= step - spec.hop_length + spec.n_fft:
            yield transform(held[: step - spec.hop_length + spec.n_fft])
            held = held[step:]
    if len(held) >= spec.n_fft:
        yield transform(held)


def _power(wave: NDArray[Any], spec: FrontendSpec) -> NDArray[np.float64]:
    return np.concatenate(list(mel_power_blocks([wave], spec)))


def _normalize(power: NDArray[np.float64], spec: FrontendSpec) -> NDArray[np.float32]:
    # `amin` keeps digital zeros finite; relative to the maximum, a louder recording of the same sound looks the same.
    decibels = 10 * np.log10(np.maximum(power, spec.amin))
    decibels = np.maximum(decibels - decibels.max(), -spec.top_db)
    lowest = decibels.min()
    if lowest > -SILENT_SPAN_DB:
        return np.zeros(power.shape, dtype=np.float32)
    # "minmax" stretches what there is to [0, 1], so one quiet frame decides the contrast of a clip; "range" does not.
    span = -lowest if spec.normalization == "minmax" else spec.top_db
    return np.asarray(1 + decibels / span, dtype=np.float32)


def _check_kind(spec: FrontendSpec) -> None:
    if spec.kind != "log-mel":
        raise InputError(
            "the NumPy front end has one kind",
            given=spec.kind,
            allowed="log-mel",
            remedy="use acula_edge.frontend.torch.make_frontend",
        )
