"""From a recording's file to 16-bit samples at one rate, several files at a time."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from acula_edge.audio.decode import Decoding, hear
from acula_edge.audio.resample import resample_blocks
from acula_edge.audio.sound_file import check_length
from acula_edge.data.manifest import Recording
from acula_edge.errors import AudioError
from acula_edge.files import NOT_THE_FILE
from acula_edge.limits import MAX_KEPT_SAMPLES, MAX_SAMPLES_IN_FLIGHT
from acula_edge.untrusted.texts import open_regular

MIN_DURATION_S = 0.2
FULL_SCALE = 32768

Wave = NDArray[np.float32]


@dataclass(frozen=True)
class Decoded:
    """A recording at the rate asked for.

    Attributes:
        samples: [T] 16-bit integers.
        clipped: how many of them were beyond full scale.
        warnings: as of :class:`acula_edge.audio.decode.Audio`.
    """

    samples: NDArray[np.int16]
    clipped: int
    warnings: tuple[str, ...]


def decode(recording: Recording, sample_rate_hz: int) -> Decoded:
    """A recording's samples at the rate asked for.

    Decoded and resampled a block at a time: the peak is 4 bytes a sample at that rate.

    Raises:
        AudioError: not decodable, not finite, shorter than 0.2 s, or longer than
            :data:`acula_edge.limits.MAX_KEPT_SAMPLES` at that rate.
    """

    def take(decoded: Decoding) -> tuple[NDArray[np.int16], int]:
        parts: list[NDArray[np.int16]] = []
        stored = clipped = 0
        file_rate_hz = decoded.sample_rate_hz
        for wave in resample_blocks(_long_enough(decoded.blocks(), file_rate_hz), file_rate_hz, sample_rate_hz):
            stored += len(wave)
            check_length(Path(recording.path), stored, MAX_KEPT_SAMPLES)
            clipped += int(np.count_nonzero(np.abs(wave) > 1))
            scaled = np.round(wave * np.float32(FULL_SCALE))
            parts.append(np.clip(scaled, -FULL_SCALE, FULL_SCALE - 1).astype("<i2"))
        return np.concatenate(parts), clipped

    heard = hear(Path(recording.path), take)
    return Decoded(*heard.result, heard.warnings)


def _long_enough(blocks: Iterable[Wave], sample_rate_hz: int) -> Iterator[Wave]:
    samples = 0
    for block in blocks:
        samples += len(block)
        yield block
    duration_s = samples / sample_rate_hz
    if duration_s < MIN_DURATION_S:
        raise AudioError(f"too short: {duration_s:.3f} s of at least {MIN_DURATION_S} s")


def decode_all(recordings: Sequence[Recording], sample_rate_hz: int) -> Iterator[Decoded | AudioError]:
    """Outcome of each recording in order; a few are decoded ahead, so that the disk and the cores work together.

    What is decoded and not yet taken is at most :data:`acula_edge.limits.MAX_SAMPLES_IN_FLIGHT`, or one recording.

    One that needs more memory than there is, even alone, is an AudioError like one that cannot be decoded.

    Raises:
        OSError: what a recording lies on fails; that is no reason to do without the recording.
    """

    def attempt(recording: Recording) -> Decoded | AudioError | MemoryError:
        try:
            return decode(recording, sample_rate_hz)
        except AudioError as error:
            _check_readable(Path(recording.path))
            return error
        except MemoryError as error:
            return error.with_traceback(None)

    workers = min(8, os.cpu_count() or 1)
    pool = ThreadPoolExecutor(workers)
    ahead: deque[tuple[Recording, Future[Decoded | AudioError | MemoryError]]] = deque()

    def expected(recording: Recording) -> int:
        return min(round(recording.duration_s * sample_rate_hz), MAX_KEPT_SAMPLES)

    def settle() -> Decoded | AudioError:
        recording, future = ahead.popleft()
        outcome = future.result()
        if isinstance(outcome, MemoryError):
            wait([other for _, other in ahead])
            outcome = attempt(recording)
        if isinstance(outcome, MemoryError):
            return AudioError(f"the recording {recording.path} needs more memory than there is")
        return outcome

    try:
        for recording in recordings:
            while ahead and sum(expected(other) for other, _ in ahead) + expected(recording) > MAX_SAMPLES_IN_FLIGHT:
                yield settle()
            ahead.append((recording, pool.submit(attempt, recording)))
            if len(ahead) > 2 * workers:
                yield settle()
        while ahead:
            yield settle()
    finally:
        pool.shutdown(cancel_futures=True)


def _check_readable(path: Path) -> None:
    """Raises OSError where the disk, not the file, is to blame; libsndfile does not tell them apart."""
    try:
        with open_regular(path) as file:  # a pipe would be waited for
            while file.read(1 << 20):
                pass
    except OSError as error:
        if error.errno in NOT_THE_FILE:
            raise
