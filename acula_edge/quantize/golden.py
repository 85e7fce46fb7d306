"""Golden waveforms: made from formulas, they travel with a bundle and prove on a device that it computes the same."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from acula_edge.audio.segment import repeat_pad

PCM_SCALE = 32768


def golden_waves(sample_rate_hz: int, samples: int) -> dict[str, NDArray[np.float32]]:
    """Waveforms by name, each [samples] in [-1, 1] and exact in 16 bits.

    Two that sound like something (``heart``: paired low thuds with a murmur between them; ``chirp``: a sweep over the
    whole band in noise) and the corners: ``silence``, ``square`` at full scale, ``clipped``, ``offset`` (a constant),
    and ``short``: a fifth of a second, repeated until the window is full, as short recordings are.
    """
    time_s = np.arange(samples) / sample_rate_hz
    noise = np.random.default_rng(20240229).standard_normal(samples)
    heart = _heart(time_s) + 0.003 * noise
    sweep_hz = 0.02 * sample_rate_hz + 0.45 * sample_rate_hz * time_s / (2 * time_s[-1])
    chirp = 0.4 * np.sin(2 * np.pi * sweep_hz * time_s) + 0.02 * noise
    piece = heart[: min(samples, sample_rate_hz // 5)]
    waves = {
        "heart": heart,
        "chirp": chirp,
        "silence": np.zeros(samples),
        "square": np.where(np.sin(2 * np.pi * 100.0 * time_s) >= 0, 1.0, -1.0),
        "clipped": np.clip(heart * 40, -0.8, 0.8),
        "offset": np.full(samples, 0.25),
        "short": repeat_pad(piece.astype(np.float32), samples),
    }
    return {name: from_pcm(to_pcm(wave)) for name, wave in waves.items()}


def to_pcm(wave: NDArray[np.floating]) -> NDArray[np.int16]:
    """16-bit samples of a waveform in [-1, 1]."""
    return np.clip(np.round(wave * PCM_SCALE), -PCM_SCALE, PCM_SCALE - 1).astype(np.int16)


def from_pcm(pcm: NDArray[np.int16]) -> NDArray[np.float32]:
    """Inverse of :func:`to_pcm`."""
    return (pcm.astype(np.float32) / PCM_SCALE).astype(np.float32)


def _heart(time_s: NDArray[np.floating]) -> NDArray[np.floating]:
    """72 beats a minute: a thud of 45 Hz, one of 60 Hz 0.32 s later, a soft 180 Hz tone in between."""
    phase_s = time_s % (60 / 72)

    def burst(center_s: float, width_s: float) -> NDArray[np.floating]:
        return np.exp(-(((phase_s - center_s) / width_s) ** 2))

    first = 0.5 * burst(0.08, 0.03) * np.sin(2 * np.pi * 45 * phase_s)
    second = 0.35 * burst(0.40, 0.025) * np.sin(2 * np.pi * 60 * phase_s)
    murmur = 0.06 * burst(0.24, 0.08) * np.sin(2 * np.pi * 180 * phase_s)
    return first + second + murmur
