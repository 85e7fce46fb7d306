"""The wave store: what decoding gives, whatever is wrong with a file and wherever a build broke off."""

from __future__ import annotations

import dataclasses
import pickle
import re
from pathlib import Path

import numpy as np
import pytest
import soundfile

from acula_edge.audio.decode import read_audio
from acula_edge.audio.resample import resample
from acula_edge.data.manifest import Recording
from acula_edge.data.store import SHARD_BYTES, WaveStore, store_key
from acula_edge.errors import ArtifactError, InputError

RATE = 8000
HALF_STEP = 0.5 / 32768


def recording(path: Path, name: str | None = None) -> Recording:
    return Recording(name or path.stem, str(path), f"d/{path.stem}", "d", 0, 0.0)


@pytest.fixture
def recordings(tmp_path, write_sound) -> list[Recording]:
    """Five recordings at three rates."""
    rates = (8000, 4000, 16000, 8000, 4000)
    return [
        recording(write_sound(tmp_path / "in" / f"r{seed}.wav", seed, 0.25 + 0.05 * seed, rate))
        for seed, rate in enumerate(rates)
    ]


@pytest.fixture(params=[SHARD_BYTES, 14000, 1], ids=["one shard", "two shards", "a shard each"])
def shard_bytes(request) -> int:
    """Sizes of a shard; of the five recordings' 4000 to 7200 bytes, with the second set aside."""
    size: int = request.param
    return size


