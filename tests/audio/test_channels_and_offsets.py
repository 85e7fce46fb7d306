"""Sound that is not what it seems: channels that cancel each other, and a zero that is none."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import soundfile
from click.testing import CliRunner

from acula_edge.audio import decode
from acula_edge.audio.decode import check_audio, read_audio
from acula_edge.audio.offset import OFFSET_SHARE, offset_of, without_offset
from acula_edge.audio.resample import resample, resample_blocks
from acula_edge.audio.samples import to_wave
from acula_edge.audio.segment import recording_windows
from acula_edge.cli.main import cli
from tests.tiny_bundle import make_sound

RATE = 4000
SOUND = (0.3 * np.random.default_rng(0).standard_normal(9000)).clip(-1, 1).astype(np.float32)
OTHER = (0.3 * np.random.default_rng(1).standard_normal(9000)).clip(-1, 1).astype(np.float32)


def write(path: Path, *channels: np.ndarray) -> Path:
    soundfile.write(path, np.stack(channels, axis=1), RATE, subtype="FLOAT")
    return path


@pytest.mark.parametrize(
    ("channels", "kept"),
    [
        ((SOUND, -SOUND), 0),
        ((0.9 * SOUND, -0.7 * SOUND), 0),
        ((-0.5 * SOUND, SOUND), 1),
        ((0.1 + SOUND, 0.5 - SOUND), 0),
        ((SOUND, -SOUND, 0 * SOUND), 0),
        ((0.2 * SOUND, OTHER, -OTHER), 1),
        ((SOUND, -SOUND + 0.02 * OTHER), 1),
    ],
)
def test_of_channels_that_cancel_the_loudest_is_heard(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, channels: tuple[np.ndarray, ...], kept: int
) -> None:
    path = write(tmp_path / "a.wav", *channels)
    monkeypatch.setattr(decode, "BLOCK_SAMPLES", 1000)
    audio, blocks = read_audio(path), check_audio(path, kept_samples=0)
    np.testing.assert_array_equal(audio.wave, channels[kept].astype(np.float32))
    np.testing.assert_array_equal(np.concatenate(list(blocks.blocks())), audio.wave)
    assert audio.warnings == blocks.warnings
    assert f"cancel each other; channel {kept + 1}" in audio.warnings[0]


@pytest.mark.parametrize(
    "channels",
    [
        (SOUND, SOUND), (SOUND, OTHER), (SOUND, 0 * SOUND), (0 * SOUND, 0 * SOUND), (SOUND, 0.01 * OTHER),
        (SOUND, 0 * SOUND, 0 * SOUND), (SOUND, 0.3 + 0 * SOUND), (SOUND, np.roll(SOUND, 1)), (SOUND, -0.2 * SOUND),
    ],
)  # fmt: skip
def test_other_channels_are_averaged(tmp_path: Path, channels: tuple[np.ndarray, ...]) -> None:
    audio = read_audio(write(tmp_path / "a.wav", *channels))
    assert audio.warnings == ()
    np.testing.assert_allclose(audio.wave, np.mean(channels, axis=0), atol=1e-7)


def test_a_corpus_keeps_what_is_odd_and_names_it(tmp_path: Path) -> None:
    corpus = tmp_path / "corpus"
    corpus.mkdir()
    write(corpus / "anti.wav", SOUND, -SOUND)
    names = ["anti", *(f"plain{number}" for number in range(9))]
    for number, name in enumerate(names[1:]):
        write(corpus / f"{name}.wav", np.roll(OTHER, number), OTHER)
    rows = [{"path": f"{name}.wav", "subject": name} for name in names]
    (corpus / "manifest.jsonl").write_text("\n".join(map(json.dumps, rows)))
    words = ["data", "prepare", "manifest", "--root", str(corpus), "--out", str(tmp_path / "run")]
    for _ in range(2):  # the second time from what the first left
        result = CliRunner().invoke(cli, words)
        assert result.exit_code == 0, result.output
        facts = json.loads((tmp_path / "run" / "manifest.json").read_text())["stages"]["data"]
        (warning,) = facts["warnings"]
        assert "anti" in warning and "cancel each other" in warning
    assert "cancel each other" in result.output


def test_sound_about_zero_is_not_touched() -> None:
    for wave in (SOUND, SOUND + np.float32(0.4 * OFFSET_SHARE * SOUND.std()), np.zeros(90, np.float32)):
        assert without_offset(wave) is wave


@pytest.mark.parametrize("cut", [1, 700, 9000])
def test_an_offset_is_the_same_however_the_wave_is_cut(cut: int) -> None:
    wave = SOUND * np.float32(0.1) + np.float32(0.25)
    found = offset_of(wave[i : i + cut] for i in range(0, len(wave), cut))
    assert found == offset_of([wave]) == pytest.approx(wave.mean(), abs=2**-16)
    assert float(found) * 32768 == round(float(found) * 32768)


def test_windows_lose_their_offset_and_trimming_hears_what_moves() -> None:
    quiet = np.zeros(4000, np.float32)
    wave = np.concatenate([quiet, np.round((SOUND - SOUND.mean()) * 32768) / np.float32(32768), quiet])
    plain, raised = (recording_windows(w, RATE, 1.0, 1.0, 60.0) for w in (wave, wave + np.float32(0.5)))
    assert len(plain) < 3.5 and raised.shape == plain.shape
    np.testing.assert_allclose(raised, plain, atol=2e-2)
    assert np.abs(raised.mean(axis=1)).max() <= 2**-16


@pytest.mark.parametrize("cut", [1, 13, 5000])
def test_a_resampler_makes_no_click_of_an_offset(cut: int) -> None:
    wave = 0.1 * make_sound(2.0, rate_hz=8000)
    raised = wave + np.float32(0.5)
    plain = resample(wave, 8000, RATE)
    found = np.concatenate(list(resample_blocks(np.split(raised, range(cut, len(raised), cut)), 8000, RATE)))
    np.testing.assert_array_equal(found, resample(raised, 8000, RATE))
    assert np.abs(found - 0.5 - plain).max() < 0.02


@pytest.mark.parametrize("from_hz", [8000, 11025, 44100])
def test_a_converters_offset_is_rounding_to_a_resampler(from_hz: int) -> None:
    steps = np.round(2000 * make_sound(2.0, rate_hz=from_hz)).astype(np.int32)
    plain, raised = (resample(to_wave((steps + n).astype(np.int16)), from_hz, RATE) for n in (0, 2048))
    found = np.abs((raised - np.float32(2048 / 32768)).astype(np.float64) - plain)
    assert found[400:-400].max() <= 2**-25
    assert found.max() <= (1 + 0.6 * abs(float(steps[: from_hz // 4].mean()))) / 32768
