"""Recordings of strangers: every broken kind is named, and none takes more memory or time than a sound does."""

from __future__ import annotations

import io
import json
import os
import threading
import tracemalloc
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from click.testing import CliRunner

from acula_edge.audio import decode, resample
from acula_edge.audio.decode import read_audio
from acula_edge.audio.sound_file import open_sound
from acula_edge.cli.main import cli
from acula_edge.data.reader import read_header
from acula_edge.errors import AculaEdgeError, AudioError
from acula_edge.limits import FREE_SAMPLES, MAX_CHANNELS, MAX_MISSING_PACKETS
from acula_edge.runtime import standard_input
from acula_edge.runtime.packets import Arrivals, Packet
from acula_edge.runtime.standard_input import PACKET_HEADER, copy_recording, read_packets
from tests.hostile.sounds import RATE, TONE, broken_sounds, encode, flac_bomb, wav, write_sounds

BROKEN = broken_sounds()
HANGS_S = 60.0


def raised_by(call: Callable[[], Any]) -> BaseException | None:
    """What a call raises; it must not wait for ever."""
    raised: list[BaseException] = []

    def attempt() -> None:
        try:
            call()
        except BaseException as error:
            raised.append(error)

    thread = threading.Thread(target=attempt, daemon=True)
    thread.start()
    thread.join(HANGS_S)
    assert not thread.is_alive(), "it is waited for"
    return raised[0] if raised else None


@contextmanager
def peak_bytes() -> Iterator[list[int]]:
    """Most bytes that are allocated meanwhile, over what there was."""
    found: list[int] = []
    tracemalloc.start()
    before = tracemalloc.get_traced_memory()[0]
    try:
        yield found
        found.append(tracemalloc.get_traced_memory()[1] - before)
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("name", [name for name in BROKEN if name != "too-short.wav"])
def test_what_is_no_recording_is_refused_by_name(tmp_path: Path, name: str) -> None:
    write_sounds(tmp_path, {name: BROKEN[name]})
    error = raised_by(lambda: read_audio(tmp_path / name))
    assert isinstance(error, AudioError) and name in str(error)


@pytest.mark.parametrize("form", ["WAV", "FLAC", "OGG", "MP3", "AIFF", "AU", "CAF", "W64", "RF64"])
def test_a_recording_that_breaks_off_anywhere_is_whole_or_refused(tmp_path: Path, form: str) -> None:
    whole = encode(form, wave=TONE[:1600])
    path = tmp_path / f"a.{form.lower()}"
    places = {*range(0, min(len(whole), 90), 3), *np.linspace(0, len(whole), 25).astype(int).tolist()}
    for length in sorted(places):
        path.write_bytes(whole[:length])
        try:
            wave = read_audio(path).wave
        except AudioError as error:
            assert path.name in str(error)
        else:
            assert np.isfinite(wave).all() and len(wave) <= 1700


