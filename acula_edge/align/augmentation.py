"""Augmentation of training crops: nothing that a different stethoscope, placement or moment would not also change."""

from __future__ import annotations

import numpy as np
import torch


def random_crop(wave: np.ndarray, samples: int, generator: np.random.Generator) -> np.ndarray:
    """A crop of `samples` at a random place; a shorter wave is repeated first."""
    if len(wave) < samples:
        wave = np.tile(wave, -(-samples // max(1, len(wave))))
    start = int(generator.integers(0, len(wave) - samples + 1))
    return wave[start : start + samples]


def mask_spectrogram(
    mel: torch.Tensor, generator: np.random.Generator, *, bands: int = 8, frames: int = 24, times: int = 2
) -> torch.Tensor:
    """Replace random bands and frames by the clip's mean, and vary the level (SpecAugment, Park et al. 2019).

    Shape: mel [B, F, M] -> [B, F, M].
    """
    mel = mel.clone()
    for clip in mel:
        mean = clip.mean()
        for _ in range(times):
            width = int(generator.integers(0, min(bands, clip.shape[1] - 1) + 1))
            start = int(generator.integers(0, clip.shape[1] - width + 1))
            clip[:, start : start + width] = mean
            width = int(generator.integers(0, min(frames, clip.shape[0] - 1) + 1))
            start = int(generator.integers(0, clip.shape[0] - width + 1))
            clip[start : start + width] = mean
    level = torch.from_numpy(generator.uniform(0.9, 1.1, (len(mel), 1, 1)).astype(np.float32))
    return mel * level.to(mel.device)
