"""A container where bare samples are expected is told by name; bare samples never are."""

from __future__ import annotations

import gzip
import io
import zipfile
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from hypothesis import example, given, settings
from hypothesis import strategies as st

from acula_edge.audio.containers import container_of
from acula_edge.cli.main import cli
from acula_edge.errors import AudioError
from acula_edge.runtime.packets import Packet
from acula_edge.runtime.standard_input import pack, read_packets, read_samples
from tests.hostile.sounds import encode, wav
from tests.tiny_bundle import make_sound

WAVE = np.random.default_rng(0).uniform(-0.5, 0.5, 16000).astype(np.float32)


def saved_by_numpy() -> bytes:
    file = io.BytesIO()
    np.save(file, WAVE)
    return file.getvalue()


def zipped() -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("a.wav", wav())
    return file.getvalue()


CONTAINERS: dict[str, tuple[str, bytes]] = {
    "WAV": ("WAV", wav()),
    "RIFX": ("WAV", b"RIFX" + wav()[4:]),
    "RF64": ("WAV (64 bits)", encode("RF64")),
    "BW64": ("WAV (64 bits)", b"BW64" + encode("RF64")[4:]),
    "W64": ("W64", encode("W64")),
    "FLAC": ("FLAC", encode("FLAC")),
    "Ogg": ("Ogg", encode("OGG", "VORBIS")),
    "MP3": ("MP3", encode("MP3", wave=WAVE)),
    "MP3 44100": ("MP3", encode("MP3", wave=WAVE, rate=44100)),
    "ID3": ("MP3 with tags", b"ID3\4\0\0\0\0\0\x0a" + bytes(10) + encode("MP3")),
    "AIFF": ("AIFF", encode("AIFF")),
    "AU": ("AU", encode("AU")),
    "CAF": ("CAF", encode("CAF")),
    "NIST": ("NIST SPHERE", encode("NIST")),
    "VOC": ("VOC", encode("VOC", "PCM_U8")),
    "MP4": ("MP4", b"\0\0\0\x20ftypM4A \0\0\0\0" + bytes(40)),
    "WebM": ("WebM or Matroska", b"\x1a\x45\xdf\xa3\x9f\x42\x86\x81\1\x42\xf7\x81\1\x42\xf2\x81" + bytes(40)),
    "WebM from a recorder": (
        "WebM or Matroska", b"\x1a\x45\xdf\xa3\1\0\0\0\0\0\0\x1f\x42\x86\x81\1\x42\xf7\x81\1" + bytes(40)
    ),
    "NumPy": ("NumPy", saved_by_numpy()),
    "gzip": ("gzip", gzip.compress(wav())),
    "ZIP": ("ZIP", zipped()),
    "CSV": ("numbers as text", b"\n".join(b"%d" % sample for sample in range(-9, 90))),
    "tabs": ("numbers as text", b"0.0\t-0.0012\n1e-05\t0.5\n" * 9),
    "web page": ("a web page or JSON", b"<!DOCTYPE html><html><body>404"),
    "JSON": ("a web page or JSON", b'{"detail": "Not authenticated"}'),
    "WMA": ("WMA", bytes.fromhex("3026b2758e66cf11a6d900aa0062ce6c") + bytes(40)),
}  # fmt: skip


class Trickle(io.BytesIO):
    """A pipe that gives one byte at a time."""

    def read1(self, size: int | None = -1, /) -> bytes:
        return super().read1(min(1, size if size and size > 0 else 1))


@pytest.mark.parametrize("read", [read_samples, read_packets])
@pytest.mark.parametrize("name", CONTAINERS)
def test_a_container_is_told_by_its_name(name: str, read) -> None:
    container, data = CONTAINERS[name]
    for stream in (io.BytesIO(data), Trickle(data)):
        with pytest.raises(AudioError, match="begins like") as caught:
            next(read(stream))
        assert f"like {container}," in str(caught.value) and caught.value.exit_code == 2


@pytest.mark.parametrize("more", [[], ["--packets"]])
def test_run_refuses_it_and_says_what_to_do(bundle_dir: Path, more: list[str]) -> None:
    words = ["run", str(bundle_dir), "-", "--stream", "--rate", "4000", *more]
    result = CliRunner().invoke(cli, words, input=wav())
    assert result.exit_code == 2 and result.stdout == ""
    assert "begins like WAV" in result.stderr and "leave out --stream" in result.stderr


@settings(deadline=None, max_examples=200)
@given(st.lists(st.integers(-32768, 32767), max_size=1500).map(lambda pcm: np.array(pcm, "<i2").tobytes()))
@example(b"RIFF")
@example(b"RIFF" * 9)
@example(b"ID3")
@example(b"\1\2\3")
@example(b"\xff\xfb\xff\xfb" * 1200)  # a constant
@example(b"\xff\xfb\x90\x64" + bytes(3000))
@example(b"\xfb\xff\xff\xfb\x90\x64" * 500)
def test_bare_samples_are_read_as_they_are(data: bytes) -> None:
    for stream in (io.BytesIO(data), Trickle(data)):
        found = np.concatenate([np.zeros(0, np.int16), *read_samples(stream)])
        assert found.tobytes() == data[: len(data) // 2 * 2]


def test_no_bare_sound_is_taken_for_a_container() -> None:
    """Noise of every level, and waves of every period: each beginning of a second, at every phase."""
    rng = np.random.default_rng(0)
    noise = rng.integers(-32768, 32768, 1 << 21, dtype=np.int16).tobytes()
    quiet = rng.normal(0, 800, 1 << 21).astype(np.int16).tobytes()
    for sound in (noise, quiet):
        assert not [at for at in range(0, len(sound) - 5000, 2) if container_of(sound[at : at + 4400])]
    for period in range(2, 2000, 7):
        wave = (8000 * np.sin(2 * np.pi * np.arange(2300) / period) - 1029).astype("<i2").tobytes()
        assert container_of(wave) is None


def test_packets_are_read_whatever_pieces_they_come_in() -> None:
    pcm = np.round(make_sound(0.5) * 32768).astype(np.int16)
    sent = [Packet(0x46464952 + n, part) for n, part in enumerate([pcm[:1], pcm[1:1], pcm[1:4], pcm[4:400], pcm[400:]])]
    data = b"".join(map(pack, sent))
    for stream in (io.BytesIO(data), Trickle(data)):
        found = list(read_packets(stream))
        assert [packet.sequence for packet in found] == [packet.sequence for packet in sent]
        assert np.array_equal(np.concatenate([packet.pcm for packet in found]), pcm)
