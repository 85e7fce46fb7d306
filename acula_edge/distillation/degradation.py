"""Sensor degradation of the student's input: what a cheaper microphone, another filter or a noisy room does.

The teacher hears the clean window, so the student learns to undo the sensor. What is random is drawn on the CPU, clip
by clip, from each clip's own generator; it is applied to a whole batch on whatever device that is.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

_POINTS = 8


@dataclass(frozen=True)
class Degradation:
    """What is random about a batch's sensors.

    Attributes:
        untouched: [B, 1] clips that stay as they are.
        gains_db: [B, 8] of the coloring, at points evenly spaced on a logarithmic frequency axis.
        snr_db, slope: [B, 1] level of the noise below the clip, and its spectrum between white (0) and brown (1).
        ceiling: [B, 1] share of the peak at which the sensor clips.
        noise: [B, T] white.
    """

    untouched: torch.Tensor
    gains_db: torch.Tensor
    snr_db: torch.Tensor
    slope: torch.Tensor
    ceiling: torch.Tensor
    noise: torch.Tensor

    def to(self, device: torch.device) -> Degradation:
        return Degradation(**{name: value.to(device, non_blocking=True) for name, value in vars(self).items()})


def draw_degradation(generators: Sequence[np.random.Generator], samples: int) -> Degradation:
    """Draw sensors for a batch of windows of `samples`; about a fifth of the clips stay untouched."""

    def column(values: list[float]) -> torch.Tensor:
        return torch.tensor(values, dtype=torch.float32)[:, None]

    return Degradation(
        untouched=column([g.random() for g in generators]) < 0.2,
        gains_db=torch.from_numpy(np.stack([g.uniform(-6, 6, _POINTS) for g in generators]).astype(np.float32)),
        snr_db=column([g.uniform(15, 40) for g in generators]),
        slope=column([g.random() for g in generators]),
        # The loudest moments of about a quarter of the clips.
        ceiling=column([g.uniform(0.4, 1.0) if g.random() < 0.25 else 1.0 for g in generators]),
        noise=torch.from_numpy(np.stack([g.standard_normal(samples, dtype=np.float32) for g in generators])),
    )


def degrade(wave: torch.Tensor, drawn: Degradation) -> torch.Tensor:
    """Color, add noise, clip; each clip by its own draw.

    Shape: wave [B, T] in [-1, 1] -> [B, T].
    """
    samples = wave.shape[1]
    spectrum = torch.fft.rfft(wave)
    colored = torch.fft.irfft(spectrum * _coloring(drawn.gains_db, spectrum.shape[1]), n=samples)
    level = colored.square().mean(1, keepdim=True).sqrt()
    noisy = colored + _shaped(drawn.noise, drawn.slope) * level * 10 ** (-drawn.snr_db / 20)
    ceiling = noisy.abs().amax(1, keepdim=True) * drawn.ceiling
    clipped = torch.minimum(torch.maximum(noisy, -ceiling), ceiling)
    return torch.where(drawn.untouched, wave, clipped)


def _coloring(gains_db: torch.Tensor, bins: int) -> torch.Tensor:
    """Smooth magnitude responses [B, bins], linear between the points on a logarithmic frequency axis."""
    axis = torch.log2(1 + torch.arange(bins, device=gains_db.device)) / np.log2(bins)
    position = axis * (_POINTS - 1)
    left = position.long().clamp_max(_POINTS - 2)
    fraction = position - left
    return 10 ** ((gains_db[:, left] * (1 - fraction) + gains_db[:, left + 1] * fraction) / 20)


def _shaped(noise: torch.Tensor, slope: torch.Tensor) -> torch.Tensor:
    """Noise of unit power whose spectrum falls by the slope."""
    spectrum = torch.fft.rfft(noise)
    falling = (1 + torch.arange(spectrum.shape[1], device=noise.device)) ** -slope
    shaped = torch.fft.irfft(spectrum * falling, n=noise.shape[1])
    return shaped / shaped.square().mean(1, keepdim=True).sqrt().clamp_min(1e-8)
