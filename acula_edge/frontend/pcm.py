"""A front end that takes 16-bit samples as the converter gives them."""

from __future__ import annotations

import torch
from torch import nn


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
