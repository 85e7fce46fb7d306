"""How many bytes of sound a file holds, and how many its header promises.

Programs that write to a pipe, and recorders that lose power, leave a placeholder, nothing or an early value where the
length belongs. libsndfile takes some of them for the truth, and does not tell a placeholder from a copy that broke off.
"""

from __future__ import annotations

import io
import os
import re
import struct
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import accumulate, pairwise

from acula_edge.audio.flac_length import flac_header

TOLERATED_LOSS = 0.01
"""Some recorders count the header into the length of the data: a few bytes missing are not a broken file."""

# What programs write for "not known": sox 0x7F000000 (AIFF) and 0x7FFFF000, arecord and others just below 2**31 or at
# it, ffmpeg the largest number there is; each with or without the length of the header.
_PLACEHOLDERS = (0x7F000000, 0x80000000, 0x100000000)
_NEAR_PLACEHOLDER = 1 << 16
_UNKNOWN_64 = 1 << 62  # of 64-bit lengths: more than any disk holds
_MOST_CHUNKS = 1 << 16
_READ_BYTES = 1 << 20
_W64_RIFF = bytes.fromhex("726966662e91cf11a5d628db04c10000")
_W64_DATA = bytes.fromhex("64617461f3acd3118cd100c04f8edb8a")
_NIST_FACT = re.compile(rb"^(sample_count|sample_n_bytes|channel_count) -i (\d{1,18})\s*$", re.MULTILINE)

Segment = bytes | tuple[int, int]
"""Part of a mended file: bytes, or from where to where in the file."""


@dataclass(frozen=True)
class Extent:
    """The sound of one file.

    Attributes:
        start: where its bytes begin.
        promised: how many the header promises; None where it does not tell.
        present: how many of them are there.
        behind: bytes that follow, belong to no chunk and are not all zero.
        mended: the file with its length told in a way that libsndfile understands; None where it is so already.
    """

    start: int
    promised: int | None
    present: int
    behind: int = 0
    mended: tuple[Segment, ...] | None = None

    @property
    def kept(self) -> float:
        """Share of what the header promises that is there."""
        return self.present / self.promised if self.promised else 1.0

    @property
    def broken_off(self) -> bool:
        """Whether more is missing than a header that counts itself explains."""
        return self.kept < 1 - TOLERATED_LOSS


def find_extent(handle: int, size: int, start: int = 0) -> Extent | None:
    """What the headers of a file say about its sound, against its size.

    Args:
        handle: of the file, open for reading.
        size: of the file, bytes.
        start: where the format's first bytes lie, behind tags.

    Returns:
        None for formats without a length of their own (Ogg, MP3), and where the headers make no sense.
    """
    source = _Source(handle, size)
    first = source.read(start, 16)
    if len(first) < 16:
        return None
    if first.startswith(b"fLaC"):
        mended = flac_header(source.read, size, start)
        return None if mended is None else Extent(start, None, size - start, mended=_patched(size, start, mended))
    if start:
        return None
    if first[:4] in (b"RIFF", b"RIFX", b"RF64", b"BW64") and first[8:12] == b"WAVE":
        return _wave(source, first)
    if first[:4] == b"FORM" and first[8:12] in (b"AIFF", b"AIFC"):
        return _in_chunks(source, _Chunks(source, ">", 4, 2), b"SSND", 12, 8)
    if first[:4] == b"caff":
        return _in_chunks(source, _Chunks(source, ">", 8, 1), b"data", 8, 4)
    if first == _W64_RIFF:
        return _wave64(source)
    if first[:4] == b".snd":
        return _au(source, first)
    return _nist(source) if first.startswith(b"NIST_1A") else None


