"""Measurable or not, and why."""

from __future__ import annotations

import numpy as np
import pytest

from acula_edge.audio.quality_limits import QualityLimits, describe_quality
from acula_edge.audio.samples import check_rate, to_wave
from acula_edge.errors import AudioError
from acula_edge.runtime.quality_gate import QualityGate

RATE_HZ = 4000
GATE = QualityGate.from_dict(describe_quality(QualityLimits()))


def beats(seconds: float, level: float = 0.1) -> np.ndarray:
    """Noise that swells twice a second over a fainter one, as a heart does."""
    time_s = np.arange(round(seconds * RATE_HZ)) / RATE_HZ
    swell = 0.1 + np.sin(2 * np.pi * time_s) ** 8
    samples = np.random.default_rng(0).standard_normal(time_s.size) * swell * level / 0.51
    return np.clip(samples, -1, 1).astype(np.float32)


def test_ordinary_sound_is_measurable() -> None:
    quality = GATE.assess(beats(3.0), RATE_HZ)
    assert quality["measurable"] and quality["reasons"] == []
    assert quality["duration_s"] == 3.0
    assert quality["level_dbfs"] == pytest.approx(-20, abs=1)


@pytest.mark.parametrize(
    ("wave", "word"),
    [
        (beats(0.1), "too short"),
        (np.zeros(8000, dtype=np.float32), "digital silence"),
        (np.full(8000, 0.2, dtype=np.float32), "digital silence"),
        (beats(3.0, level=1e-4), "silent"),
        (np.clip(beats(3.0) * 20, -1, 1), "clipped"),
        (beats(3.0) * 0.5 + 0.4, "offset"),
        (np.concatenate([beats(2.0), np.zeros(3 * RATE_HZ, dtype=np.float32)]), "stands still"),
    ],
)
def test_each_defect_is_named(wave: np.ndarray, word: str) -> None:
    quality = GATE.assess(wave, RATE_HZ)
    assert not quality["measurable"]
    assert len(quality["reasons"]) == 1 and word in quality["reasons"][0]


def test_a_clip_of_one_sample_is_judged_without_an_error() -> None:
    assert not GATE.assess(np.zeros(1, dtype=np.float32), RATE_HZ)["measurable"]


def test_integer_pcm_is_scaled_by_its_type() -> None:
    full = to_wave(np.array([-32768, 0, 16384, 32767], dtype=np.int16))
    assert full.dtype == np.float32
    np.testing.assert_allclose(full, [-1, 0, 0.5, 32767 / 32768])
    np.testing.assert_allclose(to_wave(np.array([-(2**31), 2**30], dtype=np.int32)), [-1, 0.5])


def test_float_pcm_is_taken_as_it_is() -> None:
    np.testing.assert_array_equal(to_wave(np.array([0.5, -1.0])), np.float32([0.5, -1.0]))


@pytest.mark.parametrize(
    ("pcm", "word"),
    [
        (np.zeros(0, dtype=np.int16), "no samples"),
        (np.zeros((10, 2), dtype=np.int16), "mono"),
        (np.array([0.0, np.nan]), "NaN"),
        (np.array([0.0, -np.inf], dtype=np.float32), "NaN"),
        (np.array([1000.0, 2.0]), "[-1, 1]"),
        (np.array([1, 2], dtype=np.uint8), "type"),
    ],
)
def test_unusable_pcm_is_refused(pcm: np.ndarray, word: str) -> None:
    with pytest.raises(AudioError, match=word.replace("[", r"\[")):
        to_wave(pcm)


@pytest.mark.parametrize("rate", [0, -4000, 50, 10**7])
def test_impossible_rates_are_refused(rate: int) -> None:
    with pytest.raises(AudioError):
        check_rate(rate)
