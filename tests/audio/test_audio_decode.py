"""Recordings from files, and every way in which a file is no recording."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
import pytest
import soundfile

from acula_edge.audio import decode, sound_file
from acula_edge.audio.decode import read_audio
from acula_edge.errors import AudioError

RATE = 8000


def tone(seconds: float, rate: int = RATE) -> np.ndarray:
    return (0.5 * np.sin(2 * np.pi * 200 * np.arange(round(seconds * rate)) / rate)).astype(np.float32)


@pytest.mark.parametrize(
    ("name", "tolerance"), [("a.wav", 2**-15), ("a.flac", 2**-15), ("a.aiff", 2**-15), ("a.ogg", 0.03), ("a.mp3", 0.03)]
)
def test_formats(tmp_path: Path, name: str, tolerance: float) -> None:
    soundfile.write(tmp_path / name, tone(1.0), RATE)
    audio = read_audio(tmp_path / name)
    assert audio.sample_rate_hz == RATE and audio.wave.dtype == np.float32
    assert audio.duration_s == 1.0
    np.testing.assert_allclose(audio.wave, tone(1.0), atol=tolerance)


def test_channels_are_averaged_at_any_rate(tmp_path: Path) -> None:
    left, right = tone(0.5, 96000), np.linspace(-1, 1, 48000, dtype=np.float32)
    soundfile.write(tmp_path / "stereo.wav", np.stack([left, right], axis=1), 96000, subtype="FLOAT")
    audio = read_audio(tmp_path / "stereo.wav")
    assert audio.sample_rate_hz == 96000
    np.testing.assert_allclose(audio.wave, (left + right) / 2, atol=1e-7)


def test_blocks_join_without_a_seam(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    wave = np.random.default_rng(0).uniform(-1, 1, 1000).astype(np.float32)
    soundfile.write(tmp_path / "a.wav", wave, RATE, subtype="FLOAT")
    monkeypatch.setattr(decode, "BLOCK_SAMPLES", 300)
    assert np.array_equal(read_audio(tmp_path / "a.wav").wave, wave)


def test_a_short_clip_is_a_recording(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "short.wav", tone(0.1), RATE)
    assert read_audio(tmp_path / "short.wav").wave.shape == (800,)


def break_off(path: Path, kept: float) -> None:
    data = path.read_bytes()
    path.write_bytes(data[: round(len(data) * kept)])


def bad_file(folder: Path, kind: str) -> Path:
    """A file that must be refused."""
    path = folder / f"bad.{'wav' if '.' not in kind else kind.split('.')[1]}"
    if kind == "missing":
        return path
    if kind == "empty":
        path.touch()
    elif kind == "text":
        path.write_text("patient,murmur\n1,Absent\n" * 40)
    elif kind == "no samples":
        soundfile.write(path, np.zeros(0, dtype=np.float32), RATE)
    elif kind in ("NaN", "infinity"):
        wave = tone(0.5)
        wave[100] = np.nan if kind == "NaN" else -np.inf
        soundfile.write(path, wave, RATE, subtype="FLOAT")
    elif kind == "integers as floats":
        soundfile.write(path, tone(0.5) * 32768, RATE, subtype="FLOAT")
    elif kind.startswith("broken off"):
        soundfile.write(path, tone(0.5), RATE)
        break_off(path, 0.5)
    elif kind == "damaged.flac":
        soundfile.write(path, np.random.default_rng(0).uniform(-1, 1, 8000), RATE)
        data = bytearray(path.read_bytes())
        data[4000:4400] = bytes(400)
        path.write_bytes(bytes(data))
    elif kind == "headerless.raw":
        path.write_bytes(bytes(1000))
    elif kind == "folder":
        path.mkdir()
    return path


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        ("missing", "there is no recording"),
        ("folder", "not a regular file"),
        ("empty", "empty file"),
        ("text", "cannot be decoded"),
        ("headerless.raw", "cannot be decoded"),
        ("damaged.flac", "cannot be decoded"),
        ("no samples", "holds no samples"),
        ("NaN", "NaN or infinity"),
        ("infinity", "NaN or infinity"),
        ("integers as floats", "far beyond"),
        ("broken off.wav", "broken off"),
        ("broken off.aiff", "broken off"),
        ("broken off.flac", "cannot be decoded"),
    ],
)
def test_what_is_no_recording_is_named(tmp_path: Path, kind: str, words: str) -> None:
    path = bad_file(tmp_path, kind)
    with pytest.raises(AudioError, match=words) as caught:
        read_audio(path)
    assert path.name in str(caught.value) and caught.value.exit_code == 2


def test_a_wave_file_written_to_a_pipe_is_whole(tmp_path: Path) -> None:
    path = tmp_path / "piped.wav"
    soundfile.write(path, tone(0.5), RATE)
    data = bytearray(path.read_bytes())
    data[4:8] = data[40:44] = struct.pack("<I", 0xFFFFFFFF)
    path.write_bytes(bytes(data))
    assert len(read_audio(path).wave) == 4000


def test_a_header_that_counts_itself_is_no_damage(tmp_path: Path) -> None:
    path = tmp_path / "recorder.wav"
    soundfile.write(path, tone(1.0), RATE)
    data = bytearray(path.read_bytes())
    data[40:44] = struct.pack("<I", len(data))
    path.write_bytes(bytes(data))
    assert len(read_audio(path).wave) == 8000


def test_recordings_are_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    soundfile.write(tmp_path / "long.wav", tone(1.0), RATE)
    monkeypatch.setattr(sound_file, "MAX_SAMPLES", 7999)
    with pytest.raises(AudioError, match="too long") as caught:
        read_audio(tmp_path / "long.wav")
    assert "long.wav" in str(caught.value)