class MendedFile(io.RawIOBase):
    """A file of segments, for libsndfile; `handle` stays open.

    Args:
        segments: see :data:`Segment`.
    """

    name = "the file"  # in libsndfile's messages

    def __init__(self, handle: int, segments: tuple[Segment, ...]) -> None:
        self._handle, self._segments = handle, segments
        lengths = (len(part) if isinstance(part, bytes) else part[1] - part[0] for part in segments)
        self._bounds = list(accumulate(lengths, initial=0))
        self._at = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._at

    def seek(self, offset: int, whence: int = os.SEEK_SET, /) -> int:
        base = (0, self._at, self._bounds[-1])[whence]
        self._at = max(0, base + offset)
        return self._at

    def readinto(self, buffer: object, /) -> int:
        """As much as there is: libsndfile takes a short answer for the file's end."""
        target = memoryview(buffer).cast("B")  # type: ignore[arg-type]
        filled = 0
        for part, (first, end) in zip(self._segments, pairwise(self._bounds), strict=True):
            while first <= self._at < end and filled < len(target):
                inner, wanted = self._at - first, min(len(target) - filled, end - self._at)
                if isinstance(part, bytes):
                    found = part[inner : inner + wanted]
                else:
                    found = os.pread(self._handle, wanted, part[0] + inner)
                if not found:
                    return filled  # the file was cut meanwhile
                target[filled : filled + len(found)] = found
                self._at, filled = self._at + len(found), filled + len(found)
        return filled


class _Source:
    """A file's bytes by their place."""

    def __init__(self, handle: int, size: int) -> None:
        self._handle, self.size = handle, size

    def read(self, at: int, length: int) -> bytes:
        return os.pread(self._handle, length, at) if 0 <= at < self.size else b""

    def is_zero(self, at: int) -> bool:
        """Whether nothing but zeros follows."""
        while part := self.read(at, _READ_BYTES):
            if part.count(0) != len(part):
                return False
            at += len(part)
        return True


@dataclass(frozen=True)
class _Chunks:
    """How chunks follow each other: four letters and a length before each body.

    Attributes:
        order: of bytes, as :mod:`struct` has it.
        width: of the length, bytes.
        align: bodies are padded to a multiple of it.
    """

    source: _Source
    order: str
    width: int
    align: int

    def head(self, at: int) -> tuple[bytes, int] | None:
        """Letters and length of the chunk at `at`."""
        found = self.source.read(at, 4 + self.width)
        if len(found) < 4 + self.width:
            return None
        return found[:4], struct.unpack(self.order + ("I" if self.width == 4 else "Q"), found[4:])[0]

    def body(self, at: int) -> int:
        return at + 4 + self.width

    def next(self, at: int, length: int) -> int:
        """Where the chunk after the one at `at` begins; some programs leave out the padding."""
        end = self.body(at) + length
        padded = end + -length % self.align
        return end if padded != end and self._is_chunk(end) and not self._is_chunk(padded) else padded

    def walk(self, at: int) -> Iterator[tuple[int, bytes, int]]:
        """Place, letters and length of the chunks from `at` on."""
        for _ in range(_MOST_CHUNKS):
            head = self.head(at)
            if head is None:
                return
            yield at, *head
            at = self.next(at, head[1])

    def behind(self, at: int) -> int:
        """Bytes from `at` on that are no chunks."""
        for _ in range(_MOST_CHUNKS):
            if not self._is_chunk(at):
                break
            head = self.head(at)
            assert head is not None
            at = self.next(at, head[1])
        return 0 if at >= self.source.size or self.source.is_zero(at) else self.source.size - at

    def _is_chunk(self, at: int) -> bool:
        head = self.head(at)
        if head is None:
            return False
        letters = all(0x20 <= letter < 0x7F for letter in head[0])
        return letters and self.body(at) + head[1] <= self.source.size


def _is_placeholder(length: int, width: int = 4) -> bool:
    """Whether a program wrote it that did not know better; `width` is that of the number, in bytes."""
    near = width == 4 and any(abs(length - number) <= _NEAR_PLACEHOLDER for number in _PLACEHOLDERS)
    return near or length >= _UNKNOWN_64


def _extent(chunks: _Chunks, start: int, promised: int) -> Extent:
    """Of data that begin at `start`."""
    there = max(0, chunks.source.size - start)
    # The padding may be missing.
    ends = {start + promised, start + promised + -promised % chunks.align}
    behind = min(chunks.behind(end) for end in ends) if promised < there else 0
    if behind and not promised or _is_placeholder(promised, chunks.width) and (behind or promised > there):
        return Extent(start, None, there)
    return Extent(start, promised, min(promised, there), behind)


