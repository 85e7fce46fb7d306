"""Recordings from files (:data:`acula_edge.audio.sound_file.FORMATS`)."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from acula_edge.audio.samples import check_peak
from acula_edge.audio.sound_file import check_length, open_sound
from acula_edge.errors import AudioError

_BLOCK_SAMPLES = 1 << 20
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


def read_audio(path: str | os.PathLike[str]) -> Audio:
    """Decode a recording to mono float32.

    It is read in blocks, so that the channels never lie in memory together: the peak is twice the mono wave, 8 bytes
    a sample, whatever the file holds. Files of more than :data:`acula_edge.limits.MAX_SAMPLES` a channel are refused.

    Raises:
        AudioError: what :func:`acula_edge.audio.sound_file.open_sound` refuses, damaged or broken off, without
            samples, NaN or infinity, or float samples that are plainly integers. The message names the file.
    """
    path = Path(path)
    blocks = []
    with open_sound(path) as file:
        promised, sample_rate_hz, log = file.frames, file.samplerate, file.extra_info
        samples = 0
        while len(block := file.read(_BLOCK_SAMPLES // file.channels, dtype="float32", always_2d=True)):
            check_peak(block, f"the recording {path}")  # channels that cancel are as wrong as one
            blocks.append(block[:, 0] if block.shape[1] == 1 else block.mean(axis=1, dtype=np.float32))
            samples += len(block)
            check_length(path, samples)
    wave = np.concatenate(blocks) if blocks else np.zeros(0, dtype=np.float32)
    _check_complete(path, len(wave), promised, log)
    if wave.size == 0:
        raise AudioError(f"the recording {path} holds no samples", remedy="copy it again from its source")
    return Audio(wave, sample_rate_hz)


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
