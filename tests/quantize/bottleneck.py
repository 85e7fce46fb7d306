"""A student in little: stem, inverted residuals with a linear bottleneck, pooling, projection, one head."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import torch
from torch import nn
from torch.nn import functional

from acula_edge.bundle.layout import FRONTEND_FILE, MODEL_INT8_FILE
from acula_edge.quantize.calibration import make_mels
from acula_edge.quantize.export import export_float
from acula_edge.quantize.heads import TaskHead
from acula_edge.quantize.qdq import quantize_encoder
from tests.quantize.conftest import SAMPLES, SPEC, make_windows


class InvertedResidual(nn.Module):
    """[B, 32, F, M] -> the same; the last convolution has no activation."""

    def __init__(self) -> None:
        super().__init__()
        self.expand = nn.Conv2d(32, 64, 1)
        self.depthwise = nn.Conv2d(64, 64, 3, 1, 1, groups=64)
        self.project = nn.Conv2d(64, 32, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        wide = torch.relu(self.depthwise(torch.relu(self.expand(x))))
        return x + self.project(wide)


class Bottleneck(nn.Module):
    """mel [B, F, M] -> [B, 16]"""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(7)
        self.frontend = SPEC
        self.stem = nn.Conv2d(1, 32, 3, 4, 1)
        self.widen = nn.Conv2d(32, 64, 3, 2, 1)
        self.narrow = nn.Conv2d(64, 32, 1)
        self.first = InvertedResidual()
        self.second = InvertedResidual()
        self.last = nn.Conv2d(32, 32, 1)
        self.projection = nn.Linear(32, 16)
        self.eval()

    def embed_mel(self, mel: torch.Tensor) -> torch.Tensor:
        low = self.narrow(torch.relu(self.widen(torch.relu(self.stem(mel[:, None])))))
        deep = torch.relu(self.last(self.second(self.first(low))))
        return self.projection(functional.avg_pool2d(deep, deep.shape[2:]).flatten(1))


def export_bottleneck(folder: Path, profile: str = "tensorrt") -> onnx.ModelProto:
    """Its INT8 graph, waveform in; all files in `folder`."""
    head = TaskHead("M1", "murmur", "binary", ["absent", "present"], "", np.ones((16, 1)), np.zeros(1), 0.5, "phantom")
    export_float(Bottleneck(), [head], SAMPLES, folder)
    quantize_encoder(folder, profile, make_mels(folder / FRONTEND_FILE, make_windows(4, 1)))
    return onnx.load(folder / MODEL_INT8_FILE)
