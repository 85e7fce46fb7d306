"""Coughs: a burst, a hiss that fades, sometimes a voiced end; in bouts."""

from __future__ import annotations

import numpy as np

from acula_edge.data.phantom.sound import Array, add, band, harmonics, shaped_noise


def coughs(rng: np.random.Generator, samples: int, rate_hz: int) -> Array:
    """Wave [samples] with one or two bouts of one to four coughs, which peak near 1."""
    wave = np.zeros(samples)
    duration_s = samples / rate_hz
    character = rng.uniform(380, 900)
    for _ in range(1 + int(rng.random() < 0.5)):
        at = rng.uniform(0.05, 0.85) * duration_s
        for number in range(int(rng.integers(1, 5))):
            add(wave, round(at * rate_hz), rng.uniform(0.7, 1.0) * 0.9**number * _cough(rng, rate_hz, character))
            at += rng.uniform(0.32, 0.55)
    return wave


def _cough(rng: np.random.Generator, rate_hz: int, character_hz: float) -> Array:
    length_s = rng.uniform(0.28, 0.45)
    samples = round(length_s * rate_hz)
    t = np.arange(samples) / rate_hz
    burst = np.minimum(t / 0.006, 1) * np.exp(-t / 0.035)
    hiss = 0.35 * np.minimum(t / 0.03, 1) * np.exp(-t / (0.4 * length_s))
    wave = burst * shaped_noise(rng, samples, rate_hz, band(character_hz, 1.6))
    wave += hiss * shaped_noise(rng, samples, rate_hz, band(1.6 * character_hz, 1.3))
    if rng.random() < 0.4:
        pitch = np.full(samples, rng.uniform(180, 380)) * (1 - 0.2 * t / length_s)
        wave += 0.12 * np.exp(-np.square((t / length_s - 0.75) / 0.12)) * harmonics(pitch, rate_hz, 4, 1.0)
    return wave * np.minimum(1, (length_s - t) / 0.02)
