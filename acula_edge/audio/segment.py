"""Waves into windows: trim, pad and cut as the published evaluation does (SPEC section 1.7.1)."""

from __future__ import annotations

import itertools
from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from acula_edge.audio.offset import offset_of, without_offset
from acula_edge.errors import AudioError, InputError

Wave = NDArray[np.float32]

TRIM_FRAME_S, TRIM_HOP_S = 0.1, 0.05
"""Frames of :func:`recording_windows`' trimming: 1600 and 800 samples at the published 16 kHz."""

_AMIN = 1e-10


def trim(wave: Wave, top_db: float, frame_length: int, hop_length: int) -> Wave:
    """Cut leading and trailing parts that lie more than `top_db` below the loudest frame.

    Equals ``librosa.effects.trim`` with its reference at the maximum. Silence has no part quieter than another, and
    stays whole; so does a wave of which nothing else would be left.

    Args:
        top_db: decibels below the loudest frame, positive.
        frame_length, hop_length: of the frames whose mean power is compared, in samples.

    Shape: [T] -> [at most T], a view.

    Raises:
        AudioError: no samples, or NaN or infinity.
        InputError: a parameter that is not positive.
    """
    start, stop = trim_bounds(wave, top_db, frame_length, hop_length)
    return wave[start:stop]


def trim_bounds(wave: Wave, top_db: float, frame_length: int, hop_length: int) -> tuple[int, int]:
    """First sample that :func:`trim` keeps, and the one after the last."""
    _check_wave(wave)
    _check_frames(top_db, frame_length, hop_length)
    squares = np.pad(np.square(wave), (frame_length // 2, frame_length - frame_length // 2))
    count = 1 + len(wave) // hop_length
    frames = np.lib.stride_tricks.sliding_window_view(squares, frame_length)[: count * hop_length : hop_length]
    return _loud_bounds(frames.mean(axis=1, dtype=np.float64), top_db, hop_length, len(wave))


def trim_bounds_of(waves: Iterable[Wave], top_db: float, frame_length: int, hop_length: int) -> tuple[int, int]:
    """:func:`trim_bounds` of a wave that comes in pieces; it keeps one number a hop.

    Args:
        frame_length, hop_length: the first no less than the second.

    Raises:
        AudioError, InputError: as :func:`trim`.
    """
    _check_frames(top_db, frame_length, hop_length)
    powers: list[NDArray[np.float64]] = []
    squares = np.zeros(frame_length // 2, np.float32)
    samples = 0
    ending = np.zeros(frame_length - frame_length // 2, np.float32)
    for piece in itertools.chain(waves, [None]):
        samples += 0 if piece is None else len(piece)
        squares = np.concatenate([squares, ending if piece is None else np.square(piece)])
        count = 1 + (len(squares) - frame_length) // hop_length
        if count > 0:
            frames = np.lib.stride_tricks.sliding_window_view(squares, frame_length)[::hop_length]
            powers.append(frames.mean(axis=1, dtype=np.float64))
            squares = squares[count * hop_length :]
    if not samples:
        raise AudioError("a wave must have one dimension and samples in it", given="no samples")
    return _loud_bounds(np.concatenate(powers), top_db, hop_length, samples)


def _check_frames(top_db: float, frame_length: int, hop_length: int) -> None:
    if top_db <= 0 or frame_length <= 0 or hop_length <= 0:
        raise InputError(
            "trimming needs a positive top_db, frame_length and hop_length",
            given=f"{top_db}, {frame_length}, {hop_length}",
        )


def _loud_bounds(power: NDArray[np.float64], top_db: float, hop_length: int, samples: int) -> tuple[int, int]:
    power = np.maximum(power, _AMIN)
    if not np.isfinite(power).all():
        raise AudioError("the samples hold NaN or infinity")
    loud = np.flatnonzero(10 * np.log10(power / power.max()) > -top_db)
    start, stop = int(loud[0]) * hop_length, min(samples, (int(loud[-1]) + 1) * hop_length)
    return (start, stop) if start < stop else (0, samples)


def repeat_pad(wave: Wave, length: int) -> Wave:
    """Lengthen a wave to `length` by repetition: the wave lies at the end, repeats of it run up to its start.

    Shape: [T] -> [max(T, length)].

    >>> repeat_pad(np.array([1, 2, 3], np.float32), 7).tolist()
    [3.0, 1.0, 2.0, 3.0, 1.0, 2.0, 3.0]

    Raises:
        AudioError: no samples.
    """
    _check_wave(wave)
    if len(wave) >= length:
        return wave
    return wave[np.arange(-length, 0) % len(wave)]


def zero_pad(wave: Wave, length: int) -> Wave:
    """Lengthen a wave to `length` by zeros at the end.

    Shape: [T] -> [max(T, length)].
    """
    return np.pad(wave, (0, max(0, length - len(wave))))


def cut_windows(wave: Wave, window: int, hop: int) -> Wave:
    """Cut a wave into windows, so that every sample is in one.

    Whole windows from the start, `hop` apart, and, where they stop short of the end, one more that ends there. A wave
    shorter than a window is repeat-padded to one.

    Shape: [T] -> [N, window], contiguous and not a view.

    >>> cut_windows(np.arange(5, dtype=np.float32), window=3, hop=3).tolist()
    [[0.0, 1.0, 2.0], [2.0, 3.0, 4.0]]

    Raises:
        AudioError: no samples.
        InputError: `window` or `hop` is not positive.
    """
    if window <= 0 or hop <= 0:
        raise InputError("windows need a positive length and hop", given=f"{window}, {hop}")
    wave = repeat_pad(wave, window)
    last = len(wave) - window
    starts = np.unique(np.append(np.arange(0, last + 1, hop), last))
    windows: Wave = np.lib.stride_tricks.sliding_window_view(wave, window)[starts]
    return windows


def recording_windows(
    wave: Wave, sample_rate_hz: int, window_s: float, hop_s: float, trim_top_db: float | None
) -> Wave:
    """The windows of a recording that every stage embeds: trimmed, then cut, each without its offset.

    What is trimmed is judged without the recording's offset (:func:`offset_of`).

    Args:
        trim_top_db: as :func:`trim`; None keeps everything.

    Shape: [T] -> [N, window_s * sample_rate_hz].

    Raises:
        AudioError, InputError: as :func:`trim` and :func:`cut_windows`.
    """
    if trim_top_db is not None:
        frame, hop = round(TRIM_FRAME_S * sample_rate_hz), round(TRIM_HOP_S * sample_rate_hz)
        start, stop = trim_bounds(without_offset(wave), trim_top_db, frame, hop)
        wave = wave[start:stop]
    windows = cut_windows(wave, round(window_s * sample_rate_hz), round(hop_s * sample_rate_hz))
    for window in windows:
        window -= offset_of([window])
    return windows


def _check_wave(wave: Wave) -> None:
    if wave.ndim != 1 or wave.size == 0:
        raise AudioError("a wave must have one dimension and samples in it", given=f"shape {wave.shape}")
