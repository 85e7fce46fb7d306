"""Planted faults, each found by its own figure; limits as a bundle carries them."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from acula_edge.audio.quality import QualityAnalysis, measure_quality
from acula_edge.audio.quality_limits import QualityLimits, describe_quality
from acula_edge.errors import ArtifactError, InputError
from acula_edge.runtime import load_bundle
from acula_edge.runtime.quality_gate import QualityGate
from tests.tiny_bundle import make_sound

RATE_HZ = 4000
ANALYSIS = QualityAnalysis()
GATE = QualityGate.from_dict(describe_quality(QualityLimits()))


def heart(seconds: float = 8.0, rate_hz: int = RATE_HZ, noise: float = 1e-3) -> np.ndarray:
    """Two bursts a beat, 40 to 200 Hz, 70 beats a minute, over faint noise."""
    draw = np.random.default_rng(0)
    time_s = np.arange(round(seconds * rate_hz)) / rate_hz
    beat_s = time_s % (60 / 70)
    swell = np.exp(-(((beat_s - 0.1) / 0.03) ** 2)) + 0.7 * np.exp(-(((beat_s - 0.42) / 0.025) ** 2))
    tones = sum(np.sin(2 * np.pi * f * time_s + draw.uniform(0, 6)) for f in range(40, 200, 13))
    wave = 0.05 * swell * tones + noise * np.sqrt(rate_hz / RATE_HZ) * draw.standard_normal(time_s.size)
    return np.clip(wave, -1, 1).astype(np.float32)


def hiss(samples: int, level: float) -> np.ndarray:
    return (level * np.random.default_rng(1).standard_normal(samples)).astype(np.float32)


def without_contact(wave: np.ndarray, share: float) -> np.ndarray:
    count = round(share * wave.size)
    return np.concatenate([wave[:-count], hiss(count, 1e-4)])


def rubbed(wave: np.ndarray, share: float) -> np.ndarray:
    count = round(share * wave.size)
    return np.concatenate([np.clip(hiss(count, 0.3), -0.9, 0.9), wave[count:] * 0.05])


@pytest.mark.parametrize("rate_hz", [2000, 4000, 8000, 16000, 44100])
def test_a_heart_is_measurable_at_every_rate(rate_hz: int) -> None:
    quality = GATE.assess(heart(rate_hz=rate_hz), rate_hz)
    assert quality["reasons"] == []
    assert quality["snr_db"] == pytest.approx(GATE.assess(heart(), RATE_HZ)["snr_db"], abs=6)


@pytest.mark.parametrize(
    ("wave", "reason"),
    [
        (heart(0.5), "too short: 0.5 s, at least 1 s"),
        (np.zeros(8000, np.float32), "silent: digital silence"),
        (heart() * 1e-4, "silent"),
        (np.concatenate([heart(4.0), np.zeros(2 * RATE_HZ, np.float32)]), "stands still"),
        (np.clip(heart() * 20, -1, 1), "clipped"),
        (0.2 * np.clip(heart() * 20, -1, 1), "clipped"),
        (heart() * 0.5 + np.float32(0.45), "offset"),
        (heart(noise=0) + np.float32(0.02) * hiss(32000, 1.0) * 10, "noisy"),
        (without_contact(heart(), 0.4), "contact lost"),
        (without_contact(heart(), 0.9), "contact lost"),
        (rubbed(heart(), 0.4), "handling noise"),
    ],
)
def test_each_planted_fault_is_found(wave: np.ndarray, reason: str) -> None:
    quality = GATE.assess(wave, RATE_HZ)
    assert not quality["measurable"]
    assert any(found.startswith(reason) for found in quality["reasons"]), quality


def test_a_narrow_band_is_found() -> None:
    spectrum = np.fft.rfft(heart(noise=1e-2))
    spectrum[np.fft.rfftfreq(32000, 1 / RATE_HZ) > 100] = 0
    wave = np.fft.irfft(spectrum).astype(np.float32)
    quality = GATE.assess(np.round(wave * 32768).astype(np.float32) / 32768, RATE_HZ)
    assert [reason.split(":")[0] for reason in quality["reasons"]] == ["narrow band"]
    assert 100 < quality["bandwidth_hz"] < 200


def test_the_estimate_of_noise_follows_the_noise() -> None:
    clean = heart(noise=0)
    found = []
    for snr_db in (20, 10, 0, -10):
        level = float(clean.std()) * 10 ** (-snr_db / 20) / np.sqrt(775 / 2000)
        found.append(measure_quality(clean + hiss(clean.size, level), RATE_HZ, ANALYSIS)["snr_db"])
    assert np.diff(found).max() < -3, found
    assert found[:3] == pytest.approx([20, 10, 0], abs=3)


def test_figures_that_a_short_or_silent_clip_cannot_give_are_none() -> None:
    short = measure_quality(heart(0.3), RATE_HZ, ANALYSIS)
    assert [name for name, value in short.items() if value is None] == [
        "bandwidth_hz", "snr_db", "contact_lost", "handling",
    ]  # fmt: skip
    silent = measure_quality(np.zeros(32000, np.float32), RATE_HZ, ANALYSIS)
    assert silent["level_dbfs"] is None and silent["snr_db"] is None and silent["bandwidth_hz"] is None
    assert measure_quality(heart(1.0), RATE_HZ, ANALYSIS)["snr_db"] is not None
    json.dumps(silent, allow_nan=False)


def test_an_offset_changes_no_other_figure() -> None:
    plain, shifted = (measure_quality(wave, RATE_HZ, ANALYSIS) for wave in (heart(), heart() + np.float32(0.1)))
    for name in ("level_dbfs", "bandwidth_hz", "snr_db", "contact_lost", "handling", "clipped"):
        assert shifted[name] == pytest.approx(plain[name], abs=0.05), name
    assert shifted["dc_offset"] == pytest.approx(0.1, abs=1e-3)


def test_a_limit_that_is_null_judges_nothing() -> None:
    tone = np.sin(np.arange(32000) * 0.3).astype(np.float32) * 0.3
    assert [reason.split(":")[0] for reason in GATE.assess(tone, RATE_HZ)["reasons"]] == ["noisy"]
    assert QualityGate.from_dict(describe_quality(QualityLimits(min_snr_db=None))).assess(tone, RATE_HZ)["measurable"]


def test_the_entry_of_a_bundle_is_plain_and_makes_the_same_gate() -> None:
    limits = QualityLimits(min_level_dbfs=-50.0, max_handling=None)
    entry = json.loads(json.dumps(describe_quality(limits), allow_nan=False))
    gate = QualityGate.from_dict(entry)
    assert [check.name for check in gate.checks] == [
        "lost", "duration_s", "level_dbfs", "flat", "clipped", "dc_offset", "bandwidth_hz", "snr_db", "contact_lost",
    ]  # fmt: skip
    assert gate.analysis == ANALYSIS
    assert gate == QualityGate.from_dict(describe_quality(limits))
    assert gate.assess(heart() * 0.01, RATE_HZ)["reasons"][0].endswith("at least -50 dBFS")


def test_no_limits_are_the_defaults_and_those_of_another_version_are_refused_by_name() -> None:
    assert QualityGate.from_dict(None) == QualityGate.from_dict(describe_quality(QualityLimits()))
    later: dict[str, Any] = {**describe_quality(QualityLimits()), "schema": "acula-edge/quality/2"}
    with pytest.raises(ArtifactError, match="version"):
        QualityGate.from_dict(later)
    broken: dict[str, Any] = copy.deepcopy(describe_quality(QualityLimits()))
    del broken["checks"][0]["at_most"]
    with pytest.raises(ArtifactError, match="cannot be read"):
        QualityGate.from_dict(broken)
    more: dict[str, Any] = copy.deepcopy(describe_quality(QualityLimits()))
    more["analysis"]["later_constant"] = 1
    assert QualityGate.from_dict(more).analysis == ANALYSIS


@pytest.mark.parametrize("values", [{"max_lost": -0.1}, {"min_bandwidth_hz": 0.0}, {"max_dc_offset": float("nan")}])
def test_impossible_limits_are_refused(values: dict[str, float]) -> None:
    with pytest.raises(InputError):
        QualityLimits(**values)


def test_a_bundle_judges_by_its_own_limits(bundle_dir: Path) -> None:
    loaded = load_bundle(bundle_dir)
    sound = make_sound(4.0)
    assert loaded.score(sound, 1000)["quality"]["measurable"]
    loaded.quality = QualityGate.from_dict(describe_quality(QualityLimits(min_duration_s=5.0)))
    answer = loaded.score(sound, 1000)
    assert answer["quality"]["reasons"] == ["too short: 4 s, at least 5 s"]
    assert answer["tasks"]["M"]["label"] is None
