"""Power spectra of windowed frames as matrix products, in operators that every engine has.

Two forms: frames that overlap by half are folded and transformed where they lie (:class:`HalvedSpectrum`); any others
are stacked as columns first (:class:`StackedSpectrum`).
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from acula_edge.frontend.spec import FrontendSpec
from acula_edge.frontend.torch.framing import DifferencedFrames, KaldiFrames, keep_constant, pad_ends
from acula_edge.frontend.transforms import TransformFactors, factor_odd_transform, factor_transform


class StackedSpectrum(nn.Module):
    """Power spectra of frames of any length, hop and kind.

    Attributes:
        bins: [S, C] which bin each output is, 0 for outputs that are always zero.
        gain: [S, C] what the framing has multiplied their power by.

    Shape: wave [B, T] -> power [S, C, B F].
    """

    stage1: torch.Tensor
    stage2: torch.Tensor

    def __init__(self, spec: FrontendSpec, samples: int) -> None:
        super().__init__()
        framing = KaldiFrames if spec.kind == "kaldi-fbank" else DifferencedFrames
        self.framing = framing(spec, samples)
        factors = factor_transform(spec.transform_length)
        self.bins = factors.bins
        self.gain = self.framing.gain(factors.bins)
        keep_constant(self, "stage1", factors.stage1)
        keep_constant(self, "stage2", factors.stage2)

    def forward(self, wave: torch.Tensor) -> torch.Tensor:
        """Shape: [B, T] -> [S, C, B F]."""
        rows, (slots, inputs, _) = self.stage1.shape[0], self.stage2.shape
        # Reshaping reads sample n = C n1 + n2 of a frame as row n1 and column n2: stage 1 transforms over n1 for every
        # n2 and every frame in one product.
        columns = self.framing(wave).movedim(0, 1) if wave.shape[0] > 1 else self.framing(wave)
        first = self.stage1 @ columns.reshape(rows, -1)
        return _power(self.stage2 @ first.reshape(slots, inputs, -1))


class HalvedSpectrum(nn.Module):
    """Power spectra of centered Hann frames that overlap by half, each transformed as two halves.

    A frame h of length N = 2 H is two blocks of one hop each. Its even bins are the transform of the blocks' sum, its
    odd bins the odd transform of their difference, both of length H (the first step of a radix-2 decimation in
    frequency). The frame is differenced as :class:`acula_edge.frontend.torch.framing.DifferencedFrames` explains, with
    w the window's rising half, d the difference of the samples x, and 1 - w the falling half:

        w[n+1] d[n] + (w[n+1] - w[n]) x[n]          is what a block adds as a frame's first half,
        (1 - w[n+1]) d[n] - (w[n+1] - w[n]) x[n]    as its second.

    Blocks are columns, so every product's result is the next one's operand.

    Attributes:
        bins, gain: as of :class:`StackedSpectrum`.

    Shape: wave [B, T] -> power [S, C, B F].
    """

    rise: torch.Tensor
    rise_step: torch.Tensor
    fall: torch.Tensor

    def __init__(self, spec: FrontendSpec, samples: int) -> None:
        super().__init__()
        self.spec = spec
        self.hop = spec.hop_length
        self.frames = spec.frames(samples)
        window = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(self.hop + 1) / spec.n_fft)
        keep_constant(self, "rise", window[1:, None, None])
        keep_constant(self, "fall", 1 - window[1:, None, None])
        keep_constant(self, "rise_step", np.diff(window)[:, None, None])
        # With h = (a, b) in halves: X[2 j] is bin j of a + b, since exp(-2 pi i 2 j H / N) = 1, and X[2 j + 1] is bin j
        # + 1/2 of a - b, since there it is -1. Two transforms of half the length, and no row of zeros between.
        even, odd = factor_transform(self.hop), factor_odd_transform(self.hop)
        self.bins = np.concatenate([2 * even.bins, 2 * odd.bins + 1])
        self.gain: NDArray[np.float64] = 4 * np.sin(np.pi * self.bins / spec.n_fft) ** 2
        self._keep("even", even)
        self._keep("odd", odd)

    @staticmethod
    def fits(spec: FrontendSpec) -> bool:
        """Whether the front end's frames are of this kind."""
        return spec.kind != "kaldi-fbank" and 2 * spec.hop_length == spec.n_fft and spec.hop_length % 2 == 0

    def forward(self, wave: torch.Tensor) -> torch.Tensor:
        """Shape: [B, T] -> [S, C, B F]."""
        return self.transform(pad_ends(wave, self.spec, (self.frames + 1) * self.hop))

    def transform(self, samples: torch.Tensor) -> torch.Tensor:
        """Spectra of the frames that begin at every block of a wave but the last.

        Shape: [B, (F + 1) hop] -> [S, C, B F].
        """
        blocks = samples.reshape(samples.shape[0], -1, self.hop).permute(2, 0, 1)
        # A column's last difference reaches into the next block. The very last one has no weight, and is 0.
        beyond = torch.cat([blocks[:1, :, 1:], blocks[-1:, :, -1:]], dim=2)
        steps = torch.cat([blocks[1:], beyond]) - blocks
        # Not the rest of `steps`: it would have the rounding of the large where the window is small.
        shared = blocks * self.rise_step
        # Every block but the last begins a frame, every block but the first ends one.
        first = (steps * self.rise + shared)[:, :, :-1]
        second = (steps * self.fall - shared)[:, :, 1:]
        return torch.cat([self._spectrum("even", first + second), self._spectrum("odd", first - second)])

    def _keep(self, name: str, factors: TransformFactors) -> None:
        keep_constant(self, f"{name}1", factors.stage1)
        keep_constant(self, f"{name}2", factors.stage2)

    def _spectrum(self, name: str, blocks: torch.Tensor) -> torch.Tensor:
        """Shape: [hop, B, F] -> [S / 2, C, B F]."""
        stage1, stage2 = getattr(self, f"{name}1"), getattr(self, f"{name}2")
        first = stage1 @ blocks.reshape(stage1.shape[0], -1)
        return _power(stage2 @ first.reshape(stage2.shape[0], stage2.shape[2], -1))


def _power(parts: torch.Tensor) -> torch.Tensor:
    """Real parts over imaginary ones to their power. Shape: [S, 2 C, K] -> [S, C, K]."""
    # No square root anywhere: mel filters weigh power.
    slots, doubled, columns = parts.shape
    return (parts * parts).reshape(slots, 2, doubled // 2, columns).sum(1)