@pytest.mark.parametrize("kind", ["folder", "pipe", "device", "loop", "socket"])
def test_only_regular_files_are_opened(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "a.wav"
    if kind == "folder":
        path.mkdir()
    elif kind == "pipe":
        os.mkfifo(path)
    elif kind == "device":
        path.symlink_to("/dev/zero")
    elif kind == "loop":
        path.symlink_to(path)
    else:
        path.symlink_to("/dev/tty")
    for read in (read_audio, read_header):
        assert isinstance(raised_by(lambda read=read: read(path)), AudioError)


def test_a_name_cannot_act_on_the_terminal(tmp_path: Path) -> None:
    path = tmp_path / "a\x1b[2J\nb\u202e.wav"
    path.write_bytes(b"no sound")
    with pytest.raises(AudioError) as caught:
        read_audio(path)
    assert "\\x1b[2J" in str(caught.value) and not {"\x1b", "\u202e"} & set(str(caught.value))


@pytest.mark.parametrize("subtype", ["PCM_U8", "PCM_24", "DOUBLE", "ULAW", "ALAW", "IMA_ADPCM", "MS_ADPCM", "GSM610"])
def test_codecs_of_recorders_are_read(tmp_path: Path, subtype: str) -> None:
    (tmp_path / "a.wav").write_bytes(encode("WAV", subtype))
    wave = read_audio(tmp_path / "a.wav").wave
    assert np.corrcoef(wave[:4000], TONE)[0, 1] > 0.98


def test_nothing_is_printed_by_a_decoder(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    for subtype in ("NMS_ADPCM_16", "NMS_ADPCM_24", "NMS_ADPCM_32", "G721_32"):
        (tmp_path / "a.wav").write_bytes(encode("WAV", subtype)[:-40])
        with pytest.raises(AudioError, match="cannot be decoded"):
            read_audio(tmp_path / "a.wav")
    assert capfd.readouterr().out == ""


@pytest.mark.parametrize("name", ["a.vox", "a.gsm", "a.raw", "a.sd2"])
def test_bytes_without_a_header_are_no_sound(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(np.random.default_rng(2).bytes(3300))
    (tmp_path / f"._{name}").write_bytes(encode("WAV"))  # libsndfile would look for such a second file
    with pytest.raises(AudioError, match="first bytes"):
        read_audio(tmp_path / name)


def test_a_small_file_that_unpacks_to_hours_is_refused(tmp_path: Path) -> None:
    bomb = flac_bomb(FREE_SAMPLES // 65535 + 1)
    (tmp_path / "bomb.flac").write_bytes(bomb)
    assert len(bomb) < 4200
    for read in (read_audio, read_header):
        with pytest.raises(AudioError, match="unpacks to far more"):
            read(tmp_path / "bomb.flac")


def test_no_more_is_decoded_than_the_header_promises(tmp_path: Path) -> None:
    (tmp_path / "a.flac").write_bytes(flac_bomb(200, promised=70_000))
    assert len(read_audio(tmp_path / "a.flac").wave) == 70_000


def test_silence_is_no_trap(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "a.flac", np.zeros(2_000_000, np.int16), 4000)
    assert len(read_audio(tmp_path / "a.flac").wave) == 2_000_000


def test_memory_is_that_of_the_mono_wave_however_many_channels(tmp_path: Path) -> None:
    samples = 200_000
    (tmp_path / "many.wav").write_bytes(wav(bytes(2 * MAX_CHANNELS * samples), channels=MAX_CHANNELS))
    with peak_bytes() as peak:
        assert len(read_audio(tmp_path / "many.wav").wave) == samples
    # All channels together would be 51 MB.
    assert peak[0] < 8 * samples + 8 * decode.BLOCK_SAMPLES + (1 << 20)


def test_chunks_and_tags_without_end_take_no_time(tmp_path: Path) -> None:
    for name, data in (
        ("junk.wav", wav(before=b"JUNK\0\0\0\0" * 200_000)),
        ("list.wav", wav(before=(b"LIST\x10\0\0\0INFOICMT\4\0\0\0abcd") * 50_000)),
        ("tags.mp3", b"ID3\4\0\0\0\0\0\0" * 200_000),
        ("tags.flac", b"ID3\4\0\0\0\0\0\0" * 9 + encode("FLAC")),
    ):
        (tmp_path / name).write_bytes(data)
        assert isinstance(raised_by(lambda name=name: read_audio(tmp_path / name)), (AudioError, type(None)))


def test_a_tag_before_the_sound_is_passed_by(tmp_path: Path) -> None:
    (tmp_path / "a.mp3").write_bytes(b"ID3\4\0\0\0\0\0\x0a" + bytes(10) + encode("MP3"))
    assert len(read_audio(tmp_path / "a.mp3").wave) == 4000


def test_of_a_chained_stream_the_first_is_read(tmp_path: Path) -> None:
    both = encode("OGG", "VORBIS") + encode("OGG", "VORBIS", np.zeros(9000, np.float32), 44100)
    (tmp_path / "a.ogg").write_bytes(both)
    audio = read_audio(tmp_path / "a.ogg")
    assert (len(audio.wave), audio.sample_rate_hz) == (4000, RATE)


def test_a_recording_cut_while_it_is_read_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.wav"
    path.write_bytes(encode("WAV", "FLOAT", np.tile(TONE, 50)))
    monkeypatch.setattr(decode, "BLOCK_SAMPLES", 1000)
    real = soundfile.SoundFile.read

    def read(self: soundfile.SoundFile, *arguments: Any, **options: Any) -> Any:
        os.truncate(path, 100_000)
        return real(self, *arguments, **options)

    monkeypatch.setattr(soundfile.SoundFile, "read", read)
    with pytest.raises(AudioError, match="a.wav"):
        read_audio(path)


def test_denormal_samples_are_read(tmp_path: Path) -> None:
    (tmp_path / "a.wav").write_bytes(encode("WAV", "FLOAT", np.full(200_000, 1e-42, np.float32)))
    assert raised_by(lambda: resample.resample(read_audio(tmp_path / "a.wav").wave, RATE, 16000)) is None


def test_sound_that_grows_while_it_is_resampled_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resample, "MAX_KEPT_SAMPLES", 3 << 20)
    wave = np.zeros(1 << 18, np.float32)
    with peak_bytes() as peak, pytest.raises(AudioError, match="too long to be resampled"):
        resample.resample(wave, 100, 16000)
    # 160 times the sound would be 168 MB.
    assert peak[0] < 40 << 20


def test_thirty_bad_recordings_are_set_aside_and_the_good_are_prepared(tmp_path: Path) -> None:
    corpus = tmp_path / "corpus"
    rng = np.random.default_rng(0)
    good = {f"good{n}.wav": encode("WAV", "PCM_16", rng.uniform(-0.5, 0.5, 4000).astype(np.float32)) for n in range(8)}
    write_sounds(corpus, {**BROKEN, **good})
    os.mkfifo(corpus / "pipe.wav")
    (corpus / "folder.wav").mkdir()
    (corpus / "zero.wav").symlink_to("/dev/zero")
    bad = [*BROKEN, "pipe.wav", "folder.wav", "zero.wav", "gone.wav", "name\x1b[31m.wav"]
    rows = [{"path": name, "subject": f"p{number}"} for number, name in enumerate([*bad, *good])]
    (corpus / "manifest.jsonl").write_text("\n".join(map(json.dumps, rows)))
    assert len(BROKEN) == 30
    words = ["data", "prepare", "manifest", "--root", str(corpus), "--out", str(tmp_path / "run")]
    result = CliRunner().invoke(cli, words)
    assert result.exit_code == 0, result.output
    assert "\x1b" not in result.output and all(name.split("\x1b")[0] in result.output for name in bad)
    aside = [json.loads(line) for line in (tmp_path / "run" / "set_aside.jsonl").read_text().splitlines()]
    assert sorted(Path(row["path"]).name for row in aside) == sorted(bad)
    assert all(row["reason"] for row in aside)
    kept = [json.loads(line) for line in (tmp_path / "run" / "recordings.jsonl").read_text().splitlines()]
    assert sorted(Path(row["path"]).name for row in kept) == sorted(good)


@pytest.mark.parametrize("data", [b"", b"RIFF", b"\0" * 64])
def test_a_door_that_was_opened_is_closed(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "a.wav").write_bytes(data)
    before = len(os.listdir("/proc/self/fd"))
    for _ in range(20):
        with pytest.raises(AudioError), open_sound(tmp_path / "a.wav"):
            pass
    assert len(os.listdir("/proc/self/fd")) == before


class Endless:
    """Standard input that never ends."""

    def __init__(self, data: bytes) -> None:
        self.data, self.taken = data, 0

    def read(self, size: int) -> bytes:
        self.taken += size
        return (self.data * (size // len(self.data) + 1))[:size]


def test_endless_standard_input_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    zeros = Endless(b"\0")
    with open(tmp_path / "kept", "wb") as file, pytest.raises(AudioError, match="no recording"):
        copy_recording(zeros, file)  # type: ignore[arg-type]
    assert zeros.taken <= 64 and (tmp_path / "kept").stat().st_size == 0
    monkeypatch.setattr(standard_input, "MAX_STANDARD_INPUT_BYTES", 1 << 20)
    with open(tmp_path / "kept", "wb") as file, pytest.raises(AudioError, match="too long"):
        copy_recording(Endless(b"RIFF"), file)  # type: ignore[arg-type]
    assert (tmp_path / "kept").stat().st_size <= 1 << 20


def test_missing_packets_take_bounded_memory_and_time() -> None:
    def packets() -> Iterator[Packet]:
        yield Packet(0, np.zeros(1, np.int16))
        for number in range(1, 4):  # each after a gap of as many packets as samples in a second
            yield Packet(number * 100_000, np.zeros(0, np.int16))
        for number in range(2000):  # and these after none
            yield Packet(3 * 100_000 + 1 + number, np.zeros(1, np.int16))

    arrivals = Arrivals(packets(), 100_000, restart_gap_s=1.0)
    with peak_bytes() as peak:
        assert sum(len(pcm) for pcm in arrivals) == 1 + 3 * 100_000 - 3 + 2000
    assert arrivals.counts is not None and arrivals.counts.lost == 3 * 100_000 - 3
    # Two gaps of zeros, and the numbers that are remembered; all of them would be 70 MB.
    assert peak[0] < 2 * 2 * 100_000 + 500 * MAX_MISSING_PACKETS


@pytest.mark.parametrize("seed", range(3))
def test_packets_of_noise_are_taken_or_refused(seed: int) -> None:
    rng = np.random.default_rng(seed)
    headers = [PACKET_HEADER.pack(int(rng.integers(1 << 32)), int(rng.integers(40))) for _ in range(400)]
    stream = b"".join(header + rng.bytes(int(rng.integers(90))) for header in headers)
    total = 0
    for pcm in Arrivals(read_packets(io.BytesIO(stream)), 4000, restart_gap_s=0.1):
        total += np.size(pcm)
    assert total <= 400 * 30 * 4000


@pytest.mark.parametrize("rate", [-1, 0, 1, 99, 1_000_001, 2**31, 2**63])
def test_streams_have_a_rate_of_sound(rate: int) -> None:
    with pytest.raises(AculaEdgeError):
        Arrivals([], rate, restart_gap_s=1.0)
