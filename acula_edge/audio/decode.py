"""Recordings from files (:data:`acula_edge.audio.sound_file.FORMATS`)."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile
from numpy.typing import NDArray

from acula_edge.audio.samples import check_peak
from acula_edge.audio.sound_file import check_length, open_sound
from acula_edge.errors import AudioError
from acula_edge.limits import MAX_KEPT_SAMPLES

BLOCK_SAMPLES = 1 << 20
"""Samples, over all channels, that are decoded at a time."""

# libsndfile reads a WAV or AIFF file that breaks off without complaint, but notes in its log what the header promised.
_SHORT_DATA = re.compile(r"^\s*(?:data|SSND)\s*: (\d+) \(should be (\d+)\)", re.MULTILINE)
# Programs that write to a pipe cannot go back to fill in the length, and leave the largest number there is.
_UNKNOWN_LENGTH = 0x7FFFFFFF
# Some recorders count the header into the length of the data: a few bytes missing are not a broken file.
_TOLERATED_LOSS = 0.01


@dataclass(frozen=True)
class Audio:
    """A decoded recording.

    Attributes:
        wave: [T] float32, the mean of the channels, in [-1, 1] (lossy formats may overshoot slightly).
        sample_rate_hz: as the file says.
    """

    wave: NDArray[np.float32]
    sample_rate_hz: int

    @property
    def duration_s(self) -> float:
        """Length in seconds."""
        return len(self.wave) / self.sample_rate_hz


@dataclass(frozen=True)
class AudioFile:
    """A recording that was decoded from end to end and found whole.

    Attributes:
        path: of the file.
        sample_rate_hz: as the file says.
        samples: T, per channel.
        wave: [T], as of :class:`Audio`; None of a long recording, which is decoded again whenever it is asked for.
    """

    path: Path
    sample_rate_hz: int
    samples: int
    wave: NDArray[np.float32] | None

    def blocks(self) -> Iterator[NDArray[np.float32]]:
        """The wave that :func:`read_audio` gives, in pieces of at most :data:`BLOCK_SAMPLES`.

        Raises:
            AudioError: the file is no longer what it was.
        """
        if self.wave is not None:
            yield self.wave
            return
        seen = 0
        with decoding(self.path) as (sample_rate_hz, blocks):
            for block in blocks:
                seen += len(block)
                yield block
        if (seen, sample_rate_hz) != (self.samples, self.sample_rate_hz):
            raise AudioError(f"the recording {self.path} changed while it was read")


def read_audio(path: str | os.PathLike[str]) -> Audio:
    """Decode a recording to mono float32, whole.

    It is read in blocks, so that the channels never lie in memory together: the peak is twice the mono wave, 8 bytes
    a sample, whatever the file holds. For longer ones than :data:`acula_edge.limits.MAX_KEPT_SAMPLES` there is
    :func:`check_audio`.

    Raises:
        AudioError: as :func:`decoding`, or too long to be kept.
    """
    samples = 0
    kept: list[NDArray[np.float32]] = []
    with decoding(path) as (sample_rate_hz, blocks):
        for block in blocks:
            samples += len(block)
            check_length(Path(path), samples, MAX_KEPT_SAMPLES)
            kept.append(block)
    return Audio(np.concatenate(kept), sample_rate_hz)


def check_audio(path: str | os.PathLike[str], kept_samples: int = 1 << 22) -> AudioFile:
    """Decode a recording from end to end, a block at a time.

    Args:
        kept_samples: longer recordings are not kept (17 minutes at 4 kHz, 95 s at 44.1 kHz).

    Raises:
        AudioError: as :func:`decoding`.
    """
    samples = 0
    kept: list[NDArray[np.float32]] = []
    with decoding(path) as (sample_rate_hz, blocks):
        for block in blocks:
            samples += len(block)
            if samples <= kept_samples:
                kept.append(block)
            else:
                kept.clear()
    return AudioFile(Path(path), sample_rate_hz, samples, np.concatenate(kept) if kept else None)


@contextmanager
def decoding(path: str | os.PathLike[str]) -> Iterator[tuple[int, Iterator[NDArray[np.float32]]]]:
    """A recording's sample rate, and its mono wave in blocks of at most :data:`BLOCK_SAMPLES`, at least one.

    Raises:
        AudioError: what :func:`acula_edge.audio.sound_file.open_sound` refuses; and from the blocks: damaged or broken
            off, without samples, NaN or infinity, or float samples that are plainly integers. The message names the
            file.
    """
    with open_sound(path) as file:
        yield file.samplerate, _blocks(Path(path), file)


def _blocks(path: Path, file: soundfile.SoundFile) -> Iterator[NDArray[np.float32]]:
    promised, log = file.frames, file.extra_info
    samples = 0
    while len(block := file.read(BLOCK_SAMPLES // file.channels, dtype="float32", always_2d=True)):
        check_peak(block, f"the recording {path}")  # channels that cancel are as wrong as one
        samples += len(block)
        check_length(path, samples)
        yield block[:, 0] if block.shape[1] == 1 else block.mean(axis=1, dtype=np.float32)
    _check_complete(path, samples, promised, log)
    if not samples:
        raise AudioError(f"the recording {path} holds no samples", remedy="copy it again from its source")


def _check_complete(path: Path, samples: int, promised: int, log: str) -> None:
    if match := _SHORT_DATA.search(log):
        declared, present = int(match[1]), int(match[2])
        kept = 1.0 if not declared or declared >= _UNKNOWN_LENGTH else present / declared
    else:
        kept = samples / promised if promised else 1.0
    if kept < 1 - _TOLERATED_LOSS:
        raise AudioError(
            f"the recording {path} is broken off",
            given=f"{kept:.0%} of the samples that its header promises",
            remedy="copy it again from its source",
        )
