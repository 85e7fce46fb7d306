"""Breath cycles with wheeze, rhonchi and crackles."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from acula_edge.data.phantom.sound import Array, add, band, harmonics, shaped_noise, slope, wander

RATE_PER_MIN = {"Child": (16.0, 40.0), "Adult": (10.0, 28.0), "Elderly": (11.0, 32.0)}
CRACKLES: dict[str, tuple[float, float]] = {"fine": (480.0, 0.005), "coarse": (260.0, 0.011)}


@dataclass(frozen=True)
class Breath:
    """One breath: onset and lengths in seconds."""

    onset: float
    inspiration: float
    expiration: float


def lung_sound(rng: np.random.Generator, samples: int, rate_hz: int, facts: Mapping[str, Any]) -> Array:
    """Wave [samples]; inspiration has an RMS near 1 at its height.

    Args:
        facts: the recording's metadata: respiratory_rate, wheeze, wheeze_phase, crackles, crackles_type, rhonchi.
    """
    breaths = breathe(rng, samples / rate_hz, facts["respiratory_rate"])
    inspiration, expiration = np.zeros(samples), np.zeros(samples)
    for breath in breaths:
        add(inspiration, round(breath.onset * rate_hz), _flow(breath.inspiration, rate_hz, 0.5) * rng.normal(1, 0.08))
        start = round((breath.onset + breath.inspiration) * rate_hz)
        add(expiration, start, _flow(breath.expiration, rate_hz, 0.3) * rng.normal(1, 0.08))
    softer = rng.uniform(0.3, 0.6)
    wave = inspiration * shaped_noise(rng, samples, rate_hz, slope(rng.uniform(180, 320), 13))
    wave += softer * expiration * shaped_noise(rng, samples, rate_hz, slope(rng.uniform(120, 220), 15))
    if facts["wheeze"]:
        wave += rng.uniform(0.35, 0.9) * _wheeze(rng, rate_hz, inspiration, expiration, facts["wheeze_phase"])
    if facts["rhonchi"]:
        wave += rng.uniform(0.4, 0.9) * _rhonchi(rng, rate_hz, expiration)
    if facts["crackles"]:
        _add_crackles(rng, wave, rate_hz, breaths, facts["crackles_type"])
    return wave


def breathe(rng: np.random.Generator, duration_s: float, rate_per_min: float) -> list[Breath]:
    """Breaths from before 0 to beyond the end, at a rate that varies by a few per cent."""
    period = 60.0 / rate_per_min
    inspired = rng.uniform(0.34, 0.44)
    expired = rng.uniform(0.40, 0.50)
    onset = -rng.uniform(0, period)
    breaths = []
    while onset < duration_s:
        length = period * rng.normal(1, 0.03)
        breaths.append(Breath(onset, inspired * length, expired * length))
        onset += length
    return breaths


def _flow(length_s: float, rate_hz: int, power: float) -> Array:
    u = np.linspace(0, 1, max(2, round(length_s * rate_hz)))
    return np.asarray(np.sin(np.pi * u) ** (2 * power))


def _wheeze(rng: np.random.Generator, rate_hz: int, inspiration: Array, expiration: Array, phase: str) -> Array:
    """A whistle of 200 to 600 Hz with an overtone or two, gliding a little, while air flows."""
    envelope = np.clip(expiration - 0.25, 0, None) / 0.75
    if phase != "expiratory":
        envelope = envelope + 0.8 * np.clip(inspiration - 0.25, 0, None) / 0.75
    pitch = rng.uniform(220, 580) * (1 + 0.12 * (wander(rng, len(envelope), rate_hz, 1.5) - 0.5))
    return np.asarray(envelope * harmonics(pitch, rate_hz, 3, 1.6))


def _rhonchi(rng: np.random.Generator, rate_hz: int, expiration: Array) -> Array:
    """A snore of 80 to 150 Hz, rich in overtones and rough."""
    pitch = rng.uniform(80, 150) * (1 + 0.1 * (wander(rng, len(expiration), rate_hz, 3) - 0.5))
    rough = 0.5 + 0.5 * wander(rng, len(expiration), rate_hz, 25)
    return 0.5 * expiration * rough * harmonics(pitch, rate_hz, 6, 0.8)


def _add_crackles(rng: np.random.Generator, wave: Array, rate_hz: int, breaths: list[Breath], kind: str) -> None:
    """Short pops: fine ones late in inspiration, coarse ones early in it and in expiration."""
    center, length_s = CRACKLES[kind]
    level = rng.uniform(1.6, 4.0)
    per_breath = rng.uniform(6, 14)
    for breath in breaths:
        for _ in range(rng.poisson(per_breath)):
            u = rng.beta(4, 1.6) if kind == "fine" else rng.beta(1.6, 3)
            at = breath.onset + u * breath.inspiration
            if kind == "coarse" and rng.random() < 0.3:
                at = breath.onset + breath.inspiration + rng.random() * breath.expiration
            frequency = min(center * rng.uniform(0.8, 1.3), 0.45 * rate_hz)
            pop = crackle(rate_hz, frequency, length_s * rng.uniform(0.8, 1.3))
            add(wave, round(at * rate_hz), level * rng.lognormal(0, 0.4) * pop)


def crackle(rate_hz: int, frequency_hz: float, length_s: float) -> Array:
    """About two cycles that die away, each slower than the one before."""
    t = np.arange(max(4, round(1.6 * length_s * rate_hz))) / rate_hz
    phase = 2 * np.pi * frequency_hz * t * (1 - 0.25 * t / t[-1])
    return np.asarray(np.sin(phase) * np.exp(-3 * t / length_s))


def breath_leak(rng: np.random.Generator, samples: int, rate_hz: int) -> Array:
    """Breathing as it is heard behind a heart: soft, no findings; unit RMS at its height."""
    envelope = np.zeros(samples)
    for breath in breathe(rng, samples / rate_hz, rng.uniform(12, 30)):
        add(envelope, round(breath.onset * rate_hz), _flow(breath.inspiration, rate_hz, 0.5))
    return envelope * shaped_noise(rng, samples, rate_hz, band(rng.uniform(150, 300), 1.2))
