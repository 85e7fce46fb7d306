"""Windows of sound that comes in pieces: of a stream as it arrives, of a recording that does not lie in memory."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from acula_edge.audio.offset import offset_of, without_offset
from acula_edge.audio.quality import Pieces
from acula_edge.audio.resample import resample_blocks
from acula_edge.audio.samples import to_wave
from acula_edge.audio.segment import TRIM_FRAME_S, TRIM_HOP_S, repeat_pad, trim_bounds_of
from acula_edge.errors import AudioError

Wave = NDArray[np.float32]


class RingBuffer:
    """The last `size` samples of a stream.

    Attributes:
        total: samples pushed so far.
    """

    def __init__(self, size: int) -> None:
        self._samples = np.zeros(size, dtype=np.float32)
        self.total = 0

    def push(self, wave: Wave) -> None:
        """Append samples. Shape: wave [T]."""
        size = self._samples.size
        kept = wave[-size:]
        start = (self.total + wave.size - kept.size) % size
        first = min(kept.size, size - start)
        self._samples[start : start + first] = kept[:first]
        self._samples[: kept.size - first] = kept[first:]
        self.total += wave.size

    def latest(self) -> Wave:
        """The samples held, oldest first. Shape: [min(total, size)]."""
        if self.total < self._samples.size:
            return self._samples[: self.total].copy()
        return np.roll(self._samples, -(self.total % self._samples.size))


@dataclass(frozen=True)
class StreamWindow:
    """One window of a stream.

    Attributes:
        start, stop: samples since the stream began, at the bundle's rate; `stop - start` is less than a window only
            where the whole stream was.
        wave: [stop - start].
        new_samples: how many of them no earlier window held.
        final: whether the stream has ended.
    """

    start: int
    stop: int
    wave: Wave
    new_samples: int
    final: bool


def stream_windows(waves: Iterable[Wave], window: int, hop: int) -> Iterator[StreamWindow]:
    """Windows of a stream as soon as they are full, the same ones that ``cut_windows`` cuts from the whole.

    A stream that ends between hops gives one more window, aligned to its end; one shorter than a window gives
    what there is.

    Shape: waves of [T_i] -> waves of [window].
    """
    buffer = RingBuffer(window)
    seen = 0
    next_stop = window
    for wave in waves:
        while wave.size:
            part, wave = wave[: next_stop - buffer.total], wave[next_stop - buffer.total :]
            buffer.push(part)
            if buffer.total == next_stop:
                yield StreamWindow(next_stop - window, next_stop, buffer.latest(), next_stop - seen, final=False)
                seen = next_stop
                next_stop += hop
    if buffer.total > seen:
        held = buffer.latest()
        yield StreamWindow(buffer.total - held.size, buffer.total, held, buffer.total - seen, final=True)


def resample_chunks(chunks: Iterable[Any], from_hz: int, to_hz: int) -> Iterator[Wave]:
    """PCM chunks of any length to waves at another rate, without seams between chunks.

    Shape: chunks of [T_i] -> waves of [T'_j], together as long as one resampling of the whole.

    Raises:
        AudioError: a chunk is no mono PCM, or the stream held no samples at all, or too few for one at the new rate.
    """
    yield from resample_blocks(_received(chunks), from_hz, to_hz)


def _received(chunks: Iterable[Any]) -> Iterator[Wave]:
    empty = True
    for chunk in chunks:
        if np.size(chunk):
            empty = False
            yield to_wave(chunk)
    if empty:
        raise AudioError("the stream ended before a single sample came: it holds no samples")


def windows_of_pieces(
    pieces: Pieces, from_hz: int, to_hz: int, window: int, hop: int, trim_top_db: float | None
) -> Iterator[Wave]:
    """The windows of :func:`acula_edge.audio.segment.recording_windows`, one after the other.

    Args:
        pieces: the recording; asked for three times where it is trimmed.
        from_hz, to_hz: its rate, and that of the windows.
        window, hop: in samples at `to_hz`.
        trim_top_db: as :func:`acula_edge.audio.segment.trim`; None keeps everything.

    Shape: -> [window] each.

    Raises:
        AudioError: there are no samples.
    """
    start, stop = 0, None
    if trim_top_db is not None:
        frame, step = round(TRIM_FRAME_S * to_hz), round(TRIM_HOP_S * to_hz)
        offset = offset_of(resample_blocks(pieces(), from_hz, to_hz))
        centered = (wave - offset for wave in resample_blocks(pieces(), from_hz, to_hz))
        start, stop = trim_bounds_of(centered, trim_top_db, frame, step)
    waves = _between(resample_blocks(pieces(), from_hz, to_hz), start, stop)
    for found in stream_windows(waves, window, hop):
        yield without_offset(repeat_pad(found.wave, window))


def _between(waves: Iterable[Wave], start: int, stop: int | None) -> Iterator[Wave]:
    position = 0
    for wave in waves:
        kept = wave[max(0, start - position) : None if stop is None else max(0, stop - position)]
        position += len(wave)
        if kept.size:
            yield kept
