"""The front end as a small graph of matrix products, for ONNX Runtime and TensorRT.

ONNX has operators for Fourier transforms, but TensorRT has no DFT at all and ONNX Runtime's are slow. Here the
transform of length N = N1 N2 is factored once (Cooley and Tukey): N2 real transforms of length N1, the same matrix
for all, then one matrix per residue of k modulo N1 that holds the twiddle factors and the transform of length N2.
With samples n = N2 n1 + n2,

    X[k] = sum over n2 of exp(-2 pi i n2 k / N) * Y[k mod N1, n2],
    Y[k1, n2] = sum over n1 of exp(-2 pi i n1 k1 / N1) * x[N2 n1 + n2].

The input is real, so Y[N1 - k1] is the conjugate of Y[k1], and the residues 1 .. N1/2 - 1 give all others' powers too.
Residues 0 and N1/2 have a real Y; the two share one complex slot, as the bins that they add up to fit in one. Bins 0
and N/2 are left out, because no mel filter weighs them. The mel matrix takes the bins in the order they come in.

Frames are kept as the last axis: so every product's result is the next one's operand, without a permutation between.

Body sounds fall steeply with frequency: rumble below the lowest filter can be 60 dB above the loudest band, and what
is summed in single precision beside it drowns in its rounding. So what is transformed is not the windowed frame w x
but its difference along time, in a form that never rounds the large part,

    w[n+1] x[n+1] - w[n] x[n] = w[n+1] (x[n+1] - x[n]) + (w[n+1] - w[n]) x[n],

and the mel matrix divides by the difference's known gain, 4 sin(pi k / N)^2. On real heart and lung sounds this brings
the largest error of a value in [0, 1] from 3e-4 to 1e-5, for about a tenth of the time. The price is paid where the
lowest bands lie 75 dB and more below the highs: 2e-4 for some pure tones, 2e-3 for noise that rises by 12 dB an octave.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn
from torch.nn.functional import pad

from acula_edge.errors import InputError
from acula_edge.frontend.filterbank import mel_filterbank
from acula_edge.frontend.spec import SILENT_SPAN_DB, FrontendSpec


class GraphLogMel(nn.Module):
    """Log-mel spectrograms of clips of one fixed length, in operators that every engine has.

    Exports with ``torch.onnx.export(dynamo=True)`` to opset 18 as Pad, Reshape, Transpose, Slice, Concat, MatMul,
    arithmetic, Log, ReduceMax and ReduceMin. Keep it in float32, whatever the network's precision is.

    Args:
        spec: n_fft must be a multiple of hop_length.
        samples: length T of every clip.

    Shape: wave [B, T] -> [B, F, M] in [0, 1].

    Raises:
        InputError: frames do not lie on a grid of hops, or `samples` is not positive.
    """

    window: torch.Tensor
    window_step: torch.Tensor
    stage1: torch.Tensor
    stage2_real: torch.Tensor
    stage2_imag: torch.Tensor
    filters: torch.Tensor

    def __init__(self, spec: FrontendSpec, samples: int) -> None:
        super().__init__()
        if spec.n_fft % spec.hop_length:
            raise InputError(
                "the graph form of the front end needs n_fft to be a multiple of hop_length",
                given=f"n_fft={spec.n_fft}, hop_length={spec.hop_length}",
                remedy="choose hop_length = n_fft / 2, as the published front end does",
            )
        if samples <= 0:
            raise InputError("the graph form of the front end needs a fixed, positive number of samples", given=samples)
        self.spec = spec
        self.samples = samples
        self.frames = spec.frames(samples)
        window = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(spec.n_fft + 1) / spec.n_fft)
        by_hop = (spec.n_fft // spec.hop_length, spec.hop_length, 1)
        self._keep("window", window[1:].reshape(by_hop))
        self._keep("window_step", np.diff(window).reshape(by_hop))
        factors = factor_transform(spec.n_fft)
        self._keep("stage1", factors.stage1)
        self._keep("stage2_real", factors.stage2.real)
        self._keep("stage2_imag", factors.stage2.imag)
        gain = 4 * np.sin(np.pi * factors.bins / spec.n_fft) ** 2
        filters = np.where(factors.bins > 0, mel_filterbank(spec)[factors.bins].T / np.maximum(gain, 1e-30), 0)
        self._keep("filters", filters)

    def _keep(self, name: str, values: NDArray[np.float64]) -> None:
        constant = torch.from_numpy(np.ascontiguousarray(values, dtype=np.float32))
        self.register_buffer(name, constant, persistent=False)

    def forward(self, wave: torch.Tensor) -> torch.Tensor:
        """Shape: wave [B, T] -> [B, F, M]."""
        if wave.shape[-1] != self.samples:
            raise InputError("a clip has another length than the graph", given=wave.shape[-1], allowed=[self.samples])
        batch, half = wave.shape[0], self.spec.n_fft // 2
        slots, inputs = self.stage2_real.shape[0], self.stage2_real.shape[2]
        first = self.stage1 @ self._frame(wave).reshape(batch, self.stage1.shape[1], -1)
        first = first.reshape(batch, slots, inputs, self.frames)
        real, imag = self.stage2_real @ first, self.stage2_imag @ first
        power = (real * real + imag * imag).reshape(batch, half, self.frames)
        return normalize_power(self.filters @ power, self.spec).transpose(1, 2)

    def _frame(self, wave: torch.Tensor) -> torch.Tensor:
        """Differenced, windowed, centered frames as columns. Shape: [B, T] -> [B, n_fft, F].

        A frame is a few adjacent blocks of one hop, so framing is stacking shifted copies.
        """
        hop, stacked = self.spec.hop_length, self.window.shape[0]
        blocks = self.frames + stacked - 1
        total, half = blocks * hop, self.spec.n_fft // 2
        padded = pad(wave, (half, max(0, total + 1 - half - self.samples)))
        samples, following = padded[:, :total], padded[:, 1 : total + 1]
        steps = (following - samples).reshape(-1, blocks, hop).transpose(1, 2)
        samples = samples.reshape(-1, blocks, hop).transpose(1, 2)
        parts = [steps * self.window[part] + samples * self.window_step[part] for part in range(stacked)]
        return torch.cat([part[:, :, shift : shift + self.frames] for shift, part in enumerate(parts)], dim=1)


def normalize_power(power: torch.Tensor, spec: FrontendSpec) -> torch.Tensor:
    """Mel power to decibels below each clip's maximum, floored, and scaled to [0, 1].

    Dividing by the maximum before the logarithm keeps full precision, and makes silence exactly 0 dB.

    Shape: [B, F, M] or [B, M, F] -> the same.
    """
    log_per_db = math.log(10) / 10
    highest = power.amax((-2, -1), keepdim=True).clamp_min(spec.amin)
    floor = (spec.amin / highest).clamp_min(10 ** (-spec.top_db / 10))
    level = torch.log(torch.maximum(power / highest, floor))
    lowest = level.amin((-2, -1), keepdim=True)
    heard = (lowest < -SILENT_SPAN_DB * log_per_db).to(level.dtype)
    if spec.normalization == "minmax":
        scaled = level / (-lowest).clamp_min(SILENT_SPAN_DB * log_per_db)
    else:
        scaled = level / (spec.top_db * log_per_db)
    return (1 + scaled) * heard


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
