"""Mel power spectra as a small graph of matrix products, for ONNX Runtime and TensorRT.

ONNX has operators for Fourier transforms, but TensorRT has no DFT at all and ONNX Runtime's are slow. Here transforms
are matrix products (:mod:`acula_edge.frontend.transforms`), and the mel filters a few narrow ones
(:mod:`acula_edge.frontend.bands`) that take the bins in the order they come in.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import nn

from acula_edge.errors import InputError
from acula_edge.frontend.bands import MelBands
from acula_edge.frontend.filterbank import mel_filterbank
from acula_edge.frontend.spec import FrontendSpec
from acula_edge.frontend.spectra import HalvedSpectrum, StackedSpectrum


class GraphMelPower(nn.Module):
    """Mel power spectra of clips of one fixed length, in operators that every engine has.

    Exports with ``torch.onnx.export(dynamo=True)`` to opset 18 as Pad, Reshape, Transpose, Slice, Concat, MatMul,
    ReduceSum and arithmetic. Keep it in float32, whatever the network's precision is.

    Args:
        samples: length T of every clip.

    Shape: wave [B, T] -> [B, F, M].

    Raises:
        InputError: `samples` is not positive, or too few to be framed.
    """

    def __init__(self, spec: FrontendSpec, samples: int) -> None:
        super().__init__()
        spec.check_samples(samples)
        self.samples = samples
        self.frames = spec.frames(samples)
        self.spectrum = HalvedSpectrum(spec, samples) if HalvedSpectrum.fits(spec) else StackedSpectrum(spec, samples)
        self.bands = mel_bands(spec, self.spectrum)

    def forward(self, wave: torch.Tensor) -> torch.Tensor:
        """Shape: wave [B, T] -> [B, F, M]."""
        if wave.shape[-1] != self.samples:
            raise InputError("a clip has another length than the graph", given=wave.shape[-1], allowed=[self.samples])
        mel = self.bands(self.spectrum(wave)).transpose(0, 1)
        return mel.reshape(wave.shape[0], self.frames, -1)


def mel_bands(spec: FrontendSpec, spectrum: HalvedSpectrum | StackedSpectrum) -> MelBands:
    """The mel filters for the bins of `spectrum`, without its gain."""
    bins = spectrum.bins[..., None]
    weights = mel_filterbank(spec)[spectrum.bins] / np.maximum(spectrum.gain, 1e-30)[..., None]
    return MelBands(np.where(bins > 0, weights, 0))
