"""The front end of encoders that read samples: at most zero mean and unit variance."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn.functional import pad

from acula_edge.frontend.spec import FrontendSpec

VARIANCE_FLOOR = 1e-7
"""Added to the variance, as in ``Wav2Vec2FeatureExtractor``."""

_ROW = 512


class Waveform(nn.Module):
    """Samples as one band, each clip standardized by itself; silence stays zero. For training and export alike.

    Shape: wave [B, T] -> [B, T, 1].
    """

    def __init__(self, spec: FrontendSpec) -> None:
        super().__init__()
        self.spec = spec

    def forward(self, wave: torch.Tensor) -> torch.Tensor:
        """Shape: wave [B, T] -> [B, T, 1]."""
        if self.spec.standardize:
            # In two passes, mean first: E[x^2] - E[x]^2 cancels in float32 where an offset is large beside the sound.
            wave = wave - _mean(wave)
            wave = wave / torch.sqrt(_mean(wave.square()) + VARIANCE_FLOOR)
        return wave[..., None]


def _mean(values: torch.Tensor) -> torch.Tensor:
    """Mean over time in two steps: engines add up a hundred thousand float32 in a row, and lose three digits.

    Shape: [B, T] -> [B, 1].
    """
    samples = values.shape[-1]
    # Zeros behind the last row add nothing to the sums; the division is by the samples that there are.
    rows = pad(values, (0, -samples % _ROW)).reshape(-1, -(-samples // _ROW), _ROW)
    return rows.sum(-1).sum(-1, keepdim=True) / samples
