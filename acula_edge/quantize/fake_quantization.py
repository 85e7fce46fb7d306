"""Rounding to INT8 with a straight-through gradient: activations by a learned scale, weights by a scale per channel.

Scales of activations are learned as LSQ does (Esser et al. 2020, arXiv 1902.08153, section 2.1), as logarithms; their
zero points stay. Weights are scaled by what they reach in each channel, as the quantizer does.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from acula_edge.quantize.overflow import channel_limits

LARGEST_WEIGHT = 127


class Scale(nn.Module):
    """Scale and zero point of a quantized activation."""

    def __init__(self, scale: NDArray[Any], zero_point: NDArray[Any]) -> None:
        super().__init__()
        kind = np.iinfo(zero_point.dtype)
        self.lowest, self.highest, self.zero_point = int(kind.min), int(kind.max), int(zero_point)
        self.logarithm = nn.Parameter(torch.tensor(float(np.log(scale)), dtype=torch.float32))

    @property
    def value(self) -> torch.Tensor:
        """The scale."""
        return self.logarithm.exp()

    def rounded(self, x: torch.Tensor) -> torch.Tensor:
        """What INT8 leaves of an activation, in the shape that it has."""
        # In units of the scale, the gradient that autograd finds for the scale is LSQ's equation 3.
        scale = self.value
        steps = torch.fake_quantize_per_tensor_affine(x / scale, 1.0, self.zero_point, self.lowest, self.highest)
        return steps * scale


class Weight(nn.Module):
    """An INT8 weight, trained in float.

    Args:
        value: in float.
        axis: of the output channels; None for one scale for all.
        fits_16_bits: see :func:`acula_edge.quantize.overflow.channel_limits`.
    """

    def __init__(self, value: NDArray[Any], axis: int | None, fits_16_bits: bool) -> None:
        super().__init__()
        self.axis, self.fits_16_bits = axis, fits_16_bits
        self.value = nn.Parameter(torch.from_numpy(value.astype(np.float32)))

    def scales(self) -> NDArray[np.float32]:
        """[O] or [1]: what one step of INT8 stands for."""
        value = self.value.detach().cpu().numpy()
        rows = np.moveaxis(value, self.axis or 0, 0)
        if self.fits_16_bits:
            limits = channel_limits(rows)
        else:
            limits = np.abs(rows.reshape(len(rows), -1)).max(axis=1)
            limits = np.where(limits > 0, limits, 1.0)
        if self.axis is None:
            limits = limits.max(keepdims=True)
        return np.asarray(limits / LARGEST_WEIGHT, np.float32)

    def integers(self, scales: NDArray[np.float32]) -> NDArray[np.int8]:
        """The weight as INT8."""
        steps = torch.round(self.value.detach().cpu() / self._along(torch.from_numpy(scales)))
        return steps.clamp(-LARGEST_WEIGHT, LARGEST_WEIGHT).to(torch.int8).numpy()

    def rounded(self) -> torch.Tensor:
        """What INT8 leaves of the weight."""
        scales = self._along(torch.from_numpy(self.scales()).to(self.value.device))
        steps = torch.fake_quantize_per_tensor_affine(self.value / scales, 1.0, 0, -LARGEST_WEIGHT, LARGEST_WEIGHT)
        return steps * scales

    def _along(self, scales: torch.Tensor) -> torch.Tensor:
        shape = [1] * self.value.ndim
        if self.axis is not None:
            shape[self.axis] = -1
        return scales.view(shape)
