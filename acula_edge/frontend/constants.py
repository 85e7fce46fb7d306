"""Constants of the graph forms."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn


def keep_constant(module: nn.Module, name: str, values: NDArray[np.float64]) -> None:
    """Register a constant in single precision that stays out of state dicts."""
    constant = torch.from_numpy(np.ascontiguousarray(values, dtype=np.float32))
    module.register_buffer(name, constant, persistent=False)
