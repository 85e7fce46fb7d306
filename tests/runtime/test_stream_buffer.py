"""Chunks of any length give the same windows and the same resampled sound as the whole."""

from __future__ import annotations

import numpy as np
import pytest
import soxr

from acula_edge.errors import AudioError
from acula_edge.runtime.windows import RingBuffer, resample_chunks, stream_windows


def cut(wave: np.ndarray, sizes: list[int]) -> list[np.ndarray]:
    pieces, position = [], 0
    while position < wave.size:
        size = sizes[len(pieces) % len(sizes)]
        pieces.append(wave[position : position + size])
        position += size
    return pieces


@pytest.mark.parametrize("sizes", [[1], [3, 1, 4], [10], [11], [25, 1], [100]])
def test_ring_buffer_holds_the_latest(sizes: list[int]) -> None:
    wave = np.arange(57, dtype=np.float32)
    buffer = RingBuffer(10)
    pushed = 0
    for piece in cut(wave, sizes):
        buffer.push(piece)
        pushed += piece.size
        np.testing.assert_array_equal(buffer.latest(), wave[max(0, pushed - 10) : pushed])
    assert buffer.total == 57


@pytest.mark.parametrize("sizes", [[1], [7], [8], [20], [64], [1000]])
@pytest.mark.parametrize("length", [20, 28, 100, 101])
def test_windows_cover_the_stream_at_the_hop(length: int, sizes: list[int]) -> None:
    wave = np.arange(length, dtype=np.float32)
    windows = list(stream_windows(cut(wave, sizes), window=20, hop=8))
    starts = [*range(0, length - 20 + 1, 8)]
    if starts[-1] + 20 < length:
        starts.append(length - 20)
    assert [window.start for window in windows] == starts
    for window in windows:
        np.testing.assert_array_equal(window.wave, wave[window.start : window.stop])
    assert sum(window.new_samples for window in windows) == length
    assert [window.final for window in windows[:-1]] == [False] * (len(windows) - 1)


def test_windows_come_as_soon_as_they_are_full() -> None:
    taken = 0

    def source():
        nonlocal taken
        for _ in range(10):
            taken += 10
            yield np.zeros(10, dtype=np.float32)

    windows = stream_windows(source(), window=20, hop=10)
    next(windows)
    assert taken == 20
    next(windows)
    assert taken == 30


def test_a_short_stream_gives_what_there_is() -> None:
    (window,) = stream_windows([np.arange(5, dtype=np.float32)], window=20, hop=8)
    assert (window.start, window.stop, window.final) == (0, 5, True)
    np.testing.assert_array_equal(window.wave, np.arange(5))


@pytest.mark.parametrize(("from_hz", "to_hz"), [(8000, 4000), (44100, 4000), (2000, 4000), (4000, 4000)])
def test_resampling_in_chunks_equals_resampling_the_whole(from_hz: int, to_hz: int) -> None:
    wave = np.random.default_rng(0).uniform(-1, 1, from_hz * 2).astype(np.float32)
    whole = soxr.resample(wave, from_hz, to_hz, quality="HQ") if from_hz != to_hz else wave
    chunks = np.concatenate(list(resample_chunks(cut(wave, [100, 1, 999]), from_hz, to_hz)))
    assert chunks.size == whole.size
    np.testing.assert_allclose(chunks, whole, atol=1e-6)


def test_empty_chunks_are_nothing_and_an_empty_stream_is_an_error() -> None:
    pieces = [np.zeros(0, np.int16), np.ones(4, np.int16), np.zeros(0, np.int16)]
    assert sum(wave.size for wave in resample_chunks(pieces, 4000, 4000)) == 4
    with pytest.raises(AudioError, match="single sample"):
        list(resample_chunks([np.zeros(0, np.int16)], 4000, 4000))
