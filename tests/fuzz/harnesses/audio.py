"""Recordings: what libsndfile makes of a file, and what we make of what it says."""

from __future__ import annotations

import functools
import io
import zlib
from random import Random

import numpy as np
import soundfile

from acula_edge.audio.decode import read_audio
from acula_edge.data.reader import read_header
from tests.fuzz.chunks import mutate_chunks
from tests.fuzz.harness import Harness, MutateBytes, refusing
from tests.fuzz.sandbox import Sandbox

SUFFIXES = (".wav", ".flac", ".ogg", ".mp3", ".aiff", ".au", ".caf", ".w64", ".rf64", ".raw", ".txt", "")
_SEEDS = (
    ("WAV", "PCM_16"), ("WAV", "FLOAT"), ("WAV", "PCM_U8"), ("WAV", "IMA_ADPCM"), ("WAVEX", "PCM_24"),
    ("FLAC", "PCM_16"), ("OGG", "VORBIS"), ("OGG", "OPUS"), ("MP3", "MPEG_LAYER_III"), ("AIFF", "PCM_16"),
    ("AU", "PCM_16"), ("CAF", "PCM_16"), ("W64", "PCM_16"), ("RF64", "PCM_16"), ("NIST", "PCM_16"), ("VOC", "PCM_U8"),
)  # fmt: skip


def one_input(data: bytes, sandbox: Sandbox) -> None:
    """The first byte chooses the suffix of the file's name."""
    if not data:
        return
    path = sandbox.write(f"sound{SUFFIXES[data[0] % len(SUFFIXES)]}", data[1:])
    with refusing():
        rate_hz, duration_s = read_header(path)
        assert rate_hz > 0 and duration_s >= 0
    with refusing():
        audio = read_audio(path)
        assert audio.wave.dtype == np.float32 and audio.wave.ndim == 1 and audio.wave.size > 0
        assert np.isfinite(audio.wave).all() and audio.sample_rate_hz > 0


@functools.cache
def seeds() -> list[bytes]:
    """A few milliseconds in each format."""
    wave = (np.sin(np.arange(160)) * 0.5).astype(np.float32)
    found = []
    for number, (container, subtype) in enumerate(_SEEDS):
        stereo = np.stack([wave, -wave], axis=1) if number % 3 == 1 else wave
        file = io.BytesIO()
        soundfile.write(file, stereo, 48000 if subtype == "OPUS" else 8000, format=container, subtype=subtype)
        found.append(bytes([number % len(SUFFIXES)]) + file.getvalue())
    return found


def mutate(data: bytes, random: Random, blind: MutateBytes, max_bytes: int) -> bytes:
    """Chunks as chunks; the checksums of OGG pages and FLAC frames made anew."""
    head, body = data[:1] or b"\0", data[1:]
    choice = random.random()
    if choice < 0.1:
        return bytes([random.randrange(256)]) + body
    if body[:4] in (b"RIFF", b"RIFX", b"FORM", b"RF64", b"caff") and choice < 0.7:
        return head + mutate_chunks(body, random, blind, max_bytes - 1)
    body = blind(body, max_bytes - 1)
    if choice < 0.8:
        body = {b"OggS": seal_ogg, b"fLaC": seal_flac}.get(body[:4], bytes)(body)
    return head + body


def seal_flac(data: bytes) -> bytes:
    """A FLAC file of one frame (RFC 9639, section 9) with the frame's two checksums right."""
    at, last = 4, 0
    while not last and at + 4 <= len(data):
        last = data[at] >> 7
        at += 4 + int.from_bytes(data[at + 1 : at + 4], "big")
    frame = data[at:]
    if len(frame) < 12:
        return data
    block, rate = frame[2] >> 4, frame[2] & 15
    number = max(1, 8 - (~frame[4] & 0xFF).bit_length())
    end = 4 + number + {6: 1, 7: 2}.get(block, 0) + {12: 1, 13: 2, 14: 2}.get(rate, 0)
    frame = frame[:end] + _crc(frame[:end], 8, 0x07) + frame[end + 1 : -2]
    return data[:at] + frame + _crc(frame, 16, 0x8005)


def _crc(data: bytes, bits: int, polynomial: int) -> bytes:
    crc, top, mask = 0, 1 << (bits - 1), (1 << bits) - 1
    for byte in data:
        crc ^= byte << (bits - 8)
        for _ in range(8):
            crc = (crc << 1 ^ polynomial) & mask if crc & top else crc << 1
    return crc.to_bytes(bits // 8, "big")


def seal_ogg(data: bytes) -> bytes:
    """An OGG file with the checksum of every page right."""
    pages = data.split(b"OggS")[1:]
    return b"".join(_seal_page(b"OggS" + page) for page in pages)


def _seal_page(page: bytes) -> bytes:
    blank = page[:22] + bytes(4) + page[26:]
    # OGG's CRC has the polynomial of zlib's, bits the other way round, and neither begins nor ends with ones.
    reverse = bytes(int(f"{byte:08b}"[::-1], 2) for byte in range(256))
    crc = zlib.crc32(blank.translate(reverse), 0xFFFFFFFF) ^ 0xFFFFFFFF
    return page[:22] + int(f"{crc:032b}"[::-1], 2).to_bytes(4, "little") + page[26:] if len(page) > 26 else page


HARNESS = Harness("recordings: WAV, FLAC, OGG, MP3, AIFF, ...", one_input, seeds, mutate, max_bytes=8192)
