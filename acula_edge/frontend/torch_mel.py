"""The front end in torchaudio: batched, on any device, for training and evaluation."""

from __future__ import annotations

import torch
from torch import nn
from torchaudio.functional import spectrogram

from acula_edge.frontend.filterbank import mel_filterbank
from acula_edge.frontend.graph import normalize_power
from acula_edge.frontend.spec import OPERA, FrontendSpec


class LogMel(nn.Module):
    """Log-mel spectrograms of a batch, each clip normalized by itself.

    Always computes in float32, also under autocast; it has no parameters and leaves nothing in a state dict.

    Shape: wave [B, T] -> [B, F, M] in [0, 1].
    """

    window: torch.Tensor
    filters: torch.Tensor

    def __init__(self, spec: FrontendSpec = OPERA) -> None:
        super().__init__()
        self.spec = spec
        window = torch.hann_window(spec.n_fft, periodic=True, dtype=torch.float64)
        self.register_buffer("window", window.float(), persistent=False)
        self.register_buffer("filters", torch.from_numpy(mel_filterbank(spec)).float(), persistent=False)

    def forward(self, wave: torch.Tensor) -> torch.Tensor:
        """Shape: wave [B, T] -> [B, F, M]."""
        with torch.autocast(wave.device.type, enabled=False):
            power = spectrogram(
                wave.float(),
                pad=0,
                window=self.window.float(),
                n_fft=self.spec.n_fft,
                hop_length=self.spec.hop_length,
                win_length=self.spec.n_fft,
                power=2.0,
                normalized=False,
                center=True,
                pad_mode="constant",
            )
            return normalize_power(power.transpose(1, 2) @ self.filters.float(), self.spec)
