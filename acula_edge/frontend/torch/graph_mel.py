"""Mel power spectra as a small graph of matrix products, for ONNX Runtime and TensorRT.

ONNX has operators for Fourier transforms, but TensorRT has no DFT at all and ONNX Runtime's are slow. Here transforms
are matrix products (:mod:`acula_edge.frontend.transforms`), and the mel filters a few narrow ones
(:class:`MelBands`) that take the bins in the order they come in.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from acula_edge.errors import InputError
from acula_edge.frontend.filterbank import mel_filterbank
from acula_edge.frontend.spec import FrontendSpec
from acula_edge.frontend.torch.framing import keep_constant
from acula_edge.frontend.torch.spectra import HalvedSpectrum, StackedSpectrum

# What one more matrix costs, in multiplications per frame: three more operators and a copy.
_MATRIX_COST = 1000


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
    # The framing's gain is divided out of the filters once, here, instead of out of every frame. It is 0 at bin 0
    # alone, where nothing is weighed: outputs that are always zero are called bin 0, too.
    weights = mel_filterbank(spec)[spectrum.bins] / np.maximum(spectrum.gain, 1e-30)[..., None]
    return MelBands(np.where(bins > 0, weights, 0))


class MelBands(nn.Module):
    """Mel filters on power spectra whose bins rise along an axis of coarse frequency.

    Neighboring filters form a group, and a group's matrix reaches over the coarse frequencies that it needs.

    Args:
        weights: [S, C, M]: of slot and coarse frequency, for every filter.

    Shape: power [S, C, F] -> [M, F].
    """

    def __init__(self, weights: NDArray[np.float64]) -> None:
        super().__init__()
        self.reach = group_filters(weights)
        for index, (first, last, low, high) in enumerate(self.reach):
            matrix = weights[:, low:high, first:last].reshape(-1, last - first)
            keep_constant(self, f"filters{index}", matrix.T)

    def forward(self, power: torch.Tensor) -> torch.Tensor:
        """Shape: [S, C, F] -> [M, F]."""
        frames = power.shape[-1]
        parts = []
        for index, (_, _, low, high) in enumerate(self.reach):
            chosen = power if high - low == power.shape[1] else power[:, low:high]
            parts.append(getattr(self, f"filters{index}") @ chosen.reshape(-1, frames))
        return parts[0] if len(parts) == 1 else torch.cat(parts)


def group_filters(weights: NDArray[np.float64]) -> list[tuple[int, int, int, int]]:
    """Split filters into groups so that their matrices cost least in all (dynamic programming over the splits).

    Shape: weights [S, C, M] -> list of (first filter, last + 1, first coarse frequency, last + 1).
    """
    slots, coarse, filters = weights.shape
    weighed = (weights != 0).any(axis=0)
    # A band that is empty (above half a slow recording's rate) still needs a column: it reads one coarse frequency by
    # weights of zero.
    low = np.where(weighed.any(axis=0), weighed.argmax(axis=0), coarse - 1)
    high = np.where(weighed.any(axis=0), coarse - weighed[::-1].argmax(axis=0), coarse)
    # costs[n]: least cost of the first n filters; starts[n]: where the last group of that cheapest split begins. Wider
    # groups multiply more zeros, more groups cost more operators.
    costs, starts = [0.0], [0]
    for last in range(1, filters + 1):
        options = [
            costs[first] + (last - first) * int(high[first:last].max() - low[first:last].min()) * slots + _MATRIX_COST
            for first in range(last)
        ]
        starts.append(int(np.argmin(options)))
        costs.append(min(options))
    groups: list[tuple[int, int, int, int]] = []
    last = filters
    while last:
        first = starts[last]
        groups.insert(0, (first, last, int(low[first:last].min()), int(high[first:last].max())))
        last = first
    return groups
