"""The front end in two halves for sound that keeps coming: mel power of every frame once, its level over a window.

A centered frame is two blocks of one hop. So what has to be remembered between chunks is one block, the tail; the
first chunk follows a block of zeros, which is the padding before a clip, and a clip of T samples ends with its rest and
zeros up to a whole block (a block of zeros where there is no rest). Chunks of any number of hops give the frames that
:class:`acula_edge.frontend.torch.graph_mel.GraphMelPower` gives for the whole, to float32's rounding.
"""

from __future__ import annotations

import torch
from torch import nn

from acula_edge.errors import InputError
from acula_edge.frontend.spec import FrontendSpec
from acula_edge.frontend.torch.graph_mel import mel_bands
from acula_edge.frontend.torch.levels import LEVELS
from acula_edge.frontend.torch.spectra import HalvedSpectrum


class StreamMelPower(nn.Module):
    """Mel power of the frames that a chunk completes.

    Args:
        hops: blocks in a chunk.

    Shape: chunk [1, hops * hop], tail [1, hop] -> power [1, hops, M], tail [1, hop].

    Raises:
        InputError: the front end's frames are not centered, zero-padded and overlapping by half.
    """

    def __init__(self, spec: FrontendSpec, hops: int) -> None:
        super().__init__()
        if spec.kind != "log-mel" or not HalvedSpectrum.fits(spec):
            raise InputError(
                "this front end has no streaming form",
                given=f"{spec.kind}, n_fft={spec.n_fft}, hop_length={spec.hop_length}",
                allowed="log-mel with an even hop of n_fft / 2",
            )
        if hops < 1:
            raise InputError("a chunk needs at least one hop", given=hops)
        self.hop = spec.hop_length
        self.spectrum = HalvedSpectrum(spec, hops * self.hop)
        self.bands = mel_bands(spec, self.spectrum)

    def forward(self, chunk: torch.Tensor, tail: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Shape: [1, hops * hop], [1, hop] -> [1, hops, M], [1, hop]."""
        # A frame is a block and the next, so hops + 1 blocks hold hops frames; the last block begins the next chunk's
        # first.
        blocks = torch.cat([tail, chunk], dim=1)
        power = self.bands(self.spectrum.transform(blocks)).transpose(0, 1)[None]
        return power, blocks[:, -self.hop :]


class Level(nn.Module):
    """What the encoder reads, from the mel power of a whole window.

    Shape: power [1, F, M] -> mel [1, F, M].
    """

    def __init__(self, spec: FrontendSpec) -> None:
        super().__init__()
        self.spec = spec

    def forward(self, power: torch.Tensor) -> torch.Tensor:
        """Shape: [1, F, M] -> [1, F, M]."""
        return LEVELS[self.spec.kind](power, self.spec)
