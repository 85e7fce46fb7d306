"""Recordings of hours: the answers of one that lies in memory, in memory that does not grow with them."""

from __future__ import annotations

import functools
import json
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile
from click.testing import CliRunner
from hypothesis import given, settings
from hypothesis import strategies as st

from acula_edge.audio import decode
from acula_edge.audio.decode import check_audio, read_audio
from acula_edge.audio.quality import QualityAnalysis, measure_pieces, measure_quality
from acula_edge.audio.resample import resample, resample_blocks
from acula_edge.audio.segment import trim_bounds, trim_bounds_of
from acula_edge.cli.main import cli
from acula_edge.data.decoding import decode as prepare
from acula_edge.data.manifest import Recording
from acula_edge.errors import AudioError
from acula_edge.runtime import Bundle, load_bundle
from tests.tiny_bundle import RATE_HZ, make_sound, write_tiny_bundle


@pytest.fixture(scope="module", params=[None, 40.0], ids=["whole", "trimmed"])
def bundle(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    return load_bundle(write_tiny_bundle(tmp_path_factory.mktemp("long") / "tiny", trim_top_db=request.param))


def with_silence(seconds: float, rate_hz: int) -> np.ndarray:
    """Sound between two silences, which trimming takes away."""
    silence = np.zeros(round(1.3 * rate_hz), np.float32)
    return np.concatenate([silence, make_sound(seconds, rate_hz), silence])


def cut(sound: np.ndarray, seed: int) -> list[np.ndarray]:
    return np.split(sound, np.sort(np.random.default_rng(seed).integers(0, len(sound) + 1, 9)))


@pytest.mark.parametrize("rate_hz", [RATE_HZ, 4000, 1470])
@pytest.mark.parametrize("seconds", [0.001, 0.4, 1.9, 7.13, 61.0])
def test_pieces_score_as_the_whole(bundle: Bundle, rate_hz: int, seconds: float) -> None:
    sound = make_sound(seconds, rate_hz) if seconds < 1 else with_silence(seconds, rate_hz)
    whole = bundle.score(sound, rate_hz)
    for seed in range(3):
        assert bundle.score_pieces(functools.partial(cut, sound, seed), rate_hz) == whole


def test_pieces_are_refused_as_the_whole_is(bundle: Bundle) -> None:
    broken = with_silence(5, RATE_HZ)
    broken[3000] = np.nan
    for sound in (broken, broken[:0], broken * 1e6):
        with pytest.raises(AudioError):
            bundle.score_pieces(functools.partial(cut, sound, 0), RATE_HZ)
    with pytest.raises(AudioError, match="no samples at"):
        bundle.score_pieces(lambda: [np.ones(3, np.float32)], 48000)


@given(st.integers(0, 2**16), st.integers(1, 9000), st.integers(2, 300), st.floats(1, 80))
@settings(max_examples=60, deadline=None)
def test_bounds_and_figures_do_not_depend_on_the_cuts(seed: int, length: int, frame: int, top_db: float) -> None:
    generator = np.random.default_rng(seed)
    sound = generator.standard_normal(length) * 10 ** generator.uniform(-5, 0, length // 500 + 1).repeat(500)[:length]
    wave = np.clip(sound, -8, 8).astype(np.float32)
    hop = max(1, frame // 2)
    assert trim_bounds_of(cut(wave, seed), top_db, frame, hop) == trim_bounds(wave, top_db, frame, hop)
    figures = measure_pieces(functools.partial(cut, wave, seed), 4000, QualityAnalysis())
    assert figures == measure_quality(wave, 4000, QualityAnalysis())


@pytest.mark.parametrize(("from_hz", "to_hz"), [(44100, 4000), (4000, 16000), (11127, 4000)])
def test_resampling_does_not_depend_on_the_cuts(from_hz: int, to_hz: int) -> None:
    wave = make_sound(3.3, from_hz)
    for seed in range(3):
        np.testing.assert_array_equal(
            np.concatenate(list(resample_blocks(cut(wave, seed), from_hz, to_hz))), resample(wave, from_hz, to_hz)
        )


@pytest.mark.parametrize("options", [[], ["--stream"], ["--stream", "--hop", "0.3"]])
def test_run_says_of_a_long_file_what_it_says_of_a_short_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, options: list[str]
) -> None:
    folder = write_tiny_bundle(tmp_path / "tiny", trim_top_db=40.0)
    path = tmp_path / "sound.flac"
    soundfile.write(path, with_silence(6.5, 2000), 2000, subtype="PCM_16")

    def answers() -> list[dict]:
        result = CliRunner().invoke(cli, ["run", str(folder), str(path), "--json", *options])
        assert result.exit_code == 0, result.output
        varying = {"latency_ms", "compute_ms", "real_time_factor"}
        lines = [json.loads(line) for line in result.stdout.splitlines()]
        return [{name: value for name, value in line.items() if name not in varying} for line in lines]

    short = answers()
    monkeypatch.setattr(decode, "BLOCK_SAMPLES", 999)
    monkeypatch.setattr(decode, "check_audio", functools.partial(check_audio, kept_samples=0))
    assert answers() == short


def test_a_long_file_is_decoded_again_and_must_not_change(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(decode, "BLOCK_SAMPLES", 1000)
    path = tmp_path / "sound.wav"
    soundfile.write(path, make_sound(5.0), RATE_HZ, subtype="PCM_16")
    sound = check_audio(path, kept_samples=2000)
    assert (sound.wave, sound.samples, sound.sample_rate_hz) == (None, 5000, RATE_HZ)
    assert [len(block) for block in sound.blocks()] == [1000] * 5
    np.testing.assert_array_equal(np.concatenate(list(sound.blocks())), read_audio(path).wave)
    soundfile.write(path, make_sound(4.0), RATE_HZ, subtype="PCM_16")
    with pytest.raises(AudioError, match="changed while it was read"):
        list(sound.blocks())


def peak_mb(work: Callable[[], object]) -> float:
    """Most memory that `work` has at a time, NumPy's arrays included."""
    tracemalloc.start()
    try:
        work()
        return tracemalloc.get_traced_memory()[1] / 2**20
    finally:
        tracemalloc.stop()


def test_scoring_grows_by_a_number_a_frame_and_not_by_samples(tmp_path: Path) -> None:
    """Twenty-four minutes against four, resampled and trimmed; half a byte a sample are figures of quality."""
    bundle = load_bundle(write_tiny_bundle(tmp_path / "tiny", trim_top_db=40.0))
    minute = with_silence(60, 4000)

    def hear(times: int) -> float:
        return peak_mb(lambda: bundle.score_pieces(lambda: (minute for _ in range(times)), 4000))

    hear(1)
    grown_mb = 20 * minute.nbytes / 2**20
    assert hear(24) - hear(4) < 0.3 * grown_mb


def test_preparing_takes_the_memory_of_what_is_stored(tmp_path: Path) -> None:
    """Four minutes at 44.1 kHz, 40 MB as float32, are 1.9 MB at 4 kHz and 16 bits."""
    path = tmp_path / "long.wav"
    minute = make_sound(60, 44100)
    with soundfile.SoundFile(path, "w", 44100, 1, "PCM_16") as file:
        for _ in range(4):
            file.write(minute)
    recording = Recording("r", str(path), "s", "d", 44100, 240.0)
    assert peak_mb(lambda: prepare(recording, 4000)) < 20
