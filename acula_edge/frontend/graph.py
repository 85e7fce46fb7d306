"""Mel power spectra as a small graph of matrix products, for ONNX Runtime and TensorRT.

ONNX has operators for Fourier transforms, but TensorRT has no DFT at all and ONNX Runtime's are slow. Here the
transform of length N = N1 N2 is factored once (Cooley and Tukey): N2 real transforms of length N1, the same matrix
for all, then one matrix per residue of k modulo N1 that holds the twiddle factors and the transform of length N2.
With samples n = N2 n1 + n2,

    X[k] = sum over n2 of exp(-2 pi i n2 k / N) * Y[k mod N1, n2],
    Y[k1, n2] = sum over n1 of exp(-2 pi i n1 k1 / N1) * x[N2 n1 + n2].

The input is real, so Y[N1 - k1] is the conjugate of Y[k1], and the residues 1 .. N1/2 - 1 give all others' powers too.
Residues 0 and N1/2 have a real Y; the two share one complex slot, as the bins that they add up to fit in one. Bins 0
and N/2 are left out, because no mel filter weighs them. The mel matrix takes the bins in the order they come in.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from acula_edge.errors import InputError
from acula_edge.frontend.filterbank import mel_filterbank
from acula_edge.frontend.framing import DifferencedFrames, KaldiFrames, keep_constant
from acula_edge.frontend.spec import FrontendSpec


class GraphMelPower(nn.Module):
    """Mel power spectra of clips of one fixed length, in operators that every engine has.

    Exports with ``torch.onnx.export(dynamo=True)`` to opset 18 as Pad, Reshape, Transpose, Slice, Concat, MatMul and
    arithmetic. Keep it in float32, whatever the network's precision is.

    Args:
        samples: length T of every clip.

    Shape: wave [B, T] -> [B, F, M].

    Raises:
        InputError: `samples` is not positive, or too few to be framed.
    """

    stage1: torch.Tensor
    stage2_real: torch.Tensor
    stage2_imag: torch.Tensor
    filters: torch.Tensor

    def __init__(self, spec: FrontendSpec, samples: int) -> None:
        super().__init__()
        spec.check_samples(samples)
        self.samples = samples
        framing = KaldiFrames if spec.kind == "kaldi-fbank" else DifferencedFrames
        self.framing = framing(spec, samples)
        factors = factor_transform(spec.transform_length)
        keep_constant(self, "stage1", factors.stage1)
        keep_constant(self, "stage2_real", factors.stage2.real)
        keep_constant(self, "stage2_imag", factors.stage2.imag)
        weights = mel_filterbank(spec)[factors.bins].T / np.maximum(self.framing.gain(factors.bins), 1e-30)
        keep_constant(self, "filters", np.where(factors.bins > 0, weights, 0))

    def forward(self, wave: torch.Tensor) -> torch.Tensor:
        """Shape: wave [B, T] -> [B, F, M]."""
        if wave.shape[-1] != self.samples:
            raise InputError("a clip has another length than the graph", given=wave.shape[-1], allowed=[self.samples])
        batch, frames = wave.shape[0], self.framing.frames
        rows, slots, inputs = self.stage1.shape[0], self.stage2_real.shape[0], self.stage2_real.shape[2]
        first = self.stage1 @ self.framing(wave).reshape(batch, rows, -1)
        first = first.reshape(batch, slots, inputs, frames)
        real, imag = self.stage2_real @ first, self.stage2_imag @ first
        power = (real * real + imag * imag).reshape(batch, -1, frames)
        return (self.filters @ power).transpose(1, 2)


@dataclass(frozen=True)
class TransformFactors:
    """A real Fourier transform of even length N = N1 N2 as two matrix products.

    Attributes:
        stage1: [N1, N1] real: samples [N1, N2] -> Y, two rows a slot: Y of residues 0 and N1/2, then the real and
            imaginary parts of residues 1, 2, ...
        stage2: [N1/2, N2, 2 N2] complex: a slot's two rows of Y, one after the other -> bins.
        bins: [N/2] which bin each output is, slot by slot; 0 for outputs that are always zero.
    """

    stage1: NDArray[np.float64]
    stage2: NDArray[np.complex128]
    bins: NDArray[np.int64]


def factor_transform(length: int) -> TransformFactors:
    """Factor a transform of even `length` with N1 even and as near its square root as its divisors allow."""
    rows = min((n for n in range(2, length + 1, 2) if length % n == 0), key=lambda n: abs(math.log(n * n / length)))
    columns, slots = length // rows, rows // 2
    turn = -2j * np.pi

    residue = np.arange(slots)
    first = np.exp(turn * np.outer(residue, np.arange(rows)) / rows)
    stage1 = np.stack([first.real, first.imag], axis=1).reshape(rows, rows)
    stage1[1] = (-1.0) ** np.arange(rows)

    bins = residue[:, None] + rows * np.arange(columns)
    twiddles = np.exp(turn * bins[:, :, None] * np.arange(columns) / length)
    stage2 = np.concatenate([twiddles, 1j * twiddles], axis=2)
    bins = np.minimum(bins, length - bins)

    stage2[0], bins[0] = 0, 0
    shared = [k for k in range(1, length // 2) if k % slots == 0]
    for position, k in enumerate(shared):
        start = columns * (k % rows != 0)
        stage2[0, position, start : start + columns] = np.exp(turn * k * np.arange(columns) / length)
        bins[0, position] = k
    return TransformFactors(stage1, stage2, bins.reshape(-1))
