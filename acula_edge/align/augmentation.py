"""Augmentation of training crops: nothing that a different stethoscope, placement or moment would not also change.

What is random is drawn on the CPU, clip by clip, from each clip's own generator; it is applied to a whole batch on
whatever device that is.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch

if TYPE_CHECKING:
    from acula_edge.data.store import StoredWave


def random_crop(wave: np.ndarray | StoredWave, samples: int, generator: np.random.Generator) -> np.ndarray:
    """A crop of `samples` at a random place; a shorter wave is repeated first."""
    if len(wave) < samples:
        wave = np.tile(np.asarray(wave), -(-samples // max(1, len(wave))))
    start = int(generator.integers(0, len(wave) - samples + 1))
    return wave[start : start + samples]


def first_crop(wave: np.ndarray | StoredWave, samples: int) -> np.ndarray:
    """The first `samples`, zeros behind a shorter wave: what the published training took (SPEC section 1.7.1)."""
    return np.pad(wave[:samples], (0, max(0, samples - len(wave))))


@dataclass(frozen=True)
class MaskDraws:
    """What is random about the masks of a batch.

    Attributes:
        places: [B, 4 * times] in [0, 1): width and start of every band, then of every stretch of frames.
        level: [B] between 0.9 and 1.1.
    """

    places: torch.Tensor
    level: torch.Tensor

    def to(self, device: torch.device) -> MaskDraws:
        return MaskDraws(self.places.to(device, non_blocking=True), self.level.to(device, non_blocking=True))


def draw_masks(generators: Sequence[np.random.Generator], times: int = 2) -> MaskDraws:
    """Draw the masks of a batch, `times` bands and `times` stretches of frames per clip."""
    places = np.stack([generator.random(4 * times, dtype=np.float32) for generator in generators])
    level = np.array([generator.uniform(0.9, 1.1) for generator in generators], dtype=np.float32)
    return MaskDraws(torch.from_numpy(places), torch.from_numpy(level))


def vary_gain(wave: torch.Tensor, draws: MaskDraws) -> torch.Tensor:
    """Make clips up to 6 dB louder or softer; for front ends that keep the level, where others are scaled instead.

    Shape: wave [B, T] -> [B, T].
    """
    return wave * 10 ** (3 * (draws.level[:, None] - 1))


def mask_spectrogram(
    mel: torch.Tensor, draws: MaskDraws, *, bands: int = 8, frames: int = 24, scale: bool = True
) -> torch.Tensor:
    """Replace random bands and frames by the clip's mean (SpecAugment, Park et al. 2019), and scale values in [0, 1].

    Args:
        bands, frames: widest mask along each axis.
        scale: multiply by the drawn level, as in OPERA's training (SPEC section 1.7.4).

    Shape: mel [B, F, M] -> [B, F, M].
    """
    bands_draws, frames_draws = draws.places.chunk(2, dim=1)
    masked = (
        _stretches(bands_draws, mel.shape[2], bands)[:, None, :]
        | _stretches(frames_draws, mel.shape[1], frames)[:, :, None]
    )
    mean = mel.mean((1, 2), keepdim=True)
    mel = torch.where(masked, mean, mel)
    return mel * draws.level[:, None, None] if scale else mel


def _stretches(draws: torch.Tensor, length: int, widest: int) -> torch.Tensor:
    """[B, 2 * times] draws -> [B, length]: where one of the stretches lies; never everywhere."""
    widths = (draws[:, 0::2] * (min(widest, length - 1) + 1)).floor()
    starts = (draws[:, 1::2] * (length - widths + 1)).floor()
    places = torch.arange(length, device=draws.device)
    inside = (places >= starts[..., None]) & (places < (starts + widths)[..., None])
    return inside.any(1)
