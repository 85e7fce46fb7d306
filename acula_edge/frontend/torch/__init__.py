"""The two torch forms of a front end: any length for training and evaluation, one fixed length for export.

Both put mel power (``mel`` by Fourier transforms, ``graph_mel`` by matrix products) before its logarithm (``levels``).
"""

from __future__ import annotations

import torch
from torch import nn

from acula_edge.frontend.spec import FrontendSpec
from acula_edge.frontend.torch.graph_mel import GraphMelPower
from acula_edge.frontend.torch.levels import LEVELS
from acula_edge.frontend.torch.mel import MelPower
from acula_edge.frontend.torch.waveform import Waveform


class Spectrogram(nn.Module):
    """Mel power in one of its forms, and the level that the encoder reads.

    Shape: wave [B, T] -> [B, F, M].
    """

    def __init__(self, spec: FrontendSpec, power: nn.Module) -> None:
        super().__init__()
        self.spec = spec
        self.power = power
        self.level = LEVELS[spec.kind]

    def forward(self, wave: torch.Tensor) -> torch.Tensor:
        """Shape: wave [B, T] -> [B, F, M]."""
        return self.level(self.power(wave), self.spec)


def make_frontend(spec: FrontendSpec) -> nn.Module:
    """The front end for training and evaluation, on any device; it raises InputError on clips that are too short.

    Shape of the module: wave [B, T] -> mel [B, F, M].
    """
    return Waveform(spec) if spec.kind == "waveform" else Spectrogram(spec, MelPower(spec))


def graph_frontend(spec: FrontendSpec, samples: int) -> nn.Module:
    """The front end of clips of T = `samples`, in operators that every engine has.

    Shape of the module: wave [B, T] -> mel [B, F, M].

    Raises:
        InputError: `samples` is not positive, or too few for the front end.
    """
    if spec.kind == "waveform":
        return Waveform(spec).eval()
    return Spectrogram(spec, GraphMelPower(spec, samples)).eval()


class PcmFrontend(nn.Module):
    """Sixteen-bit samples to float and then a front end: the same values as of samples divided by 32768.

    ONNX Runtime has INT16 inputs and their Cast on CPUs (opset 18, since long before 1.18); TensorRT has no INT16.

    Shape: pcm [B, T] int16 -> mel [B, F, M].
    """

    def __init__(self, frontend: nn.Module) -> None:
        super().__init__()
        self.frontend = frontend

    def forward(self, pcm: torch.Tensor) -> torch.Tensor:
        """Shape: [B, T] int16 -> [B, F, M]."""
        mel: torch.Tensor = self.frontend(pcm.float() * (1 / 32768))
        return mel
