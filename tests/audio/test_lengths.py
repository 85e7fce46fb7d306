"""Lengths that a header does not tell, or tells too early: the sound is read to its end, a short copy is refused."""

from __future__ import annotations

import contextlib
import io
import struct
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile

from acula_edge.audio.decode import check_audio, read_audio
from acula_edge.audio.sound_file import open_sound
from acula_edge.data.reader import read_header
from acula_edge.errors import AudioError
from tests.hostile.sounds import encode, wav

RATE = 8000
NOISE = (0.3 * np.random.default_rng(0).standard_normal(6000)).clip(-1, 1).astype(np.float32)
PCM = np.round(NOISE * 32768).clip(-32768, 32767).astype("<i2").tobytes()
FMT = b"fmt " + struct.pack("<IHHIIHH", 16, 1, 1, RATE, 2 * RATE, 2, 16)
WAVE = np.frombuffer(PCM, "<i2") / np.float32(32768)
W64_DATA = bytes.fromhex("64617461f3acd3118cd100c04f8edb8a")


def put(data: bytes, at: int, value: bytes) -> bytes:
    return data[:at] + value + data[at + len(value) :]


def riff(size: int, *chunks: bytes, tag: bytes = b"RIFF") -> bytes:
    return tag + struct.pack("<I", size) + b"WAVE" + b"".join(chunks)


def data(size: int) -> bytes:
    return b"data" + struct.pack("<I", size) + PCM


