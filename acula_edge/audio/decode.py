"""Recordings from files (:data:`acula_edge.audio.sound_file.FORMATS`)."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, TypeVar

import numpy as np
from numpy.typing import NDArray

from acula_edge.audio.channels import ChannelMix
from acula_edge.audio.extent import TOLERATED_LOSS
from acula_edge.audio.samples import check_peak
from acula_edge.audio.sound_file import Sound, check_length, open_sound
from acula_edge.errors import AudioError
from acula_edge.limits import MAX_KEPT_SAMPLES

BLOCK_SAMPLES = 1 << 20
"""Samples, over all channels, that are decoded at a time."""

T = TypeVar("T")


@dataclass(frozen=True)
class Audio:
    """A decoded recording.

    Attributes:
        wave: [T] float32, the mean of the channels, in [-1, 1] (lossy formats may overshoot slightly); of channels
            that cancel each other the loudest alone.
        sample_rate_hz: as the file says.
        warnings: what is odd about the file and changes what is heard, a sentence each.
    """

    wave: NDArray[np.float32]
    sample_rate_hz: int
    warnings: tuple[str, ...] = ()

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
        channel: the only one that is heard; None for the mean of all.
        warnings: as of :class:`Audio`.
    """

    path: Path
    sample_rate_hz: int
    samples: int
    wave: NDArray[np.float32] | None
    channel: int | None = None
    warnings: tuple[str, ...] = ()

    def blocks(self) -> Iterator[NDArray[np.float32]]:
        """The wave that :func:`read_audio` gives, in pieces of at most :data:`BLOCK_SAMPLES`.

        Raises:
            AudioError: the file is no longer what it was.
        """
        if self.wave is not None:
            yield self.wave
            return
        seen = 0
        with decoding(self.path, self.channel) as decoded:
            for block in decoded.blocks():
                seen += len(block)
                yield block
        if (seen, decoded.sample_rate_hz) != (self.samples, self.sample_rate_hz):
            raise AudioError(f"the recording {self.path} changed while it was read")


def read_audio(path: str | os.PathLike[str]) -> Audio:
    """Decode a recording to mono float32, whole.

    It is read in blocks, so that the channels never lie in memory together: the peak is twice the mono wave, 8 bytes
    a sample, whatever the file holds. For longer ones than :data:`acula_edge.limits.MAX_KEPT_SAMPLES` there is
    :func:`check_audio`.

    Raises:
        AudioError: as :func:`hear`, or too long to be kept.
    """

    def take(decoded: Decoding) -> NDArray[np.float32]:
        samples = 0
        kept: list[NDArray[np.float32]] = []
        for block in decoded.blocks():
            samples += len(block)
            check_length(Path(path), samples, MAX_KEPT_SAMPLES)
            kept.append(block)
        return np.concatenate(kept)

    heard = hear(path, take)
    return Audio(heard.result, heard.sample_rate_hz, heard.warnings)


def check_audio(path: str | os.PathLike[str], kept_samples: int = 1 << 22) -> AudioFile:
    """Decode a recording from end to end, a block at a time.

    Args:
        kept_samples: longer recordings are not kept (17 minutes at 4 kHz, 95 s at 44.1 kHz).

    Raises:
        AudioError: as :func:`decoding`.
    """

    def take(decoded: Decoding) -> tuple[int, NDArray[np.float32] | None]:
        samples = 0
        kept: list[NDArray[np.float32]] = []
        for block in decoded.blocks():
            samples += len(block)
            if samples <= kept_samples:
                kept.append(block)
            else:
                kept.clear()
        return samples, np.concatenate(kept) if kept else None

    heard = hear(path, take)
    samples, wave = heard.result
    return AudioFile(Path(path), heard.sample_rate_hz, samples, wave, heard.channel, heard.warnings)


@dataclass(frozen=True)
class Heard(Generic[T]):
    """A recording decoded from end to end.

    Attributes:
        result: what was made of its blocks.
        sample_rate_hz, channel, warnings: as of :class:`AudioFile`.
    """

    result: T
    sample_rate_hz: int
    channel: int | None
    warnings: tuple[str, ...]


def hear(path: str | os.PathLike[str], take: Callable[[Decoding], T]) -> Heard[T]:
    """Make something of a recording's blocks; where its channels cancel each other, once more of the loudest alone.

    Args:
        take: uses up the blocks; called once or twice, each time from the beginning.

    Raises:
        AudioError: as :func:`decoding`, or raised by `take`.
    """
    with decoding(path) as decoded:
        result = take(decoded)
        channel, lost = decoded.mix.cancelled(), decoded.sound.lost_behind()
    warnings = [] if lost is None else [lost]
    if channel is not None:
        with decoding(path, channel) as decoded:
            result = take(decoded)
        warnings.append(f"its channels cancel each other; channel {channel + 1}, the loudest, is heard alone")
    return Heard(result, decoded.sample_rate_hz, channel, tuple(warnings))


@contextmanager
def decoding(path: str | os.PathLike[str], channel: int | None = None) -> Iterator[Decoding]:
    """A recording opened to be decoded once.

    Args:
        channel: the only one to hear; None for the mean of all.

    Raises:
        AudioError: what :func:`acula_edge.audio.sound_file.open_sound` refuses, or while its blocks are read: damaged
            or broken off, without samples, NaN or infinity, or float samples that are plainly integers. The message
            names the file.
    """
    with open_sound(path) as sound:
        yield Decoding(sound, channel)


class Decoding:
    """The mono wave of an open recording.

    Attributes:
        sound: the open file.
        sample_rate_hz: as the file says.
        mix: what became of the channels so far.
    """

    def __init__(self, sound: Sound, channel: int | None) -> None:
        self.sound, self.sample_rate_hz = sound, sound.file.samplerate
        self.mix = ChannelMix(sound.file.channels)
        self._channel = channel

    def blocks(self) -> Iterator[NDArray[np.float32]]:
        """Pieces of at most :data:`BLOCK_SAMPLES`, at least one. Once."""
        path, file = self.sound.path, self.sound.file
        samples, promised = 0, file.frames
        while len(block := file.read(BLOCK_SAMPLES // file.channels, dtype="float32", always_2d=True)):
            check_peak(block, f"the recording {path}")  # channels that cancel are as wrong as one
            samples += len(block)
            check_length(path, samples)
            yield self.mix.add(block) if self._channel is None else block[:, self._channel].copy()
        if not samples:
            raise AudioError(f"the recording {path} holds no samples", remedy="copy it again from its source")
        if samples < promised * (1 - TOLERATED_LOSS):
            raise AudioError(
                f"the recording {path} is broken off",
                given=f"{samples / promised:.0%} of the samples that its header promises",
                remedy="copy it again from its source",
            )
