"""Resampling by soxr, the same on every machine."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

import numpy as np
from numpy.typing import NDArray

from acula_edge.audio.offset import offset_of
from acula_edge.audio.samples import check_rate
from acula_edge.errors import AudioError
from acula_edge.limits import MAX_KEPT_SAMPLES

# Samples that are made at a time.
_PIECE_SAMPLES = 1 << 20
# The beginning that tells whether there is an offset. It is put aside meanwhile: soxr hears zeros before and behind a
# recording, and would make a click of the step from zero to the offset.
_BEGINNING_S = 0.25


def resample(wave: NDArray[np.float32], from_hz: int, to_hz: int) -> NDArray[np.float32]:
    """Resample with soxr's high-quality recipe; equal rates return the wave itself.

    Clipped or full-scale sound may overshoot [-1, 1] a little, as it does in any band-limited resampler. A converter's
    offset is put aside meanwhile and added again. With it the sound is what it is about zero but for float32's rounding
    (2^-25 of full scale), and within milliseconds of either end for about half of the mean that the beginning of the
    sound about zero has itself.

    Shape: [T] -> [about T * to_hz / from_hz] float32, at least one sample.

    >>> resample(np.zeros(4000, np.float32), from_hz=4000, to_hz=16000).shape
    (16000,)

    Raises:
        AudioError: no rate of sound, a ratio that soxr does not have, so few samples that none is left, or more than
            :data:`acula_edge.limits.MAX_KEPT_SAMPLES` at the new rate.
    """
    wave = np.asarray(wave, dtype=np.float32)
    from_hz, to_hz = check_rate(from_hz), check_rate(to_hz)
    if from_hz == to_hz:
        return wave
    # By way of the stream also for a wave that lies in memory, so that both give the same samples.
    return np.concatenate(list(resample_blocks([wave], from_hz, to_hz, MAX_KEPT_SAMPLES)))


def resample_blocks(
    waves: Iterable[NDArray[np.float32]], from_hz: int, to_hz: int, most: int | None = None
) -> Iterator[NDArray[np.float32]]:
    """:func:`resample` of a wave that comes in pieces, as soon as they come: together bit for bit the same.

    Args:
        most: samples that may be made; None for a stream, which may go on for ever.

    Shape: waves of [T_i] -> waves of [T'_i], some of them empty.

    Raises:
        AudioError: as :func:`resample`.
    """
    from_hz, to_hz = check_rate(from_hz), check_rate(to_hz)
    if from_hz == to_hz:
        yield from waves
        return
    resampler = _Resampler(from_hz, to_hz, most)
    piece = max(_PIECE_SAMPLES * from_hz // to_hz, 1)  # sound of 100 Hz grows a hundredfold
    offset, waves = _beginning_offset(waves, round(_BEGINNING_S * from_hz))
    for wave in waves:
        for start in range(0, len(wave), piece):
            yield resampler.take(wave[start : start + piece] - offset) + offset
    # The filter reaches ahead: what it still held back comes out at the end.
    rest = resampler.take(np.zeros(0, dtype=np.float32), last=True) + offset
    if not resampler.made:
        raise AudioError(
            f"the sound is too short: it holds no samples at {to_hz} Hz", given=f"{resampler.taken} at {from_hz} Hz"
        )
    yield rest


def _beginning_offset(
    waves: Iterable[NDArray[np.float32]], samples: int
) -> tuple[np.float32, Iterator[NDArray[np.float32]]]:
    """Offset of the first `samples` of a wave, and the wave from its beginning."""
    source = iter(waves)
    held: list[NDArray[np.float32]] = []
    count = 0
    while count < samples and (wave := next(source, None)) is not None:
        held.append(wave)
        count += len(wave)
    offset = offset_of([np.concatenate(held)[:samples]]) if held else np.float32(0)
    return offset, itertools.chain(held, source)


class _Resampler:
    """soxr's stream, whose errors name the rates."""

    def __init__(self, from_hz: int, to_hz: int, most: int | None) -> None:
        # Devices that record at a rate of the bundle's never need it.
        import soxr

        self._rates = f"{from_hz} to {to_hz} Hz"
        self._most = most
        self.taken = self.made = 0
        with self._errors():
            self._stream = soxr.ResampleStream(from_hz, to_hz, 1, dtype="float32", quality="HQ")

    def take(self, wave: NDArray[np.float32], last: bool = False) -> NDArray[np.float32]:
        with self._errors():
            result: NDArray[np.float32] = self._stream.resample_chunk(wave, last=last)
        self.taken, self.made = self.taken + len(wave), self.made + len(result)
        if self._most is not None and self.made > self._most:
            raise AudioError(
                f"the sound is too long to be resampled from {self._rates}",
                given=f"more than {self._most} samples",
                remedy="cut it into shorter files",
            )
        return result

    @contextmanager
    def _errors(self) -> Iterator[None]:
        try:
            yield
        except (RuntimeError, ValueError) as error:
            raise AudioError(f"the sound cannot be resampled from {self._rates}", given=str(error)) from error