def ds64(size: int) -> bytes:
    return b"ds64" + struct.pack("<IQQQI", 28, size and size + 72, size, size // 2, 0)


def big_endian(size: int) -> bytes:
    head = struct.pack(">IHHIIHH", 16, 1, 1, RATE, 2 * RATE, 2, 16)
    swapped = np.frombuffer(PCM, "<i2").astype(">i2").tobytes()
    return b"RIFX" + struct.pack(">I", size) + b"WAVEfmt " + head + b"data" + struct.pack(">I", size) + swapped


def whole(form: str, subtype: str = "PCM_16") -> bytes:
    file = io.BytesIO()
    soundfile.write(file, np.frombuffer(PCM, "<i2"), RATE, format=form, subtype=subtype)
    return file.getvalue()


def aiff(size: int) -> bytes:
    plain = whole("AIFF")
    return put(plain, plain.index(b"SSND") + 4, struct.pack(">I", size))


def caf(size: int) -> bytes:
    plain = whole("CAF")
    return put(plain, plain.index(b"data") + 4, struct.pack(">q", size))


def w64(size: int) -> bytes:
    plain = whole("W64")
    return put(plain, plain.index(W64_DATA) + 16, struct.pack("<Q", size))


def flac(samples: int) -> bytes:
    plain = whole("FLAC")
    return put(plain, 21, bytes([plain[21] & 0xF0]) + struct.pack(">I", samples))


def au(size: int) -> bytes:
    return put(whole("AU"), 8, struct.pack(">I", size))


UNKNOWN: dict[str, bytes] = {
    **{f"WAV {n:#x}": riff(n + 36 & 0xFFFFFFFF, FMT, data(n)) for n in (
        0x7FFFF000, 0x7FFFFF00, 0x7FFFFFDB, 0x7FFFFFFF, 0x80000000, 0xFFFFFFDB, 0xFFFFFFFF, 0)},
    "WAV 0, RIFF 0": riff(0, FMT, data(0)),
    "WAV 0, RIFF ff": riff(0xFFFFFFFF, FMT, data(0)),
    "WAV behind a list": riff(0xFFFFFFFF, FMT, b"LIST\x04\0\0\0INFO", data(0x7FFFF000)),
    "WAV without padding": riff(len(PCM) + 47, FMT, b"junk\x03\0\0\0abc", data(len(PCM))),
    "RIFX": big_endian(0x7FFFF000),
    "RF64": riff(0xFFFFFFFF, ds64(len(PCM)), FMT, data(0xFFFFFFFF), tag=b"RF64"),
    "RF64 0": riff(0xFFFFFFFF, ds64(0), FMT, data(0xFFFFFFFF), tag=b"RF64"),
    "RF64 0 0": riff(0xFFFFFFFF, ds64(0), FMT, data(0), tag=b"RF64"),
    "RF64 without ds64": riff(0xFFFFFFFF, b"JUNK\x04\0\0\0abcd", FMT, data(0xFFFFFFFF), tag=b"RF64"),
    "BW64": riff(0xFFFFFFFF, ds64(len(PCM)), FMT, data(0xFFFFFFFF), tag=b"BW64"),
    "BW64 0": riff(0xFFFFFFFF, ds64(0), FMT, data(0xFFFFFFFF), tag=b"BW64"),
    "FLAC": flac(0), "FLAC behind tags": b"ID3\4\0\0\0\0\0\x0a" + bytes(10) + flac(0),
    "CAF -1": caf(-1), "CAF 0": caf(0),
    "AIFF 0": aiff(0), "AIFF 8": aiff(8), "AIFF sox": aiff(0x7F000008), "AIFF ff": aiff(0xFFFFFFFF),
    "W64 0": w64(0), "W64 24": w64(24), "W64 -1": w64(2**64 - 1),
    "AU -1": au(0xFFFFFFFF), "AU 0": au(0),
}  # fmt: skip


@pytest.mark.parametrize("name", UNKNOWN)
def test_a_length_that_a_pipe_cannot_know_is_that_of_the_file(tmp_path: Path, name: str) -> None:
    path = tmp_path / "a.bin"
    path.write_bytes(UNKNOWN[name])
    audio = read_audio(path)
    assert audio.sample_rate_hz == RATE and audio.warnings == ()
    np.testing.assert_array_equal(audio.wave, WAVE)
    np.testing.assert_array_equal(np.concatenate(list(check_audio(path, kept_samples=0).blocks())), WAVE)
    assert read_header(path) == (RATE, len(WAVE) / RATE)
    with open_sound(path) as sound:
        sound.file.seek(4000)
        np.testing.assert_array_equal(sound.file.read(dtype="float32"), WAVE[4000:])


HONEST: dict[str, Callable[[], bytes]] = {
    "WAV": lambda: wav(PCM, rate=RATE), "RF64": lambda: UNKNOWN["RF64"], "BW64": lambda: UNKNOWN["BW64"],
    "RIFX": lambda: big_endian(len(PCM)),
    **{form: lambda form=form: whole(form) for form in ("AIFF", "AU", "CAF", "W64", "NIST", "FLAC")},
}  # type: ignore[misc]  # fmt: skip


@pytest.mark.parametrize("form", HONEST)
def test_half_of_a_recording_is_refused(tmp_path: Path, form: str) -> None:
    path = tmp_path / "half.bin"
    sound = HONEST[form]()
    path.write_bytes(sound)
    np.testing.assert_array_equal(read_audio(path).wave, WAVE)
    path.write_bytes(sound[: len(sound) // 2])
    with pytest.raises(AudioError, match="half.bin (is broken off|cannot be decoded)"):
        read_audio(path)


def test_a_flac_file_of_unknown_length_that_breaks_off_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.flac").write_bytes(flac(0)[:-500])
    with pytest.raises(AudioError, match="does not end with a whole frame"):
        read_audio(tmp_path / "a.flac")


@pytest.mark.parametrize("block", [16, 192, 4096, 4608])
@pytest.mark.parametrize("samples", [1, 4096, 6000])
def test_the_length_of_a_flac_file_is_what_its_last_frame_says(tmp_path: Path, block: int, samples: int) -> None:
    path = tmp_path / "a.flac"
    rng = np.random.default_rng(samples + block)
    pcm = rng.integers(-9000, 9000, (samples, 2), dtype=np.int16)
    soundfile.write(path, pcm, RATE * (1 + block % 5))
    plain = path.read_bytes()
    path.write_bytes(put(plain, 21, bytes([plain[21] & 0xF0]) + bytes(4)))
    with open_sound(path) as sound:
        np.testing.assert_array_equal(sound.file.read(dtype="int16", always_2d=True), pcm)


EARLY: dict[str, Callable[[], bytes]] = {
    "WAV": lambda: riff(36 + 3000, FMT, data(3000)),
    "RF64": lambda: riff(0xFFFFFFFF, ds64(3000), FMT, data(0xFFFFFFFF), tag=b"RF64"),
    "RIFX": lambda: big_endian(3000),
    "AIFF": lambda: aiff(3008), "AU": lambda: au(3000), "W64": lambda: w64(3024), "CAF": lambda: caf(3004),
}  # fmt: skip


@pytest.mark.parametrize("form", EARLY)
def test_sound_behind_a_header_that_was_written_too_early_is_told(tmp_path: Path, form: str) -> None:
    path = tmp_path / "a.bin"
    path.write_bytes(EARLY[form]())
    audio = read_audio(path)
    np.testing.assert_array_equal(audio.wave, WAVE[:1500])
    (warning,) = audio.warnings
    assert "9000 bytes lie behind" in warning


def test_frames_behind_the_promise_of_a_flac_file_and_a_second_ogg_stream_are_told(tmp_path: Path) -> None:
    wave = np.tile(NOISE, 10)
    long = bytearray(encode("FLAC", wave=wave))
    long[22:26] = struct.pack(">I", 6000)
    ogg = encode("OGG", "VORBIS", wave)
    for name, sound in (("a.flac", bytes(long)), ("a.ogg", ogg + ogg)):
        (tmp_path / name).write_bytes(sound)
        (warning,) = read_audio(tmp_path / name).warnings
        assert "bytes lie behind" in warning
    (tmp_path / "a.ogg").write_bytes(ogg)
    assert read_audio(tmp_path / "a.ogg").warnings == ()


@pytest.mark.parametrize(
    "behind", [b"LIST\x04\0\0\0INFO", b"\0" * 4096, b"id3 \x03\0\0\0abc", b"LIST\x03\0\0\0abc\0junk\x02\0\0\0ab"]
)
@pytest.mark.parametrize("samples", [6000, 0])
def test_chunks_and_padding_behind_the_sound_are_no_sound(tmp_path: Path, behind: bytes, samples: int) -> None:
    path = tmp_path / "a.wav"
    path.write_bytes(wav(PCM[: 2 * samples], rate=RATE) + behind)
    if samples:
        audio = read_audio(path)
        assert len(audio.wave) == samples and audio.warnings == ()
    else:
        with pytest.raises(AudioError, match="holds no samples"):
            read_audio(path)


@pytest.mark.parametrize("subtype", ["FLOAT", "PCM_24", "PCM_U8", "IMA_ADPCM", "ULAW"])
def test_every_codec_is_read_to_the_end(tmp_path: Path, subtype: str) -> None:
    plain = encode("WAV", subtype, WAVE)
    (tmp_path / "a.wav").write_bytes(plain)
    (tmp_path / "b.wav").write_bytes(put(plain, plain.index(b"data") + 4, struct.pack("<I", 0x7FFFF000)))
    np.testing.assert_array_equal(read_audio(tmp_path / "b.wav").wave, read_audio(tmp_path / "a.wav").wave)


@pytest.mark.parametrize("seed", range(200))
def test_no_header_makes_a_fault(tmp_path: Path, seed: int) -> None:
    """Every byte of a header may be anything, and the file may end anywhere."""
    rng = np.random.default_rng(seed)
    sound = bytearray(list(UNKNOWN.values())[seed % len(UNKNOWN)][:3000])
    for _ in range(int(rng.integers(1, 6))):
        sound[int(rng.integers(4, 100))] = int(rng.choice([0, 1, 0x7F, 0x80, 0xFF, rng.integers(256)]))
    path = tmp_path / "a.bin"
    path.write_bytes(sound[: int(rng.integers(12, 3000))])
    with contextlib.suppress(AudioError):
        assert np.isfinite(read_audio(path).wave).all()
