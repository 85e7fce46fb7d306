"""Mel power spectra by Fourier transforms: batched, on any device, for training and evaluation."""

from __future__ import annotations

import torch
from torch import nn

from acula_edge.frontend.filterbank import mel_filterbank
from acula_edge.frontend.spec import FrontendSpec
from acula_edge.frontend.torch.framing import emphasize, pad_ends


class MelPower(nn.Module):
    """Mel power spectra of a batch of clips of any length.

    The transform runs in double precision wherever the device has it: below loud rumble under the band, as body
    sounds have, single precision is off by more than 1e-4. Results are float32, also under autocast. There are no
    parameters, and nothing goes into a state dict.

    Shape: wave [B, T] -> [B, F, M].

    Raises:
        InputError: the clips are too short to be framed.
    """

    filters: torch.Tensor

    def __init__(self, spec: FrontendSpec) -> None:
        super().__init__()
        self.spec = spec
        self.register_buffer("filters", torch.from_numpy(mel_filterbank(spec)).float(), persistent=False)

    def forward(self, wave: torch.Tensor) -> torch.Tensor:
        """Shape: wave [B, T] -> [B, F, M]."""
        spec = self.spec
        spec.check_samples(wave.shape[-1])
        # MPS has no float64 at all.
        precision = torch.float32 if wave.device.type == "mps" else torch.float64
        kaldi = spec.kind == "kaldi-fbank"
        window = torch.hann_window(spec.n_fft, periodic=not kaldi, dtype=precision, device=wave.device)
        length = (spec.frames(wave.shape[-1]) - 1) * spec.hop_length + spec.n_fft
        frames = pad_ends(wave.to(precision), spec, length).unfold(-1, spec.n_fft, spec.hop_length)
        if kaldi:
            # The symmetric window is 0 at a frame's first sample, which pre-emphasis therefore leaves out.
            frames, window = emphasize(frames - frames.mean(-1, keepdim=True), -1), window[1:]
        spectrum = torch.fft.rfft(frames * window, n=spec.transform_length)
        power = spectrum.real.square() + spectrum.imag.square()
        # Autocast would leave 8 to 11 bits of the power, and float16 ends at 65504, which a full-scale tone exceeds.
        with torch.autocast(wave.device.type, enabled=False):
            return power.float() @ self.filters.float()
