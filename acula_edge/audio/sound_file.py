"""The door that every recording enters by: what libsndfile may open, and what a header may promise."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import soundfile

from acula_edge.audio.extent import TOLERATED_LOSS, Extent, MendedFile, find_extent
from acula_edge.errors import AudioError
from acula_edge.limits import (
    FREE_SAMPLES,
    MAX_CHANNELS,
    MAX_SAMPLE_RATE_HZ,
    MAX_SAMPLES,
    MAX_SAMPLES_PER_BYTE,
    MIN_SAMPLE_RATE_HZ,
)
from acula_edge.untrusted.texts import open_regular

FORMATS = "WAV, FLAC, OGG (Vorbis, Opus), MP3, AIFF, AU, CAF, W64, RF64, BW64, NIST SPHERE"
_CONVERT = "convert it with another program, for example ffmpeg, or copy it again if it is damaged"
# libsndfile reads a dozen formats more. No recorder writes them, some decoders print to standard output, and bytes
# without any header (.vox, .gsm) pass for sound.
_BEGINNINGS = (b"RIFF", b"RIFX", b"RF64", b"BW64", b"riff", b"FORM", b"fLaC", b"OggS", b".snd", b"caff", b"NIST")
_CODECS = (
    "PCM_",
    "FLOAT",
    "DOUBLE",
    "ULAW",
    "ALAW",
    "IMA_ADPCM",
    "MS_ADPCM",
    "GSM610",
    "VORBIS",
    "OPUS",
    "MPEG_",
    "ALAC_",
)
_TAG, _ID3_HEADER = b"ID3", 10
_MOST_ID3_TAGS = 8
# libsndfile's word for a length that neither the header nor the file's end tells.
_UNKNOWN = 0x7FFFFFFFFFFFFFFF
# Decoders read ahead by less than this.
_READ_AHEAD_BYTES = 1 << 13


@dataclass(frozen=True)
class Sound:
    """A recording opened for reading.

    Attributes:
        path: of the file.
        file: at the first sample; its length is what is there where the header does not tell it.
        handle: of the file; None where the decoder has another.
        size: of the file, bytes.
        extent: see :func:`acula_edge.audio.extent.find_extent`.
    """

    path: Path
    file: soundfile.SoundFile
    handle: int | None
    size: int
    extent: Extent | None

    def lost_behind(self) -> str | None:
        """Once all is read: a sentence where much lies behind the sound that is none by the headers; else None."""
        if self.extent is not None and self.extent.promised is not None:
            behind = self.extent.behind
            part = behind / self.extent.promised
        elif self.extent is None and self.handle is not None:
            behind = self.size - os.lseek(self.handle, 0, os.SEEK_CUR)
            behind = behind if behind > _READ_AHEAD_BYTES else 0
            part = behind / self.size
        else:
            return None
        if part <= TOLERATED_LOSS:
            return None
        heard_s = self.file.frames / self.file.samplerate
        return (
            f"{behind} bytes lie behind the {heard_s:.3g} s that its header tells of and are not heard; where they are "
            "sound, the header was never finished: ffmpeg -i IN OUT.wav or sox --ignore-length IN OUT.wav mends it"
        )


@contextmanager
def open_sound(path: str | os.PathLike[str]) -> Iterator[Sound]:
    """A recording opened for reading, with a rate, a number of channels and a length that can be true.

    Only a regular file is opened, so that neither a pipe nor a device is waited for.

    Raises:
        AudioError: no such file, empty, none of :data:`FORMATS`, not decodable, also while the caller reads; or beyond
            a limit of :mod:`acula_edge.limits` in its header; broken off. The message names the file.
    """
    path = Path(path)
    with _opened(path) as file:
        size = os.fstat(file.fileno()).st_size
        if size == 0:
            raise AudioError(f"the recording {path} is an empty file", remedy="copy it again from its source")
        handle = file.fileno()
        start = _find_beginning(path, handle)
        if start is None and path.suffix.casefold() != ".mp3":
            raise _undecodable(path, "its first bytes are of none of the formats")
        extent = None if start is None else find_extent(handle, size, start)
        # By its name only where the name says what the first bytes do not: MP3 may begin with anything.
        with _decoder(path, os.fspath(path) if start is None else handle, extent) as sound:
            _check(path, sound, size)
            _check_whole(path, extent)
            try:
                yield Sound(path, sound, None if start is None else handle, size, extent)
            except soundfile.SoundFileError as error:
                raise _undecodable(path, error) from error


def _opened(path: Path) -> BinaryIO:
    try:
        return open_regular(path)
    except FileNotFoundError as error:
        raise AudioError(f"there is no recording {path}") from error
    except OSError as error:
        raise AudioError(f"the recording {path} cannot be read: {error.strerror or error}") from error


def _decoder(path: Path, file: int | str, extent: Extent | None) -> soundfile.SoundFile:
    source: int | str | MendedFile = file
    if extent is not None and extent.mended is not None and isinstance(file, int):
        source = MendedFile(file, extent.mended)
    try:
        return soundfile.SoundFile(source, closefd=False)
    except (soundfile.SoundFileError, OSError, TypeError, ValueError) as error:
        _check_whole(path, extent)
        raise _undecodable(path, error) from error


def _undecodable(path: Path, given: object) -> AudioError:
    return AudioError(f"the recording {path} cannot be decoded", given=given, allowed=FORMATS, remedy=_CONVERT)


def _check_whole(path: Path, extent: Extent | None) -> None:
    if extent is not None and extent.broken_off:
        raise AudioError(
            f"the recording {path} is broken off",
            given=f"{extent.kept:.0%} of the samples that its header promises",
            remedy="copy it again from its source",
        )


def begins_like_sound(data: bytes) -> bool:
    """Whether these can be the first bytes of a recording."""
    return data.startswith((*_BEGINNINGS, _TAG)) or (len(data) > 1 and data[0] == 0xFF and data[1] >= 0xE0)


def check_length(path: Path, samples: int, most: int | None = None) -> None:
    """Raises AudioError where a recording has more samples per channel than `most`, or than are heard."""
    most = MAX_SAMPLES if most is None else most
    if samples == _UNKNOWN:
        raise AudioError(
            f"the recording {path} does not tell how long it is, and does not end with a whole frame",
            remedy="copy it again from its source, or convert it",
        )
    if samples > most:
        raise AudioError(
            f"the recording {path} is too long",
            given=f"{samples} samples",
            allowed=f"at most {most} samples per channel",
            remedy="cut it into shorter files",
        )


def _check(path: Path, sound: soundfile.SoundFile, size: int) -> None:
    if not sound.subtype.startswith(_CODECS):
        raise _undecodable(path, f"{sound.format}, {sound.subtype}")
    if not MIN_SAMPLE_RATE_HZ <= sound.samplerate <= MAX_SAMPLE_RATE_HZ:
        raise AudioError(
            f"the recording {path} has no sample rate of sound",
            given=f"{sound.samplerate} Hz",
            allowed=f"{MIN_SAMPLE_RATE_HZ} to {MAX_SAMPLE_RATE_HZ} Hz",
        )
    if not 1 <= sound.channels <= MAX_CHANNELS:
        raise AudioError(
            f"the recording {path} has too many channels", given=sound.channels, allowed=f"1 to {MAX_CHANNELS}"
        )
    check_length(path, sound.frames)
    if sound.frames > max(FREE_SAMPLES, size * MAX_SAMPLES_PER_BYTE):
        raise AudioError(
            f"the recording {path} unpacks to far more than any sound does",
            given=f"{sound.frames} samples per channel in {size} bytes",
            allowed=f"{MAX_SAMPLES_PER_BYTE} a byte, or {FREE_SAMPLES} in all",
        )


def _find_beginning(path: Path, handle: int) -> int | None:
    """Where the first bytes of a format that is read lie, behind tags as players of music write them."""
    position = 0
    for _ in range(_MOST_ID3_TAGS + 1):
        found = os.pread(handle, _ID3_HEADER, position)
        if not found.startswith(_TAG):
            return position if begins_like_sound(found) else None
        size = 0
        for byte in found[6:]:
            size = size << 7 | byte & 0x7F
        position += _ID3_HEADER + size
    raise AudioError(f"the recording {path} holds tags instead of sound", allowed=f"at most {_MOST_ID3_TAGS}")