def files(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_waves_are_what_decoding_gives(recordings: list[Recording], tmp_path: Path) -> None:
    seen: list[tuple[int, int]] = []
    store = WaveStore.build(recordings, RATE, tmp_path / "cache", lambda done, total: seen.append((done, total)))
    assert store.recordings == recordings and len(store) == 5 and not store.set_aside
    assert seen == [(n, 5) for n in range(1, 6)]
    for index, one in enumerate(recordings):
        audio = read_audio(one.path)
        direct = resample(audio.wave, audio.sample_rate_hz, RATE)
        wave = store[index]
        assert wave.dtype == np.float32 and store.samples(index) == len(wave) == len(direct)
        inside = np.abs(direct) < 1 - 2 * HALF_STEP
        np.testing.assert_allclose(wave[inside], direct[inside], rtol=0, atol=HALF_STEP)
        if audio.sample_rate_hz == RATE:
            np.testing.assert_array_equal(wave, audio.wave)
    assert np.array_equal(store[-1], store[4])
    for index in (5, -6):
        with pytest.raises(IndexError):
            store[index]


def test_waves_are_copies(recordings: list[Recording], tmp_path: Path) -> None:
    store = WaveStore.build(recordings, RATE, tmp_path / "cache")
    before = store[0].copy()
    store[0][:] = 0
    assert np.array_equal(store[0], before)


def test_a_store_is_made_once(recordings: list[Recording], tmp_path: Path) -> None:
    first = WaveStore.build(recordings, RATE, tmp_path / "cache")
    stamps = {path: path.stat().st_mtime_ns for path in (tmp_path / "cache").iterdir()}
    assert {path.name for path in stamps} == {f"waves-{first.key[:16]}{end}" for end in ("-00000.i16", ".json")}
    again = WaveStore.build(recordings, RATE, tmp_path / "cache", shard_bytes=1)
    assert again.key == first.key, "the size of a shard is no reason to decode anew"
    assert {path: path.stat().st_mtime_ns for path in (tmp_path / "cache").iterdir()} == stamps
    assert all(np.array_equal(again[index], first[index]) for index in range(5))


def test_no_recording_lies_in_two_shards(recordings: list[Recording], tmp_path: Path) -> None:
    one = WaveStore.build(recordings, RATE, tmp_path / "one")
    for shard_bytes, sizes in [(10**6, [28000]), (14800, [14400, 13600]), (11600, [8800, 5600, 6400, 7200]),
                               (1, [4000, 4800, 5600, 6400, 7200])]:  # fmt: skip
        store = WaveStore.build(recordings, RATE, tmp_path / f"{shard_bytes}", shard_bytes=shard_bytes)
        assert [path.stat().st_size for path in store.shards] == sizes
        assert sorted(files(tmp_path / f"{shard_bytes}")) == sorted(path.name for path in [*store.shards, store.path])
        assert b"".join(path.read_bytes() for path in store.shards) == one.shards[0].read_bytes()
        assert all(np.array_equal(store[index], one[index]) for index in range(5))


def test_a_finished_store_is_opened_without_decoding(recordings: list[Recording], tmp_path: Path, monkeypatch) -> None:
    with pytest.raises(ArtifactError, match="there is no finished"):
        WaveStore.open(recordings, RATE, tmp_path / "cache")
    built = WaveStore.build(recordings, RATE, tmp_path / "cache", shard_bytes=14000)
    monkeypatch.setattr("acula_edge.data.decoding.hear", None)
    opened = WaveStore.open(recordings, RATE, tmp_path / "cache")
    assert (opened.key, opened.recordings, opened.shards) == (built.key, built.recordings, built.shards)
    assert all(np.array_equal(opened[index], built[index]) for index in range(5))
    with pytest.raises(ArtifactError):
        WaveStore.open(recordings[1:], RATE, tmp_path / "cache")
    built.shards[1].unlink()
    with pytest.raises(ArtifactError):
        WaveStore.open(recordings, RATE, tmp_path / "cache")


def test_the_key_follows_what_is_decoded(recordings: list[Recording], write_sound) -> None:
    key = store_key(recordings, RATE)
    assert key == store_key(list(recordings), RATE)
    assert key != store_key(recordings, RATE * 2)
    assert key != store_key(recordings[::-1], RATE)
    assert key != store_key(recordings[:-1], RATE)
    assert key != store_key([dataclasses.replace(recordings[0], sha256="1f"), *recordings[1:]], RATE)
    assert key == store_key([one.with_split("test") for one in recordings], RATE)
    write_sound(Path(recordings[0].path), seed=9, seconds=0.5)
    assert key != store_key(recordings, RATE)


def test_a_store_goes_to_another_process(recordings: list[Recording], tmp_path: Path) -> None:
    store = WaveStore.build(recordings, RATE, tmp_path / "cache", shard_bytes=14000)
    assert len(store[0]) == 2000 and len(store[4]) == 3600, "mapped"
    sent = pickle.dumps(store)
    assert len(sent) < 4000, "samples do not travel"
    assert np.array_equal(pickle.loads(sent)[3], store[3])


def bad_file(folder: Path, kind: str) -> Path:
    path = folder / "bad.wav"
    if kind == "empty":
        path.touch()
    elif kind == "text":
        path.write_text("patient,murmur\n1,Absent\n" * 100)
    elif kind == "NaN":
        wave = np.full(4000, 0.1, dtype=np.float32)
        wave[17] = np.nan
        soundfile.write(path, wave, 4000, subtype="FLOAT")
    elif kind == "short":
        soundfile.write(path, np.full(400, 0.1), 4000)
    elif kind == "broken off":
        soundfile.write(path, np.full(4000, 0.1), 4000)
        path.write_bytes(path.read_bytes()[:3000])
    elif kind == "no samples":
        soundfile.write(path, np.zeros(0), 4000)
    elif kind == "folder":
        path.mkdir()
    return path


@pytest.mark.parametrize(
    ("kind", "reason"),
    [
        ("empty", "empty file"),
        ("text", "cannot be decoded"),
        ("NaN", "NaN or infinity"),
        ("short", r"too short: 0\.100 s of at least 0\.2 s"),
        ("broken off", "broken off"),
        ("no samples", "no samples"),
        ("gone", "there is no recording"),
        ("folder", "not a regular file"),
    ],
)
@pytest.mark.parametrize("place", [0, 2, 5])
def test_what_is_no_recording_is_set_aside(
    recordings: list[Recording], tmp_path: Path, kind: str, reason: str, place: int
) -> None:
    bad = recording(bad_file(tmp_path / "in", kind), "bad")
    store = WaveStore.build([*recordings[:place], bad, *recordings[place:]], RATE, tmp_path / "cache")
    (entry,) = store.set_aside
    assert (entry.recording, entry.path) == ("d/bad", bad.path)
    assert re.search(reason, entry.reason)
    assert store.recordings == recordings
    alone = WaveStore.build(recordings, RATE, tmp_path / "alone")
    assert all(np.array_equal(store[index], alone[index]) for index in range(5))
    again = WaveStore.build([*recordings[:place], bad, *recordings[place:]], RATE, tmp_path / "cache")
    assert again.set_aside == store.set_aside and again.recordings == store.recordings


def test_nothing_decodable_is_an_empty_store(tmp_path: Path) -> None:
    for given in ([], [recording(tmp_path / "gone.wav")]):
        store = WaveStore.build(given, RATE, tmp_path / "cache")
        assert len(store) == 0 and len(store.set_aside) == len(given)
        with pytest.raises(IndexError):
            store[0]
        assert len(WaveStore.build(given, RATE, tmp_path / "cache")) == 0


def test_stereo_at_a_high_rate(tmp_path: Path) -> None:
    t = np.arange(48000) / 96000
    left, right = 0.6 * np.sin(2 * np.pi * 300 * t), 0.2 * np.sin(2 * np.pi * 300 * t)
    soundfile.write(tmp_path / "stereo.wav", np.stack([left, right], axis=1), 96000, subtype="PCM_24")
    store = WaveStore.build([recording(tmp_path / "stereo.wav")], RATE, tmp_path / "cache")
    expected = 0.4 * np.sin(2 * np.pi * 300 * np.arange(4000) / RATE)
    assert len(store[0]) == 4000
    # The ends ring; within, soxr's high quality and 16 bits leave less than 1e-3.
    np.testing.assert_allclose(store[0][200:-200], expected[200:-200], atol=1e-3)


def test_samples_beyond_full_scale_are_limited_and_named(tmp_path: Path, write_sound) -> None:
    loud = np.array([0.5, 1.0, 1.5, -1.0, -1.5] * 800, dtype=np.float32)
    soundfile.write(tmp_path / "loud.wav", loud, RATE, subtype="FLOAT")
    quiet = recording(write_sound(tmp_path / "quiet.wav"))
    store = WaveStore.build([quiet, recording(tmp_path / "loud.wav")], RATE, tmp_path / "cache")
    assert store.clipped == ["d/loud"]
    top = np.float32(32767 / 32768)
    np.testing.assert_array_equal(store[1][:5], np.array([0.5, top, top, -1, -1], dtype=np.float32))
    assert WaveStore.build([quiet, recording(tmp_path / "loud.wav")], RATE, tmp_path / "cache").clipped == ["d/loud"]


def build_and_break_off(
    recordings: list[Recording], folder: Path, after: int, shard_bytes: int
) -> tuple[list[Path], Path]:
    """Build, interrupted as by Ctrl-C after some recordings; the shards and the journal that are left."""

    def interrupt(done: int, total: int) -> None:
        if done == after:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        WaveStore.build(recordings, RATE, folder, interrupt, shard_bytes)
    (journal,) = folder.glob("*.journal")
    parts = sorted(folder.glob("*.i16.part"))
    assert len(parts) + 1 == len(list(folder.iterdir()))
    return parts, journal


def recordings_done(recordings: list[Recording], folder: Path, shard_bytes: int) -> list[int]:
    """How many were done when each further one was: starts above 1 where a build went on."""
    seen: list[int] = []
    WaveStore.build(recordings, RATE, folder, lambda done, total: seen.append(done), shard_bytes)
    return seen


@pytest.fixture
def whole(recordings, shard_bytes, tmp_path) -> dict[str, bytes]:
    """Files of a store that was built in one go, one of its recordings set aside."""
    Path(recordings[1].path).write_bytes(b"")
    store = WaveStore.build(recordings, RATE, tmp_path / "whole", shard_bytes=shard_bytes)
    assert len(store.shards) == {SHARD_BYTES: 1, 14000: 2, 1: 4}[shard_bytes]
    return files(tmp_path / "whole")


@pytest.mark.parametrize("after", [1, 2, 3, 4, 5])
def test_an_interrupted_build_goes_on(recordings, whole, shard_bytes, tmp_path: Path, after: int) -> None:
    build_and_break_off(recordings, tmp_path / "cache", after, shard_bytes)
    assert recordings_done(recordings, tmp_path / "cache", shard_bytes) == list(range(after + 1, 6))
    assert files(tmp_path / "cache") == whole


def test_a_build_goes_on_after_a_first_recording_that_is_set_aside(recordings, tmp_path: Path) -> None:
    Path(recordings[0].path).write_bytes(b"")
    build_and_break_off(recordings, tmp_path / "cache", 1, SHARD_BYTES)
    assert recordings_done(recordings, tmp_path / "cache", SHARD_BYTES) == [2, 3, 4, 5]


def test_a_build_goes_on_with_shards_of_another_size(recordings, whole, shard_bytes, tmp_path: Path) -> None:
    build_and_break_off(recordings, tmp_path / "cache", 4, 9000)
    recordings_done(recordings, tmp_path / "cache", shard_bytes)
    assert files(tmp_path / "cache") == whole


@pytest.mark.parametrize("renamed", [1, 2, 3, 4])
def test_a_build_broken_off_while_its_shards_are_renamed_goes_on(
    recordings, whole, shard_bytes, tmp_path: Path, renamed: int
) -> None:
    parts, _ = build_and_break_off(recordings, tmp_path / "cache", 5, shard_bytes)
    for part in parts[:renamed]:
        part.rename(part.with_suffix(""))
    assert recordings_done(recordings, tmp_path / "cache", shard_bytes) == []
    assert files(tmp_path / "cache") == whole


@pytest.mark.parametrize(
    "tail",
    [b"[33", b"\0\0\0", b"\xff\xfe", b"[1]\n[2]\n", b"7\n", b'[0, 0, 100, 0, ""]\n', b'[0, 4800, 900000, 0, ""]\n',
     b'[1, 0, 100, 0, ""]\n', b'[7, 0, 100, 0, ""]\n', b'[0, 4800, "x", 0, ""]\n'],
)  # fmt: skip
def test_a_torn_journal_costs_no_more_than_what_it_does_not_say(
    recordings, whole, shard_bytes, tmp_path: Path, tail: bytes
) -> None:
    _, journal = build_and_break_off(recordings, tmp_path / "cache", 3, shard_bytes)
    journal.write_bytes(journal.read_bytes() + tail)
    assert recordings_done(recordings, tmp_path / "cache", shard_bytes) == [4, 5]
    assert files(tmp_path / "cache") == whole


@pytest.mark.parametrize("lost", [1, 2, 3000, 10**9])
@pytest.mark.parametrize("shard", [0, -1])
def test_samples_that_did_not_reach_the_disk_are_decoded_again(
    recordings, whole, shard_bytes, tmp_path: Path, shard: int, lost: int
) -> None:
    parts, _ = build_and_break_off(recordings, tmp_path / "cache", 4, shard_bytes)
    data = parts[shard].read_bytes()
    parts[shard].write_bytes(data[: max(0, len(data) - lost)])
    recordings_done(recordings, tmp_path / "cache", shard_bytes)
    assert files(tmp_path / "cache") == whole


def test_half_a_recording_beyond_the_journal_is_overwritten(recordings, whole, shard_bytes, tmp_path: Path) -> None:
    parts, _ = build_and_break_off(recordings, tmp_path / "cache", 3, shard_bytes)
    parts[-1].write_bytes(parts[-1].read_bytes() + b"\x01" * 999)
    begun = parts[-1].with_name(parts[-1].name.replace(f"-{len(parts) - 1:05}", f"-{len(parts):05}"))
    begun.write_bytes(b"\x01" * 999)
    assert recordings_done(recordings, tmp_path / "cache", shard_bytes) == [4, 5]
    assert files(tmp_path / "cache") == whole


@pytest.mark.parametrize("gone", ["part", "journal"])
def test_either_file_of_an_interrupted_build_may_be_missing(
    recordings, whole, shard_bytes, tmp_path: Path, gone: str
) -> None:
    parts, journal = build_and_break_off(recordings, tmp_path / "cache", 3, shard_bytes)
    (parts[0] if gone == "part" else journal).unlink()
    assert recordings_done(recordings, tmp_path / "cache", shard_bytes) == [1, 2, 3, 4, 5]
    assert files(tmp_path / "cache") == whole


@pytest.mark.parametrize("damage", ["missing", "torn", "another schema", "another key", "fewer places"])
def test_without_a_usable_index_a_store_is_made_again(
    recordings, whole, shard_bytes, tmp_path: Path, damage: str
) -> None:
    store = WaveStore.build(recordings, RATE, tmp_path / "cache", shard_bytes=shard_bytes)
    text = store.path.read_text()
    if damage == "missing":
        store.path.unlink()
    else:
        changed = {
            "torn": text[:50],
            "another schema": text.replace("waves/3", "waves/2"),
            "another key": text.replace(store.key, store.key[:16] + "0" * 48),
            "fewer places": text.replace('"places": [', '"places": [], "former": [', 1),
        }
        assert changed[damage] != text
        store.path.write_text(changed[damage])
    WaveStore.build(recordings, RATE, tmp_path / "cache", shard_bytes=shard_bytes)
    assert files(tmp_path / "cache") == whole


@pytest.mark.parametrize("damage", ["missing", "short", "long"])
@pytest.mark.parametrize("shard", [0, -1])
def test_without_whole_samples_a_store_is_made_again(
    recordings, whole, shard_bytes, tmp_path: Path, shard: int, damage: str
) -> None:
    path = WaveStore.build(recordings, RATE, tmp_path / "cache", shard_bytes=shard_bytes).shards[shard]
    data = path.read_bytes()
    path.unlink()
    if damage != "missing":
        path.write_bytes(data[:-2] if damage == "short" else data + b"\x00\x00")
    WaveStore.build(recordings, RATE, tmp_path / "cache", shard_bytes=shard_bytes)
    assert files(tmp_path / "cache") == whole


def test_a_folder_that_cannot_be_written_is_an_error(recordings: list[Recording], tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match="cannot write"):
        WaveStore.build(recordings, RATE, tmp_path / "file" / "cache")
