"""Sounds at the edges of what sound is: those that every path takes, and those that every door refuses."""

from __future__ import annotations

import numpy as np

FULL_SCALE = {"dc 1": 1.0, "dc -1": -1.0, "dc 0.5": 0.5, "dc 1e-9": 1e-9, "denormal dc": 1e-40}
NOISE = {"noise": 0.1, "noise of one step": 2.0**-15, "noise 1e-6": 1e-6, "noise 1e-30": 1e-30, "denormal noise": 1e-40}

SILENT = ("silence", "negative zero", "dc 1e-9", "denormal dc", "noise 1e-30", "denormal noise")
"""Whose mel power lies below every front end's floor."""


def accepted(samples: int, rate_hz: int) -> dict[str, np.ndarray]:
    """By name, [samples] float32 each."""
    place = np.arange(samples)
    noise = np.random.default_rng(0).standard_normal(samples)
    square = np.sign(np.sin(2 * np.pi * 100 * (place + 0.5) / rate_hz))
    sounds = {"silence": 0.0 * place, "negative zero": -0.0 * place}
    sounds |= {name: np.full(samples, value) for name, value in FULL_SCALE.items()}
    sounds |= {name: noise * level for name, level in NOISE.items()}
    sounds |= {"square": square, "square of 8": 8 * square, "noise of 2": np.clip(2 * noise, -2, 2)}
    sounds |= {"alternating": 1.0 - 2 * (place % 2), "alternating step": (place % 2) * 2.0**-15}
    for where, index in {"first": 0, "middle": samples // 2, "last": samples - 1}.items():
        sounds[f"impulse {where}"] = (place == index) * 1.0
    sounds["one step"] = (place == samples // 2) * 2.0**-15
    return {name: sound.astype(np.float32) for name, sound in sounds.items()}


def brief(rate_hz: int) -> dict[str, np.ndarray]:
    """Clips shorter than anything can be heard in; taken, and not measurable."""
    noise = (0.1 * np.random.default_rng(1).standard_normal(rate_hz)).astype(np.float32)
    return {
        "one sample": noise[:1],
        "one zero": np.zeros(1, np.float32),
        "two samples": noise[:2],
        "0.19 s": noise[: round(0.19 * rate_hz)],
        "0.2 s": noise[: round(0.2 * rate_hz)],
    }


def refused(samples: int) -> dict[str, tuple[np.ndarray, str]]:
    """By name, float32 [samples] each, and what every door says."""
    noise = (0.1 * np.random.default_rng(2).standard_normal(samples)).astype(np.float32)
    sounds: dict[str, tuple[np.ndarray, str]] = {}
    for name, value in {"NaN": np.nan, "infinity": np.inf, "-infinity": -np.inf}.items():
        for where, index in {"first": 0, "middle": samples // 2, "last": samples - 1}.items():
            sound = noise.copy()
            sound[index] = value
            sounds[f"{name} {where}"] = (sound, "holds NaN or infinity")
    sounds["1e30"] = (noise * np.float32(1e30), "far beyond [-1, 1]")
    sounds["integers as floats"] = (noise * 32768, "far beyond [-1, 1]")
    sounds["no samples"] = (noise[:0], "holds no samples")
    return sounds
