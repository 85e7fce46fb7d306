"""Heart cycles: first and second sound at a varying rate, and murmurs by timing, shape, grade and pitch."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from acula_edge.data.phantom.sound import Array, add, band, decibels, harmonics, ring, shaped_noise, wander

# Where in the cycle a murmur lies: start and end as shares of systole (first) or diastole (second entry).
TIMINGS: dict[str, tuple[str, float, float]] = {
    "Holosystolic": ("systole", 0.05, 1.0),
    "Early-systolic": ("systole", 0.05, 0.55),
    "Mid-systolic": ("systole", 0.25, 0.8),
    "Early-diastolic": ("diastole", 0.05, 0.5),
}
GRADES = ("I/VI", "II/VI", "III/VI", "IV/VI", "V/VI", "VI/VI")
# Peak level of the murmur against the first heart sound's peak.
GRADE_DB = dict(zip(GRADES, (-21.0, -16.0, -12.0, -8.0, -5.0, -2.0), strict=True))
PITCH_HZ = {"Low": (90.0, 140.0), "Medium": (170.0, 260.0), "High": (300.0, 440.0)}
HEART_RATE_PER_MIN = {"Child": (85.0, 130.0), "Adult": (58.0, 95.0), "Elderly": (55.0, 88.0)}


def heart_sound(rng: np.random.Generator, samples: int, rate_hz: int, facts: Mapping[str, Any]) -> Array:
    """Wave [samples]; the first sound peaks near 1.

    Args:
        facts: the recording's metadata: age, murmur and, where it is Present, its timing, shape, grade, pitch, quality.
    """
    wave = np.zeros(samples)
    onsets = heart_beats(rng, samples / rate_hz, facts["age"])
    murmur = facts["murmur"] == "Present"
    envelope = np.zeros(samples)
    low, high = rng.uniform(32, 55), rng.uniform(65, 110)
    second = rng.uniform(55, 95)
    second_level = rng.uniform(0.45, 1.0)
    for onset, nxt in zip(onsets[:-1], onsets[1:], strict=True):
        period = nxt - onset
        systole = min(0.30 * np.sqrt(period), 0.55 * period) * rng.normal(1, 0.02)
        start, middle = round(onset * rate_hz), round((onset + systole) * rate_hz)
        level = rng.normal(1, 0.08)
        add(wave, start, 0.7 * level * ring(rng, rate_hz, low, 0.14, 5))
        add(wave, start, 0.5 * level * ring(rng, rate_hz, high, 0.11, 6))
        level = second_level * rng.normal(1, 0.08)
        add(wave, middle, 0.6 * level * ring(rng, rate_hz, second, 0.10, 6))
        add(wave, middle, 0.4 * level * ring(rng, rate_hz, 1.7 * second, 0.08, 7))
        if murmur:
            phase, first, last = TIMINGS[facts["murmur_timing"]]
            base, length = (onset, systole) if phase == "systole" else (onset + systole, period - systole)
            # The sounds themselves take their time; a murmur begins where they fade.
            begin, end = base + 0.05 + first * (length - 0.05), base + last * length
            shape = murmur_shape(facts["murmur_shape"], max(2, round((end - begin) * rate_hz)))
            add(envelope, round(begin * rate_hz), shape * rng.normal(1, 0.1))
    if murmur:
        wave += envelope * _murmur_carrier(rng, samples, rate_hz, facts)
    return wave


def heart_beats(rng: np.random.Generator, duration_s: float, age: str) -> Array:
    """Onsets of first sounds in seconds, from before 0 to beyond the end; rate by age, varied by breath and chance."""
    period = 60.0 / rng.uniform(*HEART_RATE_PER_MIN[age])
    breath_hz, depth, chance = rng.uniform(0.2, 0.4), rng.uniform(0.01, 0.06), rng.uniform(0.005, 0.03)
    onsets = [-rng.uniform(0, period)]
    while onsets[-1] < duration_s:
        sinus = depth * np.sin(2 * np.pi * breath_hz * onsets[-1])
        onsets.append(onsets[-1] + period * (1 + sinus + chance * rng.standard_normal()))
    return np.array(onsets)


def murmur_shape(shape: str, samples: int) -> Array:
    """Envelope [samples] from 0 to 1 of a murmur's intensity over its course."""
    u = np.linspace(0, 1, samples)
    course = {
        "Diamond": 1 - np.abs(2 * u - 1),
        "Plateau": np.ones(samples),
        "Decrescendo": 1 - u,
        "Crescendo": u,
    }[shape]
    edge = np.minimum(1, np.minimum(u, 1 - u) * 12)
    return np.asarray(course * edge)


def _murmur_carrier(rng: np.random.Generator, samples: int, rate_hz: int, facts: Mapping[str, Any]) -> Array:
    center = rng.uniform(*PITCH_HZ[facts["murmur_pitch"]])
    quality = facts["murmur_quality"]
    noise = shaped_noise(rng, samples, rate_hz, band(center, {"Harsh": 1.1, "Blowing": 0.7, "Musical": 0.5}[quality]))
    if quality == "Musical":
        pitch = center * (1 + 0.05 * (wander(rng, samples, rate_hz, 2) - 0.5))
        noise = 0.6 * noise + 0.8 * harmonics(pitch, rate_hz, 3, 1.0)
    return 0.7 * decibels(GRADE_DB[facts["murmur_grade"]]) * noise
