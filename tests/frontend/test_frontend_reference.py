"""The NumPy form against the published front end's numbers, and the filter bank against an independent one."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from torchaudio.functional import melscale_fbanks

import acula_edge as ae
from acula_edge.audio.resample import resample
from acula_edge.audio.segment import repeat_pad, zero_pad
from acula_edge.errors import AudioError, InputError
from acula_edge.frontend import reference
from acula_edge.frontend.filterbank import mel_filterbank
from acula_edge.frontend.reference import log_mel, log_mel_at, mel_power
from acula_edge.frontend.spec import OPERA, FrontendSpec

GOLDEN: dict[str, Any] = json.loads(Path(__file__).with_name("golden_mel.json").read_text())
TOLERANCE = 1e-5


def published_signal() -> np.ndarray:
    """The 3-s test signal of the reference numbers, at 16 kHz."""
    t = np.arange(48000) / 16000
    chirp = 0.5 * np.sin(2 * np.pi * (100 * t + 150 * t**2))
    return (chirp + 0.1 * np.sin(2 * np.pi * 2500 * t) * np.exp(-3 * (t % 1))).astype(np.float32)


@pytest.mark.parametrize(
    ("name", "wave"),
    [
        ("full_3s", published_signal()),
        ("acula_train_zero_pad_131000", zero_pad(published_signal(), 131000)),
        ("opera_repeat_pad_128000", repeat_pad(published_signal(), 128000)),
        ("opera_repeat_pad_130880", repeat_pad(published_signal(), 130880)),
    ],
)
def test_log_mel_meets_the_published_numbers(name: str, wave: np.ndarray) -> None:
    golden = GOLDEN[name]
    expected = golden["norm"]
    mel = log_mel(wave)
    assert mel.shape == tuple(expected["shape"]) and mel.dtype == np.float32
    for figure, value in (("mean", mel.mean()), ("std", mel.std()), ("min", mel.min()), ("max", mel.max())):
        assert value == pytest.approx(expected[figure], abs=TOLERANCE), figure
    np.testing.assert_allclose(mel[0, :8], expected["row0"], atol=TOLERANCE)
    # The 3-s clip has 94 frames; its "row 100" is the last one.
    np.testing.assert_allclose(mel[min(100, len(mel) - 1), :8], expected["row100"], atol=TOLERANCE)
    np.testing.assert_allclose(mel[-1, :8], expected["last_row"], atol=TOLERANCE)
    np.testing.assert_allclose(mel[:, [0, 32, 63]].mean(axis=0), expected["col_mean_0_32_63"], atol=TOLERANCE)
    if "power_max" in golden:
        assert mel_power(wave).max() == pytest.approx(golden["power_max"], rel=1e-6)


def test_filterbank_meets_the_published_numbers() -> None:
    golden, filters = GOLDEN["mel_fb"], mel_filterbank(OPERA).T
    assert list(filters.shape) == golden["shape"]
    assert filters.sum() == pytest.approx(golden["sum"], rel=1e-6)
    assert np.count_nonzero(filters[0]) == golden["row0_nonzero"]
    assert np.count_nonzero(filters[63]) == golden["row63_nonzero"]
    assert filters[10].max() == pytest.approx(golden["row10_max"], rel=1e-6)


@pytest.mark.parametrize(
    "spec",
    [
        OPERA,
        FrontendSpec(4000, 256, 128, 64, 25, 2000),
        FrontendSpec(16000, 512, 160, 40, 0, 4000),
        FrontendSpec(44100, 2048, 512, 128, 20, 22050),
    ],
)
def test_filterbank_equals_an_independent_one(spec: FrontendSpec) -> None:
    filters = mel_filterbank(spec)
    expected = melscale_fbanks(
        spec.n_fft // 2 + 1,
        spec.fmin_hz,
        spec.fmax_hz,
        spec.n_mels,
        spec.sample_rate_hz,
        norm="slaney",
        mel_scale="slaney",
    ).numpy()
    np.testing.assert_allclose(filters, expected, atol=1e-4 * filters.max())
    assert (filters.max(axis=0) > 0).all(), "a filter between two bins is always empty"
    assert not filters[0].any() and not filters[-1].any()


def test_a_long_recording_is_transformed_in_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    wave = np.random.default_rng(0).standard_normal(9000).astype(np.float32)
    whole = log_mel(wave)
    monkeypatch.setattr(reference, "_BLOCK_FRAMES", 4)
    np.testing.assert_allclose(log_mel(wave), whole, atol=1e-7)


@pytest.mark.parametrize("samples", [1, 127, 128, 511, 512, 513, 4096, 4097])
def test_frames_are_as_many_as_the_specification_says(samples: int) -> None:
    wave = np.random.default_rng(1).standard_normal(samples).astype(np.float32)
    for hop in (128, 200, 256):
        spec = FrontendSpec(4000, 256, hop, 20, 25, 2000)
        assert log_mel(wave, spec).shape == (spec.frames(samples), 20)


def test_normalizations() -> None:
    ranged = dataclasses.replace(OPERA, normalization="range")
    loud = np.random.default_rng(2).standard_normal(16000).astype(np.float32)
    by_minimum, by_range = log_mel(loud), log_mel(loud, ranged)
    assert by_minimum.min() == 0 and by_minimum.max() == 1
    assert 0 < by_range.min() < 1 and by_range.max() == 1
    decibels = (by_range - 1) * 80
    np.testing.assert_allclose(by_minimum, 1 - decibels / decibels.min(), atol=1e-5)
    for spec in (OPERA, ranged):
        for silence in (np.zeros(16000, np.float32), np.full(16000, 1e-9, np.float32)):
            assert not log_mel(silence, spec).any()
        padded = log_mel(zero_pad(loud, 48000), spec)
        assert padded[60:].max() == 0, "digital silence lies on the floor, 80 dB below the loudest"


def test_loudness_is_removed_but_for_the_floor_of_power() -> None:
    wave = published_signal()
    np.testing.assert_allclose(log_mel(wave * np.float32(0.01)), log_mel(wave), atol=1e-5)
    quiet = log_mel(wave * np.float32(1e-6), dataclasses.replace(OPERA, normalization="range"))
    power = mel_power(wave * np.float32(1e-6))
    assert quiet.min() == pytest.approx(1 + 10 * np.log10(1e-10 / power.max()) / 80, abs=1e-6)


def test_any_rate_goes_through_the_resampler() -> None:
    wave = published_signal()[:32000:4]
    np.testing.assert_array_equal(log_mel_at(wave, 4000), log_mel(resample(wave, 4000, 16000)))
    np.testing.assert_array_equal(ae.log_mel(wave, sample_rate_hz=4000), log_mel_at(wave, 4000))
    assert ae.log_mel(wave, sample_rate_hz=4000).shape == (63, 64)


@pytest.mark.parametrize(
    ("wave", "words"),
    [
        (np.zeros(0, np.float32), "no samples"),
        (np.zeros((2, 8000), np.float32), "mono"),
        (np.zeros(8000, np.uint8), "type"),
        (np.full(8000, np.nan, np.float32), "NaN or infinity"),
    ],
)
def test_what_is_no_wave_is_refused(wave: np.ndarray, words: str) -> None:
    with pytest.raises(AudioError, match=words):
        log_mel(wave)
    with pytest.raises(AudioError, match=words):
        log_mel_at(wave, 4000)


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"n_fft": 1023}, "even"),
        ({"top_db": 0}, "top_db"),
        ({"fmax_hz": 9000.0}, "half the sample rate"),
        ({"hop_length": 0}, "positive"),
        ({"normalization": "zscore"}, "normalization"),
    ],
)
def test_impossible_specifications_are_refused(values: dict[str, Any], words: str) -> None:
    with pytest.raises(InputError, match=words):
        FrontendSpec(**values)
    assert FrontendSpec.from_dict(OPERA.to_dict()) == OPERA
