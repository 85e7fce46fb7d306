"""Fictional stethoscopes and microphones: rate, band, resonance, self-noise."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from acula_edge.data.phantom.sound import Array, decibels


@dataclass(frozen=True)
class Device:
    """How a device colors what it hears.

    Attributes:
        sample_rate_hz: of its files.
        low_hz, high_hz: -3 dB edges of its band.
        resonance_hz, resonance_db: of its chest piece.
        noise_db: self-noise against full scale.
        share: of the subjects heard with it.
    """

    name: str
    sample_rate_hz: int
    low_hz: float
    high_hz: float
    resonance_hz: float
    resonance_db: float
    noise_db: float
    share: float

    def response(self, frequency: Array) -> Array:
        """Amplitude response at frequencies in Hz."""
        f = np.maximum(frequency, 0.1)
        high_pass = 1 / np.sqrt(1 + (self.low_hz / f) ** 4)
        low_pass = 1 / np.sqrt(1 + (f / self.high_hz) ** 6)
        bell = np.exp(-2 * np.square(np.log2(f / self.resonance_hz)))
        return np.asarray(high_pass * low_pass * 10 ** (self.resonance_db * bell / 20))

    def record(self, rng: np.random.Generator, wave: Array) -> Array:
        """What the device makes of a wave at its own rate: colored, at some gain below full scale, with its noise."""
        spectrum = np.fft.rfft(wave) * self.response(np.fft.rfftfreq(len(wave), 1 / self.sample_rate_hz))
        colored = np.fft.irfft(spectrum, len(wave))
        colored *= rng.uniform(0.2, 0.9) / max(float(np.abs(colored).max()), 1e-12)
        return np.asarray(colored + decibels(self.noise_db) * rng.standard_normal(len(wave)))


DEVICES = (
    Device("Alder 4", 4000, 20, 1500, 90, 6, -66, 0.4),
    Device("Birch 8", 8000, 30, 3000, 220, 5, -72, 0.3),
    Device("Cedar 2", 2000, 15, 900, 60, 4, -60, 0.1),
    Device("Dogwood 16", 16000, 50, 7000, 420, 4, -76, 0.2),
)
