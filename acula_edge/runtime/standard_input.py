"""Sound from standard input: bare 16-bit samples, or packets with sequence numbers."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import IO, BinaryIO

import numpy as np
from numpy.typing import NDArray

from acula_edge.audio.containers import BEGINNING_BYTES, MPEG_BYTES, container_of, may_be_mpeg
from acula_edge.audio.samples import SAMPLE_BYTES, SampleBytes
from acula_edge.audio.sound_file import FORMATS, begins_like_sound
from acula_edge.errors import AudioError
from acula_edge.limits import MAX_STANDARD_INPUT_BYTES
from acula_edge.runtime.packets import Packet

READ_BYTES = 1 << 16
PACKET_HEADER = struct.Struct("<IH")
"""Little-endian: sequence number (32 bits), then how many samples of 16 bits follow (16 bits)."""


def copy_recording(stream: BinaryIO, file: IO[bytes]) -> None:
    """Copy a recording of one of the formats that are read; an endless stream of something else ends at once.

    Raises:
        AudioError: it does not begin like a recording, or is longer than
            :data:`acula_edge.limits.MAX_STANDARD_INPUT_BYTES`.
    """
    left = MAX_STANDARD_INPUT_BYTES
    block = stream.read(BEGINNING_BYTES)
    if not block:
        raise AudioError("standard input ended before a single byte came")
    if not begins_like_sound(block):
        raise AudioError(
            "standard input is no recording", allowed=FORMATS, remedy="for bare samples: --stream --rate HZ"
        )
    while block:
        left -= len(block)
        if left < 0:
            raise AudioError(
                "the recording from standard input is too long",
                allowed=f"{MAX_STANDARD_INPUT_BYTES} bytes",
                remedy="with --stream it may go on for ever",
            )
        file.write(block)
        block = stream.read(READ_BYTES)


def read_samples(stream: BinaryIO) -> Iterator[NDArray[np.int16]]:
    """Whatever samples there are, as soon as they arrive; half a sample at the end is dropped.

    Raises:
        AudioError: the first bytes are those of a container.
    """
    samples = SampleBytes("standard input")
    data = _beginning(stream)
    while data:
        yield samples.take(data)
        data = _read_some(stream)


def read_packets(stream: BinaryIO) -> Iterator[Packet]:
    """Packets one after the other (:data:`PACKET_HEADER`); one that breaks off at the end is dropped.

    Raises:
        AudioError: the first bytes are those of a container.
    """
    held = _beginning(stream)

    def read(count: int) -> bytes:
        nonlocal held
        data, held = held[:count], held[count:]
        return data + stream.read(count - len(data)) if len(data) < count else data

    while len(header := read(PACKET_HEADER.size)) == PACKET_HEADER.size:
        sequence, samples = PACKET_HEADER.unpack(header)
        data = read(samples * SAMPLE_BYTES)
        if len(data) < samples * SAMPLE_BYTES:
            return
        yield Packet(sequence, np.frombuffer(data, dtype="<i2"))


def pack(packet: Packet) -> bytes:
    """The bytes of a packet, as :func:`read_packets` takes them."""
    pcm = np.asarray(packet.pcm, dtype="<i2")
    return PACKET_HEADER.pack(packet.sequence, pcm.size) + pcm.tobytes()


def _read_some(stream: BinaryIO) -> bytes:
    # A buffered reader's read() would wait until it has all that was asked for.
    read = getattr(stream, "read1", stream.read)
    data: bytes = read(READ_BYTES)
    return data


def _beginning(stream: BinaryIO) -> bytes:
    """The first bytes of bare samples or packets: eight samples, and a few more where they could be MP3."""
    data = _at_least(stream, b"", BEGINNING_BYTES)
    if may_be_mpeg(data):
        data = _at_least(stream, data, MPEG_BYTES)
    container = container_of(data)
    if container is not None:
        raise AudioError(
            f"standard input begins like {container}, not like bare samples",
            allowed="16-bit little-endian mono samples, or with --packets packets of them",
            remedy="leave out --stream, and it is read as a file where it is one of "
            f"{FORMATS}; or let the sender leave out the header: arecord -t raw, sox -t raw, ffmpeg -f s16le -ac 1",
        )
    return data


def _at_least(stream: BinaryIO, data: bytes, count: int) -> bytes:
    while len(data) < count and (more := _read_some(stream)):
        data += more
    return data
