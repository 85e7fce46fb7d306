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

    The transform runs in double precision wherever the device has it: below loud rumble under the band, as body
    sounds have, single precision is off by more than 1e-4. Results are float32, also under autocast. There are no
    parameters, and nothing goes into a state dict.

    Shape: wave [B, T] -> [B, F, M] in [0, 1].
    """

    filters: torch.Tensor

    def __init__(self, spec: FrontendSpec = OPERA) -> None:
        super().__init__()
        self.spec = spec
        self.register_buffer("filters", torch.from_numpy(mel_filterbank(spec)).float(), persistent=False)

    def forward(self, wave: torch.Tensor) -> torch.Tensor:
        """Shape: wave [B, T] -> [B, F, M]."""
        precision = torch.float32 if wave.device.type == "mps" else torch.float64
        window = torch.hann_window(self.spec.n_fft, periodic=True, dtype=precision, device=wave.device)
        with torch.autocast(wave.device.type, enabled=False):
            power = spectrogram(
                wave.to(precision),
                pad=0,
                window=window,
                n_fft=self.spec.n_fft,
                hop_length=self.spec.hop_length,
                win_length=self.spec.n_fft,
                power=2.0,
                normalized=False,
                center=True,
                pad_mode="constant",
            )
            return normalize_power(power.float().transpose(1, 2) @ self.filters.float(), self.spec)