def _wave(source: _Source, first: bytes) -> Extent | None:
    """WAV of either byte order, and its 64-bit forms: RF64 (EBU Tech 3306) and BW64 (ITU-R BS.2088)."""
    order = ">" if first.startswith(b"RIFX") else "<"
    chunks = _Chunks(source, order, 4, 2)
    form = long = None
    for at, letters, length in chunks.walk(12):
        if letters == b"ds64" and form is None:
            long = struct.unpack("<Q", source.read(at + 16, 8).ljust(8, b"\xff"))[0]
        elif letters == b"fmt " and length <= 1 << 10:
            form = (at, chunks.next(at, length))
        elif letters == b"data":
            break
    else:
        return None
    body = chunks.body(at)
    sixty_four = first[:4] in (b"RF64", b"BW64")
    if sixty_four and length in (0, 0xFFFFFFFF) and long is not None:
        length = long
    extent = _extent(chunks, body, length)
    padding_missing = at % 2 == 1
    if form is not None and (extent.promised is None or padding_missing or first.startswith(b"BW64")):
        return replace(extent, mended=_plain_wave(source, order, form, extent))
    return extent


def _plain_wave(source: _Source, order: str, form: tuple[int, int], extent: Extent) -> tuple[Segment, ...]:
    """A WAV file of the same samples, which says how many they are; beyond 4 GiB it says the most that it can."""
    described = source.read(form[0], form[1] - form[0])
    length = min(extent.present, 0xFFFFFFFF)
    head = (b"RIFX" if order == ">" else b"RIFF") + struct.pack(order + "I", min(length + 36, 0xFFFFFFFF)) + b"WAVE"
    return (
        head + described + b"data" + struct.pack(order + "I", length),
        (extent.start, extent.start + extent.present),
    )


def _in_chunks(source: _Source, chunks: _Chunks, name: bytes, at: int, before: int) -> Extent | None:
    """AIFF and CAF: `before` bytes of the chunk `name` come before its sound."""
    found = next(((place, length) for place, letters, length in chunks.walk(at) if letters == name), None)
    if found is None:
        return None
    place, length = found
    start = chunks.body(place) + before
    extent = _extent(chunks, start, max(0, length - before))
    if extent.promised is not None:
        return extent
    right = struct.pack(chunks.order + ("I" if chunks.width == 4 else "Q"), extent.present + before)
    return replace(extent, mended=_patched(source.size, place + 4, right))


def _wave64(source: _Source) -> Extent | None:
    """Sony Wave64: names of 16 bytes, and lengths that count their own 24 bytes."""
    at = 40
    for _ in range(_MOST_CHUNKS):
        head = source.read(at, 24)
        if len(head) < 24:
            return None
        length = struct.unpack("<Q", head[16:])[0]
        if head[:16] == _W64_DATA:
            there = source.size - at - 24
            if length <= 24 or length >= _UNKNOWN_64:
                return Extent(at + 24, None, there)
            end = at + length + -length % 8
            follows = source.read(end, 16)[8:] in (_W64_RIFF[8:], _W64_DATA[8:]) or source.is_zero(end)
            behind = 0 if follows else max(0, source.size - end)
            # libsndfile would read to the file's end.
            mended: tuple[Segment, ...] | None = ((0, at + length),) if length - 24 < there else None
            return Extent(at + 24, length - 24, min(there, length - 24), behind, mended)
        at += max(24, length + -length % 8)
    return None


def _au(source: _Source, first: bytes) -> Extent | None:
    start, length = struct.unpack(">II", first[4:12])
    there = source.size - start
    if start < 24 or there <= 0:
        return None
    if length == 0 or _is_placeholder(length):
        return Extent(start, None, there, mended=_patched(source.size, 8, struct.pack(">I", min(there, 0xFFFFFFFE))))
    behind = 0 if length >= there or source.is_zero(start + length) else there - length
    return Extent(start, length, min(length, there), behind)


def _nist(source: _Source) -> Extent | None:
    header = source.read(0, 1 << 10)
    facts = {name: int(value) for name, value in _NIST_FACT.findall(header)}
    size = re.match(rb"NIST_1A\s+(\d{1,6})\s", header)
    if size is None or len(facts) < 3:
        return None
    start, promised = int(size[1]), facts[b"sample_count"] * facts[b"sample_n_bytes"] * facts[b"channel_count"]
    there = max(0, source.size - start)
    behind = 0 if promised >= there or source.is_zero(start + promised) else there - promised
    return Extent(start, promised, min(promised, there), behind) if promised else None


def _patched(size: int, at: int, right: bytes) -> tuple[Segment, ...]:
    return ((0, at), right, (at + len(right), size))
