"""Building blocks of generated sounds."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.floating]
Gain = Callable[[Array], Array]


def decibels(level_db: float) -> float:
    """Amplitude factor of a level."""
    return float(10.0 ** (level_db / 20.0))


def rms(wave: Array) -> float:
    """Root mean square."""
    return float(np.sqrt(np.mean(np.square(wave))))


def shaped_noise(rng: np.random.Generator, samples: int, rate_hz: int, gain: Gain) -> Array:
    """Gaussian noise [samples] of unit RMS whose amplitude spectrum follows ``gain(frequencies in Hz)``."""
    bins = samples // 2 + 1
    spectrum = rng.standard_normal(bins) + 1j * rng.standard_normal(bins)
    noise = np.fft.irfft(spectrum * gain(np.fft.rfftfreq(samples, 1 / rate_hz)), samples)
    return np.asarray(noise / max(rms(noise), 1e-12))


def band(center_hz: float, octaves: float) -> Gain:
    """A bell around `center_hz`, `octaves` wide at about -4 dB on each side."""

    def gain(frequency: Array) -> Array:
        distance = np.log2(np.maximum(frequency, 1.0) / center_hz) / octaves
        return np.exp(-2.0 * np.square(distance))

    return gain


def slope(corner_hz: float, db_per_octave: float) -> Gain:
    """Flat up to `corner_hz`, then falling."""

    def gain(frequency: Array) -> Array:
        octaves = np.log2(np.maximum(frequency, corner_hz) / corner_hz)
        return 10.0 ** (-db_per_octave * octaves / 20.0)

    return gain


def add(wave: Array, start: int, piece: Array) -> None:
    """Add `piece` to `wave` from sample `start` on; what falls outside is cut off."""
    first, last = max(start, 0), min(start + len(piece), len(wave))
    if first < last:
        wave[first:last] += piece[first - start : last - start]


def ring(rng: np.random.Generator, rate_hz: int, frequency_hz: float, length_s: float, sharpness: float) -> Array:
    """A tone that swells and fades over `length_s`; the larger `sharpness`, the earlier its peak."""
    t = np.arange(max(2, round(length_s * rate_hz))) / rate_hz
    u = t / length_s
    envelope = u * np.exp(-sharpness * u)
    tone = np.sin(2 * np.pi * frequency_hz * t + rng.uniform(0, 2 * np.pi))
    return np.asarray(envelope / envelope.max() * tone)


def wander(rng: np.random.Generator, samples: int, rate_hz: int, knots_per_s: float) -> Array:
    """A smooth random curve [samples] between 0 and 1 with about `knots_per_s` turns a second."""
    knots = max(2, int(samples / rate_hz * knots_per_s) + 2)
    return np.interp(np.linspace(0, knots - 1, samples), np.arange(knots), rng.random(knots))


def harmonics(frequency_hz: Array, rate_hz: int, count: int, roll_off: float) -> Array:
    """A tone with overtones; `frequency_hz` [T] is its pitch over time; overtones above half the rate are left out."""
    phase = 2 * np.pi * np.cumsum(frequency_hz) / rate_hz
    top = float(frequency_hz.max())
    wave = np.zeros(len(phase))
    for number in range(1, count + 1):
        if number * top < rate_hz / 2:
            wave += np.sin(number * phase) / number**roll_off
    return wave
