"""Sensor degradation of the student's input: what a cheaper microphone, another filter or a noisy room does.

The teacher hears the clean window, so the student learns to undo the sensor.
"""

from __future__ import annotations

import numpy as np
import torch


def degrade(wave: torch.Tensor, generator: np.random.Generator) -> torch.Tensor:
    """Color, add noise, clip; each clip differently, about a fifth of the clips untouched.

    Shape: wave [B, T] in [-1, 1] -> [B, T].
    """
    batch, samples = wave.shape
    device = wave.device
    untouched = torch.from_numpy(generator.random((batch, 1)) < 0.2).to(device)
    spectrum = torch.fft.rfft(wave)
    colored = torch.fft.irfft(spectrum * _coloring(batch, spectrum.shape[1], generator).to(device), n=samples)
    level = colored.square().mean(1, keepdim=True).sqrt()
    snr_db = generator.uniform(15, 40, (batch, 1)).astype(np.float32)
    noise = _noise(batch, samples, generator).to(device)
    noisy = colored + noise * level * torch.from_numpy(10 ** (-snr_db / 20)).to(device)
    # Clip the loudest moments of about a quarter of the clips.
    share = np.where(generator.random((batch, 1)) < 0.25, generator.uniform(0.4, 1.0, (batch, 1)), 1.0)
    ceiling = noisy.abs().amax(1, keepdim=True) * torch.from_numpy(share.astype(np.float32)).to(device)
    clipped = torch.minimum(torch.maximum(noisy, -ceiling), ceiling)
    return torch.where(untouched, wave, clipped)


def _coloring(batch: int, bins: int, generator: np.random.Generator) -> torch.Tensor:
    """Smooth random magnitude responses within +-6 dB: [B, bins], linear between 8 points on a log frequency axis."""
    points = generator.uniform(-6, 6, (batch, 8))
    axis = np.log2(1 + np.arange(bins)) / np.log2(bins)
    position = axis * 7
    left = np.minimum(position.astype(int), 6)
    fraction = position - left
    gains = points[:, left] * (1 - fraction) + points[:, left + 1] * fraction
    return torch.from_numpy((10 ** (gains / 20)).astype(np.float32))


def _noise(batch: int, samples: int, generator: np.random.Generator) -> torch.Tensor:
    """Noise of unit power between white and brown."""
    white = torch.from_numpy(generator.standard_normal((batch, samples)).astype(np.float32))
    spectrum = torch.fft.rfft(white)
    slope = torch.from_numpy(generator.uniform(0, 1, (batch, 1)).astype(np.float32))
    shaped = torch.fft.irfft(spectrum * (1 + torch.arange(spectrum.shape[1])) ** -slope, n=samples)
    return shaped / shaped.square().mean(1, keepdim=True).sqrt().clamp_min(1e-8)
