"""A recording that does not lie in memory, cut into the windows that one in memory is cut into."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np
from numpy.typing import NDArray

from acula_edge.audio.offset import offset_of, without_offset
from acula_edge.audio.quality import Pieces
from acula_edge.audio.resample import resample_blocks
from acula_edge.audio.segment import TRIM_FRAME_S, TRIM_HOP_S, repeat_pad, trim_bounds_of
from acula_edge.runtime.stream import stream_windows

Wave = NDArray[np.float32]


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
    place = 0
    for wave in waves:
        kept = wave[max(0, start - place) : None if stop is None else max(0, stop - place)]
        place += len(wave)
        if kept.size:
            yield kept
