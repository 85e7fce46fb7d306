"""What gets in the way: rooms, rubbing and knocks, voices, hums and beeps."""

from __future__ import annotations

import numpy as np

from acula_edge.data.phantom.lung import crackle
from acula_edge.data.phantom.sound import Array, add, band, harmonics, ring, rms, shaped_noise, slope, wander


def background(rng: np.random.Generator, samples: int, rate_hz: int) -> Array:
    """A mixture [samples] of unit RMS: always a room, sometimes rubbing, knocks, voices, a tone."""
    wave = room(rng, samples, rate_hz)
    if rng.random() < 0.5:
        wave += rng.uniform(0.3, 0.9) * hiss_in_a_band(rng, samples, rate_hz)
    if rng.random() < 0.3:
        wave += rng.uniform(0.3, 1.2) * babble(rng, samples, rate_hz)
    if rng.random() < 0.15:
        wave += rng.uniform(0.3, 0.8) * tone(rng, samples, rate_hz)
    return wave / max(rms(wave), 1e-12)


def room(rng: np.random.Generator, samples: int, rate_hz: int) -> Array:
    """Rumble that falls with frequency, of unit RMS, swelling slowly."""
    steady = shaped_noise(rng, samples, rate_hz, slope(rng.uniform(40, 120), rng.uniform(6, 11)))
    return steady * (0.7 + 0.6 * wander(rng, samples, rate_hz, 0.5))


def hiss_in_a_band(rng: np.random.Generator, samples: int, rate_hz: int) -> Array:
    """Steady noise where murmurs and breath lie, so that energy in a band alone tells little."""
    return shaped_noise(rng, samples, rate_hz, band(rng.uniform(90, 450), rng.uniform(0.6, 1.2)))


def babble(rng: np.random.Generator, samples: int, rate_hz: int) -> Array:
    """Voices in the room: syllables a few times a second, voiced and hissing, of about unit RMS while they speak."""
    speaking = np.clip(3 * wander(rng, samples, rate_hz, 0.4) - 1, 0, 1)
    syllables = np.square(wander(rng, samples, rate_hz, rng.uniform(6, 10)))
    pitch = rng.uniform(100, 230) * (1 + 0.3 * (wander(rng, samples, rate_hz, 4) - 0.5))
    voiced = harmonics(pitch, rate_hz, 8, 0.9)
    wave = speaking * syllables * (voiced + 0.5 * shaped_noise(rng, samples, rate_hz, band(900, 2.0)))
    return wave / max(rms(wave), 1e-12)


def tone(rng: np.random.Generator, samples: int, rate_hz: int) -> Array:
    """Mains hum, or a monitor that beeps."""
    t = np.arange(samples) / rate_hz
    if rng.random() < 0.5:
        return harmonics(np.full(samples, rng.choice([50.0, 60.0])), rate_hz, 5, 0.7)
    beeping = (np.mod(t * rng.uniform(0.8, 1.6) + rng.random(), 1) < 0.12).astype(float)
    return 2.0 * beeping * np.sin(2 * np.pi * rng.uniform(420, 780) * t)


def handling(rng: np.random.Generator, samples: int, rate_hz: int) -> Array:
    """Knocks, rubs and clicks on the chest piece, at any moment; knocks peak near 1."""
    wave = np.zeros(samples)
    duration_s = samples / rate_hz
    for _ in range(rng.poisson(0.12 * duration_s)):
        start = round(rng.uniform(0, duration_s) * rate_hz)
        add(wave, start, rng.uniform(0.5, 1.0) * ring(rng, rate_hz, rng.uniform(25, 70), rng.uniform(0.1, 0.3), 6))
    for _ in range(rng.poisson(0.08 * duration_s)):
        length = round(rng.uniform(0.1, 0.5) * rate_hz)
        rub = shaped_noise(rng, length, rate_hz, band(rng.uniform(150, 500), 1.5)) * np.hanning(length)
        add(wave, round(rng.uniform(0, duration_s) * rate_hz), rng.uniform(0.15, 0.8) * rub)
    for _ in range(rng.poisson(0.2 * duration_s)):
        click = crackle(rate_hz, min(rng.uniform(200, 700), 0.45 * rate_hz), rng.uniform(0.003, 0.008))
        add(wave, round(rng.uniform(0, duration_s) * rate_hz), rng.uniform(0.2, 0.7) * click)
    return wave
