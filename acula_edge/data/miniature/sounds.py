"""Sounds of miniature releases: what the phantom corpus is made of, recorded and written as a release would be."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import soundfile

from acula_edge.data.phantom.cough import coughs
from acula_edge.data.phantom.devices import Device
from acula_edge.data.phantom.heart import heart_sound
from acula_edge.data.phantom.lung import lung_sound
from acula_edge.data.phantom.noise import background
from acula_edge.data.phantom.plan import generator
from acula_edge.data.phantom.sound import Array, decibels, harmonics, rms, wander

__all__ = ["breathing", "cough", "generator", "heart", "vowel", "write_audio"]


def heart(rng: np.random.Generator, duration_s: float, rate_hz: int, murmur: bool, age: str = "Child") -> Array:
    """Heart sound [T]; a murmur is holosystolic and of grade IV, so that it can be learned from few recordings."""
    facts = {"age": age, "murmur": "Present" if murmur else "Absent"}
    if murmur:
        facts |= {
            "murmur_timing": "Holosystolic", "murmur_shape": "Plateau", "murmur_grade": "IV/VI",
            "murmur_pitch": "Medium", "murmur_quality": "Harsh",
        }  # fmt: skip
    return _with_background(rng, heart_sound(rng, round(duration_s * rate_hz), rate_hz, facts), rate_hz)


def breathing(
    rng: np.random.Generator,
    duration_s: float,
    rate_hz: int,
    rate_per_min: float = 16.0,
    wheeze: bool = False,
    crackles: bool = False,
) -> Array:
    """Lung or breath sound [T]."""
    facts = {
        "respiratory_rate": rate_per_min, "wheeze": wheeze, "wheeze_phase": "expiratory", "rhonchi": False,
        "crackles": crackles, "crackles_type": "coarse",
    }  # fmt: skip
    return _with_background(rng, lung_sound(rng, round(duration_s * rate_hz), rate_hz, facts), rate_hz)


def cough(rng: np.random.Generator, duration_s: float, rate_hz: int, low: bool, wet: bool) -> Array:
    """Coughs [T]; `low` (a larger throat) lowers them by a third, `wet` adds a crackling tail."""
    factor = 1.5 if low else 1.0
    made_hz = round(rate_hz * factor)  # made faster, played at rate_hz: lower by the factor
    wave = coughs(rng, round(duration_s * rate_hz), made_hz)
    if wet:
        tail = breathing(rng, duration_s, rate_hz, 30.0, crackles=True)
        wave = wave + 0.4 * float(np.abs(wave).max()) * tail / max(float(np.abs(tail).max()), 1e-9)
    return _with_background(rng, wave, rate_hz)


def vowel(rng: np.random.Generator, duration_s: float, rate_hz: int, pitch_hz: float, breathiness: float) -> Array:
    """A held "o" [T] of a pitch, with noise of the amplitude `breathiness` relative to the voice."""
    samples = round(duration_s * rate_hz)
    pitch = pitch_hz * (1 + 0.02 * (wander(rng, samples, rate_hz, 3) - 0.5))
    voice = harmonics(pitch, rate_hz, 8, 1.2)
    noise = background(rng, samples, rate_hz)
    return np.asarray(voice / max(rms(voice), 1e-9) + breathiness * noise / max(rms(noise), 1e-9))


def write_audio(path: Path, rng: np.random.Generator, wave: Array, rate_hz: int) -> None:
    """Write a wave as a 16-bit file (WAV, FLAC or OGG by suffix) as some microphone would have heard it."""
    device = Device("miniature", rate_hz, 20, 0.45 * rate_hz, 200, 2, -70, 1.0)
    path.parent.mkdir(parents=True, exist_ok=True)
    pcm = np.clip(np.round(device.record(rng, wave) * 32768), -32768, 32767).astype(np.int16)
    if path.suffix.casefold() == ".ogg":
        soundfile.write(str(path), pcm, rate_hz, format="OGG", subtype="VORBIS")
    else:
        soundfile.write(str(path), pcm, rate_hz, subtype="PCM_16")


def _with_background(rng: np.random.Generator, wave: Array, rate_hz: int) -> Array:
    noise = background(rng, len(wave), rate_hz)
    level = rms(wave) * decibels(-float(rng.uniform(12, 24))) / max(rms(noise), 1e-9)
    return np.asarray(wave + level * noise)
