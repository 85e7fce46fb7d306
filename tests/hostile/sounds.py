"""Recordings as no recorder writes them."""

from __future__ import annotations

import io
import struct
from pathlib import Path

import numpy as np
import soundfile

RATE = 8000
TONE = (0.5 * np.sin(2 * np.pi * 200 * np.arange(4000) / RATE)).astype(np.float32)


def encode(form: str, subtype: str | None = None, wave: np.ndarray = TONE, rate: int = RATE) -> bytes:
    """A whole recording."""
    file = io.BytesIO()
    soundfile.write(file, wave, rate, format=form, subtype=subtype)
    return file.getvalue()


def wav(
    data: bytes = b"\1\0" * 4000,
    *,
    rate: int = RATE,
    channels: int = 1,
    bits: int = 16,
    codec: int = 1,
    promised: int | None = None,
    before: bytes = b"",
) -> bytes:
    """A WAV file whose header may say anything; `before` are chunks in front of the sound."""
    align = channels * bits // 8
    form = struct.pack("<HHIIHH", codec, channels, rate, rate * align & 0xFFFFFFFF, align & 0xFFFF, bits)
    size = len(data) if promised is None else promised
    body = b"fmt " + struct.pack("<I", 16) + form + before + b"data" + struct.pack("<I", size) + data
    return b"RIFF" + struct.pack("<I", 4 + len(body) & 0xFFFFFFFF) + b"WAVE" + body


def flac_bomb(frames: int, promised: int | None = None) -> bytes:
    """Silence in FLAC, 65,535 samples in 15 bytes; the header may promise another number of samples."""
    block = 65535
    total = frames * block if promised is None else promised
    info = struct.pack(">HH", block, block) + bytes(6)
    info += ((RATE << 44) | (0 << 41) | (15 << 36) | total).to_bytes(8, "big") + bytes(16)
    parts = [b"fLaC", b"\x80", len(info).to_bytes(3, "big"), info]
    for number in range(frames):
        header = b"\xff\xf8\x70\x00" + _utf8(number) + struct.pack(">H", block - 1)
        frame = header + bytes([_crc(header, 8, 0x07)]) + b"\0\0\0"
        parts.append(frame + _crc(frame, 16, 0x8005).to_bytes(2, "big"))
    return b"".join(parts)


def broken_sounds() -> dict[str, bytes]:
    """Thirty files that are no recordings, by name; each must be refused."""
    quiet = np.zeros(4000, np.float32)
    nan, infinite, huge = TONE.copy(), TONE.copy(), TONE.astype(np.float64)
    nan[5], infinite[5], huge[5] = np.nan, -np.inf, 1e300
    flac, ogg, mp3 = encode("FLAC"), encode("OGG", "VORBIS"), encode("MP3")
    lying = bytearray(flac)
    lying[21] |= 0x0F
    lying[22:26] = b"\xff\xff\xff\xff"
    return {
        "empty.wav": b"",
        "text.wav": b"this is no sound\n" * 40,
        "header-only.wav": wav()[:44],
        "half-a-header.wav": wav()[:30],
        "no-data-chunk.wav": wav()[:36],
        "broken-off.wav": wav()[:4000],
        "half.flac": flac[: len(flac) // 2],
        "rate-0.wav": wav(rate=0),
        "rate-1.wav": wav(rate=1),
        "rate-99.wav": wav(rate=99),
        "rate-2-31.wav": wav(rate=2**31),
        "rate-2-31-less-1.wav": wav(rate=2**31 - 1),
        "channels-0.wav": wav(channels=0),
        "channels-65.wav": wav(bytes(130 * 900), channels=65),
        "channels-1024.wav": wav(bytes(2048 * 900), channels=1024),
        "channels-65535.wav": wav(channels=65535),
        "bits-0.wav": wav(bits=0),
        "codec-unknown.wav": wav(codec=0x7777),
        "codec-that-prints.wav": encode("WAV", "NMS_ADPCM_32"),
        "nan.wav": encode("WAV", "FLOAT", nan),
        "infinite.wav": encode("WAV", "FLOAT", infinite),
        "huge.wav": encode("WAV", "DOUBLE", huge),
        "integers.wav": encode("WAV", "FLOAT", TONE * 32768),
        "too-short.wav": encode("WAV", "PCM_16", quiet[:800]),
        "bomb.flac": flac_bomb(300),
        "promises-much.flac": bytes(lying),
        "tags-only.mp3": b"ID3\4\0\0\0\0\0\0" * 2000 + mp3,
        "tag-without-end.mp3": b"ID3\4\0\0\x7f\x7f\x7f\x7f" + mp3,
        "first-page.ogg": ogg[:58],
        "noise.vox": np.random.default_rng(0).bytes(4000),
    }


def write_sounds(folder: Path, sounds: dict[str, bytes]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name, data in sounds.items():
        (folder / name).write_bytes(data)


def _utf8(number: int) -> bytes:
    return chr(number).encode() if number < 0xD800 else bytes([0xF0 | number >> 18]) + bytes(3)


def _crc(data: bytes, bits: int, polynomial: int) -> int:
    value, top = 0, 1 << (bits - 1)
    for byte in data:
        value ^= byte << (bits - 8)
        for _ in range(8):
            value = (value << 1 ^ (polynomial if value & top else 0)) & ((1 << bits) - 1)
    return value
